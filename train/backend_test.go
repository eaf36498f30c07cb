package train

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"tandem/infer"
)

// The pure Go backend trains the same network: after an epoch it stands where ONNX Runtime's stands, but for rounding.
func TestGoBackendTrainsAlike(t *testing.T) {
	needBackend(t)
	losses := map[string]float64{}
	for _, name := range []string{"onnx", "go"} {
		o, data := quickRun(t.TempDir())
		o.Backend = name
		o.Recipe.Epochs, o.Recipe.StepsPerEpoch = 1, 4
		if _, err := trainOn(t.Context(), o.Train, data); err != nil {
			t.Fatal(err)
		}
		rows := readLog(t, filepath.Join(o.Run, "log.csv"))
		losses[name] = number(t, rows, 1, "unweighted_sum")
		if a, err := o.readAbout(); err != nil || a.Backend != name {
			t.Errorf("run.json: backend %q, %v, want %q", a.Backend, err, name)
		}
	}
	if d := math.Abs(losses["go"] - losses["onnx"]); !(d < 1e-3) {
		t.Errorf("losses %v differ by %g", losses, d)
	}
}

func TestBackendsThatCannotBeHad(t *testing.T) {
	for name, want := range map[string]string{
		"cuda": "known are", "": "known are", "onnx:cpu": "known are", "xla:no-such-plugin": "docs/training.md",
	} {
		if _, err := newBackend(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("backend %q: %v, want an error that says %q", name, err, want)
		}
	}
	if _, err := infer.FindRuntime(); err == nil {
		if _, err := newBackend("onnx"); err != nil {
			t.Error(err)
		}
	}
}
