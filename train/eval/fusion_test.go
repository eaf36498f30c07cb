package eval

import (
	"testing"

	"tandem/train/dataset"
	"tandem/train/metrics"
	"tandem/train/traintest"
)

// answersOf makes items of two classes, all of class 0, with the given probability of it.
func answersOf(speakers []string, p ...float64) *answers {
	j := &answers{}
	for _, s := range speakers {
		j.of = append(j.of, &dataset.Clip{Speaker: s})
	}
	for _, v := range p {
		j.p, j.truth = append(j.p, []float64{v, 1 - v}), append(j.truth, 0)
	}
	return j
}

func TestFusionIsPaired(t *testing.T) {
	speakers := []string{"a", "a", "b", "b", "c", "c"}
	both, audio, video := answersOf(
		speakers,
		.9,
		.9,
		.9,
		.4,
		.9,
		.9,
	), answersOf(
		speakers,
		.9,
		.2,
		.9,
		.2,
		.9,
		.2,
	), answersOf(
		speakers,
		.1,
		.9,
		.1,
		.1,
		.1,
		.1,
	)
	b := metrics.Bootstrap{Resamples: 200, Seed: 1}
	f := compareFusion(b, both, audio, video, 2)
	if f.N != 6 || f.Better != AudioOnly || f.By != "speaker" || f.Units != 3 || f.Method != metrics.Student {
		t.Fatalf("%+v", f)
	}
	traintest.Near(t, "accuracy", f.Accuracy.Difference, 1./3, 1e-9)
	// Two speakers gain a half and one nothing: t(0.975; 2) is 4.302653, the standard error 1/6, t is 2.
	traintest.Near(t, "lower end", f.Accuracy.Interval[0], 1./3-4.302653/6, 1e-6)
	traintest.Near(t, "upper end, which can't pass 1", f.Accuracy.Interval[1], 1, 1e-9)
	traintest.Near(t, "p", *f.Accuracy.P, 0.183503, 1e-6)
	r := &Report{Details: map[string]Detail{"ravdess": {Fusion: &FusionReport{Gender: f}}}}
	if r.correct(); r.Comparisons != 3 || *f.Accuracy.PHolm < 2*0.183503 {
		t.Errorf("%d comparisons: %+v", r.Comparisons, f)
	}
	if f.NLL.Difference >= 0 {
		t.Errorf("NLL %v, but both senses are surer of the truth", f.NLL.Difference)
	}
	if g := compareFusion(b, both, video, audio, 2); g.Better != VideoOnly || g.UAR.Difference != f.UAR.Difference {
		t.Errorf("the senses the other way round: %+v", g)
	}
	same := compareFusion(b, audio, audio, video, 2)
	if *same.UAR.Interval != (metrics.Range{0, 0}) || same.UAR.Difference != 0 {
		t.Errorf("no gain: %+v", same.UAR)
	}
	if f := compareFusion(metrics.Bootstrap{}, both, audio, video, 2); f.UAR.Interval != nil {
		t.Error("an interval without resamples")
	}
	if compareFusion(b, &answers{}, &answers{}, &answers{}, 2) != nil {
		t.Error("a comparison of nothing")
	}
}
