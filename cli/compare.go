package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/train"
)

var compareCommand = &command{
	name: "compare", maxArgs: 0,
	about: "Compare weightings of the joint loss by training with each",
	long: `Trains each weighting in each mode with each seed, all by one recipe, and judges the exported files on
the validation split. Printed are means ± standard deviations over the seeds, and the difference of
the joint NLL (the sum of both tasks', without weights) to the best static weighting, seed by seed, with
its 95 % interval. The folder gets compare.json, compare.csv and compare.html, and each run in
runs/. The same command goes on where it was interrupted. See docs/compare.md.

  tandem compare --data manifest=clips.csv --weightings softmax,softmax-prior --seeds 3 --out compare`,
	flags: (*options).compareFlags,
	run:   runCompare,
}

func runCompare(ctx context.Context, c *console, o *options) error {
	recipe := train.DefaultRecipe()
	if o.recipe != "" {
		var err error
		if recipe, err = train.ReadRecipe(o.recipe); err != nil {
			return err
		}
	}
	if o.epochs > 0 {
		recipe.Epochs = o.epochs
	}
	if o.seeded {
		recipe.Seed = o.seed
	}
	labels, err := o.labels(o.data, recipe.Labels())
	if err != nil {
		return err
	}
	recipe.Emotions, recipe.Genders = labels.Emotions, labels.Genders
	grid, err := numbers(o.staticGrid)
	if err != nil {
		return badUsage("--static-grid %q: want weights of emotion such as 0.3,0.5,0.7, or none", o.staticGrid)
	}
	cache, err := o.cacheDir()
	if err != nil {
		return err
	}
	bar := newProgress(c)
	defer bar.close()
	options := train.CompareOptions{
		Options: train.Options{
			Data: o.data, Recipe: recipe, Cache: cache, Workers: o.workers, Version: version(),
			SplitBy: o.splitBy, AllowSpeakerOverlap: o.allowOverlap,
			Backend: o.backend, CheckpointEvery: 10 * time.Minute,
			Progress: bar.training,
			Log: func(line string) {
				bar.clear()
				c.log.Info(line)
			},
		},
		Weightings: list(o.weightings), StaticGrid: grid, Modes: list(o.modes), Seeds: o.seeds, Dir: o.out, Jobs: o.jobs,
	}
	if err := options.Check(); err != nil {
		return &usageError{err: err}
	}
	result, err := train.Compare(ctx, options)
	if err != nil {
		return err
	}
	bar.close()
	if err := result.Write(o.out); err != nil {
		return err
	}
	return writeComparison(c, result)
}

// list is what stands between commas, but for those within static:0.7,0.3; "none" and "" are nothing.
func list(s string) []string {
	if s == "" || s == "none" {
		return nil
	}
	var all []string
	for _, part := range strings.Split(s, ",") {
		if n := len(all); n > 0 && strings.HasPrefix(all[n-1], "static:") && !strings.Contains(all[n-1], ",") {
			all[n-1] += "," + part
			continue
		}
		all = append(all, part)
	}
	return all
}

func numbers(s string) ([]float64, error) {
	var all []float64
	for _, part := range list(s) {
		v, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// writeComparison prints a table a mode.
func writeComparison(c *console, r *train.Comparison) error {
	var out bytes.Buffer
	for _, modal := range r.Modes() {
		w := newScoreTable(modal, "n", "joint NLL", "less best static", "emotion NLL", "UAR", "gender NLL", "UAR", "weights")
		for _, row := range r.Rows {
			if row.Modal != modal {
				continue
			}
			n, difference, weights := fmt.Sprint(row.Joint.N), row.Difference.String(), "–"
			if row.Failed > 0 {
				n += fmt.Sprintf(", %d diverged", row.Failed)
			}
			if row.BestStatic {
				difference = "best static"
			}
			if row.Joint.N > 0 {
				weights = fmt.Sprintf("%.2f, %.2f", row.WeightEmotion.Mean, row.WeightGender.Mean)
			}
			w.row(row.Weighting, n, row.Joint.String(), difference, row.EmotionNLL.String(), row.EmotionUAR.String(), row.GenderNLL.String(), row.GenderUAR.String(), weights)
		}
		w.appendTo(&out)
	}
	if _, err := c.out.Write(out.Bytes()); err != nil {
		return err
	}
	if slices.ContainsFunc(r.Rows, func(row train.CompareRow) bool { return row.BestStatic }) {
		c.say("the best static weighting was chosen on this same split, which flatters it")
	}
	return nil
}
