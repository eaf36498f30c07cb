package av

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// clockItem is a time in a container and what becomes of it.
type clockItem struct {
	stream  int
	raw     time.Duration // -1 ns: not known
	want    time.Duration
	retimed int
}

const v, a = video, audio

var clockTests = map[string][]clockItem{
	"as it should be": {
		{v, 0, 0, 0},
		{a, 0, 0, 0},
		{a, 20 * ms, 20 * ms, 0},
		{v, 40 * ms, 40 * ms, 0},
		{a, 40 * ms, 40 * ms, 0},
	},
	"a pause": {{v, 0, 0, 0}, {v, 9 * time.Second, 9 * time.Second, 0}},
	"a slide show with sound": {
		{v, 0, 0, 0},
		{a, 0, 0, 0},
		{a, 9 * time.Second, 9 * time.Second, 0},
		{a, 18 * time.Second, 18 * time.Second, 0},
		{v, 20 * time.Second, 20 * time.Second, 0},
	},
	"missing":     {{v, 0, 0, 0}, {v, -1, 40 * ms, 0}, {v, -1, 80 * ms, 0}, {v, 120 * ms, 120 * ms, 0}},
	"none at all": {{v, -1, 0, 0}, {v, -1, 40 * ms, 0}, {v, -1, 80 * ms, 0}},
	"one wild": {
		{v, 0, 0, 0},
		{v, 5 * time.Hour, 40 * ms, 1},
		{v, 80 * ms, 80 * ms, 2},
		{v, 120 * ms, 120 * ms, 2},
	},
	"back by hours": {
		{v, 0, 0, 0},
		{v, 40 * ms, 40 * ms, 0},
		{v, -2 * time.Hour, 80 * ms, 1},
		{v, -2*time.Hour + 40*ms, 120 * ms, 1},
	},
	"back by a little": {
		{v, 0, 0, 0},
		{v, 40 * ms, 40 * ms, 0},
		{v, 20 * ms, 40 * ms, 1},
		{v, 120 * ms, 120 * ms, 1},
	},
	"starts with priming":  {{a, -7 * ms, -7 * ms, 0}, {a, 13 * ms, 13 * ms, 0}},
	"first hours too late": {{v, 0, 0, 0}, {a, 3 * time.Hour, 0, 1}, {a, 3*time.Hour + 20*ms, 20 * ms, 1}},
	"both streams jump, one after the other": {
		{v, 0, 0, 0},
		{a, 0, 0, 0},
		{v, 40 * ms, 40 * ms, 0},
		{a, 20 * ms, 20 * ms, 0},
		{v, time.Hour + 80*ms, 80 * ms, 1},
		{a, 40 * ms, 40 * ms, 1}, // not yet
		{a, 60 * ms, 60 * ms, 1},
		{a, time.Hour + 90*ms, 90 * ms, 2}, // by the same offset as the pictures
		{v, time.Hour + 120*ms, 120 * ms, 2},
	},
	"both streams start again": {
		{v, 10 * time.Second, 10 * time.Second, 0},
		{a, 10 * time.Second, 10 * time.Second, 0},
		{v, 0, 10*time.Second + 40*ms, 1},
		{a, 0, 10*time.Second + 40*ms, 2},
		{v, 40 * ms, 10*time.Second + 80*ms, 2},
		{a, 20 * ms, 10*time.Second + 60*ms, 2},
	},
}

// Pictures (v) are 40 ms long and sound (a) is 20 ms long.
func TestClock(t *testing.T) {
	for name, items := range clockTests {
		t.Run(name, func(t *testing.T) {
			var c clock
			for i, it := range items {
				length := 40 * ms
				if it.stream == audio {
					length = 20 * ms
				}
				got := c.at(it.stream, it.raw, it.raw != -1, length)
				if got != it.want || c.retimed != it.retimed {
					t.Errorf("item %d: %v with %d retimed, want %v with %d", i, got, c.retimed, it.want, it.retimed)
				}
			}
		})
	}
}

// Within the length that a header gives, a step forward is a pause, of either stream; beyond it, and back, it is a
// fault.
func TestSoundClockBelievesPauses(t *testing.T) {
	c := clock{sound: time.Hour}
	for i, it := range []clockItem{
		{v, 0, 0, 0},
		{a, 0, 0, 0},
		{v, 15 * time.Second, 15 * time.Second, 0},
		{v, 20 * time.Minute, 20 * time.Minute, 0},
		{a, 20 * time.Minute, 20 * time.Minute, 0},
		{a, 30 * time.Minute, 30 * time.Minute, 0},
		{v, time.Hour, time.Hour, 0},
		{v, 2 * time.Hour, time.Hour + 40*ms, 1},
		{v, 10 * time.Minute, time.Hour + 80*ms, 2},
	} {
		length := 40 * ms
		if it.stream == audio {
			length = 20 * ms
		}
		if got := c.at(it.stream, it.raw, true, length); got != it.want || c.retimed != it.retimed {
			t.Errorf("item %d: %v with %d retimed, want %v with %d", i, got, c.retimed, it.want, it.retimed)
		}
	}
}

// The eight ways to turn and mirror a picture, by what becomes of
//
//	1 2 3
//	4 5 6
func TestOrientation(t *testing.T) {
	pix := func(s string) []byte {
		var b []byte
		for _, c := range []byte(s) {
			b = append(b, c, c, c)
		}
		return b
	}
	const one = 1 << 16
	tests := []struct {
		name       string
		a, b, c, d int32
		w          int
		want       string
	}{
		{"upright", one, 0, 0, one, 3, "123456"},
		{"clockwise", 0, one, -one, 0, 2, "415263"},
		{"half a turn", -one, 0, 0, -one, 3, "654321"},
		{"counterclockwise", 0, -one, one, 0, 2, "362514"},
		{"mirrored", -one, 0, 0, one, 3, "321654"},
		{"upside down", one, 0, 0, -one, 3, "456123"},
		{"transposed", 0, one, one, 0, 2, "142536"},
		{"transverse", 0, -one, -one, 0, 2, "635241"},
		{"a little askew", one, 100, -100, one, 3, "123456"},
		{"nothing", 0, 0, 0, 0, 3, "123456"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := orientationOf([]int32{tt.a, tt.b, 0, tt.c, tt.d, 0, 0, 0, 1 << 30})
			got, w, h := o.apply(pix("123456"), 3, 2)
			if w != tt.w || w*h != 6 || string(got) != string(pix(tt.want)) {
				t.Errorf("%d x %d %q, want %q", w, h, got, pix(tt.want))
			}
		})
	}
}
