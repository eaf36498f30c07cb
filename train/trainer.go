// Package train produces tandem's network: it reads data sets, cuts them with the pipeline that cuts live media,
// trains both tasks under a joint loss whose weights may be learned, judges what came out, and exports it to ONNX.
package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"

	"tandem/infer"
	"tandem/pipeline"
)

// Options are what `tandem train` lets a user choose.
type Options struct {
	Data    []string // NAME=PATH, see LoadData
	Recipe  Recipe
	Out     string // the model file that is written
	Run     string // the folder of the run: recipe, log, checkpoints
	Resume  bool   // go on where the run in Run stopped; without it, Run must not hold one
	Cache   string // folder for cut windows; "" keeps none
	Workers int    // that cut windows; 0: one a core
	Version string // of tandem, for the model's contract

	// Progress, unless nil, is told of each step: of preparing clips, then of training.
	Progress func(Progress)
	// Log, unless nil, gets a line of text now and then.
	Log func(line string)
}

// Progress is where a run is.
type Progress struct {
	Stage       string // "prepare" or "train"
	Done, Total int    // clips, or steps
	Text        string // losses and weights
}

// Result is what a run has made.
type Result struct {
	Model      []byte
	Contract   infer.Contract
	Best       int // the epoch, from 1, whose weights were kept: the last, or with early stopping the best
	Parameters int
	Skipped    []SkippedClip
}

// Run trains a network, writes it to o.Out, and returns it. It ends early, without a model but with the
// checkpoint of the last whole epoch, when ctx ends.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Recipe.check(); err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	data, err := o.prepare(ctx)
	if err != nil {
		return nil, err
	}
	result, err := o.train(ctx, data)
	// What was trained on is in the cache; but who trains again by the same command would not get the same.
	for _, path := range data.Changed() {
		o.Log(fmt.Sprintf("the data changed during the run: %s", path))
	}
	return result, err
}

// prepare loads and cuts all data.
func (o *Options) prepare(ctx context.Context) (*Prepared, error) {
	if len(o.Data) == 0 {
		return nil, errors.New("no data: give --data NAME=PATH at least once")
	}
	var clips []Clip
	for _, d := range o.Data {
		name, path, ok := strings.Cut(d, "=")
		if !ok {
			return nil, fmt.Errorf("--data %q: want NAME=PATH", d)
		}
		c, report, err := LoadData(name, path, DefaultLabels())
		if err != nil {
			return nil, err
		}
		o.Log(fmt.Sprintf("data %s: %d clips", name, report.Clips))
		for _, n := range report.Notes {
			o.Log(fmt.Sprintf("data %s: %s", name, n))
		}
		if n := len(report.Missing); n > 0 {
			o.Log(fmt.Sprintf("data %s: %d of the release are not there, such as %s", name, n, report.Missing[0]))
		}
		for _, label := range sortedKeys(report.Unlabelled) {
			o.Log(fmt.Sprintf("data %s: label %q of %d clips is not among the model's: they train the other task only", name, label, report.Unlabelled[label]))
		}
		clips = append(clips, c...)
	}
	finder := func() (pipeline.FaceFinder, error) { return infer.NewFaceFinder(infer.Options{Threads: 1}) }
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	p, err := Prepare(ctx, clips, DefaultSpec, finder, o.Cache, workers, func(done, total int) {
		o.Progress(Progress{Stage: "prepare", Done: done, Total: total})
	})
	if err != nil {
		return nil, err
	}
	for i, s := range p.Skipped {
		if i == 20 {
			o.Log(fmt.Sprintf("… and %d more", len(p.Skipped)-i))
			break
		}
		o.Log(fmt.Sprintf("skipped %s: %v", s.Path, s.Err))
	}
	if p.CacheErr != nil {
		o.Log(fmt.Sprintf("the cache is not kept, so that the next run cuts all clips again: %v; choose a folder by --cache", p.CacheErr))
	}
	o.Log(fmt.Sprintf("%d clips, %d of them from the cache, %d windows, %d clips skipped", len(clips), p.Cached, len(p.Samples), len(p.Skipped)))
	return p, nil
}

// only is the part of p that belongs to a split.
func (p *Prepared) only(split string) *Prepared {
	q := *p
	q.Samples = nil
	for _, s := range p.Samples {
		if p.Clips[s.Clip].Split == split {
			q.Samples = append(q.Samples, s)
		}
	}
	return &q
}

// state is what a run must remember besides the network.
type state struct {
	epoch, best int // the last whole epoch and the best, from 1
	bestScore   float64
	seconds     float64
}

func (s *state) variable(store *model.Store) *model.Variable {
	v := store.RootScope().At("run").VariableWithValue("state", []float64{0, 0, math.Inf(-1), 0})
	v.SetTrainable(false)
	return v
}

func (s *state) load(store *model.Store) {
	v := tensors.MustCopyFlatData[float64](s.variable(store).MustValue())
	s.epoch, s.best, s.bestScore, s.seconds = int(v[0]), int(v[1]), v[2], v[3]
}

func (s *state) save(store *model.Store) error {
	return s.variable(store).SetValue(tensors.FromValue([]float64{float64(s.epoch), float64(s.best), s.bestScore, s.seconds}))
}

func (o *Options) train(ctx context.Context, data *Prepared) (*Result, error) {
	labels := DefaultLabels()
	arch := o.Recipe.Arch
	arch.Spec, arch.Emotions, arch.Genders = data.Spec, len(labels.Emotions), len(labels.Genders)
	weighting, err := ParseWeighting(o.Recipe.Weighting)
	if err != nil {
		return nil, err
	}
	batches, err := newBatcher(o.Recipe, arch, data.only(SplitTrain))
	if err != nil {
		return nil, err
	}
	val := data.only(SplitVal)
	if len(val.Samples) == 0 {
		return nil, errors.New("training: the data has no validation split, which early stopping and calibration need; mark some clips val")
	}
	backend, err := openBackend()
	if err != nil {
		return nil, err
	}
	net, err := newNetwork(arch, weighting, o.Recipe, backend)
	if err != nil {
		return nil, err
	}
	keep, err := o.openRun(net)
	if err != nil {
		return nil, err
	}
	var st state
	st.load(net.store)
	log, err := openLog(filepath.Join(o.Run, "log.csv"), st.epoch)
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	if st.epoch > 0 {
		o.Log(fmt.Sprintf("resuming after epoch %d", st.epoch))
	}
	contract := o.contract(data, labels, weighting)
	validator := newValidator(arch, val)
	bestFile := filepath.Join(o.Run, "best.onnx")

	for st.epoch < o.Recipe.Epochs && !(o.Recipe.Patience > 0 && st.epoch-st.best >= o.Recipe.Patience) {
		start := time.Now()
		mean, err := o.epoch(ctx, net, batches, st.epoch)
		if err != nil {
			return nil, err
		}
		w := net.weights()
		v, err := validator.run(ctx, w, contract)
		if err != nil {
			return nil, fmt.Errorf("validation: %w", err)
		}
		st.epoch++
		st.seconds += time.Since(start).Seconds()
		// Without early stopping the last epoch is kept: the learning rate has come to zero there, and a choice
		// among epochs by the validation split would flatter what is measured on it.
		if o.Recipe.Patience == 0 || v.score > st.bestScore {
			st.best, st.bestScore = st.epoch, v.score
			contract.TaskWeights = infer.TaskWeights{Emotion: mean.Weights[0], Gender: mean.Weights[1]}
			b, err := export(arch, w, contract)
			if err == nil {
				err = writeFile(bestFile, func(f *os.File) error { _, err := f.Write(b); return err })
			}
			if err != nil {
				return nil, err
			}
		}
		if err := log.add(o.columns(st, mean, v)); err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
		if err := errors.Join(st.save(net.store), keep.Save()); err != nil {
			return nil, fmt.Errorf("checkpoint in %s: %w", o.Run, err)
		}
		o.Log(fmt.Sprintf("epoch %d/%d: emotion %.4f + gender %.4f = %.4f (weights %.3f, %.3f), validation %.4f, kept %.4f of epoch %d",
			st.epoch, o.Recipe.Epochs, mean.Emotion, mean.Gender, mean.Emotion+mean.Gender, mean.Weights[0], mean.Weights[1], v.score, st.bestScore, st.best))
	}
	return o.finish(ctx, net, validator, bestFile, st, data)
}

// openRun prepares the run's folder and loads its checkpoint when it is resumed.
func (o *Options) openRun(net *network) (*checkpoint.Handler, error) {
	if err := os.MkdirAll(o.Run, 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	recipe, err := json.MarshalIndent(o.Recipe, "", "  ")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(o.Run, "recipe.json")
	old, err := os.ReadFile(file)
	switch {
	case err == nil && !o.Resume:
		return nil, fmt.Errorf("run folder %s holds a run already: go on with --resume, or choose another --run", o.Run)
	case err == nil && string(old) != string(recipe)+"\n":
		return nil, fmt.Errorf("run folder %s was made by another recipe than the one given; resume with %s", o.Run, file)
	}
	if err := writeFile(file, func(f *os.File) error { _, err := f.Write(append(recipe, '\n')); return err }); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	h, err := checkpoint.Build(net.store).Dir(filepath.Join(o.Run, "checkpoints")).Keep(2).Immediate().Done()
	if err != nil {
		return nil, fmt.Errorf("checkpoint in %s: %w", o.Run, err)
	}
	return h, nil
}

// epoch runs one epoch's steps and gives the means of what they report; the weights are those at its end.
func (o *Options) epoch(ctx context.Context, net *network, batches *batcher, epoch int) (stepResult, error) {
	n := o.Recipe.StepsPerEpoch
	first := epoch * n
	ctx, cancel := context.WithCancel(ctx)
	ready := make(chan *batch, 2)
	finished := make(chan struct{})
	go func() { // makes batches while the last is trained on; ends with ctx
		defer close(finished)
		for i := range n {
			select {
			case ready <- batches.batch(first + i):
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { cancel(); <-finished }()
	var mean stepResult
	for i := range n {
		var b *batch
		select {
		case b = <-ready:
		case <-ctx.Done():
			return mean, context.Cause(ctx)
		}
		r, err := net.train(b)
		if err != nil {
			return mean, fmt.Errorf("epoch %d, step %d: %w", epoch+1, first+i+1, err)
		}
		mean.Joint += r.Joint / float64(n)
		mean.Emotion += r.Emotion / float64(n)
		mean.Gender += r.Gender / float64(n)
		mean.GradNorm += r.GradNorm / float64(n)
		mean.Weights = r.Weights
		o.Progress(Progress{
			Stage: "train", Done: first + i + 1, Total: o.Recipe.Epochs * n,
			Text: fmt.Sprintf("epoch %d: emotion %.3f gender %.3f, weights %.2f %.2f", epoch+1, r.Emotion, r.Gender, r.Weights[0], r.Weights[1]),
		})
	}
	return mean, nil
}

func (o *Options) columns(st state, mean stepResult, v *validation) []column {
	cols := []column{
		{"epoch", float64(st.epoch)},
		{"step", float64(st.epoch * o.Recipe.StepsPerEpoch)},
		{"seconds", math.Round(st.seconds)},
		{"learning_rate", o.Recipe.rate(st.epoch*o.Recipe.StepsPerEpoch - 1)},
		{"joint", mean.Joint},
		{"emotion", mean.Emotion},
		{"gender", mean.Gender},
		{"unweighted_sum", mean.Emotion + mean.Gender},
		{"weight_emotion", mean.Weights[0]},
		{"weight_gender", mean.Weights[1]},
		{"gradient_norm", mean.GradNorm},
		{"val_score", v.score},
	}
	for _, set := range sortedKeys(v.sets) {
		for _, t := range []struct {
			name string
			s    *Scores
		}{{"emotion", v.sets[set].Emotion}, {"gender", v.sets[set].Gender}} {
			if t.s != nil {
				at := "val_" + set + "_" + t.name
				cols = append(cols, column{at + "_accuracy", t.s.Accuracy}, column{at + "_uar", t.s.UAR}, column{at + "_nll", t.s.NLL})
			}
		}
	}
	return cols
}

// contract is what is known of the model before training.
func (o *Options) contract(data *Prepared, labels pipeline.Labels, weighting Weighting) infer.Contract {
	c := infer.Contract{
		Emotions: labels.Emotions, Genders: labels.Genders, SampleRate: 16000,
		EmotionTemperature: 1, GenderTemperature: 1, TaskWeights: infer.TaskWeights{Emotion: 0.5, Gender: 0.5},
		Weighting: weighting.Name(), Metrics: json.RawMessage("{}"),
		Created: time.Now().UTC().Truncate(time.Second), TandemVersion: o.Version,
	}
	for _, group := range byDataset(data.Clips) {
		clips := make([]Clip, len(group))
		for i, k := range group {
			clips[i] = data.Clips[k]
		}
		c.Data = append(c.Data, infer.DataSet{Name: clips[0].Dataset, Split: SplitHash(clips), Licence: Licence(clips[0].Dataset)})
	}
	return c
}

// finish calibrates the kept epoch's network on the validation split and writes it.
func (o *Options) finish(ctx context.Context, net *network, validator *validator, bestFile string, st state, data *Prepared) (*Result, error) {
	best, err := os.ReadFile(bestFile)
	if err != nil {
		return nil, fmt.Errorf("kept model of the run: %w", err)
	}
	contract, err := infer.LoadModel(best)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bestFile, err)
	}
	predict := func(model []byte) (*validation, error) {
		p := make([]pipeline.Prediction, len(validator.data.Samples))
		all := append(append([]int{}, validator.one...), validator.many...)
		if err := validator.predict(ctx, model, validator.arch, all, p); err != nil {
			return nil, err
		}
		return validator.judge(p), nil
	}
	v, err := predict(best)
	if err != nil {
		return nil, err
	}
	contract.EmotionTemperature = FitTemperature(v.emotion, v.emotionTruth)
	contract.GenderTemperature = FitTemperature(v.gender, v.genderTruth)
	calibrated, err := withContract(best, contract)
	if err != nil {
		return nil, err
	}
	// Temperatures change a clip's mean over its windows, and so, now and then, its label.
	if v, err = predict(calibrated); err != nil {
		return nil, err
	}
	metrics := map[string]map[string]map[string]float64{}
	for set, s := range v.sets {
		metrics[set] = map[string]map[string]float64{}
		for task, t := range map[string]*Scores{"emotion": s.Emotion, "gender": s.Gender} {
			if t != nil {
				metrics[set][task] = map[string]float64{"accuracy": round4(t.Accuracy), "uar": round4(t.UAR), "f1": round4(t.F1)}
			}
		}
	}
	if contract.Metrics, err = json.Marshal(metrics); err != nil {
		return nil, err
	}
	b, err := withContract(best, contract)
	if err != nil {
		return nil, err
	}
	if contract, err = infer.LoadModel(b); err != nil {
		return nil, fmt.Errorf("the exported model: %w", err)
	}
	if err := writeFile(o.Out, func(f *os.File) error { _, err := f.Write(b); return err }); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	return &Result{Model: b, Contract: contract, Best: st.best, Parameters: net.weights().parameters(), Skipped: data.Skipped}, nil
}

func round4(x float64) float64 { return math.Round(x*1e4) / 1e4 }
