package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tandem/train"
	"tandem/train/compare"
	"tandem/train/weighting"
)

var compareCommand = &command{
	name: "compare", maxArgs: 0,
	about: "Compare weightings of the joint loss by training with each",
	long: `Trains each weighting in each mode with each seed, all by one recipe, and judges the exported files on
the validation split. Printed are means ± standard deviations over the seeds, and the difference of
the joint NLL (the sum of both tasks', without weights) to the best static weighting, seed by seed, with
its 95 % interval and p, corrected by Holm for all of them. The folder gets compare.json,
compare.csv and compare.html, and each run in runs/. The same command goes on where it was
interrupted. See docs/compare.md.

  tandem compare --data manifest=clips.csv --weightings softmax,softmax-prior --seeds 3 --out compare`,
	options: func() options { return &compareOptions{} },
}

type compareOptions struct {
	dataFlags
	labelFlags
	logFlags
	out                           string
	weightings, modes, staticGrid string
	seeds, jobs                   int
	recipe                        string
	epochs                        int
	seed                          uint64
	seedGiven                     bool
	backend                       string

	grid []float64 // static weights of emotion
}

func (o *compareOptions) bind(f *pflag.FlagSet) {
	o.dataFlags.bind(f)
	f.StringVar(&o.out, "out", "compare", "`DIR` for the runs and the report; a comparison that is in it goes on")
	ownEnv(f, "out")
	f.StringVar(&o.weightings, "weightings", "softmax,softmax-prior",
		"`WEIGHTINGS` separated by commas, each as --weighting of train: "+
			strings.Join(weighting.Names, ", ")+" or static:EMOTION,GENDER")
	f.StringVar(&o.staticGrid, "static-grid", "0.1,0.3,0.5,0.7,0.9", "`WEIGHTS` of emotion for static weightings, "+
		"of which the best is what the others are held against; none for no grid")
	f.StringVar(&o.modes, "modes", "multi", "`SENSES` to train, separated by commas: multi, audio, video")
	f.IntVar(&o.seeds, "seeds", 3, "seeds `N` of each: the recipe's and those after it")
	f.StringVar(&o.recipe, "recipe", "",
		"recipe `FILE` (JSON) that all runs share (default: that of the default model)")
	f.IntVar(&o.epochs, "epochs", 0, "epochs at most, `N` (default: the recipe's)")
	f.Uint64Var(&o.seed, "seed", 0, "first seed, `N` (default: the recipe's)")
	o.labelFlags.bind(f, "the recipe's")
	f.StringVar(&o.backend, "backend", train.DefaultBackend, "`WHAT` computes, as of train")
	f.IntVar(&o.jobs, "jobs", 1,
		"runs `N` at a time; with ONNX Runtime on few cores two take longer than one after the other")
	o.logFlags.bind(f)
}

func (o *compareOptions) check(f *pflag.FlagSet) error {
	o.seedGiven = f.Changed("seed")
	err := cmp.Or(o.logFlags.check(), checkBackend(o.backend), checkEpochs(o.epochs), o.dataFlags.check())
	if err != nil {
		return err
	}
	if o.grid, err = numbers(o.staticGrid); err != nil {
		return fmt.Errorf("--static-grid %q: want weights of emotion such as 0.3,0.5,0.7, or none", o.staticGrid)
	}
	return nil
}

// sharedRecipe returns the recipe of all runs.
func (o *compareOptions) sharedRecipe() (train.Recipe, error) {
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
	if o.seedGiven {
		recipe.Seed = o.seed
	}
	labels, err := o.labels(o.data, o.names, recipe.Labels())
	recipe.Emotions, recipe.Genders = labels.Emotions, labels.Genders
	return recipe, err
}

func (o *compareOptions) run(ctx context.Context, c *console) error {
	recipe, err := o.sharedRecipe()
	if err != nil {
		return err
	}
	cache, err := o.cacheDir()
	if err != nil {
		return err
	}
	bar := loggedProgress(c)
	defer bar.close()
	co := compare.Options{
		Options: train.Options{
			Data: o.data, Recipe: recipe, Cache: cache, Workers: o.workers, Version: version(),
			SplitBy: o.splitBy, AllowSpeakerOverlap: o.allowOverlap, Names: o.names,
			Backend: o.backend, CheckpointEvery: 10 * time.Minute,
			Progress: bar.training, Log: bar.log,
		},
		Weightings: list(o.weightings), StaticGrid: o.grid, Modes: list(o.modes),
		Seeds: o.seeds, Dir: o.out, Jobs: o.jobs,
	}
	if err := co.Check(); err != nil {
		return &usageError{err: err}
	}
	result, err := compare.Run(ctx, co)
	if err != nil {
		return err
	}
	bar.close()
	if err := result.Write(o.out); err != nil {
		return err
	}
	return writeComparison(c, result)
}

// list returns what stands between the commas of s, but for those within static:0.7,0.3. "none" and "" give nothing.
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
func writeComparison(c *console, r *compare.Comparison) error {
	var out bytes.Buffer
	for _, modal := range r.Modes() {
		w := newScoreTable(
			modal, "n", "joint NLL", "less best static", "p", "emotion NLL", "UAR", "gender NLL", "UAR", "weights")
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
			w.row(row.Weighting, n, row.Joint.String(), difference, row.Difference.Corrected(),
				row.EmotionNLL.String(), row.EmotionUAR.String(),
				row.GenderNLL.String(), row.GenderUAR.String(), weights)
		}
		w.appendTo(&out)
	}
	for _, modal := range r.Modes() {
		writeJointBySet(&out, r, modal)
	}
	if r.Comparisons > 0 {
		fmt.Fprintf(&out, "\np: of Student's paired t over seeds, corrected by Holm for all %d comparisons; "+
			"intervals are of one each\n", r.Comparisons)
	}
	if _, err := c.out.Write(out.Bytes()); err != nil {
		return err
	}
	if slices.ContainsFunc(r.Rows, func(row compare.Row) bool { return row.BestStatic }) {
		c.say("the best static weighting was chosen on this same split, which flatters it")
	}
	return nil
}

// writeJointBySet writes a table of the joint NLL by data set, of those that have both labels.
func writeJointBySet(out *bytes.Buffer, r *compare.Comparison, modal string) {
	sets := r.JointSets(modal)
	if len(sets) == 0 {
		return
	}
	w := newScoreTable(append([]string{modal + ", joint NLL"}, append(sets, "all clips together")...)...)
	for _, row := range r.Rows {
		if row.Modal != modal {
			continue
		}
		cells := []string{row.Weighting}
		for _, set := range sets {
			cells = append(cells, row.JointBySet[set].String())
		}
		w.row(append(cells, row.Joint.String())...)
	}
	w.appendTo(out)
}
