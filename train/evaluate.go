package train

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/pipeline"
)

// Senses is which senses a model is judged by.
type Senses string

// The choices of Senses. With one sense alone, clips that lack it do not count.
const (
	BothSenses Senses = "both"
	AudioOnly  Senses = "audio"
	VideoOnly  Senses = "video"
)

// SplitAll selects the clips of every split.
const SplitAll = "all"

// EvalOptions say what is evaluated. The zero value judges the validation split by both senses.
type EvalOptions struct {
	Split    string // SplitTrain, SplitVal, SplitTest or SplitAll; "" is SplitVal
	Senses   Senses // "" is BothSenses
	Model    string // SHA-256 of the model file in hex, for the report
	CacheDir string // as Prepare's
	Workers  int    // as Prepare's
	Progress func(done, total int)
}

// evalBatch is the number of windows recognised at a time.
const evalBatch = 32

// Evaluate cuts the clips of a split and judges a recogniser by them. The labels of clips must be indices into the recogniser's.
func Evaluate(ctx context.Context, rec pipeline.Recognizer, finder func() (pipeline.FaceFinder, error), clips []Clip, o EvalOptions) (*Report, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	var chosen []Clip
	for _, c := range clips {
		if o.Split == SplitAll || c.Split == o.Split {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("evaluate: none of the %d clips is of the split %s", len(clips), o.Split)
	}
	p, err := Prepare(ctx, chosen, rec.Spec(), finder, o.CacheDir, o.Workers, o.Progress)
	if err != nil {
		return nil, err
	}
	return EvaluatePrepared(ctx, rec, p, o)
}

// EvaluatePrepared is Evaluate on clips that are cut already, of which it takes those of the split. One clip is one item: the mean of
// its windows' probabilities.
func EvaluatePrepared(ctx context.Context, rec pipeline.Recognizer, p *Prepared, o EvalOptions) (*Report, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	if p.Spec != rec.Spec() {
		return nil, fmt.Errorf("evaluate: the data was cut into windows of %+v, the model takes %+v", p.Spec, rec.Spec())
	}
	labels := rec.Labels()
	for i := range p.Clips {
		if c := &p.Clips[i]; c.Emotion >= len(labels.Emotions) || c.Gender >= len(labels.Genders) {
			return nil, fmt.Errorf("evaluate: %s has a label that the model does not: its labels are %v and %v", c.Path(), labels.Emotions, labels.Genders)
		}
	}
	sums, err := predictClips(ctx, rec, p, o)
	if err != nil {
		return nil, err
	}

	r := &Report{
		Version: reportVersion, Created: time.Now().UTC().Truncate(time.Second), Model: o.Model, Split: o.Split, Senses: o.Senses,
		Labels: ReportLabels(labels), Sets: map[string]SetReport{},
	}
	for _, s := range p.Skipped {
		if c := &p.Clips[s.Clip]; o.takes(c) {
			// The report travels: it names a clip by its place in the data set, not on this machine.
			r.Skipped = append(r.Skipped, strings.ReplaceAll(s.Err.Error(), s.Path, c.ID))
		}
	}
	var all taskItems
	for _, group := range byDataset(p.Clips) {
		var items taskItems
		for _, c := range group {
			if sums[c].windows > 0 {
				r.Clips++
				items.add(&p.Clips[c], &sums[c])
				all.add(&p.Clips[c], &sums[c])
			}
		}
		if set := items.report(labels); set != (SetReport{}) {
			r.Sets[p.Clips[group[0]].Dataset] = set
		}
	}
	if r.Clips == 0 {
		return nil, fmt.Errorf("evaluate: none of the %d clips is of the split %s and has what the senses chosen (%s) need", len(p.Clips), o.Split, o.Senses)
	}
	r.All = all.report(labels)
	return r, nil
}

func (o EvalOptions) filled() (EvalOptions, error) {
	if o.Split == "" {
		o.Split = SplitVal
	}
	if o.Senses == "" {
		o.Senses = BothSenses
	}
	if !isSplit(o.Split) && o.Split != SplitAll {
		return o, fmt.Errorf("evaluate: split %q; allowed are train, val, test, all", o.Split)
	}
	if !slices.Contains([]Senses{BothSenses, AudioOnly, VideoOnly}, o.Senses) {
		return o, fmt.Errorf("evaluate: senses %q; allowed are both, audio, video", o.Senses)
	}
	return o, nil
}

func (o EvalOptions) takes(c *Clip) bool { return o.Split == SplitAll || c.Split == o.Split }

// clipSum adds up the probabilities of a clip's windows.
type clipSum struct {
	windows         int
	emotion, gender []float64
}

// predictClips recognises the windows of the clips that o takes and sums them by clip.
func predictClips(ctx context.Context, rec pipeline.Recognizer, p *Prepared, o EvalOptions) ([]clipSum, error) {
	sums := make([]clipSum, len(p.Clips))
	var ws []*pipeline.Window
	var of []int // the windows' clips
	flush := func() error {
		if len(ws) == 0 {
			return nil
		}
		predictions, err := rec.Recognize(ctx, ws)
		if err != nil {
			return fmt.Errorf("evaluate: %w", err)
		}
		for i, prediction := range predictions {
			sums[of[i]].add(prediction)
		}
		ws, of = ws[:0], of[:0]
		return nil
	}
	for i := range p.Samples {
		c := p.Samples[i].Clip
		if !o.takes(&p.Clips[c]) {
			continue
		}
		w := p.Window(i)
		switch o.Senses {
		case AudioOnly:
			clear(w.Video)
			clear(w.VideoMask)
		case VideoOnly:
			clear(w.Audio)
			w.AudioPresent = false
		}
		if !w.AudioPresent && !w.VideoPresent() {
			continue
		}
		ws, of = append(ws, w), append(of, c)
		if len(ws) == evalBatch {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return sums, flush()
}

func (s *clipSum) add(p pipeline.Prediction) {
	if s.windows == 0 {
		s.emotion, s.gender = make([]float64, len(p.Emotion)), make([]float64, len(p.Gender))
	}
	s.windows++
	for i, v := range p.Emotion {
		s.emotion[i] += float64(v)
	}
	for i, v := range p.Gender {
		s.gender[i] += float64(v)
	}
}

// taskItems are the probabilities and truths of a set's clips, by task.
type taskItems struct {
	emotion, gender           [][]float64
	emotionTruth, genderTruth []int
}

func (t *taskItems) add(c *Clip, s *clipSum) {
	mean := func(sum []float64) []float64 {
		m := slices.Clone(sum)
		for i := range m {
			m[i] /= float64(s.windows)
		}
		return m
	}
	if c.Emotion >= 0 {
		t.emotion, t.emotionTruth = append(t.emotion, mean(s.emotion)), append(t.emotionTruth, c.Emotion)
	}
	if c.Gender >= 0 {
		t.gender, t.genderTruth = append(t.gender, mean(s.gender)), append(t.genderTruth, c.Gender)
	}
}

// report leaves a task without labels out.
func (t *taskItems) report(labels pipeline.Labels) SetReport {
	var r SetReport
	if len(t.emotion) > 0 {
		s := Score(t.emotion, t.emotionTruth, len(labels.Emotions))
		r.Emotion = &s
	}
	if len(t.gender) > 0 {
		s := Score(t.gender, t.genderTruth, len(labels.Genders))
		r.Gender = &s
	}
	return r
}
