package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// heardAt is a window in which a voice is heard at its end. speaking below 0: it was not asked who speaks.
func heardAt(t time.Duration, subject int, speaking float64, audio bool) *WindowEvent {
	w := &WindowEvent{T: t, End: t, Subject: subject, Audio: audio, Video: true, Voice: true}
	if speaking >= 0 {
		w.Speaking = &speaking
	}
	return w
}

// quiet is a window at whose end no voice is heard, of who spoke last.
func quiet(t time.Duration) *WindowEvent {
	w := heardAt(t, 0, 0.9, true)
	w.Voice = false
	return w
}

// turnsCase is a run's windows, and the turns that they are.
type turnsCase struct {
	windows []*WindowEvent
	want    string
}

func (c turnsCase) check(t *testing.T, what string) {
	t.Helper()
	s := Turns{Hop: ms(250)}
	var all []Turn
	for _, w := range c.windows {
		all = append(all, s.Add(w)...)
	}
	got := []string{}
	for _, o := range append(all, s.Rest()...) {
		got = append(got, fmt.Sprintf("{%d %v %v}", o.Subject, o.From, o.To))
	}
	if fmt.Sprint(got) != c.want {
		t.Errorf("%s: %v, want %s", what, got, c.want)
	}
}

// The end of a voice of which it is not known whose it is is that of who speaks on.
func TestTurnsAreKnownLate(t *testing.T) {
	for what, c := range map[string]turnsCase{
		"whose a voice is is known late": {
			[]*WindowEvent{
				heardAt(ms(1000), 0, 0.1, false), heardAt(ms(1250), 0, 0.4, true), heardAt(ms(1500), 0, 0.8, true),
			},
			"[{0 750ms 1.5s}]",
		},
		"another speaks first, who is not seen": {
			[]*WindowEvent{
				heardAt(ms(1000), 0, 0.1, false), heardAt(ms(1250), 0, 0.1, false), heardAt(ms(1500), 0, 0.1, false),
				heardAt(ms(1750), 0, 0.4, true), heardAt(ms(2000), 0, 0.8, true), heardAt(ms(2250), 0, 0.9, true),
			},
			"[{-1 750ms 1.25s} {0 1.25s 2.25s}]",
		},
		"a doubt within a turn, and one between two": {
			[]*WindowEvent{
				heardAt(ms(1000), 0, 0.9, true), heardAt(ms(1250), 0, 0.4, true), heardAt(ms(1500), 0, 0.9, true),
				heardAt(ms(1750), 0, 0.4, true), heardAt(ms(2000), 0, 0.4, true), heardAt(ms(2250), 1, 0.9, true),
			},
			"[{0 750ms 1.5s} {1 1.5s 2.25s}]",
		},
		"a doubt before a pause, and at the end": {
			[]*WindowEvent{
				heardAt(ms(1000), 0, 0.9, true), heardAt(ms(1250), 0, 0.4, true), quiet(ms(1500)), quiet(ms(1750)),
				heardAt(ms(2000), 0, 0.9, true), heardAt(ms(2250), 0, 0.4, true),
			},
			"[{0 750ms 1s} {-1 1s 1.25s} {0 1.75s 2s} {-1 2s 2.25s}]",
		},
	} {
		c.check(t, what)
	}
}

func TestTurns(t *testing.T) {
	unseen := heardAt(ms(1000), 0, -1, true)
	unseen.Video = false
	for what, c := range map[string]turnsCase{
		"nothing": {nil, "[]"},
		"quiet":   {[]*WindowEvent{quiet(ms(750))}, "[]"},
		"one face, not asked": {
			[]*WindowEvent{heardAt(ms(750), 3, -1, true), heardAt(ms(1000), 3, -1, true)}, "[{3 500ms 1s}]",
		},
		"the voice of several is nobody's": {
			[]*WindowEvent{heardAt(ms(1000), 0, -1, false), heardAt(ms(1000), 1, -1, false)}, "[{-1 750ms 1s}]",
		},
		"a voice without a face": {[]*WindowEvent{unseen}, "[{-1 750ms 1s}]"},
		"one changes to the other": {
			[]*WindowEvent{
				heardAt(ms(1000), 0, 0.9, true), heardAt(ms(1000), 1, 0.1, false),
				heardAt(ms(1250), 0, 0.8, true), heardAt(ms(1250), 1, 0.2, true),
				heardAt(ms(1500), 0, 0.3, true), heardAt(ms(1500), 1, 0.7, true),
			},
			"[{0 750ms 1.25s} {1 1.25s 1.5s}]",
		},
		"none of them": {
			[]*WindowEvent{
				heardAt(ms(1000), 0, 0.1, false), heardAt(ms(1000), 1, 0.2, false),
				heardAt(ms(1250), 0, 0.1, false), heardAt(ms(1250), 1, -1, false),
			},
			"[{-1 750ms 1.25s}]",
		},
		"lips of the other cannot be read": {
			[]*WindowEvent{heardAt(ms(1000), 0, -1, false), heardAt(ms(1000), 1, 0.9, true)}, "[{1 750ms 1s}]",
		},
		"a pause of a hop belongs to the turn, one of two does not": {
			[]*WindowEvent{
				heardAt(ms(1000), 0, 0.9, true), quiet(ms(1250)), heardAt(ms(1500), 0, 0.9, true), quiet(ms(1750)),
				quiet(ms(2000)), heardAt(ms(2250), 0, 0.9, true), quiet(ms(2500)),
			},
			"[{0 750ms 1.5s} {0 2s 2.25s}]",
		},
		// Windows fill at 0.75, 1, …, 2.25, 2.56 s, and after a gap the first ends anywhere.
		"hops that overlap or leave a little out": {
			[]*WindowEvent{
				heardAt(ms(2250), 0, 0.9, true), heardAt(ms(2560), 0, 0.9, true), heardAt(ms(2700), 1, -1, true),
			},
			"[{0 2s 2.56s} {1 2.56s 2.7s}]",
		},
	} {
		c.check(t, what)
	}
}

// dialogueEvents is a run in which subject 0 speaks, then 1, then somebody who is not seen.
func dialogueEvents(source string) []Event {
	events := []Event{{Start: &StartEvent{Source: source, Hop: ms(250), Emotions: []string{"calm", "happy"}}}}
	for i := range 12 {
		at := ms(750 + 250*i)
		p := [2]float64{0.02, 0.03}
		if i < 8 {
			p[i/4] = 0.95
		}
		for subject, speaking := range p {
			w := heardAt(at, subject, speaking, speaking > 0.5)
			w.Emotion = newScores([]string{"calm", "happy"}, []float64{1 - speaking/2, speaking / 2}, nil)
			events = append(events, Event{Window: w})
		}
	}
	return append(events, Event{End: &EndEvent{Windows: 24}})
}

func TestRTTM(t *testing.T) {
	var b bytes.Buffer
	w := NewRTTMWriter(&b)
	for _, e := range slices.Concat(dialogueEvents("talks/an interview.mp4"), dialogueEvents("pattern:")) {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	const want = `SPEAKER an_interview 1 0.500 1.000 <NA> <NA> subject_0 <NA> <NA>
SPEAKER an_interview 1 1.500 1.000 <NA> <NA> subject_1 <NA> <NA>
SPEAKER an_interview 1 2.500 1.000 <NA> <NA> unknown <NA> <NA>
SPEAKER pattern 1 0.500 1.000 <NA> <NA> subject_0 <NA> <NA>
SPEAKER pattern 1 1.500 1.000 <NA> <NA> subject_1 <NA> <NA>
SPEAKER pattern 1 2.500 1.000 <NA> <NA> unknown <NA> <NA>
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	// Two files of one name would be one recording; of the second nothing is written.
	b.Reset()
	var named *SourceError
	again := dialogueEvents("others/an interview.avi")
	if err := w.Write(again[0]); !errors.As(err, &named) || !strings.Contains(err.Error(), "file of its own") {
		t.Error(err)
	}
	for _, e := range again[1:] {
		if err := w.Write(e); err != nil {
			t.Error(err)
		}
	}
	if b.Len() > 0 {
		t.Errorf("of a second file of one name: %s", b.String())
	}
	broken := NewRTTMWriter(failingWriter{})
	var err error
	for _, e := range dialogueEvents("a") {
		err = errors.Join(err, broken.Write(e))
	}
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// A turn is written when it is over, so that a stream without an end is of use too.
func TestRTTMWritesAsItGoes(t *testing.T) {
	var b bytes.Buffer
	w := NewRTTMWriter(&b)
	events := dialogueEvents("camera 0")
	for _, e := range events[:len(events)-1] {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(b.String(), "SPEAKER camera_0 1 "); n != 2 {
		t.Errorf("%d lines before the end:\n%s", n, b.String())
	}
}

func TestRTTMFile(t *testing.T) {
	for source, want := range map[string]string{
		"a/b c.mp4": "b_c", "pattern:": "pattern", "rtsp://host/one/": "one", ".hidden": ".hidden", "": ".",
		"x\n\ty.wav": "x__y", "caf\u00e9.mp4": "café", "/": ".",
	} {
		if got := rttmFile(source); got != want {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
}
