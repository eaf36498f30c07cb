// Package train makes tandem's model: it has data sets loaded and cut to windows (packages dataset, sample), trains
// both tasks of a network (nn) under a joint loss whose weights may be learned (weighting, optim), scores each epoch on
// the validation split (eval, metrics), and writes the kept one as an ONNX file that keeps the contract of package
// infer.
//
// Run is the whole of it. A recipe (recipe.go) decides everything but the data. A run has a folder (run_folder.go) with
// its logs, checkpoints (checkpoint.go) and report; whoever stops it at any moment and resumes it gets, bit for bit,
// the model of an undisturbed run. The loop stands in run.go, a step's graph in trainer_step.go, its batches in
// batcher.go and batch.go.
package train

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/infer"
	"tandem/internal/atomicfile"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/sample"
	"tandem/train/weighting"
)

// Options are the choices of one run. They do not change while it runs.
type Options struct {
	Data    []string // NAME=PATH, see dataset.LoadSets
	Recipe  Recipe
	Out     string         // the model file that is written
	Run     string         // the folder of the run: recipe, log, checkpoints
	Resume  bool           // go on where the run in Run stopped; without it, Run must not hold one
	Cache   string         // folder for cut windows; "" keeps none
	Workers int            // that cut windows; 0: one a core
	Init    *nn.Pretrained // a network to begin with; nil: a new one
	// SplitBy and AllowSpeakerOverlap are as in dataset.SetOptions.
	SplitBy             string
	AllowSpeakerOverlap bool
	Names               dataset.LabelMap // of published labels
	Backend             string           // see CheckBackend; "": DefaultBackend
	// A checkpoint is written at the end of each epoch, and within one as often as either says; 0: not for its sake.
	CheckpointSteps int
	CheckpointEvery time.Duration
	Version         string // of tandem, for the model's contract
	// SkipTest leaves out the judging of the finished model by the test split: its metrics are the validation split's.
	SkipTest bool
	// TensorBoard writes the run's logs as event files too, to the folder tensorboard in Run.
	TensorBoard bool

	// Progress, unless nil, is called for each step: of preparing clips, then of training. Calls come one at a time.
	Progress func(Progress)
	// Log, unless nil, is called with a line of text now and then, one call at a time.
	Log func(line string)

	write func(path string, b []byte) error // of checkpoints, in tests; nil: atomicfile.WriteBytes
}

// Data holds the clips, of all splits, that a run trains on and is validated by. Runs only read it, so that several may
// share one.
type Data struct {
	*sample.Prepared
	SplitBy      string               // how the clips were divided, as dataset.Sets has it
	Fingerprints []sample.Fingerprint // of each data set
}

// NewData fingerprints prepared samples, which reads each of their bytes once. It ends early, with the cause, when ctx
// ends.
func NewData(ctx context.Context, p *sample.Prepared, splitBy string) (*Data, error) {
	sums, err := sample.Fingerprints(ctx, p)
	if err != nil {
		return nil, err
	}
	return &Data{Prepared: p, SplitBy: splitBy, Fingerprints: sums}, nil
}

// Progress is where a run is.
type Progress struct {
	Stage       string // "prepare", "train", or, while the epoch is validated, "judge"
	Done, Total int    // clips, or steps
	Text        string // losses, weights and speed
	// Left is how long the steps that are left will take at the speed of those that this process has made; 0: not
	// known.
	Left time.Duration
}

// Result is the outcome of a run that came to its end.
type Result struct {
	Model      []byte
	Contract   infer.Contract
	Best       int // the epoch, from 1, whose weights were kept: the last, or with early stopping the best
	Parameters int
	Skipped    []sample.Skipped
}

// Run trains a network, writes it to o.Out, and returns it. It ends early, without a model but with the
// checkpoint of where it was, when ctx ends.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Recipe.Check(); err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	unlock, err := LockRun(o.Run)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := o.CheckFolder(); err != nil {
		return nil, err
	}
	data, err := o.Prepare(ctx)
	if err != nil {
		return nil, err
	}
	result, err := o.Train(ctx, data)
	// What was trained on is in the cache; but who trains again by the same command would not get the same.
	for _, path := range data.Changed() {
		o.Log(fmt.Sprintf("the data changed during the run: %s", path))
	}
	return result, err
}

// Prepare loads and cuts all data, as o says, and checks that it can teach the tasks; also are more recipes by which it
// is to be trained on, of the same labels.
func (o *Options) Prepare(ctx context.Context, also ...Recipe) (*Data, error) {
	sets, err := dataset.LoadAll(dataset.Options{
		Data: o.Data, Labels: o.Recipe.Labels(), Names: o.Names, SplitBy: o.SplitBy,
		AllowSpeakerOverlap: o.AllowSpeakerOverlap, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	clips := sets.Clips
	// What would end the run is better known before hours of cutting than after.
	var said []string
	for _, r := range append([]Recipe{o.Recipe}, also...) {
		for _, remark := range r.Remarks() {
			if !slices.Contains(said, remark) {
				said = append(said, remark)
				o.Log(remark)
			}
		}
		if err := checkClips(clips, r); err != nil {
			return nil, err
		}
	}
	if err := o.checkMachine(); err != nil {
		return nil, err
	}
	finder := func() (pipeline.FaceFinder, error) { return infer.NewBlazeFace() }
	voice := func() (pipeline.VoiceDetector, error) { return infer.NewSilero() }
	if o.Recipe.Hears == infer.HearsAny {
		voice = nil
	}
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	p, err := sample.Prepare(ctx, clips,
		sample.Options{
			Spec: o.Recipe.Arch.WindowSpec(), Finder: finder, Voice: voice, CacheDir: o.Cache, Workers: workers,
			Progress: func(done, total int) {
				o.Progress(Progress{Stage: "prepare", Done: done, Total: total})
			},
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
		o.Log(fmt.Sprintf("the cache is not kept, so that the next run cuts all clips again: %v; choose a folder by "+
			"--cache", p.CacheErr))
	}
	o.Log(fmt.Sprintf("%d clips, %d of them from the cache, %d windows, %d clips skipped", len(clips), p.Cached,
		len(p.Samples), len(p.Skipped)))
	if p.Unheard > 0 {
		o.Log(fmt.Sprintf("%d clips are nothing but sound without a voice: the model learns them, but is used on "+
			`voices only; if other sounds are meant, put "hears": "any" into the recipe`, p.Unheard))
	}
	warnings, err := CheckTasks(p, o.Recipe, o.Recipe.Labels())
	for _, w := range warnings {
		o.Log(w)
	}
	if err != nil {
		return nil, err
	}
	return NewData(ctx, p, sets.SplitBy)
}

// checkMachine returns an error if this machine lacks what trains or what judges, whatever trains.
func (o *Options) checkMachine() error {
	if _, err := NewBackend(cmp.Or(o.Backend, DefaultBackend)); err != nil {
		return err
	}
	_, err := infer.FindRuntime()
	return err
}

// Train trains a network on data that Prepare or NewData made, whose folder o.Run the caller has locked (LockRun), and
// writes it to o.Out. It ends early as Run does.
func (o *Options) Train(ctx context.Context, data *Data) (*Result, error) {
	r, err := o.start(data)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.until(ctx, o.Recipe.Epochs); err != nil {
		return nil, err
	}
	result, err := r.finish(ctx)
	if err != nil {
		return nil, r.ended(ctx, err)
	}
	result.Skipped = data.Skipped
	return result, nil
}

// Standing is how far a run came that has not come to its end.
type Standing struct {
	Epochs int     // that are whole; fewer than asked for where early stopping ended the run
	Score  float64 // by the recipe's stop_metric, of the network that is kept so far; higher is better
}

// TrainUntil is Train up to the end of an epoch, of those of the recipe, whose schedule stays that of the whole run:
// Train with Resume goes on from there, and makes of it the model that it would have made at once. A run that is there
// already does nothing.
func (o *Options) TrainUntil(ctx context.Context, data *Data, epochs int) (Standing, error) {
	r, err := o.start(data)
	if err != nil {
		return Standing{}, err
	}
	defer r.close()
	if err := r.until(ctx, min(epochs, o.Recipe.Epochs)); err != nil {
		return Standing{}, err
	}
	return Standing{Epochs: r.st.Epoch, Score: r.st.BestScore}, nil
}

// until trains until so many epochs are whole, or early stopping ends the run.
func (r *run) until(ctx context.Context, epochs int) error {
	for r.st.Epoch < epochs && !(r.Recipe.Patience > 0 && r.st.Epoch-r.st.Best >= r.Recipe.Patience) {
		if err := r.epoch(ctx); err != nil {
			return r.ended(ctx, err)
		}
	}
	return nil
}

// start opens a run where it stands.
func (o *Options) start(data *Data) (*run, error) {
	labels, arch := o.Recipe.Labels(), o.Recipe.archFor(data.Spec)
	weighting, err := o.Recipe.weighting()
	if err != nil {
		return nil, err
	}
	training := data.Only(dataset.SplitTrain)
	batches, err := newBatcher(o.Recipe, arch, training)
	if err != nil {
		return nil, err
	}
	val := data.Only(dataset.SplitVal)
	if len(val.Samples) == 0 {
		return nil, errors.New("training: the data has no validation split, which early stopping and calibration " +
			"need; mark some clips val")
	}
	backendName := cmp.Or(o.Backend, DefaultBackend)
	backend, err := NewBackend(backendName)
	if err != nil {
		return nil, err
	}
	net, err := newNetwork(arch, weighting, o.Recipe, backend)
	if err != nil {
		return nil, err
	}
	r := &run{
		Options: o, net: net, batches: batches, data: data,
		validator: newValidator(arch, labels, val), test: newValidator(arch, labels, data.Only(dataset.SplitTest)),
		plain:   plainly(arch, labels, training),
		backend: backendName, network: describeNetwork(arch, labels),
		saved: checkpoints{dir: filepath.Join(o.Run, checkpointsDir), write: atomicfile.WriteBytes},
	}
	if o.write != nil {
		r.saved.write = o.write
	}
	if err := r.open(); err != nil {
		return nil, err
	}
	r.contract = o.contract(data, labels, weighting)
	return r, nil
}

// archFor returns the recipe's network for windows that are cut so.
func (r Recipe) archFor(spec pipeline.Spec) nn.Arch {
	arch := r.Arch
	arch.Spec, arch.Emotions, arch.Genders = spec, len(r.Emotions), len(r.Genders)
	if arch.Kind == nn.KindPaper {
		arch.Modal = r.Modal
	}
	return arch
}

// close closes the files of a run that start has opened.
func (r *run) close() {
	r.steps.close() // a row that can't be written is missed at the next save, if there is one
	r.events.close()
}

// contract returns the contract of the model as far as it is known before training.
func (o *Options) contract(data *Data, labels pipeline.Labels, weighting weighting.Method) infer.Contract {
	c := infer.Contract{
		Emotions: labels.Emotions, Genders: labels.Genders, SampleRate: 16000,
		EmotionTemperature: 1, GenderTemperature: 1, TaskWeights: infer.TaskWeights{Emotion: 0.5, Gender: 0.5},
		AnySound:  o.Recipe.Hears == infer.HearsAny,
		Weighting: weighting.Name(), Metrics: json.RawMessage("{}"),
		Created: time.Now().UTC().Truncate(time.Second), TandemVersion: o.Version,
	}
	c.Trained = trainedOn(data, o.Init)
	if o.Recipe.Modal != "multi" {
		c.Senses = o.Recipe.Modal
	}
	for _, d := range data.Fingerprints {
		c.Data = append(c.Data, infer.DataSet{
			Name: d.Name, Split: d.Split, SplitBy: data.SplitBy, Licence: d.Licence, SharedSpeakers: d.SharedSpeakers,
		})
	}
	return c
}

// CheckTasks returns an error if prepared samples cannot teach a task that has weight, and warnings of labels that are
// missing.
func CheckTasks(p *sample.Prepared, recipe Recipe, labels pipeline.Labels) (warnings []string, err error) {
	each := func(yield func(*dataset.Clip, bool) bool) {
		for _, s := range p.Samples {
			trained := recipe.Modal != "audio" && s.Video != nil || recipe.Modal != "video" && s.Audio != nil
			if !yield(&p.Clips[s.Clip], trained) {
				return
			}
		}
	}
	return dataset.Trainable(each, labels, recipe.leavesOut)
}

// checkClips is CheckTasks before anything is cut, by the senses that clips may have.
func checkClips(clips []dataset.Clip, recipe Recipe) error {
	each := func(yield func(*dataset.Clip, bool) bool) {
		for i := range clips {
			c := &clips[i]
			trained := recipe.Modal != "audio" && c.Video != "" || recipe.Modal != "video" && c.Row == nil
			if !yield(c, trained) {
				return
			}
		}
	}
	_, err := dataset.Trainable(each, recipe.Labels(), recipe.leavesOut)
	return err
}

// leavesOut reports whether the recipe trains the other task alone.
func (r Recipe) leavesOut(task int) bool { return hasNoWeight(r.Weighting, task) }

// hasNoWeight reports whether a weighting, as static:1,0, leaves a task out: emotion is 0, gender 1.
func hasNoWeight(weighting string, task int) bool {
	weights := strings.Split(strings.TrimPrefix(weighting, "static:"), ",")
	if len(weights) != 2 {
		return false
	}
	w, err := strconv.ParseFloat(weights[task], 64)
	return err == nil && w == 0
}
