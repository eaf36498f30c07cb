package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"tandem/infer"
	"tandem/train"
	"tandem/train/dataset"
	"tandem/train/folds"
	"tandem/train/metrics"
	"tandem/train/nn"
	"tandem/train/weighting"
)

var trainCommand = &command{
	name: "train", maxArgs: 0,
	about: "Train a network and write it as an ONNX file",
	long: `Data sets mix: each --data adds one, by its own published layout or as a manifest (CSV); see
docs/datasets.md. The recipe holds all that decides a run but the data; the flags given override
it. The run's folder gets the recipe, a log of each epoch (log.csv) and checkpoints; a run that
was interrupted or killed goes on with --resume, bit for bit as if it had not been. See docs/training.md.

  tandem train --data ravdess=RAVDESS --data fer2013=fer2013.csv --out model.onnx`,
	options: func() options { return &trainOptions{} },
}

type trainOptions struct {
	dataFlags
	labelFlags
	logFlags
	task              string
	out               string
	recipe            string
	set               []string
	folds             string
	weighting         string
	weightFloor       float64
	weightTemperature float64
	weightEntropy     float64
	arch              string
	width             float64
	modal             string
	epochs            int
	seed              uint64
	runDir            string
	resume            bool
	init              []string
	freeze            string
	backend           string
	tensorboard       bool
	sanity            bool
	checkpointSteps   int
	checkpointMinutes float64
	given             func(flag string) bool // reports whether a flag was set
}

// setUsage describes --set.
const setUsage = "`FIELD=VALUE` of the recipe, such as learning_rate=0.001 or augment.sound.reverb=0.2; " +
	"repeatable, and after all other flags"

func (o *trainOptions) bind(f *pflag.FlagSet) {
	o.dataFlags.bind(f)
	f.StringVar(&o.task, "task", taskEmotions, "`WHAT` to train: emotions, the network that recognises emotion and "+
		"gender, or speaker, the one that tells who speaks")
	oneOf(f, "task", []string{taskEmotions, taskSpeaker})
	f.StringVar(&o.out, "out", "model.onnx", "model `FILE` to write")
	f.StringVar(&o.recipe, "recipe", "", "recipe `FILE` (JSON; default: that of the default model)")
	f.StringArrayVar(&o.set, "set", nil, setUsage)
	f.StringVar(&o.folds, "folds", "", "cross-validate, `K` folds by speaker, "+dataset.LeaveOneSpeakerOut+" or "+
		dataset.LeaveOneSetOut+": a model for each fold, in --run")
	o.bindWeighting(f)
	f.StringVar(&o.arch, "arch", "", "`NETWORK` to train: tandem, or paper, that of Chae et al. 2018, "+
		"by its own recipe unless --recipe is given (default: the recipe's)")
	oneOf(f, "arch", []string{nn.KindTandem, nn.KindPaper})
	f.Float64Var(&o.width, "width", 0,
		"share `W` of the paper's network's channels, such as 0.25 (default: the recipe's)")
	f.StringVar(&o.modal, "modal", "", "`SENSES` to train: multi, audio or video (default: the recipe's)")
	oneOf(f, "modal", []string{"multi", "audio", "video"})
	f.IntVar(&o.epochs, "epochs", 0, "epochs at most, `N` (default: the recipe's)")
	f.Uint64Var(&o.seed, "seed", 0, "seed `N` of all that is random (default: the recipe's)")
	f.StringVar(&o.runDir, "run", "",
		"`DIR` for the run's log and checkpoints (default: beside the model, NAME.run)")
	f.BoolVar(&o.resume, "resume", false,
		"go on where the run in --run stopped, by its recipe unless --recipe is given")
	f.StringArrayVar(&o.init, "init", nil, "begin with the network of a `MODEL` (ONNX), of a run's folder or "+
		"checkpoint, or of default, the embedded model; repeatable: with several side by side")
	o.labelFlags.bind(f, "those of --init, else the recipe's")
	f.StringVar(&o.freeze, "freeze", "",
		"`PARTS` that keep their parameters, separated by commas: "+strings.Join(nn.Parts, ", "))
	f.StringVar(&o.backend, "backend", train.DefaultBackend, "`WHAT` computes: onnx (ONNX Runtime), "+
		"go (pure Go, slow), and xla or xla:PLUGIN (PJRT, for GPUs; its plugin is yours to install)")
	f.BoolVar(&o.sanity, "check", false, "train nothing: learn one batch by heart, try learning rates, and write a "+
		"page of these and of augmented samples, check.html, into the run's folder")
	f.Float64Var(&o.checkpointMinutes, "checkpoint-minutes", 10,
		"write a checkpoint every `MINUTES`, and after each epoch; 0: after each epoch only")
	f.IntVar(&o.checkpointSteps, "checkpoint-steps", 0, "write a checkpoint every `N` steps too")
	f.BoolVar(&o.tensorboard, "tensorboard", false, "write the logs as event files for TensorBoard too, to "+
		"tensorboard in the run's folder")
	o.logFlags.bind(f)
}

func (o *trainOptions) bindWeighting(f *pflag.FlagSet) {
	f.StringVar(&o.weighting, "weighting", "", "`HOW` the tasks' losses are weighted: "+
		strings.Join(weighting.Names, ", ")+" or static:EMOTION,GENDER (default: the recipe's)")
	f.Float64Var(&o.weightFloor, "weight-floor", 0,
		"of softmax: no task's weight falls below `P` (default: the recipe's)")
	f.Float64Var(&o.weightTemperature, "weight-temperature", 0,
		"of softmax: the weights are softmax(w/`T`) (default: the recipe's)")
	f.Float64Var(&o.weightEntropy, "weight-entropy", 0,
		"of softmax: add `NATS` times the weights' negative entropy to the loss (default: the recipe's)")
}

func (o *trainOptions) check(f *pflag.FlagSet) error {
	o.given = f.Changed
	if err := cmp.Or(o.logFlags.check(), checkTask(o.task, f)); err != nil {
		return err
	}
	switch {
	case !(o.checkpointMinutes >= 0 && o.checkpointMinutes <= 7*24*60):
		return fmt.Errorf("--checkpoint-minutes %v: give minutes, 0 for none within an epoch", o.checkpointMinutes)
	case o.checkpointSteps < 0:
		return fmt.Errorf("--checkpoint-steps %d: give 1 or more", o.checkpointSteps)
	}
	if o.sanity && (o.folds != "" || o.resume) {
		return errors.New("--check is of a training that has not begun: leave out --folds and --resume")
	}
	if o.folds != "" {
		if _, err := dataset.ParseFolds(o.folds); err != nil {
			return fmt.Errorf("--folds %w", err)
		}
		for _, flag := range []string{"out", "split-by"} {
			if f.Changed(flag) {
				return fmt.Errorf("--folds makes a model for each fold, and divides the data itself: leave out --%s",
					flag)
			}
		}
	}
	return cmp.Or(checkBackend(o.backend), checkEpochs(o.epochs), o.dataFlags.check())
}

// checkBackend checks the value of --backend.
func checkBackend(name string) error {
	if err := train.CheckBackend(name); err != nil {
		return fmt.Errorf("--backend %w", err)
	}
	return nil
}

// checkEpochs checks the value of --epochs.
func checkEpochs(n int) error {
	if n < 0 {
		return fmt.Errorf("--epochs %d: give 1 or more", n)
	}
	return nil
}

func (o *trainOptions) run(ctx context.Context, c *console) error {
	if o.task == taskSpeaker {
		return o.runSpeaker(ctx, c)
	}
	run := o.runDir
	switch {
	case run != "":
	case o.folds != "":
		run = "folds"
	default:
		run = strings.TrimSuffix(o.out, filepath.Ext(o.out)) + ".run"
	}
	recipe, err := o.baseRecipe(run)
	if err != nil {
		return err
	}
	if err := o.override(&recipe); err != nil {
		return err
	}
	begin, err := o.fineTune(&recipe)
	if err != nil {
		return err
	}
	for _, s := range o.set {
		if len(o.init) > 0 && strings.HasPrefix(s, "arch.") {
			return badUsage("--init brings the network: leave out --set %s", s)
		}
		if err := recipe.Set(s); err != nil {
			return badUsage("--set %v", err)
		}
	}
	cache, err := o.cacheDir()
	if err != nil {
		return err
	}
	bar := loggedProgress(c)
	defer bar.close()
	to := train.Options{
		Data: o.data, Recipe: recipe, Out: o.out, Run: run, Resume: o.resume,
		Cache: cache, Workers: o.workers, Version: version(),
		SplitBy: o.splitBy, AllowSpeakerOverlap: o.allowOverlap, Names: o.names,
		Init: begin, Backend: o.backend, TensorBoard: o.tensorboard,
		CheckpointSteps: o.checkpointSteps, CheckpointEvery: seconds(60 * o.checkpointMinutes),
		Progress: bar.training, Log: bar.log,
	}
	switch {
	case o.sanity:
		return o.checkSanity(ctx, c, to, bar)
	case o.folds != "":
		return o.crossValidate(ctx, c, to, bar)
	}
	result, err := train.Run(ctx, to)
	if err != nil {
		return err
	}
	bar.close()
	_, err = fmt.Fprintf(c.out, "%s: %d parameters, %d bytes, from epoch %d; %d clips skipped\n",
		o.out, result.Parameters, len(result.Model), result.Best, len(result.Skipped))
	return err
}

// checkSanity prints what is worth knowing before a training, and fails if it is not worth beginning.
func (o *trainOptions) checkSanity(ctx context.Context, c *console, to train.Options, bar *progress) error {
	found, err := train.CheckSanity(ctx, to)
	if err != nil {
		return err
	}
	bar.close()
	if err := os.MkdirAll(to.Run, 0o755); err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	page := filepath.Join(to.Run, "check.html")
	if err := found.Write(page); err != nil {
		return err
	}
	lines, ok := found.Findings()
	for _, line := range append(lines, page+": these, and augmented samples to look at and to hear") {
		if _, err := fmt.Fprintln(c.out, line); err != nil {
			return err
		}
	}
	if !ok {
		return errReported
	}
	return nil
}

// crossValidate trains a model for each fold and prints how good they are by the clips that each has not seen.
func (o *trainOptions) crossValidate(ctx context.Context, c *console, to train.Options, bar *progress) error {
	result, err := folds.Run(ctx, folds.Options{
		Options: to, How: o.folds, Dir: to.Run, Bootstrap: metrics.Bootstrap{Resamples: 1000, Seed: 1},
	})
	if err != nil {
		return err
	}
	bar.close()
	if err := result.Write(to.Run); err != nil {
		return err
	}
	return writeFolds(c, result)
}

// baseRecipe returns the recipe that the flags override: that of --recipe, of the run that goes on, of --arch, or the
// default.
func (o *trainOptions) baseRecipe(run string) (train.Recipe, error) {
	file := o.recipe
	if _, err := os.Stat(train.RecipeOf(run)); file == "" && o.resume && err == nil {
		file = train.RecipeOf(run)
	}
	switch {
	case file != "":
		return train.ReadRecipe(file)
	case o.arch == nn.KindPaper:
		return train.PaperRecipe(), nil
	}
	return train.DefaultRecipe(), nil
}

// override sets what the flags say in a recipe, but for what fineTune sets.
func (o *trainOptions) override(recipe *train.Recipe) error {
	if len(o.init) > 0 && (o.arch != "" || o.width != 0) {
		return badUsage("--init brings the network: leave out --arch and --width")
	}
	if err := o.overrideArch(&recipe.Arch); err != nil {
		return err
	}
	if err := o.overrideWeighting(recipe); err != nil {
		return err
	}
	switch o.modal {
	case "":
	case "multi", "audio", "video":
		recipe.Modal = o.modal
	default:
		return badUsage("--modal %q: known are multi, audio and video", o.modal)
	}
	if o.epochs > 0 {
		recipe.Epochs = o.epochs
	}
	if o.given("seed") {
		recipe.Seed = o.seed
	}
	return nil
}

func (o *trainOptions) overrideWeighting(recipe *train.Recipe) error {
	if o.weighting != "" {
		if _, err := weighting.Parse(o.weighting); err != nil {
			return &usageError{err: err}
		}
		recipe.Weighting = o.weighting
	}
	given := false
	for _, w := range []struct {
		flag  string
		value float64
		to    *float64
	}{
		{"weight-floor", o.weightFloor, &recipe.WeightFloor},
		{"weight-temperature", o.weightTemperature, &recipe.WeightTemperature},
		{"weight-entropy", o.weightEntropy, &recipe.WeightEntropy},
	} {
		if o.given(w.flag) {
			*w.to = w.value
			given = true
		}
	}
	if given {
		if err := recipe.CheckWeighting(); err != nil {
			return badUsage("--weight-floor, --weight-temperature, --weight-entropy: %v", err)
		}
	}
	return nil
}

// overrideArch lets --arch and --width override a recipe's.
func (o *trainOptions) overrideArch(a *nn.Arch) error {
	switch o.arch {
	case "":
	case nn.KindTandem, nn.KindPaper:
		a.Kind = o.arch
	default:
		return badUsage("--arch %q: known are %s and %s", o.arch, nn.KindTandem, nn.KindPaper)
	}
	switch {
	case o.width == 0:
	case o.width < 0 || o.width > 4:
		return badUsage("--width %g: give more than 0, such as 0.25, and at most 4", o.width)
	case a.Kind != nn.KindPaper:
		return badUsage("--width is of the paper's network: give --arch paper too")
	default:
		a.Width = o.width
	}
	return nil
}

// fineTune reads --init and sets what it, --emotions, --genders and --freeze say of the recipe. It returns nil where
// nothing is to begin with.
func (o *trainOptions) fineTune(recipe *train.Recipe) (begin *nn.Pretrained, err error) {
	if len(o.init) > 0 {
		networks := make([]*nn.Pretrained, len(o.init))
		for i, name := range o.init {
			if networks[i], err = readInit(name); err != nil {
				return nil, err
			}
		}
		if begin, err = nn.Ensemble(networks...); err != nil {
			return nil, err
		}
		recipe.Arch = begin.Sizes() // the recipe's sizes are of new networks
		recipe.Emotions, recipe.Genders = begin.Labels.Emotions, begin.Labels.Genders
	}
	labels, err := o.labels(o.data, o.names, recipe.Labels())
	if err != nil {
		return nil, err
	}
	recipe.Emotions, recipe.Genders = labels.Emotions, labels.Genders
	if o.freeze != "" {
		recipe.Freeze = strings.Split(o.freeze, ",")
	}
	return begin, nil
}

// readInit reads the network of a model, a checkpoint, a run's folder, or the embedded model.
func readInit(name string) (*nn.Pretrained, error) {
	if name == "default" {
		return train.ReadPretrained(name, infer.DefaultModel())
	}
	path := name
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if path, err = train.LastCheckpoint(name); err != nil {
			return nil, err
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, bare(path, err)
	}
	return train.ReadPretrained(path, b)
}
