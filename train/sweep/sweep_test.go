package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/infer"
	"tandem/train"
	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/sample/sampletest"
)

// quick is a sweep of a tiny network over three learning rates, of which one can learn nothing.
func quick(t *testing.T, dir string) (Options, *Sweep, *train.Data) {
	t.Helper()
	if _, err := infer.FindRuntime(); err != nil {
		t.Skip("no ONNX Runtime here: ", err)
	}
	o := Options{
		Options: train.Options{
			Recipe: train.DefaultRecipe(), Version: "test", Log: func(string) {}, Progress: func(train.Progress) {},
		},
		Space: []Dimension{mustRange(t, "learning_rate=1e-9,0.004,0.002")}, Halving: 3, FirstEpochs: 1, Dir: dir,
	}
	r := &o.Recipe
	r.Arch.FaceWidths, r.Arch.FaceDim = []int{8, 12, 16, 16}, 16
	r.Arch.SoundWidths, r.Arch.SoundDim, r.Arch.FuseDim, r.Arch.MelBands = []int{8, 12, 16}, 16, 16, 32
	r.Epochs, r.StepsPerEpoch, r.WarmupSteps = 3, 8, 2
	r.Stills, r.Voices, r.Talking, r.Pairs, r.Optimizer = 4, 4, 2, 2, "adamw"
	p := sampletest.Synthetic(nn.DefaultSpec, 8, 16, 8)
	for i := range p.Clips {
		c := &p.Clips[i]
		c.ID, c.Dataset = fmt.Sprint("clip", i), "a"
		c.Speaker, c.Split = fmt.Sprint(i/2%4), []string{
			dataset.SplitTrain, dataset.SplitVal, dataset.SplitTest, dataset.SplitTrain,
		}[i/2%4]
	}
	data, err := train.NewData(t.Context(), p, "")
	if err != nil {
		t.Fatal(err)
	}
	all, points, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	s := &Sweep{Version: sweepVersion, Setup: o.setup(), Rounds: all}
	for i, p := range points {
		s.Trials = append(s.Trials, Trial{Number: i + 1, Values: p, Scores: []float64{}})
	}
	return o, s, data
}

// Of three trials the best goes on, the others stop early; a sweep that was interrupted goes on with what is missing;
// and the best one's model is that of a plain training.
func TestSweepHalvesAndGoesOn(t *testing.T) {
	o, s, data := quick(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	o.Log = func(line string) {
		if strings.HasPrefix(line, "round 1/2, trial 2: learning_rate=0.004: ") {
			cancel()
		}
	}
	if err := o.search(ctx, s, data); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	first := filepath.Join(o.Dir, trialsDir, "0001", "log.csv")
	before, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	o.Log = func(string) {}
	if s, err = o.begun(); err != nil || len(s.Trials[1].Scores) != 1 || len(s.Trials[2].Scores) != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := o.search(t.Context(), s, data); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(first); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the first trial was trained again: %v", err)
	}
	best := s.Trials[s.Best-1]
	if s.Best == 1 || best.Epochs != 3 || len(best.Scores) != 2 {
		t.Errorf("best: %+v, of %+v", best, s.Trials)
	}
	for _, trial := range s.Trials {
		if trial.Number != s.Best && (trial.Epochs != 1 || len(trial.Scores) != 1) {
			t.Errorf("a trial that was left behind: %+v", trial)
		}
	}
	if s.MetricsSplit != dataset.SplitTest {
		t.Errorf("the best is judged by %q", s.MetricsSplit)
	}
	swept := readModel(t, filepath.Join(o.Dir, ModelFile))

	plain := o.Options
	if plain.Recipe, err = set(o.Recipe, o.Space, best.Values); err != nil {
		t.Fatal(err)
	}
	plain.Run = filepath.Join(t.TempDir(), "run")
	plain.Out = filepath.Join(plain.Run, "model.onnx")
	if _, err := plain.Train(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	if alone := readModel(t, plain.Out); !bytes.Equal(swept, alone) {
		t.Error("a trial of three rounds is not what a training at once makes")
	}

	if err := s.WriteReport(o.Dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"sweep.csv": "trial,learning_rate,score_epoch_1,score_epoch_3,epochs,failed\n", "sweep.html": "<svg",
	} {
		if b, err := os.ReadFile(filepath.Join(o.Dir, name)); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
	o.Recipe.Voices++
	if _, err := o.begun(); !errors.Is(err, train.ErrRunOther) {
		t.Errorf("another recipe in the same folder: %v", err)
	}
}

// readModel returns the best epoch's parameters as a file, without the time of its making.
func readModel(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := infer.LoadModel(b)
	if err != nil {
		t.Fatal(err)
	}
	c.Created = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	b, err = nn.WithContract(b, c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A trial that diverged is out, whatever the others come to; if all did, that is the error.
func TestDivergedTrialsAreOut(t *testing.T) {
	s := &Sweep{Rounds: []Round{{Trials: 4, Epochs: 1}, {Trials: 2, Epochs: 3}}, Trials: []Trial{
		{Number: 1, Failed: "diverged"},
		{Number: 2, Scores: []float64{0.2}},
		{Number: 3, Scores: []float64{0.9, 0.8}},
		{Number: 4, Scores: []float64{0.95}, Failed: "diverged in the second round"},
	}}
	var in []int
	for _, t := range s.taking(1) {
		in = append(in, t.Number)
	}
	if fmt.Sprint(in) != "[3 4]" {
		t.Errorf("round 2 has %v", in)
	}
	var ranked []int
	for _, t := range s.Ranked() {
		ranked = append(ranked, t.Number)
	}
	if fmt.Sprint(ranked) != "[3 2 4 1]" {
		t.Errorf("ranked %v", ranked)
	}
	var o Options
	all := &Sweep{Rounds: s.Rounds[:1], Trials: s.Trials[:1]}
	if err := o.finish(t.Context(), all, nil); err == nil || !strings.Contains(err.Error(), "all trials diverged") {
		t.Error(err)
	}
}

// A state file that was changed by hand, or cut short, is refused by name.
func TestBrokenStateIsNamed(t *testing.T) {
	for _, text := range []string{
		"{", `{"v":9}`, `{"v":1}`,
		`{"v":1,"rounds":[{"trials":1,"epochs":1}],"trials":[{"number":2}]}`,
		`{"v":1,"rounds":[{"trials":2,"epochs":1},{"trials":1,"epochs":3}],"trials":[{"number":1,"scores":[1,1]},` +
			`{"number":2,"scores":[2]}]}`,
	} {
		o := Options{Dir: t.TempDir()}
		path := filepath.Join(o.Dir, stateFile)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := o.begun(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
