package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
	"tandem/infer"
	"tandem/infer/infertest"
)

// A model that was trained on splits with shared speakers is judged, but command, page and report tell.
func TestEvalTellsOfSharedSpeakers(t *testing.T) {
	testModel(t) // skips where nothing can run
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	capturetest.WritePattern(t, at("voice.wav"), capture.PatternOptions{NoVideo: true, Duration: 3 * time.Second},
		av.WriterOptions{})
	manifest := manifestHeader + ",voice.wav,made,1,female,happy,val\n"
	if err := os.WriteFile(at("m.csv"), []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, shared := range []int{0, 3} {
		c := infertest.Contract()
		c.EmotionTemperature, c.GenderTemperature = 100, 100
		c.Data = []infer.DataSet{{Name: "another", Split: "00ff", Licence: "Apache-2.0", SharedSpeakers: shared}}
		if err := os.WriteFile(at("m.onnx"), infertest.Model(c), 0o644); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := runTandem(t, "eval", "--model", at("m.onnx"), "--cache", at("cache"),
			"--data", "manifest="+at("m.csv"), "--report", at("report"))
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		json, err := os.ReadFile(at("report/report.json"))
		if err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(at("report/report.html"))
		if err != nil {
			t.Fatal(err)
		}
		for what, told := range map[string]bool{
			"command": strings.Contains(stderr, "splits share speakers"),
			"report":  strings.Contains(string(json), `"trained_on_shared"`),
			"page":    strings.Contains(string(page), "may have been trained on those"),
		} {
			if told != (shared > 0) {
				t.Errorf("%d shared speakers: the %s tells: %v\n%s", shared, what, told, stderr)
			}
		}
	}
}
