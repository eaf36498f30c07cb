package eval

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/metrics"
)

// clipAnswer has a recogniser's answer to one clip: the mean of its windows' probabilities.
type clipAnswer struct {
	clip        *dataset.Clip
	windows     int
	now, before pipeline.Prediction // after and before temperature scaling; before has no values where not known
}

// answersOf returns those of the clips of group under a condition, in order; clips without a window are left out.
func (j scorer) answersOf(c Condition, group []int) []clipAnswer {
	var out []clipAnswer
	j.gather(c, group, func(_ *items, clip *dataset.Clip, now, before []pipeline.Prediction) {
		a := clipAnswer{clip: clip, windows: len(now), now: meanOf(now)}
		if j.o.Temperatures != nil {
			a.before = meanOf(before)
		}
		out = append(out, a)
	})
	return out
}

// meanOf returns the mean of some predictions.
func meanOf(ps []pipeline.Prediction) pipeline.Prediction {
	var sum ClipSum
	for _, p := range ps {
		sum.Add(p)
	}
	mean := func(of []float64) []float32 {
		m := make([]float32, len(of))
		for i, v := range of {
			m[i] = float32(v / float64(sum.Windows))
		}
		return m
	}
	return pipeline.Prediction{Emotion: mean(sum.emotion), Gender: mean(sum.gender)}
}

// WritePredictions writes a CSV with a row for each judged clip, by set and in the order of the data: clip, set,
// speaker and split; emotion_truth and gender_truth, empty where not known; the number of windows; and for each task
// the most probable label (emotion, gender) and the probability of each (emotion:happy), then those before temperature
// scaling (emotion_before:happy) where they are known. Files are named without folders of this machine.
func (r *Report) WritePredictions(to io.Writer) error {
	w := csv.NewWriter(to)
	tasks := []taskColumns{
		{
			"emotion", r.Labels.Emotions, func(c *dataset.Clip) int { return c.Emotion },
			func(p pipeline.Prediction) []float32 { return p.Emotion },
		},
		{
			"gender", r.Labels.Genders, func(c *dataset.Clip) int { return c.Gender },
			func(p pipeline.Prediction) []float32 { return p.Gender },
		},
	}
	before := slices.ContainsFunc(r.answers, func(a clipAnswer) bool { return a.before.Emotion != nil })
	head := []string{"clip", "set", "speaker", "split", "emotion_truth", "gender_truth", "windows"}
	for _, t := range tasks {
		head = append(head, t.name)
		head = t.append(head, t.name, func(k int) string { return t.labels[k] })
		if before {
			head = t.append(head, t.name+"_before", func(k int) string { return t.labels[k] })
		}
	}
	if err := w.Write(head); err != nil {
		return fmt.Errorf("predictions: %w", err)
	}
	for _, a := range r.answers {
		row := []string{a.clip.PortableID(), a.clip.Dataset, a.clip.Speaker, a.clip.Split}
		for _, t := range tasks {
			truth := ""
			if k := t.truth(a.clip); k >= 0 {
				truth = t.labels[k]
			}
			row = append(row, truth)
		}
		row = append(row, strconv.Itoa(a.windows))
		for _, t := range tasks {
			row = t.appendAnswer(row, a, before)
		}
		if err := w.Write(row); err != nil {
			return fmt.Errorf("predictions: %w", err)
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("predictions: %w", err)
	}
	return nil
}

// taskColumns is one task of a predictions file.
type taskColumns struct {
	name   string
	labels []string
	truth  func(c *dataset.Clip) int
	of     func(p pipeline.Prediction) []float32
}

// append appends the heads of the probabilities' columns.
func (t taskColumns) append(head []string, prefix string, label func(k int) string) []string {
	for k := range t.labels {
		head = append(head, prefix+":"+label(k))
	}
	return head
}

// appendAnswer appends what was said of a clip.
func (t taskColumns) appendAnswer(row []string, a clipAnswer, before bool) []string {
	now := t.of(a.now)
	row = append(row, t.labels[slices.Index(now, slices.Max(now))])
	for _, p := range now {
		row = append(row, strconv.FormatFloat(float64(p), 'g', 6, 32))
	}
	if before {
		for _, p := range t.of(a.before) {
			row = append(row, strconv.FormatFloat(float64(p), 'g', 6, 32))
		}
	}
	return row
}

// Answer has what a model said of one clip: the mean of its windows' probabilities, after and before temperature
// scaling.
type Answer struct {
	Clip          string    `json:"clip"` // its ID
	Set           string    `json:"set"`
	Windows       int       `json:"windows"`
	Emotion       []float32 `json:"emotion"`
	Gender        []float32 `json:"gender"`
	EmotionBefore []float32 `json:"emotion_before,omitempty"`
	GenderBefore  []float32 `json:"gender_before,omitempty"`
}

// Answers returns what the model said of the judged clips, by set and in the order of the data.
func (r *Report) Answers() []Answer {
	out := make([]Answer, len(r.answers))
	for i, a := range r.answers {
		out[i] = Answer{
			a.clip.ID, a.clip.Dataset, a.windows, a.now.Emotion, a.now.Gender, a.before.Emotion, a.before.Gender,
		}
	}
	return out
}

// Pool returns a report of answers that several models gave, as those of a cross-validation: scores by data set and of
// all together, with intervals over all speakers. It has no details by sense. Clips without an answer do not count; an
// answer to none of clips is an error.
func Pool(clips []dataset.Clip, answers []Answer, labels pipeline.Labels, b metrics.Bootstrap) (*Report, error) {
	at := make(map[[2]string]int, len(clips))
	for i := range clips {
		at[[2]string{clips[i].Dataset, clips[i].ID}] = i
	}
	r := &Report{
		Version: reportVersion, Created: time.Now().UTC().Truncate(time.Second), Split: dataset.SplitTest,
		Modalities: Both, Labels: ReportLabels(labels), Clips: len(answers), Seed: b.Seed, Sets: map[string]SetReport{},
	}
	bySet, all := map[string]*items{}, &items{}
	o := Options{Bootstrap: b, Temperatures: func(bool, bool) (float64, float64) { return 1, 1 }}
	for _, a := range answers {
		i, ok := at[[2]string{a.Set, a.Clip}]
		if !ok {
			return nil, fmt.Errorf("evaluate: there is an answer to %s, which is not in the data", a.Clip)
		}
		c := &clips[i]
		if len(a.Emotion) != len(labels.Emotions) || len(a.Gender) != len(labels.Genders) || a.Windows < 1 {
			return nil, fmt.Errorf("evaluate: the answer to %s is not one of this model's labels", a.Clip)
		}
		now := pipeline.Prediction{Emotion: a.Emotion, Gender: a.Gender}
		before := pipeline.Prediction{Emotion: a.EmotionBefore, Gender: a.GenderBefore}
		if len(before.Emotion) != len(now.Emotion) || len(before.Gender) != len(now.Gender) {
			before, o.Temperatures = now, nil // not known of all
		}
		if bySet[c.Dataset] == nil {
			bySet[c.Dataset] = &items{}
		}
		for _, of := range []*items{bySet[c.Dataset], all} {
			var sum, was ClipSum
			sum.Add(now)
			was.Add(before)
			of.now.Add(c, &sum)
			of.before.Add(c, &was)
		}
		r.answers = append(r.answers, clipAnswer{clip: c, windows: a.Windows, now: now, before: before})
	}
	j := scorer{o: o, labels: labels}
	for set, of := range bySet {
		if scores := of.report(j, true); scores != (SetReport{}) {
			r.Sets[set] = scores
		}
	}
	r.All = all.report(j, true)
	return r, nil
}
