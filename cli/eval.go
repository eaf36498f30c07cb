package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"tandem/infer"
	"tandem/internal/atomicfile"
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
labels is left out. In brackets are 95 % intervals over speakers: Student's t over 3 to 19, a
bootstrap from 20 on, none below 3. Below, the same clips
with one sense taken away or spoilt, and what both senses gain over the better one.

  tandem eval --data manifest=clips.csv --split test --report report`,
	options: func() options { return &evalOptions{} },
}

// The values of --split and --senses.
var (
	splits     = []string{dataset.SplitTrain, dataset.SplitVal, dataset.SplitTest, eval.SplitAll}
	modalities = []string{string(eval.Both), string(eval.AudioOnly), string(eval.VideoOnly)}
)

type evalOptions struct {
	networkFlags
	dataFlags
	logFlags
	split, modality string
	report          string
	predictions     string
	against         string
	resamples       int
	seed            uint64

	plain bool // by the senses chosen alone
}

func (o *evalOptions) bind(f *pflag.FlagSet) {
	o.networkFlags.bind(f, "fp32")
	o.dataFlags.bind(f)
	f.StringVar(&o.split, "split", "", "`SPLIT` to judge by: "+strings.Join(splits, ", ")+
		" (default: test where there is one, else val)")
	oneOf(f, "split", splits)
	f.StringVar(&o.modality, "senses", string(eval.Both),
		"`SENSES` to judge by: "+strings.Join(modalities, ", "))
	oneOf(f, "senses", modalities)
	f.StringVar(&o.report, "report", "", "write report.json and report.html to `DIR`")
	f.StringVar(&o.predictions, "predictions", "", "write a row for each clip, with all probabilities, to `FILE` (CSV)")
	f.StringVar(&o.against, "against", "",
		"`MODEL` to compare with on the same clips, an ONNX file or default for the embedded one")
	f.IntVar(&o.resamples, "resamples", 1000,
		"resamples `N` of the bootstrap that gives the 95 % intervals from 20 speakers on; 0 for no intervals")
	f.Uint64Var(&o.seed, "seed", 1, "seed `N` of the bootstrap")
	ownEnv(f, "seed")
	f.IntVar(&o.threads, "threads", 0,
		"batches `N` through the network at a time, a thread each (default: one a core)")
	ownEnv(f, "threads")
	o.logFlags.bind(f)
}

func (o *evalOptions) check(*pflag.FlagSet) error {
	if err := cmp.Or(o.logFlags.check(), o.networkFlags.check()); err != nil {
		return err
	}
	switch {
	case !slices.Contains(modalities, o.modality):
		return fmt.Errorf("--senses %q: known are %s", o.modality, strings.Join(modalities, ", "))
	case o.split != "" && !slices.Contains(splits, o.split):
		return fmt.Errorf("--split %q: known are %s", o.split, strings.Join(splits, ", "))
	case o.resamples < 0 || o.resamples > 100000:
		return fmt.Errorf("--resamples %d: give 1 to 100000, or 0 for no intervals", o.resamples)
	}
	return o.dataFlags.check()
}

func (o *evalOptions) run(ctx context.Context, c *console) error {
	m, err := readModel(o.model)
	if err != nil {
		return err
	}
	// One thread for each batch, and as many batches as threads at a time.
	rec, err := infer.NewRecognizer(m.bytes, o.inferOptions(1))
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	defer rec.Close()
	compare, err := o.opponent(rec.Labels())
	if err != nil {
		return err
	}
	report, err := o.evaluate(ctx, c, rec, m.sha256)
	if err == nil {
		err = compare(ctx, c, report)
	}
	if err != nil {
		return err
	}
	for _, set := range rec.Contract().Data {
		if set.SharedSpeakers > 0 {
			report.TrainedOnShared = append(report.TrainedOnShared, set.Name)
		}
	}
	warn(c, report)
	if o.report != "" {
		if err := report.Write(o.report); err != nil {
			return err
		}
	}
	if o.predictions != "" {
		err := atomicfile.Write(o.predictions, func(f *os.File) error { return report.WritePredictions(f) })
		if err != nil {
			return bare(o.predictions, err)
		}
	}
	if err := writeScores(c, report); err != nil {
		return err
	}
	speed := report.Speed
	c.say("%d windows in %.1f s, %.0f a second; scores and intervals in %.1f s",
		speed.Windows, speed.Seconds, speed.Rate, speed.Judging)
	return nil
}

// evaluate judges the model, with the given SHA-256, by the data.
func (o *evalOptions) evaluate(
	ctx context.Context, c *console, rec *infer.Recognizer, sha256 string,
) (*eval.Report, error) {
	cache, err := o.cacheDir()
	if err != nil {
		return nil, err
	}
	sets, err := dataset.LoadAll(dataset.Options{
		Data: o.data, Labels: rec.Labels(), Names: o.names,
		SplitBy: o.splitBy, AllowSpeakerOverlap: o.allowOverlap || o.split == eval.SplitAll,
		Log: func(line string) { c.log.Info(line) },
	})
	if err != nil {
		return nil, err
	}
	split := cmp.Or(o.split, dataset.SplitToReport(sets.Clips))
	bar := loggedProgress(c)
	defer bar.close()
	report, err := eval.Evaluate(ctx, rec, newFaceFinder, sets.Clips, eval.Options{
		Split: split, Modalities: eval.Modalities(o.modality), Learned: eval.Modalities(rec.Contract().Senses),
		Plain: o.plain, Trained: rec.Contract().Trained, Model: sha256, Precision: rec.Precision(),
		Voice: voiceDetectors(rec.Contract()), Temperatures: rec.Contract().Temperatures,
		CacheDir: cache, Workers: orCores(o.workers), Parallel: orCores(o.threads),
		Bootstrap: metrics.Bootstrap{Resamples: o.resamples, Seed: o.seed},
		Progress:  func(stage string, done, total int) { bar.set(stage, "", done, total) },
	})
	if err != nil {
		return nil, err
	}
	report.SplitBy, report.SharedSpeakers = sets.SplitBy, sets.Shared
	if report.Seen == nil {
		report.DividedOtherwise = eval.DividedOtherwise(rec.Contract(), sets.Clips)
	}
	return report, nil
}

// opponent loads the model of --against, if there is one, so that what is wrong with it is known before hours of
// judging, and returns what judges it by the same data and sets the report's comparison with it.
func (o *evalOptions) opponent(labels pipeline.Labels) (
	compare func(context.Context, *console, *eval.Report) error, err error,
) {
	if o.against == "" {
		return func(context.Context, *console, *eval.Report) error { return nil }, nil
	}
	path := o.against
	if path == "default" {
		path = ""
	}
	named := func(err error) error { return fmt.Errorf("--against %s: %w", o.against, err) }
	m, err := readModel(path)
	if err != nil {
		return nil, named(err)
	}
	rec, err := infer.NewRecognizer(m.bytes, o.inferOptions(1))
	if err != nil {
		return nil, named(err)
	}
	if err := eval.Comparable(labels, rec.Labels()); err != nil {
		return nil, errors.Join(named(err), rec.Close())
	}
	return func(ctx context.Context, c *console, report *eval.Report) error {
		defer rec.Close()
		plain := *o
		plain.resamples, plain.plain = 0, true
		other, err := plain.evaluate(ctx, c, rec, m.sha256)
		if err == nil {
			err = report.CompareWith(other, metrics.Bootstrap{Resamples: o.resamples, Seed: o.seed})
		}
		if err != nil {
			return named(err)
		}
		return nil
	}, nil
}

// warn logs what makes a report worth less than it seems.
func warn(c *console, report *eval.Report) {
	for _, caution := range report.Cautions() {
		c.log.Warn(caution)
	}
	if report.CacheErr != nil {
		c.log.Warn("the cache is not kept, so that the next run cuts all clips again; choose a folder by --cache",
			"cause", report.CacheErr)
	}
	for _, s := range report.Skipped {
		c.log.Warn("skipped", "clip", s)
	}
}
