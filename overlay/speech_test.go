package overlay

import (
	"fmt"
	"image"
	"math"
	"testing"
	"time"

	"tandem/pipeline"
)

// talk is a timeline in which subject 0 speaks for two seconds, being happy in the second of them, then 1 for one, then
// somebody who is not seen for one.
func talk() *Timeline {
	start := *testStart
	start.Hop = 250 * time.Millisecond
	l := &Timeline{}
	l.Event(pipeline.Event{Start: &start})
	for i := 1; i <= 16; i++ {
		at := time.Duration(i) * start.Hop
		for subject := range 2 {
			speaking := 0.02
			if i <= 8 && subject == 0 || i > 8 && i <= 12 && subject == 1 {
				speaking = 0.95
			}
			w := testResult(subject, at, 0.9)
			if i <= 4 {
				w.Emotion.Label = "sad"
			}
			w.Speaking, w.Voice = &speaking, true
			l.Event(pipeline.Event{Window: w})
		}
	}
	return l
}

func TestSpoken(t *testing.T) {
	l := talk()
	for _, c := range []struct {
		from, to time.Duration
		want     string
	}{
		{0, 10 * time.Second, "[{0 0s 1s sad} {0 1s 2s happy} {1 2s 3s happy} {-1 3s 4s }]"},
		{500 * time.Millisecond, 2500 * time.Millisecond, "[{0 500ms 1s sad} {0 1s 2s happy} {1 2s 2.5s happy}]"},
		{5 * time.Second, 10 * time.Second, "[]"},
	} {
		got := []string{}
		for _, s := range l.Spoken(c.from, c.to) {
			got = append(got, fmt.Sprintf("{%d %v %v %s}", s.Subject, s.From, s.To, s.Emotion))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v to %v: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// Who speaks is marked for as long as the turn lasts, and a little longer where nothing newer is known.
func TestSceneSaysWhoSpeaks(t *testing.T) {
	l := talk()
	for at, want := range map[time.Duration][2]bool{
		0: {true, false}, 1999 * time.Millisecond: {true, false}, 2 * time.Second: {false, true},
		2900 * time.Millisecond: {false, true}, 3100 * time.Millisecond: {false, false},
	} {
		l.Faces(at, []pipeline.Tracked{tracked(0, 50), tracked(1, 200)})
		for i, v := range l.At(at).Subjects {
			if v.Speaks != want[i] {
				t.Errorf("%v: subject %d speaks: %v", at, v.Subject, v.Speaks)
			}
		}
	}
	start := *testStart
	start.Hop = 250 * time.Millisecond
	l = &Timeline{}
	l.Event(pipeline.Event{Start: &start})
	w := testResult(0, time.Second, 0.9)
	w.Voice = true
	l.Event(pipeline.Event{Window: w})
	for at, want := range map[time.Duration]bool{
		700 * time.Millisecond: false, 1400 * time.Millisecond: true, 1600 * time.Millisecond: false,
	} {
		if s := l.At(at).Subjects; len(s) > 0 && s[0].Speaks != want {
			t.Errorf("one face: %v speaks: %v", at, s[0].Speaks)
		}
	}
	l.Event(pipeline.Event{Start: testStart})
	if len(l.Spoken(0, time.Hour)) > 0 {
		t.Error("another run remembers who spoke")
	}
}

// Each box has its subject's own colour; that of the speaker has a second frame, white, and a wider tag.
func TestOverlayMarksTheSpeaker(t *testing.T) {
	ground := RGB{100, 100, 100}
	for _, size := range []image.Point{{640, 480}, {1920, 1080}} {
		l := talk()
		side := float64(size.Y) / 4
		y := float64(size.Y) * 0.6
		var faces []pipeline.Tracked
		for s := range 2 {
			x := float64(size.X) * (0.1 + 0.5*float64(s))
			faces = append(faces, pipeline.Tracked{Subject: s, Face: pipeline.Face{X: x, Y: y, W: side, H: side}})
		}
		o := New(size.X, size.Y)
		thick := max(o.em/7, 1)
		for speaker, at := range []time.Duration{time.Second, 2500 * time.Millisecond} {
			l.Faces(at, faces)
			p := NewCanvas(size.X, size.Y, ground)
			o.Draw(p, l.At(at), at)
			for s, f := range faces {
				x, edge := int(f.Face.X+side/2), int(math.Round(y+side))
				if got := pixel(p, x, edge-1); got != RGB(pipeline.SubjectColor(s)) {
					t.Errorf("%v: subject %d's box is %v", size, s, got)
				}
				if got := pixel(p, x, edge+2*thick); (got == white) != (s == speaker) {
					t.Errorf("%v: %d speaks, and outside subject %d's box is %v", size, speaker, s, got)
				}
			}
		}
	}
}

// The rows of who spoke have the subjects' own colours where they spoke, with the emotion's below.
func TestSpeechDrawsTurns(t *testing.T) {
	l := talk()
	o := New(640, 480)
	p := NewCanvas(640, o.SpeechHeight(), white)
	end := 5 * time.Second
	o.Speech(p, image.Rect(0, 0, p.W, p.H), testStart.Emotions, l.Spoken(end-ChartTime, end), end)
	c := o.chartIn(image.Rect(0, 0, p.W, p.H), end)
	height := p.H / 3
	for _, tt := range []struct {
		row  int
		at   time.Duration
		want RGB // in the block's upper part
		low  RGB // and at its lower edge
	}{
		{0, 1900 * time.Millisecond, pipeline.SubjectColor(0), ColorOf(1)},
		{0, 900 * time.Millisecond, pipeline.SubjectColor(0), ColorOf(2)},
		{0, 2500 * time.Millisecond, Ink, Ink},
		{1, 2900 * time.Millisecond, pipeline.SubjectColor(1), ColorOf(1)},
		{1, 1500 * time.Millisecond, Ink, Ink},
		{2, 3500 * time.Millisecond, unknownColor, unknownColor},
	} {
		x := int(c.x(tt.at))
		if got := pixel(p, x, tt.row*height+2); got != tt.want {
			t.Errorf("row %d at %v is %v, want %v", tt.row, tt.at, got, tt.want)
		}
		if got := pixel(p, x, (tt.row+1)*height-2); got != tt.low {
			t.Errorf("row %d at %v is %v below, want %v", tt.row, tt.at, got, tt.low)
		}
	}
	for _, r := range []image.Rectangle{{}, image.Rect(0, 0, 3, 3), image.Rect(-50, -50, 2000, 10)} {
		o.Speech(p, r, testStart.Emotions, l.Spoken(0, end), end) // cut off
	}
}

// Who spoke long ago is forgotten with the rest.
func TestTimelineForgetsTurns(t *testing.T) {
	start := *testStart
	start.Hop = 250 * time.Millisecond
	l := NewTimeline(10 * time.Second)
	l.Event(pipeline.Event{Start: &start})
	for i := range 10000 {
		w := testResult(i%2, time.Duration(i)*start.Hop, 0.5)
		w.Voice = true
		l.Event(pipeline.Event{Window: w})
	}
	if n := len(l.spoken); n < 20 || n > 60 {
		t.Errorf("%d turns are kept of the last 10 s", n)
	}
}
