package train

import (
	"slices"

	"tandem/pipeline"
)

// clipSum adds up the probabilities of a clip's windows.
type clipSum struct {
	windows         int
	emotion, gender []float64
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

// answers are the items of one task: clips, or windows.
type answers struct {
	p     [][]float64
	truth []int
	of    []*Clip // the clip of each
}

func (j *answers) add(c *Clip, truth int, sum []float64, windows int) {
	if truth < 0 {
		return
	}
	m := slices.Clone(sum)
	for i := range m {
		m[i] /= float64(windows)
	}
	j.p, j.truth, j.of = append(j.p, m), append(j.truth, truth), append(j.of, c)
}

// units returns what each item is drawn by in a bootstrap.
func (j *answers) units() []Unit {
	units := make([]Unit, len(j.of))
	for i, c := range j.of {
		units[i] = Unit{Speaker: c.Speaker, Clip: c}
	}
	return units
}

// taskItems are a set's items by task.
type taskItems struct{ emotion, gender answers }

func (t *taskItems) add(c *Clip, s *clipSum) {
	t.emotion.add(c, c.Emotion, s.emotion, s.windows)
	t.gender.add(c, c.Gender, s.gender, s.windows)
}

// report leaves a task without labels out.
func (t *taskItems) report(labels pipeline.Labels) SetReport {
	var r SetReport
	if len(t.emotion.p) > 0 {
		s := Score(t.emotion.p, t.emotion.truth, len(labels.Emotions))
		r.Emotion = &s
	}
	if len(t.gender.p) > 0 {
		s := Score(t.gender.p, t.gender.truth, len(labels.Genders))
		r.Gender = &s
	}
	return r
}
