// Package folds cross-validates a recipe: it trains it once for each fold of the data, with others as test each time,
// judges each model by its own test clips, and pools what they say of all. Each fold is a run with a folder of its own
// in the cross-validation's, so that one which was interrupted goes on where it was. docs/training.md describes it.
//
// Of tandem's packages it imports train for the runs and eval to judge what they made.
package folds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"tandem/infer"
	"tandem/internal/atomicfile"
	"tandem/train"
	"tandem/train/dataset"
	"tandem/train/eval"
	"tandem/train/metrics"
)

// Options are the choices of a cross-validation.
type Options struct {
	train.Options                   // of every run; its Out, SplitBy and Run are not used
	How           string            // as dataset.Folds takes it
	Dir           string            // of all that is written
	Bootstrap     metrics.Bootstrap // of the pooled scores' intervals
}

// Result is the outcome of a fold: fold.json in its folder.
type Result struct {
	Version int     `json:"v"`
	Name    string  `json:"name"`     // what is tested on: the fold's number, the speaker or the data set
	SplitBy string  `json:"split_by"` // by which `tandem train` and `tandem eval` divide the data alike
	Model   string  `json:"model"`    // SHA-256 of its model in hex
	Best    int     `json:"epoch"`    // that was kept, from 1
	Seconds float64 `json:"seconds"`  // that its last process took
	// Clips are those of the fold's test split that were judged, and the scores those by them.
	Clips   int            `json:"clips"`
	Scores  eval.SetReport `json:"scores"`
	Answers []eval.Answer  `json:"answers,omitempty"`
}

const version = 1

// Mean is the mean of a score over the folds that have it, and their standard deviation, 0 of one.
type Mean struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"`
}

// CrossValidation is the outcome of all folds: folds.json.
type CrossValidation struct {
	Version int      `json:"v"`
	How     string   `json:"folds"`
	Folds   []Result `json:"results"` // without their answers
	// Means are by task and score: "emotion" and "gender", "accuracy", "uar" and "nll".
	Means map[string]map[string]Mean `json:"means"`
	// Pooled judges what all models said of their own test clips, as one.
	Pooled *eval.Report `json:"-"`
}

// Run trains and judges each fold that is not finished in o.Dir yet. It ends early, with the cause, when ctx ends; with
// o.Resume it goes on from there when it is called again.
func Run(ctx context.Context, o Options) (*CrossValidation, error) {
	if err := o.Recipe.Check(); err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Progress == nil {
		o.Progress = func(train.Progress) {}
	}
	unlock, err := train.LockRun(o.Dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	sets, err := dataset.LoadAll(dataset.Options{
		Data: o.Data, Labels: o.Recipe.Labels(), Names: o.Names, AllowSpeakerOverlap: true,
	})
	if err != nil {
		return nil, err
	}
	folds, err := dataset.Folds(sets.Clips, o.How)
	if err != nil {
		return nil, fmt.Errorf("--folds %w", err)
	}
	for i := range folds { // what stands in the way of one is better known before the first is trained
		if err := o.run(i, folds[i]).CheckFolder(); err != nil {
			return nil, err
		}
	}
	o.Log(fmt.Sprintf("%d folds, a training each, by %s", len(folds), o.How))
	data, err := o.run(0, folds[0]).Prepare(ctx)
	if err != nil {
		return nil, err
	}
	return o.validate(ctx, folds, sets.Clips, data)
}

// validate is Run on data that is cut already; clips are its clips as they are divided by themselves.
func (o *Options) validate(
	ctx context.Context, folds []dataset.Fold, clips []dataset.Clip, data *train.Data,
) (*CrossValidation, error) {
	var results []Result
	for i, f := range folds {
		r, err := o.fold(ctx, i, f, clips, data)
		if err != nil {
			return nil, fmt.Errorf("fold %s: %w", f.Name, err)
		}
		o.Log(fmt.Sprintf("fold %d/%d, %s: %s", i+1, len(folds), f.Name, r))
		results = append(results, *r)
	}
	return o.pool(clips, results)
}

// String returns the scores in a line.
func (r *Result) String() string {
	s := fmt.Sprintf("%d clips", r.Clips)
	for task, scores := range r.tasks() {
		if scores != nil {
			s += fmt.Sprintf(", %s accuracy %.3f, UAR %.3f", [2]string{"emotion", "gender"}[task], scores.Accuracy,
				scores.UAR)
		}
	}
	return s
}

func (r *Result) tasks() [2]*metrics.Scores {
	return [2]*metrics.Scores{r.Scores.Emotion, r.Scores.Gender}
}

// The files of a cross-validation.
const (
	foldsDir  = "folds"      // a folder a fold
	foldFile  = "fold.json"  // in a fold's folder: it is finished
	wholeFile = "folds.json" // in the cross-validation's
)

// run returns the options of a fold's run.
func (o *Options) run(i int, f dataset.Fold) *train.Options {
	r := o.Options
	r.SplitBy = f.By
	r.SkipTest = true // the fold is judged by it, clip by clip
	// A name may be anything; the number makes the folder's one of its own.
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, f.Name)
	r.Run = filepath.Join(o.Dir, foldsDir, fmt.Sprintf("%03d-%.40s", i+1, name))
	r.Out = filepath.Join(r.Run, "model.onnx")
	return &r
}

// fold trains and judges one fold, or finds that this was done. clips are all clips as they are divided by themselves.
func (o *Options) fold(
	ctx context.Context, i int, f dataset.Fold, clips []dataset.Clip, all *train.Data,
) (*Result, error) {
	r := o.run(i, f)
	unlock, err := train.LockRun(r.Run)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if done, err := finished(r, f); done != nil || err != nil {
		return done, err
	}
	data, err := divided(ctx, all, clips, f)
	if err != nil {
		return nil, err
	}
	if _, err := train.CheckTasks(data.Prepared, r.Recipe, r.Recipe.Labels()); err != nil {
		return nil, err
	}
	r.Log = func(line string) { o.Log(fmt.Sprintf("fold %s: %s", f.Name, line)) }
	r.Progress = func(p train.Progress) {
		p.Text = fmt.Sprintf("fold %s, %s", f.Name, p.Text)
		o.Progress(p)
	}
	began := time.Now()
	trained, err := r.Train(ctx, data)
	if err != nil {
		return nil, err
	}
	rec, err := infer.NewRecognizer(trained.Model, infer.Options{Threads: 1})
	if err != nil {
		return nil, err
	}
	defer rec.Close()
	k := rec.Contract()
	report, err := eval.EvaluatePrepared(ctx, rec, data.Only(dataset.SplitTest), eval.Options{
		Split: dataset.SplitTest, Learned: eval.Modalities(k.Senses), Plain: true, Temperatures: k.Temperatures,
		Parallel: runtime.GOMAXPROCS(0),
	})
	if err != nil {
		return nil, err
	}
	result := &Result{
		Version: version, Name: f.Name, SplitBy: f.By, Model: hexSum(trained.Model), Best: trained.Best,
		Seconds: time.Since(began).Seconds(), Clips: report.Clips, Scores: report.All, Answers: report.Answers(),
	}
	b, err := json.Marshal(result)
	if err != nil {
		return nil, err
	}
	return result, atomicfile.WriteBytes(filepath.Join(r.Run, foldFile), append(b, '\n'))
}

// divided returns the data with the fold's division, sharing the samples.
func divided(ctx context.Context, all *train.Data, clips []dataset.Clip, f dataset.Fold) (*train.Data, error) {
	clips, err := dataset.Divide(clips, f.By)
	if err != nil {
		return nil, err
	}
	p := *all.Prepared
	p.Clips = clips // in the order of the clips that were prepared
	return train.NewData(ctx, &p, f.By)
}

func hexSum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// finished returns the result of a fold that is at its end, nil if it is not: without the file, or with another model
// than the file is of, or none. A file that is there and can't be read is an error that names it: to train the fold
// again would replace it, and cost hours.
func finished(o *train.Options, f dataset.Fold) (*Result, error) {
	path := filepath.Join(o.Run, foldFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var r Result
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err == nil && (r.Version != version || r.Name != f.Name || r.SplitBy != f.By) {
		err = fmt.Errorf("it is not the result of fold %s", f.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; remove it, and the fold is judged again", path, err)
	}
	model, err := os.ReadFile(o.Out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && hexSum(model) != r.Model {
		return nil, nil
	}
	return &r, err
}

// pool scores what all folds said together, and takes the means over them.
func (o *Options) pool(clips []dataset.Clip, results []Result) (*CrossValidation, error) {
	cv := &CrossValidation{Version: version, How: o.How, Means: map[string]map[string]Mean{}}
	var answers []eval.Answer
	values := map[string]map[string][]float64{"emotion": {}, "gender": {}}
	for _, r := range results {
		answers = append(answers, r.Answers...)
		r.Answers = nil
		cv.Folds = append(cv.Folds, r)
		for task, s := range r.tasks() {
			if s != nil {
				v := values[[2]string{"emotion", "gender"}[task]]
				v["accuracy"], v["uar"] = append(v["accuracy"], s.Accuracy), append(v["uar"], s.UAR)
				v["nll"] = append(v["nll"], s.NLL)
			}
		}
	}
	for task, scores := range values {
		for score, v := range scores {
			if cv.Means[task] == nil {
				cv.Means[task] = map[string]Mean{}
			}
			m := Mean{N: len(v), Mean: stat.Mean(v, nil)}
			if m.N > 1 {
				m.SD = stat.StdDev(v, nil)
			}
			cv.Means[task][score] = m
		}
	}
	var err error
	cv.Pooled, err = eval.Pool(clips, answers, o.Recipe.Labels(), o.Bootstrap)
	if err == nil {
		cv.Pooled.SplitBy = "--folds " + o.How
	}
	return cv, err
}

// Write writes folds.json and the pooled report, as eval.Report has it, into dir.
func (cv *CrossValidation) Write(dir string) error {
	b, err := json.MarshalIndent(cv, "", " ")
	if err == nil {
		err = atomicfile.WriteBytes(filepath.Join(dir, wholeFile), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("cross-validation: %w", err)
	}
	return cv.Pooled.Write(dir)
}
