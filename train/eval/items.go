package eval

import (
	"slices"

	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/metrics"
)

// ClipSum adds up the probabilities of a clip's windows.
type ClipSum struct {
	Windows         int
	emotion, gender []float64
}

// Add adds a window's prediction.
func (s *ClipSum) Add(p pipeline.Prediction) {
	if s.Windows == 0 {
		s.emotion, s.gender = make([]float64, len(p.Emotion)), make([]float64, len(p.Gender))
	}
	s.Windows++
	for i, v := range p.Emotion {
		s.emotion[i] += float64(v)
	}
	for i, v := range p.Gender {
		s.gender[i] += float64(v)
	}
}

// answers are the items of one task: clips, or windows.
type answers struct {
	p     [][]float64
	truth []int
	votes [][]float32     // of each, nil where one label was given
	of    []*dataset.Clip // the clip of each
}

func (j *answers) add(c *dataset.Clip, truth int, votes []float32, sum []float64, windows int) {
	if truth < 0 {
		return
	}
	m := slices.Clone(sum)
	for i := range m {
		m[i] /= float64(windows)
	}
	j.p, j.truth, j.votes, j.of = append(j.p, m), append(j.truth, truth), append(j.votes, votes), append(j.of, c)
}

// units returns what each item is drawn by in a bootstrap.
func (j *answers) units() []metrics.Unit {
	units := make([]metrics.Unit, len(j.of))
	for i, c := range j.of {
		units[i] = metrics.Unit{Speaker: c.Speaker, Clip: c}
	}
	return units
}

// TaskItems are a set's items by task.
type TaskItems struct{ emotion, gender answers }

// Add adds a clip as one item of each task whose label it has.
func (t *TaskItems) Add(c *dataset.Clip, s *ClipSum) {
	var soft dataset.SoftLabels
	if c.Soft != nil {
		soft = *c.Soft
	}
	t.emotion.add(c, c.Emotion, soft.Emotion, s.emotion, s.Windows)
	t.gender.add(c, c.Gender, soft.Gender, s.gender, s.Windows)
}

// Report leaves a task without labels out.
func (t *TaskItems) Report(labels pipeline.Labels) SetReport {
	var r SetReport
	if len(t.emotion.p) > 0 {
		s := metrics.Score(t.emotion.p, t.emotion.truth, len(labels.Emotions))
		r.Emotion = &s
	}
	if len(t.gender.p) > 0 {
		s := metrics.Score(t.gender.p, t.gender.truth, len(labels.Genders))
		r.Gender = &s
	}
	return r
}
