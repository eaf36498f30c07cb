package folds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/infer"
	"tandem/train"
	"tandem/train/dataset"
	"tandem/train/metrics"
	"tandem/train/nn"
	"tandem/train/sample/sampletest"
	"tandem/train/traintest"
)

// quick is a cross-validation by data set of a tiny network: two sets of four speakers each.
func quick(t *testing.T, dir string) (Options, []dataset.Fold, *train.Data) {
	t.Helper()
	if _, err := infer.FindRuntime(); err != nil {
		t.Skip("no ONNX Runtime here: ", err)
	}
	o := train.Options{
		Recipe: train.DefaultRecipe(), Version: "test", Log: func(string) {}, Progress: func(train.Progress) {},
	}
	r := &o.Recipe
	r.Arch.FaceWidths, r.Arch.FaceDim = []int{8, 12, 16, 16}, 16
	r.Arch.SoundWidths, r.Arch.SoundDim, r.Arch.FuseDim, r.Arch.MelBands = []int{8, 12, 16}, 16, 16, 32
	r.Epochs, r.StepsPerEpoch, r.WarmupSteps = 1, 3, 2
	r.Stills, r.Voices, r.Talking, r.Pairs, r.Optimizer = 4, 4, 2, 2, "adamw"
	p := sampletest.Synthetic(nn.DefaultSpec, 8, 16, 8)
	for i := range p.Clips {
		c := &p.Clips[i]
		c.ID, c.Dataset = fmt.Sprint("clip", i), []string{"a", "b"}[i%2]
		c.Speaker = fmt.Sprint(c.Dataset, i/2%4)
		c.Split = []string{dataset.SplitTrain, dataset.SplitVal, dataset.SplitTest, dataset.SplitTrain}[i/2%4]
	}
	data, err := train.NewData(t.Context(), p, "")
	if err != nil {
		t.Fatal(err)
	}
	folds, err := dataset.Folds(p.Clips, dataset.LeaveOneSetOut)
	if err != nil || len(folds) != 2 {
		t.Fatal(folds, err)
	}
	return Options{
		Options: o, How: dataset.LeaveOneSetOut, Dir: dir, Bootstrap: metrics.Bootstrap{Resamples: 50, Seed: 1},
	}, folds, data
}

// Each clip is judged once, by a model that has not been trained on its set; an interrupted cross-validation goes on
// with the folds that are missing.
func TestCrossValidationPoolsAndGoesOn(t *testing.T) {
	o, folds, data := quick(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	o.Log = func(line string) {
		if strings.HasPrefix(line, "fold 1/2, a: ") {
			cancel()
		}
	}
	if _, err := o.validate(ctx, folds, data.Clips, data); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	first := filepath.Join(o.Dir, foldsDir, "001-a", foldFile)
	before, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	o.Resume, o.Log = true, func(string) {}
	cv, err := o.validate(t.Context(), folds, data.Clips, data)
	if err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(first); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the first fold was trained again: %v", err)
	}
	if len(cv.Folds) != 2 || cv.Pooled.Clips != len(data.Clips) || len(cv.Pooled.Sets) != 2 {
		t.Fatalf("%d folds, %d of %d clips, %d sets", len(cv.Folds), cv.Pooled.Clips, len(data.Clips),
			len(cv.Pooled.Sets))
	}
	for _, r := range cv.Folds {
		if r.Clips != 16 || r.SplitBy != "set:"+r.Name || r.Answers != nil {
			t.Errorf("fold %+v", r)
		}
		// A fold tests on one set alone, so the pooled report has its scores.
		traintest.Near(t, r.Name, r.Scores.Emotion.NLL, cv.Pooled.Sets[r.Name].Emotion.NLL, 1e-6)
		traintest.Near(t, r.Name, *r.Scores.Emotion.NLLBefore, *cv.Pooled.Sets[r.Name].Emotion.NLLBefore, 1e-6)
	}
	if m := cv.Means["emotion"]["nll"]; m.N != 2 || !(m.SD > 0) {
		t.Errorf("mean %+v", m)
	}
	if d := cv.Pooled.All.Emotion.Drawn; d == nil || d.Units != 8 {
		t.Errorf("intervals over %v, want all eight speakers", d)
	}
	if err := cv.Write(o.Dir); err != nil {
		t.Fatal(err)
	}
	var told CrossValidation
	b, err := os.ReadFile(filepath.Join(o.Dir, wholeFile))
	if err == nil {
		err = json.Unmarshal(b, &told)
	}
	if err != nil || len(told.Folds) != 2 {
		t.Errorf("%v: %s", err, b)
	}
	// A model tells by which division it was trained, so that it can be judged by the same.
	model, err := os.ReadFile(filepath.Join(o.Dir, foldsDir, "002-b", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := infer.LoadModel(model); err != nil || c.Data[0].SplitBy != "set:b" {
		t.Errorf("%v, %v", c.Data, err)
	}
	if err := os.WriteFile(first, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := o.validate(t.Context(), folds, data.Clips, data); err == nil ||
		!strings.Contains(err.Error(), "not the result of fold a; remove it") {
		t.Errorf("a spoilt result: %v", err)
	}
}
