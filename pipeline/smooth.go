package pipeline

import (
	"math"
	"time"
)

// smoother smooths probabilities over time, for each subject and task by itself:
//
//	s(t) = s(t') + a (p(t) - s(t')),  a = 1 - exp(-(t - t') / tau)
//
// where p(t) is the prediction for the window that ends at t, t' the end of the window before it that had a
// prediction, and s(t) = p(t) for the first. A step is thus followed to 63 % after tau. The mean of
// distributions is one: s sums to 1 as p does. With tau = 0, s = p.
type smoother struct {
	tau  time.Duration
	past map[int]*smoothed // by subject
}

type smoothed struct {
	at              time.Duration
	emotion, gender []float64
}

// add takes a subject's next prediction and gives the smoothed one. The results are the caller's.
func (s *smoother) add(subject int, at time.Duration, emotion, gender []float64) (e, g []float64) {
	if s.tau <= 0 {
		return emotion, gender
	}
	// What is this far back has a weight of e^-20: let go of those who have left.
	for k, v := range s.past {
		if at-v.at > 20*s.tau {
			delete(s.past, k)
		}
	}
	p := s.past[subject]
	if p == nil {
		if s.past == nil {
			s.past = map[int]*smoothed{}
		}
		p = &smoothed{emotion: clone(emotion), gender: clone(gender)}
		s.past[subject] = p
	} else {
		a := 1 - math.Exp(-(at-p.at).Seconds()/s.tau.Seconds())
		follow(p.emotion, emotion, a)
		follow(p.gender, gender, a)
	}
	p.at = at
	return clone(p.emotion), clone(p.gender)
}

// forget lets a subject's next prediction be its first.
func (s *smoother) forget(subject int) { delete(s.past, subject) }

func clone(x []float64) []float64 { return append([]float64(nil), x...) }

func follow(s, p []float64, a float64) {
	for i := range s {
		s[i] += a * (p[i] - s[i])
	}
}
