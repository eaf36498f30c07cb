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

func TestTableOnATerminal(t *testing.T) {
	var out bytes.Buffer
	c := testConsole(&out, &out)
	c.outTTY = true
	r := newReporter(c, &options{})
	r.begin(capture.Info{Name: "clip.mp4", HasVideo: true, HasAudio: true, Width: 640, Height: 480, FPS: 25, Duration: 4 * time.Second})
	for _, e := range []pipeline.Event{
		{Start: testStart},
		{Window: testResult(0, 2*time.Second, 0.5)},
		{End: &pipeline.EndEvent{Windows: 1, Summary: map[int]pipeline.Summary{0: {Emotion: testResult(0, 0, 0.5).Emotion, Gender: testResult(0, 0, 0.5).Gender}}}},
	} {
		if err := r.event(e); err != nil {
			t.Fatal(err)
		}
	}
	r.end()
	screen := out.String()
	for _, want := range []string{"clip.mp4: video 640×480 at 25/s and sound", "50 %", "subject 0  voice and face", "\x1b[1m  happy", "█ ", "\x1b[J", "subject 0: happy 0.50"} {
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
