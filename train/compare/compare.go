// Package compare trains the same recipe under several weightings, modes and seeds, and measures how their networks
// differ on the validation split. Each run is a cell of the comparison and has a folder of its own in the comparison's,
// so that a comparison which was interrupted goes on where it was. docs/compare.md describes the result.
//
// Of tandem's packages it imports train for the runs, eval to score what they made, and plot for the report.
package compare

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/infer"
	"tandem/internal/atomicfile"
	"tandem/train"
	"tandem/train/dataset"
	"tandem/train/eval"
	"tandem/train/sample"
	"tandem/train/weighting"
)

// Options are the choices of one comparison.
type Options struct {
	train.Options           // of every run; its Recipe is the budget that all share, Out and Run are not used
	Weightings    []string  // see weighting.Parse
	StaticGrid    []float64 // weights of emotion, each above 0 and below 1: so many static weightings more
	Modes         []string  // each as Recipe.Modal of package train
	Seeds         int       // how many: the recipe's and those after it
	Dir           string    // of all that is written
	Jobs          int       // runs at a time
}

// cell is one run of a comparison.
type cell struct {
	Weighting, Modal string
	Seed             uint64
}

func (c cell) String() string { return fmt.Sprintf("%s %s seed %d", c.Weighting, c.Modal, c.Seed) }

// name returns that of the run's folder, such as static-0.1-0.9-multi-1.
func (c cell) name() string {
	return fmt.Sprintf("%s-%s-%d", strings.NewReplacer(":", "-", ",", "-").Replace(c.Weighting), c.Modal, c.Seed)
}

// Check returns an error if the options name no comparison.
func (o *Options) Check() error {
	_, err := o.cells()
	return err
}

// cells returns the runs, seed by seed, so that a comparison which is stopped has whole pairs.
func (o *Options) cells() ([]cell, error) {
	named := slices.Clone(o.Weightings)
	for _, w := range o.StaticGrid {
		if !(w > 0 && w < 1) {
			return nil, fmt.Errorf("--static-grid %g: want weights of emotion above 0 and below 1", w)
		}
		named = append(named, fmt.Sprintf("static:%g,%g", w, math.Round((1-w)*1e4)/1e4))
	}
	var weightings []string // by their own names: static is static:0.5,0.5
	for _, s := range named {
		w, err := weighting.Parse(s)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(weightings, w.Name()) {
			weightings = append(weightings, w.Name())
		}
	}
	switch {
	case len(weightings) == 0:
		return nil, errors.New("nothing to compare: give --weightings or --static-grid")
	case len(o.Modes) == 0:
		return nil, errors.New("nothing to compare: give --modes")
	case o.Seeds < 1 || o.Seeds > 1000:
		return nil, fmt.Errorf("--seeds %d: want 1 to 1000; an interval needs 2", o.Seeds)
	case o.Jobs < 1:
		return nil, fmt.Errorf("--jobs %d: want 1 or more", o.Jobs)
	}
	var cells []cell
	for i := range o.Seeds {
		for _, modal := range o.Modes {
			if modalitiesOf[modal] == "" {
				return nil, fmt.Errorf("--modes %q: known are multi, audio and video", modal)
			}
			for _, w := range weightings {
				c := cell{w, modal, o.Recipe.Seed + uint64(i)}
				if slices.Contains(cells, c) {
					return nil, fmt.Errorf("--modes names %s twice", modal)
				}
				if err := o.run(c).Recipe.Check(); err != nil {
					return nil, fmt.Errorf("%s: recipe: %w", c, err)
				}
				cells = append(cells, c)
			}
		}
	}
	return cells, nil
}

// modalitiesOf holds, by mode, the modalities that a network is evaluated with: those that it was trained on.
var modalitiesOf = map[string]eval.Modalities{"multi": eval.Both, "audio": eval.AudioOnly, "video": eval.VideoOnly}

// run returns the options of a cell's run.
func (o *Options) run(c cell) *train.Options {
	r := o.Options
	r.Recipe.Weighting, r.Recipe.Modal, r.Recipe.Seed = c.Weighting, c.Modal, c.Seed
	if name, _, _ := strings.Cut(c.Weighting, ":"); name != (weighting.Softmax{}).Name() { // these are softmax's alone
		r.Recipe.WeightFloor, r.Recipe.WeightTemperature, r.Recipe.WeightEntropy = 0, 1, 0
	}
	r.Run = filepath.Join(o.Dir, runsDir, c.name())
	r.Out, r.Resume = filepath.Join(r.Run, "model.onnx"), true
	r.SkipTest = true // what is compared here is a choice, which the test split has no part in
	return &r
}

// Run trains all cells that are not finished in o.Dir yet, evaluates each by its exported file on the validation split,
// and compares them. It ends early, with the cause, when ctx ends, and goes on from there when it is called again.
func Run(ctx context.Context, o Options) (*Comparison, error) {
	cells, err := o.cells()
	if err != nil {
		return nil, err
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
	if _, err := o.begun(); err != nil { // before the data is cut
		return nil, err
	}
	var recipes []train.Recipe
	for _, c := range cells {
		recipes = append(recipes, o.run(c).Recipe)
	}
	data, err := o.run(cells[0]).Prepare(ctx, recipes...)
	if err != nil {
		return nil, err
	}
	return o.compare(ctx, cells, data)
}

// compare is Run on data that is cut already.
func (o *Options) compare(ctx context.Context, cells []cell, data *train.Data) (*Comparison, error) {
	for _, c := range cells { // what one can't be trained on is better known before the first
		if _, err := train.CheckTasks(data.Prepared, o.run(c).Recipe, o.Recipe.Labels()); err != nil {
			return nil, fmt.Errorf("%s: %w", c, err)
		}
	}
	s, err := o.setUp(data.Fingerprints)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all := newOverall(o, len(cells))
	results := make([]CellResult, len(cells))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(o.Jobs, len(cells)) {
		wg.Go(func() {
			for i := range next {
				r, err := o.cell(ctx, cells[i], data, all)
				if err != nil {
					cancel(fmt.Errorf("%s: %w", cells[i], err))
					return
				}
				results[i] = *r
			}
		})
	}
feed:
	for i := range cells {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return newComparison(s, results), nil
}

// cell trains and scores one cell, or finds that this was done.
func (o *Options) cell(ctx context.Context, c cell, data *train.Data, all *overall) (*CellResult, error) {
	r := o.run(c)
	unlock, err := train.LockRun(r.Run)
	if err != nil {
		return nil, err
	}
	defer unlock()
	done, err := finished(r, c)
	if err != nil {
		return nil, err
	}
	if done != nil {
		all.skip(c)
		return done, nil
	}
	r.Log = func(line string) { all.log(c, line) }
	r.Progress = func(p train.Progress) { all.set(c, p) }
	began := time.Now()
	trained, err := r.Train(ctx, data)
	result := &CellResult{Version: compareVersion, Weighting: c.Weighting, Modal: c.Modal, Seed: c.Seed}
	switch {
	case errors.Is(err, train.ErrDiverged): // a finding, and no reason to keep the others from being made
		r.Log(err.Error())
		result.Failed = err.Error()
	case err != nil:
		return nil, err
	default:
		if err := o.score(ctx, result, trained, data); err != nil {
			return nil, err
		}
		result.Best = trained.Best
	}
	result.Seconds = time.Since(began).Seconds() // of this process
	b, err := json.MarshalIndent(result, "", " ")
	if err != nil {
		return nil, err
	}
	return result, atomicfile.WriteBytes(filepath.Join(r.Run, cellFile), append(b, '\n'))
}

// score evaluates a cell's exported file.
func (o *Options) score(ctx context.Context, c *CellResult, trained *train.Result, data *train.Data) error {
	rec, err := infer.NewRecognizer(trained.Model, infer.Options{Threads: 1})
	if err != nil {
		return err
	}
	defer rec.Close()
	k := rec.Contract()
	report, err := eval.EvaluatePrepared(ctx, rec, data.Only(dataset.SplitVal), eval.Options{
		Split: dataset.SplitVal, Modalities: modalitiesOf[c.Modal], Plain: true,
		Parallel:     max(1, runtime.GOMAXPROCS(0)/o.Jobs),
		Temperatures: k.Temperatures,
	})
	if err != nil {
		return err
	}
	if report.All.Emotion == nil || report.All.Gender == nil {
		return fmt.Errorf("the validation split has no known emotion or no known gender with the senses of --modes "+
			"%s: there is no joint loss to compare", c.Modal)
	}
	c.Model = hexSum(trained.Model)
	c.WeightEmotion, c.WeightGender = k.TaskWeights.Emotion, k.TaskWeights.Gender
	c.Clips, c.All, c.Sets = report.Clips, report.All, report.Sets
	return nil
}

// hexSum returns the SHA-256 of b in hex.
func hexSum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// The files of a comparison, beside its report.
const (
	runsDir   = "runs"       // a folder a run
	cellFile  = "cell.json"  // in a run's folder: it is finished
	setupFile = "setup.json" // in the comparison's
)

// finished returns the result of a run that is at its end, nil if it is not: without the file, or with another model
// than the file is of, or none. A file that is there and can't be read is an error that names it: to train the run
// again would replace it, and cost hours.
func finished(o *train.Options, c cell) (*CellResult, error) {
	if err := o.CheckFolder(); err != nil {
		return nil, err
	}
	path := filepath.Join(o.Run, cellFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var r CellResult
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err == nil && (r.Version != compareVersion || r.cell() != c || r.Failed == "" && !r.scored()) {
		err = fmt.Errorf("it is not the result of %s", c)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; remove it, and the run is judged again", path, err)
	}
	if r.Failed != "" {
		return &r, nil
	}
	model, err := os.ReadFile(o.Out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: the model of a finished run: %w", c, err)
	case hexSum(model) != r.Model:
		return nil, nil
	}
	return &r, nil
}

// Setup is common to all cells of a comparison: setup.json.
type Setup struct {
	Version int                  `json:"v"`
	Tandem  string               `json:"tandem_version"`
	Git     train.GitState       `json:"git"`
	Recipe  train.Recipe         `json:"recipe"` // its weighting and mode are not used, its seed is the first
	Data    []sample.Fingerprint `json:"data"`
	SplitBy string               `json:"split_by,omitempty"`
}

// begun returns the setup of a comparison that was begun in o.Dir, nil if there is none; another recipe is an error.
func (o *Options) begun() (*Setup, error) {
	path := filepath.Join(o.Dir, setupFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	s := Setup{Recipe: train.DefaultRecipe()} // what an older version left out
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return nil, fmt.Errorf("comparison: %s: %w", path, err)
	}
	if !reflect.DeepEqual(s.Recipe, o.common()) || s.SplitBy != o.splitBy() {
		return nil, fmt.Errorf("comparison %s: %w: its recipe or --split-by is another (%s has it): give that, or "+
			"another --out", o.Dir, train.ErrRunOther, path)
	}
	return &s, nil
}

// common returns the recipe without what differs between cells.
func (o *Options) common() train.Recipe {
	r := o.Recipe
	r.Weighting, r.Modal = train.DefaultRecipe().Weighting, train.DefaultRecipe().Modal
	return r
}

// splitBy returns o.SplitBy, "" for the default.
func (o *Options) splitBy() string {
	if o.SplitBy == dataset.BySpeaker {
		return ""
	}
	return o.SplitBy
}

// setUp writes setup.json, or, in a comparison that goes on, returns an error if the data is another.
func (o *Options) setUp(data []sample.Fingerprint) (*Setup, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("comparison: %w", err)
	}
	s, err := o.begun()
	if err != nil {
		return nil, err
	}
	if s != nil {
		if err := sample.CheckSameData(s.Data, data); err != nil {
			return nil, fmt.Errorf("comparison %s: %w: %w; give the data as it was, or another --out", o.Dir,
				train.ErrRunOther, err)
		}
		return s, nil
	}
	git, _ := train.BuiltFrom()
	s = &Setup{
		Version: compareVersion, Tandem: o.Version, Git: git, Recipe: o.common(), Data: data,
		SplitBy: o.splitBy(),
	}
	b, err := json.MarshalIndent(s, "", " ")
	if err == nil {
		err = atomicfile.WriteBytes(filepath.Join(o.Dir, setupFile), append(b, '\n'))
	}
	if err != nil {
		return nil, fmt.Errorf("comparison: %w", err)
	}
	return s, nil
}
