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
	speakers := []string{"a", "a", "b", "b"}
	both, audio, video := answersOf(
		speakers,
		.9,
		.9,
		.9,
		.4,
	), answersOf(
		speakers,
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
	)
	b := metrics.Bootstrap{Resamples: 200, Seed: 1}
	f := compareFusion(b, both, audio, video, 2)
	if f.N != 4 || f.Better != AudioOnly || f.By != "speaker" || f.Units != 2 {
		t.Fatalf("%+v", f)
	}
	traintest.Near(t, "accuracy", f.Accuracy.Difference, 0.25, 1e-9)
	// The first speaker gains a half and the second nothing.
	if *f.Accuracy.Interval != (metrics.Range{0, 0.5}) {
		t.Errorf("interval %v", *f.Accuracy.Interval)
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
