package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/pipeline"
)

// The paper's network, trained for two steps, is a model that analyze uses, with its own windows and emotions.
func TestAnalyzeByThePapersNetwork(t *testing.T) {
	needTraining(t, "ffmpeg")
	dir := t.TempDir()
	manifest := manifestHeader
	for i, emotion := range []string{"neutral", "happy", "sad", "angry"} {
		for k, part := range []string{"train", "val"} {
			name := fmt.Sprintf("%s-%s.wav", emotion, part)
			sine := fmt.Sprintf("sine=frequency=%d:sample_rate=16000:duration=2", 200+300*i+10*k)
			ffmpeg(t, "-f", "lavfi", "-i", sine, filepath.Join(dir, name))
			gender := []string{"female", "male"}[i%2]
			manifest += fmt.Sprintf(",%s,tones,%s,%s,%s,%s\n", name, part, gender, emotion, part)
		}
	}
	recipe, err := os.ReadFile(inRoot(t, "train/recipes/paper.json"))
	if err != nil {
		t.Fatal(err)
	}
	quick := strings.NewReplacer(
		`"width": 1`, `"width": 0.1`, `"epochs": 100`, `"epochs": 1`, `"steps_per_epoch": 3000`, `"steps_per_epoch": 2`,
	).Replace(string(recipe))
	for name, content := range map[string]string{"manifest.csv": manifest, "recipe.json": quick} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	model := filepath.Join(dir, "paper.onnx")
	code, _, errs := runTandem(t, "train", "--data", "manifest="+filepath.Join(dir, "manifest.csv"),
		"--recipe", filepath.Join(dir, "recipe.json"), "--modal", "audio",
		"--cache", filepath.Join(dir, "cache"), "--out", model)
	if code != 0 {
		t.Fatalf("train: exit code %d: %s", code, errs)
	}
	code, out, errs := runTandem(t, "analyze", "--model", model, "pattern:7s")
	if code != 0 {
		t.Fatalf("analyze: exit code %d: %s", code, errs)
	}
	windows := 0
	for line := range strings.Lines(out) {
		e, err := pipeline.ParseEvent([]byte(strings.TrimSpace(line)))
		if err != nil {
			t.Fatal(err)
		}
		if e.Start != nil &&
			(e.Start.Window.Seconds() != 6 || strings.Join(e.Start.Emotions, " ") != "neutral happy sad angry") {
			t.Errorf("it starts with %+v", e.Start)
		}
		if e.Window == nil {
			continue
		}
		windows++
		if e.Window.Emotion == nil || len(e.Window.Emotion.P) != 4 || !e.Window.Video {
			t.Errorf("a window is %+v", e.Window)
		}
	}
	if windows == 0 {
		t.Error("no window")
	}
}
