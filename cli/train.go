package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train"
)

var trainCommand = &command{
	name: "train", maxArgs: 0,
	about: "Train a network and write it as an ONNX file",
	long: `Data sets mix: each --data adds one, by its own published layout or as a manifest (CSV); see
docs/datasets.md. The recipe holds all that decides a run but the data; the flags given override
it. The run's folder gets the recipe, a log of each epoch (log.csv) and checkpoints; a run that
was interrupted or killed goes on with --resume, bit for bit as if it had not been. See docs/training.md.

  tandem train --data ravdess=RAVDESS --data fer2013=fer2013.csv --out model.onnx`,
	flags: (*options).trainFlags,
	run:   runTrain,
}

func runTrain(ctx context.Context, c *console, o *options) error {
	run := o.run
	if run == "" {
		run = strings.TrimSuffix(o.out, filepath.Ext(o.out)) + ".run"
	}
	recipe := train.DefaultRecipe()
	file := o.recipe
	if _, err := os.Stat(train.RecipeOf(run)); file == "" && o.resume && err == nil {
		file = train.RecipeOf(run)
	}
	if file != "" {
		var err error
		if recipe, err = train.ReadRecipe(file); err != nil {
			return err
		}
	} else if o.arch == train.KindPaper {
		recipe = train.PaperRecipe()
	}
	if len(o.init) > 0 && (o.arch != "" || o.width != 0) {
		return badUsage("--init brings the network: leave out --arch and --width")
	}
	if err := o.chooseArch(&recipe.Arch); err != nil {
		return err
	}
	if o.weighting != "" {
		if _, err := train.ParseWeighting(o.weighting); err != nil {
			return &usageError{err: err}
		}
		recipe.Weighting = o.weighting
	}
	for _, w := range []struct {
		name  string
		value float64
		to    *float64
	}{{"floor", o.weightFloor, &recipe.WeightFloor}, {"temperature", o.weightTemperature, &recipe.WeightTemperature}, {"entropy", o.weightEntropy, &recipe.WeightEntropy}} {
		if o.weightSet[w.name] {
			*w.to = w.value
		}
	}
	if len(o.weightSet) > 0 {
		if err := recipe.CheckWeighting(); err != nil {
			return badUsage("--weight-floor, --weight-temperature, --weight-entropy: %v", err)
		}
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
	if o.seeded {
		recipe.Seed = o.seed
	}
	begin, err := o.fineTune(&recipe)
	if err != nil {
		return err
	}
	cache, err := o.cacheDir()
	if err != nil {
		return err
	}

	bar := newProgress(c)
	defer bar.close()
	result, err := train.Run(ctx, train.Options{
		Data: o.data, Recipe: recipe, Out: o.out, Run: run, Resume: o.resume, Cache: cache, Workers: o.workers, Version: version(),
		SplitBy: o.splitBy, AllowSpeakerOverlap: o.allowOverlap,
		Init: begin, Backend: o.backend, CheckpointSteps: o.ckptSteps, CheckpointEvery: seconds(60 * o.ckptMins),
		Progress: bar.training,
		Log: func(line string) {
			bar.clear()
			c.log.Info(line)
		},
	})
	if err != nil {
		return err
	}
	bar.close()
	_, err = fmt.Fprintf(c.out, "%s: %d parameters, %d bytes, from epoch %d; %d clips skipped\n",
		o.out, result.Parameters, len(result.Model), result.Best, len(result.Skipped))
	return err
}

// fineTune reads --init and sets what it, --emotions, --genders and --freeze say of the recipe.
func (o *options) fineTune(recipe *train.Recipe) (begin *train.Init, err error) {
	if len(o.init) > 0 {
		networks := make([]*train.Init, len(o.init))
		for i, name := range o.init {
			if networks[i], err = readInit(name); err != nil {
				return nil, err
			}
		}
		if begin, err = train.Join(networks...); err != nil {
			return nil, err
		}
		recipe.Arch = begin.Sizes() // the recipe's sizes are of new networks
		recipe.Emotions, recipe.Genders = begin.Labels.Emotions, begin.Labels.Genders
	}
	labels, err := o.labels(o.data, recipe.Labels())
	if err != nil {
		return nil, err
	}
	recipe.Emotions, recipe.Genders = labels.Emotions, labels.Genders
	if o.freeze != "" {
		recipe.Freeze = strings.Split(o.freeze, ",")
	}
	return begin, nil
}

// labels are those that --emotions and --genders name, in place of others.
func (o *options) labels(data []string, others pipeline.Labels) (pipeline.Labels, error) {
	var manifest pipeline.Labels
	if o.emotions == "manifest" || o.genders == "manifest" {
		var err error
		if manifest, err = train.ManifestLabels(data); err != nil {
			return others, fmt.Errorf("labels: %w", err)
		}
	}
	for _, l := range []struct {
		value    string
		manifest []string
		to       *[]string
	}{{o.emotions, manifest.Emotions, &others.Emotions}, {o.genders, manifest.Genders, &others.Genders}} {
		switch l.value {
		case "":
		case "manifest":
			*l.to = l.manifest
		default:
			*l.to = strings.Split(l.value, ",")
		}
	}
	return others, nil
}

// readInit reads the network of a model, a checkpoint, a run's folder, or the embedded model.
func readInit(name string) (*train.Init, error) {
	if name == "default" {
		return train.ReadInit(name, infer.DefaultModel())
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
	return train.ReadInit(path, b)
}

// chooseArch lets --arch and --width override a recipe's.
func (o *options) chooseArch(a *train.Arch) error {
	switch o.arch {
	case "":
	case train.KindTandem, train.KindPaper:
		a.Kind = o.arch
	default:
		return badUsage("--arch %q: known are %s and %s", o.arch, train.KindTandem, train.KindPaper)
	}
	switch {
	case o.width == 0:
	case o.width < 0 || o.width > 4:
		return badUsage("--width %g: give more than 0, such as 0.25, and at most 4", o.width)
	case a.Kind != train.KindPaper:
		return badUsage("--width is of the paper's network: give --arch paper too")
	default:
		a.Width = o.width
	}
	return nil
}

// cacheDir is where prepared samples are kept.
func (o *options) cacheDir() (string, error) {
	if o.cache != "" {
		return o.cache, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep prepared samples in (%w): give --cache DIR", err)
	}
	return filepath.Join(dir, "tandem"), nil
}
