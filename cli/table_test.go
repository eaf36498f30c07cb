package cli

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/pipeline"
)

var testStart = &pipeline.StartEvent{
	Source:   "clip.mp4",
	Emotions: []string{"neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"},
	Genders:  []string{"female", "male"},
}

// testResult returns the result of a voice and a face at a time, happy with a probability.
func testResult(at time.Duration, happy float64) *pipeline.WindowEvent {
	w := &pipeline.WindowEvent{
		T: at, Start: at - 2560*time.Millisecond, End: at, Audio: true, Video: true,
		Emotion: &pipeline.Scores{Label: "happy"},
		Gender: &pipeline.Scores{
			Label: "female", P: pipeline.Classes{{Label: "female", P: 0.9}, {Label: "male", P: 0.1}},
		},
	}
	for _, l := range testStart.Emotions {
		p := (1 - happy) / 6
		if l == "happy" {
			p = happy
		}
		w.Emotion.P = append(w.Emotion.P, pipeline.Class{Label: l, P: p})
	}
	return w
}

func TestTableOnATerminal(t *testing.T) {
	var out bytes.Buffer
	c := testConsole(&out, &out)
	c.outTTY = true
	r := newReporter(c, "", false)
	r.begin(capture.Info{
		Name: "clip.mp4", HasVideo: true, HasAudio: true, Width: 640, Height: 480, FPS: 25, Duration: 4 * time.Second,
	})
	result := testResult(2*time.Second, 0.5)
	for _, e := range []pipeline.Event{
		{Start: testStart},
		{Window: result},
		{End: &pipeline.EndEvent{Windows: 1, Summary: map[int]pipeline.Summary{
			0: {Emotion: result.Emotion, Gender: result.Gender},
		}}},
	} {
		if err := r.event(e); err != nil {
			t.Fatal(err)
		}
	}
	r.end()
	screen := out.String()
	for _, want := range []string{
		"clip.mp4: video 640×480 at 25/s and sound", "50 %", "subject 0  voice and face",
		"\x1b[1m  happy", "█ ", "\x1b[J", "subject 0: happy 0.50",
	} {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen lacks %q:\n%s", want, screen)
		}
	}
	for line := range strings.Lines(screen[:strings.Index(screen, "\x1b[J")]) {
		if n := len([]rune(escapes.Replace(line))); n > 81 {
			t.Errorf("a line of %d columns wraps at 80: %q", n, line)
		}
	}
	// All that was drawn is taken away before the summary.
	block := strings.Count(screen[:strings.Index(screen, "\x1b[J")], "\n")
	if i := strings.LastIndex(screen, "\x1b["); i < 0 || !strings.Contains(screen, "\x1b[13A\x1b[J") || block != 13 {
		t.Errorf("a block of %d lines is not erased:\n%q", block, screen)
	}
}

var escapes = strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "", "\x1b[K", "", "\n", "")

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		part float64
		want string
	}{{0, "    "}, {1, "████"}, {0.5, "██  "}, {0.53125, "██▏ "}, {-1, "    "}, {7, "████"}, {math.NaN(), "    "}} {
		if got := barOf(tt.part, 4); got != tt.want {
			t.Errorf("barOf(%v) is %q, want %q", tt.part, got, tt.want)
		}
	}
}
