package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"tandem/train"
	"tandem/train/sweep"
)

var sweepCommand = &command{
	name: "sweep", maxArgs: 0,
	about: "Search a recipe's fields for better values",
	long: `Trains the recipe with values of --range: all of a grid, or as many drawn at random as --budget has
epochs for. All trials learn for some epochs; of these one in --halving, by the validation split, goes
on, and so on until the last come to the recipe's end (successive halving). The folder gets sweep.json,
sweep.csv, sweep.html, the trials' runs in trials/ and the best one's model. The same command goes on
where it was interrupted. See docs/sweep.md.

  tandem sweep --data manifest=clips.csv --range learning_rate=log:1e-4..1e-2 --range dropout=0..0.5 \
    --search random --budget 60 --out sweep`,
	options: func() options { return &sweepOptions{} },
}

type sweepOptions struct {
	dataFlags
	labelFlags
	logFlags
	out                          string
	ranges, set                  []string
	search                       string
	budget, halving, firstEpochs int
	recipe                       string
	epochs                       int
	seed                         uint64
	backend                      string

	space []sweep.Dimension
}

func (o *sweepOptions) bind(f *pflag.FlagSet) {
	o.dataFlags.bind(f)
	f.StringVar(&o.out, "out", "sweep", "`DIR` for the runs and the report; a sweep that is in it goes on")
	ownEnv(f, "out")
	f.StringArrayVar(&o.ranges, "range", nil, "`FIELD=VALUES` of the recipe to search, repeatable: "+
		"votes=majority,drawn, dropout=0..0.5, learning_rate=log:1e-4..1e-2, or five of these: log:1e-4..1e-2:5")
	f.StringVar(&o.search, "search", "grid", "`HOW` to search: grid (all values with each other) or random")
	oneOf(f, "search", []string{"grid", "random"})
	f.IntVar(&o.budget, "budget", 0, "`EPOCHS` of all trials together at most; at random it says how many are drawn "+
		"(default: what the grid takes)")
	f.IntVar(&o.halving, "halving", 3, "of each round's trials one in `N` goes on; 0: all are trained to the end")
	f.IntVar(&o.firstEpochs, "first-epochs", 1, "epochs `N` that each trial gets at least")
	f.StringVar(&o.recipe, "recipe", "",
		"recipe `FILE` (JSON) that the values change (default: that of the default model)")
	f.StringArrayVar(&o.set, "set", nil, setUsage)
	f.IntVar(&o.epochs, "epochs", 0, "epochs at most, `N` (default: the recipe's)")
	f.Uint64Var(&o.seed, "seed", 1, "seed `N` of the values that are drawn; that of training is the recipe's")
	ownEnv(f, "seed")
	o.labelFlags.bind(f, "the recipe's")
	f.StringVar(&o.backend, "backend", train.DefaultBackend, "`WHAT` computes, as of train")
	o.logFlags.bind(f)
}

func (o *sweepOptions) check(f *pflag.FlagSet) error {
	err := cmp.Or(o.logFlags.check(), checkBackend(o.backend), checkEpochs(o.epochs), o.dataFlags.check())
	if err != nil {
		return err
	}
	if o.search != "grid" && o.search != "random" {
		return fmt.Errorf("--search %q: known are grid and random", o.search)
	}
	if len(o.ranges) == 0 {
		return errors.New("--range FIELD=VALUES is missing: nothing to search")
	}
	for _, s := range o.ranges {
		d, err := sweep.ParseRange(s)
		if err != nil {
			return fmt.Errorf("--range %w", err)
		}
		o.space = append(o.space, d)
	}
	return nil
}

// base returns the recipe that the values change.
func (o *sweepOptions) base() (train.Recipe, error) {
	recipe := train.DefaultRecipe()
	if o.recipe != "" {
		var err error
		if recipe, err = train.ReadRecipe(o.recipe); err != nil {
			return recipe, err
		}
	}
	if o.epochs > 0 {
		recipe.Epochs = o.epochs
	}
	labels, err := o.labels(o.data, o.names, recipe.Labels())
	if err != nil {
		return recipe, err
	}
	recipe.Emotions, recipe.Genders = labels.Emotions, labels.Genders
	for _, s := range o.set {
		if err := recipe.Set(s); err != nil {
			return recipe, badUsage("--set %v", err)
		}
	}
	return recipe, nil
}

func (o *sweepOptions) run(ctx context.Context, c *console) error {
	recipe, err := o.base()
	if err != nil {
		return err
	}
	cache, err := o.cacheDir()
	if err != nil {
		return err
	}
	bar := loggedProgress(c)
	defer bar.close()
	so := sweep.Options{
		Options: train.Options{
			Data: o.data, Recipe: recipe, Cache: cache, Workers: o.workers, Version: version(),
			SplitBy: o.splitBy, AllowSpeakerOverlap: o.allowOverlap, Names: o.names,
			Backend: o.backend, CheckpointEvery: 10 * time.Minute,
			Progress: bar.training, Log: bar.log,
		},
		Space: o.space, Random: o.search == "random", Budget: o.budget, Halving: o.halving,
		FirstEpochs: o.firstEpochs, Seed: o.seed, Dir: o.out,
	}
	if err := so.Check(); err != nil {
		return &usageError{err: err}
	}
	result, err := sweep.Run(ctx, so)
	if err != nil {
		return err
	}
	bar.close()
	if err := result.WriteReport(o.out); err != nil {
		return err
	}
	return writeSweep(c, result, o.out)
}

// writeSweep prints a table of the trials, the best first.
func writeSweep(c *console, s *sweep.Sweep, dir string) error {
	head := []string{"trial"}
	for _, d := range s.Setup.Space {
		head = append(head, d.Field)
	}
	for _, r := range s.Rounds {
		head = append(head, fmt.Sprintf("epoch %d", r.Epochs))
	}
	w := newScoreTable(head...)
	for _, t := range s.Ranked() {
		row := append([]string{fmt.Sprint(t.Number)}, t.Values...)
		for i := range s.Rounds {
			switch {
			case i < len(t.Scores):
				row = append(row, fmt.Sprintf("%.4f", t.Scores[i]))
			case i == len(t.Scores) && t.Failed != "":
				row = append(row, "diverged")
			default:
				row = append(row, "–")
			}
		}
		w.row(row...)
	}
	var out bytes.Buffer
	w.appendTo(&out)
	fmt.Fprintf(&out, "\n%s: trial %d; its metrics are of the %s split\n", filepath.Join(dir, sweep.ModelFile), s.Best,
		s.MetricsSplit)
	if _, err := c.out.Write(out.Bytes()); err != nil {
		return err
	}
	c.say("the best of %d trials was chosen on the validation split, which flatters it there", len(s.Trials))
	return nil
}
