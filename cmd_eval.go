package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/eval"
	"tandem/train/metrics"
)

var evalCommand = &command{
	name: "eval", maxArgs: 0,
	about: "Judge a model by labelled data",
	long: `Each clip of the split is one item: the mean of its windows' probabilities. Printed are, for each
data set and task, the number of items, accuracy, unweighted average recall (UAR), macro F1, negative
log-likelihood and expected calibration error (and that before temperature scaling); a task without
labels is left out. In brackets are 95 % intervals of a bootstrap over speakers. Below, the same clips
with one sense taken away or spoilt, and what both senses gain over the better one.

  tandem eval --data manifest=clips.csv --split test --report report`,
	flags: (*options).evalFlags,
	run:   runEval,
}

func runEval(ctx context.Context, c *console, o *options) error {
	m, err := readModel(o.model)
	if err != nil {
		return err
	}
	rec, err := infer.NewRecognizer(m.bytes, infer.Options{Threads: 1, Int8: o.precision == "int8"}) // as many batches as threads run at a time
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	defer rec.Close()
	cache, err := o.cacheDir()
	if err != nil {
		return err
	}
	sets, err := dataset.LoadAll(dataset.Options{
		Data: o.data, Labels: rec.Labels(), SplitBy: o.splitBy, AllowSpeakerOverlap: o.allowOverlap || o.split == eval.SplitAll,
		Log: func(line string) { c.log.Info(line) },
	})
	if err != nil {
		return err
	}
	workers, threads := o.workers, o.threads
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	bar := newProgress(c)
	defer bar.close()
	finder := func() (pipeline.FaceFinder, error) { return infer.NewFaceFinder(infer.Options{Threads: 1}) }
	report, err := eval.Evaluate(ctx, rec, finder, sets.Clips, eval.Options{
		Split: o.split, Senses: eval.Senses(o.senses), Model: m.sha256, Precision: o.precision, CacheDir: cache, Workers: workers, Parallel: threads,
		Temperatures: rec.Contract().Temperatures,
		Bootstrap:    metrics.Bootstrap{Resamples: o.resamples, Seed: o.seed},
		Progress:     func(stage string, done, total int) { bar.set(stage, "", done, total) },
	})
	if err != nil {
		return err
	}
	bar.close()
	report.SplitBy, report.SharedSpeakers = sets.SplitBy, sets.Shared
	for _, set := range rec.Contract().Data {
		if set.SharedSpeakers > 0 {
			report.TrainedOnShared = append(report.TrainedOnShared, set.Name)
		}
	}
	if len(report.TrainedOnShared) > 0 {
		c.log.Warn("the model was trained on data whose splits share speakers, so it may know those who are judged here", "sets", strings.Join(report.TrainedOnShared, ", "))
	}
	if report.CacheErr != nil {
		c.log.Warn("the cache is not kept, so that the next run cuts all clips again; choose a folder by --cache", "cause", report.CacheErr)
	}
	for _, s := range report.Skipped {
		c.log.Warn("skipped", "clip", s)
	}
	if o.report != "" {
		if err := report.Write(o.report); err != nil {
			return err
		}
	}
	if err := writeScores(c, report); err != nil {
		return err
	}
	c.say("%d windows in %.1f s, %.0f a second; scores and intervals in %.1f s", report.Speed.Windows, report.Speed.Seconds, report.Speed.Rate, report.Speed.Judging)
	return nil
}
