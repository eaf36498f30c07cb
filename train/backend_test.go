package train

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"tandem/infer"
	"tandem/train/traintest"
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
		if _, err := NewBackend(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("backend %q: %v, want an error that says %q", name, err, want)
		}
	}
	if _, err := infer.FindRuntime(); err == nil {
		if _, err := NewBackend("onnx"); err != nil {
			t.Error(err)
		}
	}
}

// What would end a run is found before its clips are cut: no cache folder is made, no clip is opened.
func TestPrepareRefusesBeforeItCuts(t *testing.T) {
	dir := t.TempDir()
	rows := map[string]string{
		"a.wav": "happy,f,anna,train", "b.wav": "sad,m,ben,train", "c.wav": "sad,f,cleo,val",
		"d.wav": "happy,m,dan,val",
	}
	text := ""
	for name, row := range rows {
		traintest.WriteFile(t, filepath.Join(dir, name), "no sound at all")
		text += name + "," + row + "\n"
	}
	for name, c := range map[string]struct {
		old, new string
		change   func(*Options)
		want     string
	}{
		"no validation rows": {"val", "train", nil, "no clip is of the split val"},
		"one label":          {",m,", ",f,", nil, "of gender the training split knows but one label"},
		"no picture": {
			"", "", func(o *Options) { o.Recipe.Modal = "video" },
			"no clip of the training split has a known emotion",
		},
		"no such backend": {"", "", func(o *Options) { o.Backend = "xla:no-such-plugin" }, "docs/training.md"},
		"no runtime": {
			"", "", func(o *Options) { o.Backend = "go"; t.Setenv("TANDEM_ORT", filepath.Join(dir, "nothing")) },
			"TANDEM_ORT",
		},
	} {
		t.Run(name, func(t *testing.T) {
			needBackend(t)
			path := filepath.Join(dir, "m.csv")
			traintest.WriteFile(t, path, "audio,emotion,gender,speaker,split\n"+strings.ReplaceAll(text, c.old, c.new))
			o := Options{
				Data: []string{"manifest=" + path}, Recipe: tinyRecipe(), Log: func(string) {},
				Progress: func(p Progress) { t.Errorf("it cuts: %+v", p) },
			}
			o.Recipe.Emotions = []string{"happy", "sad"}
			if c.change != nil {
				c.change(&o)
			}
			if _, err := o.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}
