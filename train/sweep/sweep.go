// Package sweep searches a recipe's fields for better values: a grid or a random search under one budget of epochs,
// with successive halving, by the validation split. Each trial is a run with a folder of its own in the sweep's, so
// that a sweep which was interrupted goes on where it was. docs/sweep.md describes it.
//
// Of tandem's packages it imports train for the runs and plot for the report.
package sweep

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"tandem/internal/atomicfile"
	"tandem/train"
	"tandem/train/dataset"
	"tandem/train/sample"
)

// Options are the choices of one sweep.
type Options struct {
	train.Options // of every trial; its Recipe is the one that trials change, Out and Run are not used
	Space         []Dimension
	Random        bool   // draw the points, instead of taking all of a grid
	Budget        int    // epochs of all trials together; 0: whatever a grid takes
	Halving       int    // of a round's trials one in so many goes on; 0: all are trained to the end
	FirstEpochs   int    // of the first round at least
	Seed          uint64 // of the points that are drawn
	Dir           string // of all that is written
}

// Trial is one point of the space and how far it came.
type Trial struct {
	Number int       `json:"number"` // from 1; its run is in trials/NUMBER
	Values []string  `json:"values"` // of the dimensions, in their order
	Scores []float64 `json:"scores"` // validation score at the end of each round that it took part in
	Epochs int       `json:"epochs"` // that are trained
	Failed string    `json:"failed,omitempty"`
}

// Score is that of the trial's last round; ok is false if there is none.
func (t *Trial) Score() (score float64, ok bool) {
	if len(t.Scores) == 0 || t.Failed != "" {
		return 0, false
	}
	return t.Scores[len(t.Scores)-1], true
}

// Setup holds the choices that a sweep was begun with. Others in the same folder are refused.
type Setup struct {
	Recipe      train.Recipe `json:"recipe"`
	Space       []Dimension  `json:"space"`
	Random      bool         `json:"random"`
	Budget      int          `json:"budget"`
	Halving     int          `json:"halving"`
	FirstEpochs int          `json:"first_epochs"`
	Seed        uint64       `json:"seed"`
	SplitBy     string       `json:"split_by,omitempty"` // none: by speaker
}

// Sweep is the state and the outcome: sweep.json.
type Sweep struct {
	Version int                  `json:"v"`
	Tandem  string               `json:"tandem_version"`
	Git     train.GitState       `json:"git"`
	Setup   Setup                `json:"setup"`
	Data    []sample.Fingerprint `json:"data"`
	Rounds  []Round              `json:"rounds"`
	Trials  []Trial              `json:"trials"`
	Best    int                  `json:"best,omitempty"` // the number of the best trial, once all rounds are done
	// Model is the SHA-256, in hex, of model.onnx: the best trial's. Metrics are those of its contract, by the split
	// that MetricsSplit names.
	Model        string          `json:"model,omitempty"`
	MetricsSplit string          `json:"metrics_split,omitempty"`
	Metrics      json.RawMessage `json:"metrics,omitempty"`
	Created      time.Time       `json:"created"`

	began time.Time // of this process's trials
	found int       // steps that were made before
}

const sweepVersion = 1

// The files of a sweep's folder, beside its report.
const (
	trialsDir = "trials" // a run a trial
	stateFile = "sweep.json"
	ModelFile = "model.onnx" // of the best trial
)

// plan returns the rounds and the points.
func (o *Options) plan() (all []Round, points [][]string, err error) {
	if err := checkSpace(o.Space); err != nil {
		return nil, nil, err
	}
	switch {
	case o.Halving < 0 || o.Halving == 1:
		return nil, nil, fmt.Errorf("--halving %d: of a round's trials one in N goes on: give 2 or more, 0 for all",
			o.Halving)
	case o.FirstEpochs < 1:
		return nil, nil, fmt.Errorf("--first-epochs %d: give 1 or more", o.FirstEpochs)
	case o.Budget < 0 || o.Budget > 1e6:
		return nil, nil, fmt.Errorf("--budget %d: give epochs", o.Budget)
	case o.Random && o.Budget == 0:
		return nil, nil, errors.New("--search random needs --budget EPOCHS, which says how many points are drawn")
	}
	epochs := o.Recipe.Epochs
	if o.Random {
		n, err := affordable(o.Budget, epochs, o.FirstEpochs, o.Halving)
		if err != nil {
			return nil, nil, err
		}
		points = draws(o.Space, n, o.Seed)
	} else if points, err = grid(o.Space); err != nil {
		return nil, nil, err
	}
	all = rounds(len(points), epochs, o.FirstEpochs, o.Halving)
	if c := cost(all); o.Budget > 0 && c > o.Budget {
		return nil, nil, fmt.Errorf("--budget %d: the grid's %d points take %d epochs; give as many, fewer values, or "+
			"--search random", o.Budget, len(points), c)
	}
	for _, point := range points { // a value that can't be is better known before the first trial
		if _, err := set(o.Recipe, o.Space, point); err != nil {
			return nil, nil, fmt.Errorf("--range %s: %w", o.describe(point), err)
		}
	}
	return all, points, nil
}

// Check returns an error if the options name no sweep.
func (o *Options) Check() error {
	_, _, err := o.plan()
	return err
}

// describe writes a point's values with their fields.
func (o *Options) describe(values []string) string {
	var parts []string
	for i, d := range o.Space {
		parts = append(parts, d.Field+"="+values[i])
	}
	return strings.Join(parts, " ")
}

// setup returns what makes this sweep another than others.
func (o *Options) setup() Setup {
	s := Setup{
		Recipe: o.Recipe, Space: o.Space, Random: o.Random, Budget: o.Budget, Halving: o.Halving,
		FirstEpochs: o.FirstEpochs, Seed: o.Seed,
	}
	if o.SplitBy != dataset.BySpeaker {
		s.SplitBy = o.SplitBy
	}
	return s
}

// Run makes what is left of a sweep in o.Dir and returns it. It ends early, with the cause, when ctx ends, and goes on
// from there when it is called again.
func Run(ctx context.Context, o Options) (*Sweep, error) {
	all, points, err := o.plan()
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
	s, err := o.begun()
	if err != nil {
		return nil, err
	}
	if s == nil {
		git, _ := train.BuiltFrom()
		s = &Sweep{
			Version: sweepVersion, Tandem: o.Version, Git: git, Setup: o.setup(), Rounds: all,
			Created: time.Now().UTC(),
		}
		for i, p := range points {
			s.Trials = append(s.Trials, Trial{Number: i + 1, Values: p, Scores: []float64{}})
		}
	}
	o.Log(fmt.Sprintf("%d trials in %d rounds: %s", len(points), len(all), s.schedule()))
	var recipes []train.Recipe
	for i := range s.Trials {
		r, err := o.trial(&s.Trials[i])
		if err != nil {
			return nil, err
		}
		recipes = append(recipes, r.Recipe)
	}
	first := o.Options
	data, err := first.Prepare(ctx, recipes...)
	if err != nil {
		return nil, err
	}
	return s, o.search(ctx, s, data)
}

// schedule says how many trials go how far.
func (s *Sweep) schedule() string {
	var parts []string
	for _, r := range s.Rounds {
		parts = append(parts, fmt.Sprintf("%d to epoch %d", r.Trials, r.Epochs))
	}
	return fmt.Sprintf("%s; %d epochs together", strings.Join(parts, ", "), cost(s.Rounds))
}

// search is Run on data that is cut already.
func (o *Options) search(ctx context.Context, s *Sweep, data *train.Data) error {
	if s.Data == nil {
		s.Data = data.Fingerprints
	} else if err := sample.CheckSameData(s.Data, data.Fingerprints); err != nil {
		return fmt.Errorf("sweep %s: %w: %w; give the data as it was, or another --out", o.Dir, train.ErrRunOther, err)
	}
	if err := s.write(o.Dir); err != nil {
		return err
	}
	s.began, s.found = time.Now(), s.made(nil)*o.Recipe.StepsPerEpoch
	for i := range s.Rounds {
		for _, t := range s.taking(i) {
			if len(t.Scores) > i || t.Failed != "" {
				continue // an earlier process did this
			}
			if err := o.advance(ctx, s, t, i, data); err != nil {
				return fmt.Errorf("trial %d: %w", t.Number, err)
			}
			if err := s.write(o.Dir); err != nil {
				return err
			}
		}
	}
	return o.finish(ctx, s, data)
}

// taking returns the trials that take part in a round: the best of those of the round before, in their order. Equal
// scores are told apart by number, so that a sweep which goes on takes the same.
func (s *Sweep) taking(round int) []*Trial {
	in := make([]*Trial, len(s.Trials))
	for i := range s.Trials {
		in[i] = &s.Trials[i]
	}
	for i := range round {
		in = slices.DeleteFunc(in, func(t *Trial) bool { return len(t.Scores) <= i }) // diverged
		slices.SortStableFunc(in, func(a, b *Trial) int { return cmp.Compare(b.Scores[i], a.Scores[i]) })
		in = in[:min(len(in), s.Rounds[i+1].Trials)]
	}
	slices.SortFunc(in, func(a, b *Trial) int { return a.Number - b.Number })
	return in
}

// trial returns the options of a trial's run.
func (o *Options) trial(t *Trial) (*train.Options, error) {
	r := o.Options
	var err error
	if r.Recipe, err = set(o.Recipe, o.Space, t.Values); err != nil {
		return nil, fmt.Errorf("trial %d: %w", t.Number, err)
	}
	r.Run = filepath.Join(o.Dir, trialsDir, fmt.Sprintf("%04d", t.Number))
	r.Out = filepath.Join(o.Dir, ModelFile)
	r.Resume = true
	return &r, nil
}

// advance trains a trial to the end of a round.
func (o *Options) advance(ctx context.Context, s *Sweep, t *Trial, round int, data *train.Data) error {
	r, err := o.trial(t)
	if err != nil {
		return err
	}
	unlock, err := train.LockRun(r.Run)
	if err != nil {
		return err
	}
	defer unlock()
	if err := r.CheckFolder(); err != nil {
		return err
	}
	name := fmt.Sprintf("round %d/%d, trial %d", round+1, len(s.Rounds), t.Number)
	r.Log = func(line string) { o.Log(name + ": " + line) }
	r.Progress = func(p train.Progress) {
		p.Text = fmt.Sprintf("%s, %s", name, p.Text)
		p.Done, p.Total, p.Left = s.made(t)*o.Recipe.StepsPerEpoch+p.Done, cost(s.Rounds)*o.Recipe.StepsPerEpoch, 0
		if made := p.Done - s.found; made > 0 && p.Total > p.Done {
			p.Left = time.Since(s.began) / time.Duration(made) * time.Duration(p.Total-p.Done)
		}
		o.Progress(p)
	}
	standing, err := r.TrainUntil(ctx, data, s.Rounds[round].Epochs)
	switch {
	case errors.Is(err, train.ErrDiverged): // a finding: these values are no good
		t.Failed = err.Error()
		o.Log(fmt.Sprintf("%s: %s: %v", name, o.describe(t.Values), err))
		return nil
	case err != nil:
		return err
	}
	t.Scores, t.Epochs = append(t.Scores, standing.Score), standing.Epochs
	o.Log(fmt.Sprintf("%s: %s: %.4f after %d epochs", name, o.describe(t.Values), standing.Score, standing.Epochs))
	return nil
}

// made returns how many epochs the trials but one have made.
func (s *Sweep) made(but *Trial) (epochs int) {
	for i := range s.Trials {
		if t := &s.Trials[i]; t != but {
			epochs += t.Epochs
		}
	}
	return epochs
}

// finish makes the model of the best trial, which the test split judges if there is one: once, when all is chosen.
func (o *Options) finish(ctx context.Context, s *Sweep, data *train.Data) error {
	var best *Trial
	last := len(s.Rounds) - 1
	for _, t := range s.taking(last) {
		if t.Failed == "" && (best == nil || t.Scores[last] > best.Scores[last]) {
			best = t
		}
	}
	if best == nil {
		return errors.New("all trials diverged: search lower learning rates")
	}
	model := filepath.Join(o.Dir, ModelFile)
	if b, err := os.ReadFile(model); s.Best == best.Number && err == nil && hexSum(b) == s.Model {
		return nil
	}
	r, err := o.trial(best)
	if err != nil {
		return err
	}
	unlock, err := train.LockRun(r.Run)
	if err != nil {
		return err
	}
	defer unlock()
	r.Log = func(line string) { o.Log(fmt.Sprintf("trial %d, the best: %s", best.Number, line)) }
	result, err := r.Train(ctx, data)
	if err != nil {
		return fmt.Errorf("trial %d: %w", best.Number, err)
	}
	s.Best, s.Model = best.Number, hexSum(result.Model)
	s.MetricsSplit, s.Metrics = result.Contract.MetricsSplit, result.Contract.Metrics
	return s.write(o.Dir)
}

func hexSum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// begun returns the sweep that was begun in o.Dir, nil if there is none; one of another setup is an error.
func (o *Options) begun() (*Sweep, error) {
	path := filepath.Join(o.Dir, stateFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	s := Sweep{Setup: Setup{Recipe: train.DefaultRecipe()}} // what an older version left out
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, fmt.Errorf("sweep: %s: %w", path, err)
	}
	if !reflect.DeepEqual(s.Setup, o.setup()) {
		return nil, fmt.Errorf("sweep %s: %w: its recipe, ranges, budget or division of the data are others (%s has "+
			"them): give those, or another --out", o.Dir, train.ErrRunOther, path)
	}
	return &s, nil
}

// check returns an error for a state that no sweep could have left.
func (s *Sweep) check() error {
	if s.Version != sweepVersion {
		return fmt.Errorf("its version is %d, want %d", s.Version, sweepVersion)
	}
	if len(s.Rounds) == 0 || len(s.Trials) == 0 {
		return errors.New("it has no rounds or no trials")
	}
	for i, t := range s.Trials {
		if t.Number != i+1 || len(t.Values) != len(s.Setup.Space) || len(t.Scores) > len(s.Rounds) {
			return fmt.Errorf("trial %d is not one of its space", i+1)
		}
	}
	for i := range s.Rounds[1:] { // who is in a round has a score of the one before
		for _, t := range s.Trials {
			if n := len(t.Scores); n > i+1 && !slices.ContainsFunc(s.taking(i+1), func(in *Trial) bool {
				return in.Number == t.Number
			}) {
				return fmt.Errorf("trial %d was not to take part in round %d", t.Number, i+2)
			}
		}
	}
	return nil
}

// write writes sweep.json.
func (s *Sweep) write(dir string) error {
	b, err := json.MarshalIndent(s, "", " ")
	if err == nil {
		err = atomicfile.WriteBytes(filepath.Join(dir, stateFile), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}
