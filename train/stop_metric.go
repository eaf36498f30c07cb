package train

import (
	"maps"
	"math"
	"slices"

	"tandem/train/eval"
	"tandem/train/metrics"
)

// stopMetrics holds the scores by which early stopping can choose an epoch, each so that more is better. All but nll
// and score are the mean over the data sets that have the task.
var stopMetrics = map[string]func(v *validation) float64{
	"score":            func(v *validation) float64 { return v.score },
	"nll":              func(v *validation) float64 { return v.mean(emotionOf, minusNLL) + v.mean(genderOf, minusNLL) },
	"emotion_accuracy": func(v *validation) float64 { return v.mean(emotionOf, accuracy) },
	"emotion_uar":      func(v *validation) float64 { return v.mean(emotionOf, uar) },
	"emotion_f1":       func(v *validation) float64 { return v.mean(emotionOf, f1) },
	"emotion_nll":      func(v *validation) float64 { return v.mean(emotionOf, minusNLL) },
	"gender_accuracy":  func(v *validation) float64 { return v.mean(genderOf, accuracy) },
	"gender_uar":       func(v *validation) float64 { return v.mean(genderOf, uar) },
	"gender_f1":        func(v *validation) float64 { return v.mean(genderOf, f1) },
	"gender_nll":       func(v *validation) float64 { return v.mean(genderOf, minusNLL) },
}

func emotionOf(s eval.SetReport) *metrics.Scores { return s.Emotion }
func genderOf(s eval.SetReport) *metrics.Scores  { return s.Gender }

func accuracy(s *metrics.Scores) float64 { return s.Accuracy }
func uar(s *metrics.Scores) float64      { return s.UAR }
func f1(s *metrics.Scores) float64       { return s.F1 }
func minusNLL(s *metrics.Scores) float64 { return -s.NLL }

// mean returns that of a measure over the data sets that have a task; 0 if none has.
func (v *validation) mean(task func(eval.SetReport) *metrics.Scores, measure func(*metrics.Scores) float64) float64 {
	sum, n := 0.0, 0
	for _, name := range slices.Sorted(maps.Keys(v.sets)) {
		if s := task(v.sets[name]); s != nil {
			sum += measure(s)
			n++
		}
	}
	return sum / math.Max(float64(n), 1)
}
