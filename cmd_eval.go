package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"text/tabwriter"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train"
)

var evalCommand = &command{
	name: "eval", maxArgs: 0,
	about: "Judge a model by labelled data",
	long: `Each clip of the split is one item: the mean of its windows' probabilities. Printed are, for each
data set and task, the number of items, accuracy, unweighted average recall (UAR), macro F1, negative
log-likelihood and expected calibration error; a task without labels is left out.

  tandem eval --data manifest=clips.csv --split test --report report`,
	flags: (*options).evalFlags,
	run:   runEval,
}

func runEval(ctx context.Context, c *console, o *options) error {
	m, err := readModel(o.model)
	if err != nil {
		return err
	}
	rec, err := infer.NewRecognizer(m.bytes, infer.Options{Threads: o.threads})
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	defer rec.Close()
	cache, err := o.cacheDir()
	if err != nil {
		return err
	}
	sets, err := train.LoadSets(train.SetOptions{
		Data: o.data, Labels: rec.Labels(), SplitBy: o.splitBy, AllowSpeakerOverlap: o.allowOverlap || o.split == train.SplitAll,
		Log: func(line string) { c.log.Info(line) },
	})
	if err != nil {
		return err
	}
	workers := o.workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	bar := newProgress(c)
	defer bar.close()
	finder := func() (pipeline.FaceFinder, error) { return infer.NewFaceFinder(infer.Options{Threads: 1}) }
	report, err := train.Evaluate(ctx, rec, finder, sets.Clips, train.EvalOptions{
		Split: o.split, Senses: train.Senses(o.senses), Model: m.sha256, CacheDir: cache, Workers: workers,
		Progress: func(done, total int) { bar.set("clips", "", done, total) },
	})
	if err != nil {
		return err
	}
	bar.close()
	report.SplitBy, report.SharedSpeakers = sets.SplitBy, sets.Shared
	for _, s := range report.Skipped {
		c.log.Warn("skipped", "clip", s)
	}
	if o.report != "" {
		if err := report.Write(o.report); err != nil {
			return err
		}
	}
	return writeScores(c, report)
}

func writeScores(c *console, r *train.Report) error {
	b := &bytes.Buffer{}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "set\ttask\tn\taccuracy\tUAR\tF1\tNLL\tECE\t")
	row := func(set, task string, s *train.Scores) {
		if s != nil {
			fmt.Fprintf(w, "%s\t%s\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", set, task, s.N, s.Accuracy, s.UAR, s.F1, s.NLL, s.ECE)
		}
	}
	for _, set := range slices.Sorted(maps.Keys(r.Sets)) {
		row(set, "emotion", r.Sets[set].Emotion)
		row(set, "gender", r.Sets[set].Gender)
	}
	if len(r.Sets) > 1 {
		row("all", "emotion", r.All.Emotion)
		row("all", "gender", r.All.Gender)
	}
	w.Flush()
	_, err := c.out.Write(b.Bytes())
	return err
}
