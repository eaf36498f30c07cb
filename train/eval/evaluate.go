// Package eval judges a recogniser by labelled clips: by data set, modality, group of people and under corruptions,
// with intervals by speaker, as report.json and a page. It fits the temperatures of calibration too.
package eval

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/metrics"
	"tandem/train/sample"
)

// Modalities is which senses a model is judged by.
type Modalities string

// The choices of Modalities. With one sense alone, clips that lack it do not count.
const (
	Both      Modalities = "both"
	AudioOnly Modalities = "audio"
	VideoOnly Modalities = "video"
)

// SplitAll selects the clips of every split.
const SplitAll = "all"

// Options say what is evaluated. The zero value judges the validation split by both senses, and by each alone and
// corrupted, without intervals.
type Options struct {
	Split      string     // SplitTrain, SplitVal, SplitTest or SplitAll; "" is SplitVal
	Modalities Modalities // "" is Both
	// Learned is the sense from which alone the model has learned (infer.Contract.Senses); "" is Both. It is judged by
	// that alone.
	Learned Modalities
	// Trained tells the model's own clips and speakers (infer.Contract.Trained); nil if its file does not.
	Trained   *infer.Trained
	Plain     bool   // by the senses chosen and no others, nor corrupted
	Model     string // SHA-256 of the model file in hex, for the report
	Precision string // of the recogniser, for the report
	// Temperatures are those by which the recogniser has divided its logits, as infer.Contract's method tells them of a
	// window with these senses; nil if that is not known.
	Temperatures func(audio, video bool) (emotion, gender float64)
	Bootstrap    metrics.Bootstrap
	// Voice is as Prepare's.
	Voice    func() (pipeline.VoiceDetector, error)
	CacheDir string // as Prepare's
	Workers  int    // as Prepare's
	Parallel int    // recognitions at a time, at least one
	// Progress, unless nil, is called from one goroutine at a time with how much of a stage is done.
	Progress func(stage string, done, total int)
}

func (o Options) progress(stage string, done, total int) {
	if o.Progress != nil {
		o.Progress(stage, done, total)
	}
}

// Evaluate cuts the clips of a split and judges a recogniser by them. The labels of clips must be indices into the
// recogniser's.
func Evaluate(
	ctx context.Context,
	rec pipeline.Recognizer,
	finder func() (pipeline.FaceFinder, error),
	clips []dataset.Clip,
	o Options,
) (*Report, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	var chosen []dataset.Clip
	for _, c := range clips {
		if o.Split == SplitAll || c.Split == o.Split {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("evaluate: none of the %d clips is of the split %s", len(clips), o.Split)
	}
	p, err := sample.Prepare(
		ctx,
		chosen,
		sample.Options{
			Spec:     rec.Spec(),
			Finder:   finder,
			Voice:    o.Voice,
			CacheDir: o.CacheDir,
			Workers:  o.Workers,
			Progress: func(done, total int) { o.progress("clips", done, total) },
		},
	)
	if err != nil {
		return nil, err
	}
	r, err := EvaluatePrepared(ctx, rec, p, o)
	if err == nil {
		r.CacheErr = p.CacheErr
	}
	return r, err
}

// EvaluatePrepared is Evaluate on clips that are cut already, of which it takes those of the split. One clip is one
// item: the mean of its windows' probabilities.
func EvaluatePrepared(ctx context.Context, rec pipeline.Recognizer, p *sample.Prepared, o Options) (*Report, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	if p.Spec != rec.Spec() {
		return nil, fmt.Errorf(
			"evaluate: the data was cut into windows of %+v, the model takes %+v",
			p.Spec,
			rec.Spec(),
		)
	}
	labels := rec.Labels()
	for i := range p.Clips {
		if c := &p.Clips[i]; c.Emotion >= len(labels.Emotions) || c.Gender >= len(labels.Genders) {
			return nil, fmt.Errorf(
				"evaluate: %s has a label that the model does not: its labels are %v and %v",
				c.Path(),
				labels.Emotions,
				labels.Genders,
			)
		}
	}
	began := time.Now()
	said, speed, err := predict(ctx, rec, p, o)
	if err != nil {
		return nil, err
	}

	r, err := newScorer(p, said, o, labels).judge()
	if err != nil {
		return nil, err
	}
	r.Speed = speed
	r.Speed.Judging = time.Since(began).Seconds() - speed.Seconds
	return r, nil
}

func (o Options) filled() (Options, error) {
	if o.Split == "" {
		o.Split = dataset.SplitVal
	}
	if o.Modalities == "" {
		o.Modalities = Both
	}
	if o.Learned == AudioOnly || o.Learned == VideoOnly {
		if o.Modalities != Both && o.Modalities != o.Learned {
			return o, fmt.Errorf("evaluate: senses %q: the model has learned from %s alone", o.Modalities, o.Learned)
		}
		o.Modalities = o.Learned
	}
	if !dataset.IsSplit(o.Split) && o.Split != SplitAll {
		return o, fmt.Errorf("evaluate: split %q; allowed are train, val, test, all", o.Split)
	}
	if !slices.Contains([]Modalities{Both, AudioOnly, VideoOnly}, o.Modalities) {
		return o, fmt.Errorf("evaluate: senses %q; allowed are both, audio, video", o.Modalities)
	}
	return o, nil
}

func (o Options) takes(c *dataset.Clip) bool { return o.Split == SplitAll || c.Split == o.Split }
