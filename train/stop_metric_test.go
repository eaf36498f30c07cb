package train

import (
	"math"
	"testing"

	"tandem/train/eval"
	"tandem/train/metrics"
)

func TestStopMetrics(t *testing.T) {
	v := &validation{score: 0.7, sets: map[string]eval.SetReport{
		"a": {
			Emotion: &metrics.Scores{Accuracy: 0.5, UAR: 0.4, F1: 0.3, NLL: 1.2},
			Gender:  &metrics.Scores{Accuracy: 0.9, UAR: 0.8, F1: 0.7, NLL: 0.3},
		},
		"b": {Emotion: &metrics.Scores{Accuracy: 0.7, UAR: 0.6, F1: 0.5, NLL: 0.8}},
	}}
	for name, want := range map[string]float64{
		"score": 0.7, "nll": -1.3, "emotion_accuracy": 0.6, "emotion_uar": 0.5, "emotion_f1": 0.4, "emotion_nll": -1,
		"gender_accuracy": 0.9, "gender_uar": 0.8, "gender_f1": 0.7, "gender_nll": -0.3,
	} {
		if got := stopMetrics[name](v); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %g, want %g", name, got, want)
		}
	}
}
