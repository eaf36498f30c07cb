package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
)

// A model is replaced by the quantized one and not written over: who has the former open, or a second name of it, keeps
// it whole, and an interruption leaves one or the other.
func TestQuantizeReplacesTheModelWhole(t *testing.T) {
	testModel(t) // skips where nothing can run
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	voice := capture.PatternOptions{NoVideo: true, Duration: 3 * time.Second}
	capturetest.WritePattern(t, at("voice.wav"), voice, av.WriterOptions{})
	manifest := manifestHeader + ",voice.wav,made,1,female,happy,train\n"
	former := []byte("the former model")
	for name, content := range map[string][]byte{"m.csv": []byte(manifest), "model.onnx": former} {
		if err := os.WriteFile(at(name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(at("model.onnx"), at("second-name.onnx")); err != nil {
		t.Skip("skipped: ", err)
	}
	code, _, stderr := runTandem(t, "quantize", "--data", "manifest="+at("m.csv"), "--cache", at("cache"),
		"--out", at("model.onnx"))
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if b, err := os.ReadFile(at("second-name.onnx")); err != nil || !bytes.Equal(b, former) {
		t.Errorf("the former model has become %d bytes (%v): it was written in place", len(b), err)
	}
	if code, _, stderr := runTandem(t, "model", at("model.onnx")); code != 0 {
		t.Errorf("the quantized model is none: %s", stderr)
	}
}
