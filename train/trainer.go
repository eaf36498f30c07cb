// Package train produces tandem's network: it reads data sets, cuts them with the pipeline that cuts live media,
// trains both tasks under a joint loss whose weights may be learned, judges what came out, and exports it to ONNX.
package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"tandem/infer"
	"tandem/internal/atomicfile"
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
	Init    *Init  // a network to begin with; nil: a new one
	// SplitBy and AllowSpeakerOverlap are as in SetOptions.
	SplitBy             string
	AllowSpeakerOverlap bool
	Backend             string // see newBackend; "": DefaultBackend
	// A checkpoint is written at the end of each epoch, and within one as often as either says; 0: not for its sake.
	CheckpointSteps int
	CheckpointEvery time.Duration
	Version         string // of tandem, for the model's contract

	// Progress, unless nil, is told of each step: of preparing clips, then of training.
	Progress func(Progress)
	// Log, unless nil, gets a line of text now and then.
	Log func(line string)

	write func(path string, b []byte) error // of checkpoints, in tests; nil: atomicfile.WriteBytes
	sets  *Sets                             // what was loaded; nil for data made otherwise
}

// Progress is where a run is.
type Progress struct {
	Stage       string // "prepare" or "train"
	Done, Total int    // clips, or steps
	Text        string // losses, weights and speed
	// Left is how long the steps that are left will take at the speed of those that this process has made; 0: not known.
	Left time.Duration
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
// checkpoint of where it was, when ctx ends.
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
	unlock, err := lockRun(o.Run)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := o.checkFolder(); err != nil {
		return nil, err
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
	sets, err := LoadSets(SetOptions{Data: o.Data, Labels: o.Recipe.Labels(), SplitBy: o.SplitBy, AllowSpeakerOverlap: o.AllowSpeakerOverlap, Log: o.Log})
	if err != nil {
		return nil, err
	}
	o.sets = sets
	clips := sets.Clips
	finder := func() (pipeline.FaceFinder, error) { return infer.NewBlazeFace() }
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	p, err := Prepare(ctx, clips, o.Recipe.Arch.spec(), finder, o.Cache, workers, func(done, total int) {
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
	warnings, err := p.checkTasks(o.Recipe, o.Recipe.Labels())
	for _, w := range warnings {
		o.Log(w)
	}
	return p, err
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

func (o *Options) train(ctx context.Context, data *Prepared) (*Result, error) {
	labels := o.Recipe.Labels()
	arch := o.Recipe.Arch
	arch.Spec, arch.Emotions, arch.Genders = data.Spec, len(labels.Emotions), len(labels.Genders)
	if arch.Kind == KindPaper {
		arch.Senses = o.Recipe.Modal
	}
	weighting, err := o.Recipe.weighting()
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
	if o.Backend == "" {
		o.Backend = DefaultBackend
	}
	backend, err := newBackend(o.Backend)
	if err != nil {
		return nil, err
	}
	net, err := newNetwork(arch, weighting, o.Recipe, backend)
	if err != nil {
		return nil, err
	}
	r := &run{
		Options: o, net: net, batches: batches, validator: newValidator(arch, labels, val), data: sumData(data), network: describeNetwork(arch, labels),
		saved: checkpoints{dir: filepath.Join(o.Run, checkpointsDir), write: atomicfile.WriteBytes},
	}
	if o.write != nil {
		r.saved.write = o.write
	}
	if err := r.open(); err != nil {
		return nil, err
	}
	defer r.steps.close() // a row that can't be written is missed at the next save, if there is one
	r.contract = o.contract(r.data, labels, weighting)
	for r.st.Epoch < o.Recipe.Epochs && !(o.Recipe.Patience > 0 && r.st.Epoch-r.st.Best >= o.Recipe.Patience) {
		if err := r.epoch(ctx); err != nil {
			return nil, r.ended(ctx, err)
		}
	}
	result, err := r.finish(ctx)
	if err != nil {
		return nil, r.ended(ctx, err)
	}
	result.Skipped = data.Skipped
	return result, nil
}

// contract is what is known of the model before training.
func (o *Options) contract(data []dataSum, labels pipeline.Labels, weighting Weighting) infer.Contract {
	c := infer.Contract{
		Emotions: labels.Emotions, Genders: labels.Genders, SampleRate: 16000,
		EmotionTemperature: 1, GenderTemperature: 1, TaskWeights: infer.TaskWeights{Emotion: 0.5, Gender: 0.5},
		Weighting: weighting.Name(), Metrics: json.RawMessage("{}"),
		Created: time.Now().UTC().Truncate(time.Second), TandemVersion: o.Version,
	}
	for _, d := range data {
		set := infer.DataSet{Name: d.Name, Split: d.Split, Licence: d.Licence, SharedSpeakers: d.SharedSpeakers}
		if o.sets != nil {
			set.SplitBy = o.sets.SplitBy
		}
		c.Data = append(c.Data, set)
	}
	return c
}
