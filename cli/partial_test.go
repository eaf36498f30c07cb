package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/infer"
	"tandem/infer/infertest"
	"tandem/pipeline"
)

// partialModel is testModel that reads windows which begin empty.
func partialModel(t *testing.T) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(testModel(t)), "partial.onnx")
	c := infertest.Contract()
	c.Covered = true
	if err := os.WriteFile(path, infertest.Model(c), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// analyzed returns the window events of an input.
func analyzed(t *testing.T, args ...string) []*pipeline.WindowEvent {
	t.Helper()
	code, stdout, stderr := runTandem(t, append([]string{"analyze", "--format", "jsonl"}, args...)...)
	if code != exitFine {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	events, err := pipeline.ReadAll(strings.NewReader(stdout))
	if err != nil {
		t.Fatal(err)
	}
	var ws []*pipeline.WindowEvent
	for _, e := range events {
		if e.Window != nil {
			ws = append(ws, e.Window)
		}
	}
	return ws
}

// TestAnalyzeAnswersInTheFirstSecond holds what comes before the first window is full, in real time too.
func TestAnalyzeAnswersInTheFirstSecond(t *testing.T) {
	model := partialModel(t)
	for _, args := range [][]string{{}, {"--realtime"}} {
		ws := analyzed(t, append(args, "--model", model, "pattern:3s")...)
		if len(ws) < 7 {
			t.Fatalf("%v: %d windows", args, len(ws))
		}
		const first = 750 * time.Millisecond
		if w := ws[0]; w.T != first || w.Covered != first || w.Start != 0 || w.Emotion == nil || !w.Audio {
			t.Errorf("%v: the first window is %+v", args, w)
		}
		for _, w := range ws {
			if full := w.T >= 2560*time.Millisecond; full != (w.Covered == 0) || !full && w.Covered != w.T {
				t.Errorf("%v: the window at %v covers %v", args, w.T, w.Covered)
			}
		}
	}
	_, table, _ := runTandem(t, "analyze", "--format", "table", "--model", model, "pattern:3s")
	if n := strings.Count(table, ", first look ("); n != 7 || !strings.Contains(table, ", first look (0.75 s)\n") {
		t.Errorf("the table tells of %d first looks:\n%s", n, table)
	}
	_, rows, _ := runTandem(t, "analyze", "--format", "csv", "--model", model, "pattern:3s")
	lines := strings.Split(rows, "\n")
	if !strings.HasSuffix(lines[0], ",covered,speaking,voice") ||
		!strings.HasSuffix(lines[1], ",0.75,,true") || !strings.HasSuffix(lines[8], ",,,true") {
		t.Errorf("the CSV is\n%s", rows)
	}
}

// TestAnalyzeShortClips holds the shortest clip that has an answer, and what is said of one that is shorter.
func TestAnalyzeShortClips(t *testing.T) {
	model := partialModel(t)
	ws := analyzed(t, "--model", model, "pattern:400ms")
	if len(ws) != 1 || ws[0].Covered != pipeline.LeastCovered || ws[0].Emotion == nil {
		t.Errorf("0.4 s give %+v", ws)
	}
	code, _, stderr := runTandem(t, "analyze", "--model", model, "pattern:300ms")
	const want = "too short to recognise: 0.32 s of media, and an answer takes 0.4 s"
	if code != exitFailed || !strings.Contains(stderr, want) {
		t.Errorf("0.3 s: exit code %d, %q, want %q", code, stderr, want)
	}
	if ws := analyzed(t, "--model", testModel(t), "pattern:300ms"); len(ws) != 1 || ws[0].Covered != 0 {
		t.Errorf("a model of full windows makes %+v of 0.3 s", ws)
	}
}

// TestModelNamesItsInputs holds that tandem model names audio_covered of a model that has it, and of no other.
func TestModelNamesItsInputs(t *testing.T) {
	for model, want := range map[string]bool{partialModel(t): true, testModel(t): false} {
		_, out, _ := runTandem(t, "model", model)
		if got := strings.Contains(out, "audio_covered float32 [B, 1]"); got != want {
			t.Errorf("%s: audio_covered %v, want %v", model, got, want)
		}
		b, err := os.ReadFile(model)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := infer.LoadModel(b); err != nil || c.Covered != want || c.Spec().Partial != want {
			t.Errorf("%s: %v, %v", model, c.Covered, err)
		}
	}
}
