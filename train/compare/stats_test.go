package compare

import (
	"testing"

	"tandem/train/eval"
	"tandem/train/metrics"
	"tandem/train/traintest"
)

// scored is a run whose tasks have these NLLs.
func scored(weighting string, seed uint64, emotion, gender float64) CellResult {
	return CellResult{
		Weighting: weighting, Modal: "multi", Seed: seed,
		All: eval.SetReport{
			Emotion: &metrics.Scores{NLL: emotion, UAR: 0.5},
			Gender:  &metrics.Scores{NLL: gender, UAR: 0.9},
		},
	}
}

// The joint NLL is there by data set too, of those that have both labels.
func TestJointBySet(t *testing.T) {
	joint := func(v float64) eval.SetReport { return eval.SetReport{Joint: &v} }
	cell := func(seed uint64, voices float64) CellResult {
		c := scored("uw", seed, 1, 1)
		c.Sets = map[string]eval.SetReport{"voices": joint(voices), "stills": {Emotion: &metrics.Scores{}}}
		return c
	}
	c := newComparison(&Setup{}, []CellResult{cell(1, 2), cell(2, 3), {Weighting: "uw", Modal: "multi", Failed: "NaN"}})
	if got := c.JointSets("multi"); len(got) != 1 || got[0] != "voices" {
		t.Errorf("sets with a joint NLL: %v", got)
	}
	if got := c.Rows[0].JointBySet["voices"]; got.N != 2 || got.Mean != 2.5 {
		t.Errorf("joint NLL of voices %+v, want 2 and 3", got)
	}
	if got := c.JointSets("audio"); got != nil {
		t.Errorf("of a mode that was not compared: %v", got)
	}
}

func TestComparisonAgainstValuesByHand(t *testing.T) {
	diverged := CellResult{Weighting: "uw", Modal: "multi", Seed: 2, Failed: "a loss is NaN"}
	lucky := CellResult{Weighting: "static:0.9,0.1", Modal: "multi", Seed: 3, Failed: "a loss is NaN"}
	c := newComparison(&Setup{}, []CellResult{
		scored("static", 1, 1.0, 0.5), scored("static", 2, 1.2, 0.5), scored("static", 3, 1.1, 0.5), // mean 1.6
		// mean 1.5: the best
		scored("static:0.7,0.3", 1, 1.0, 0.4), scored("static:0.7,0.3", 2, 1.0, 0.5),
		scored("static:0.7,0.3", 3, 1.0, 0.6),
		// 0.1, 0.2 and 0.3 more
		scored("softmax", 1, 1.1, 0.4), scored("softmax", 2, 1.2, 0.5), scored("softmax", 3, 1.3, 0.6),
		scored("uw", 1, 0.9, 0.4), diverged, scored("uw", 3, 0.9, 0.6),
		scored("static:0.9,0.1", 1, 0.1, 0.1), scored("static:0.9,0.1", 2, 0.1, 0.1), lucky,
	})
	row := map[string]Row{}
	for _, r := range c.Rows {
		row[r.Weighting] = r
	}
	for name, r := range row {
		if want := name == "static:0.7,0.3"; r.BestStatic != want {
			t.Errorf("best static is %s: %v", name, r.BestStatic)
		}
	}
	soft := row["softmax"]
	traintest.Near(t, "mean", soft.Joint.Mean, 1.7, 1e-12)
	traintest.Near(t, "sd", *soft.Joint.SD, 0.2, 1e-12)
	traintest.Near(t, "difference", soft.Difference.Difference, 0.2, 1e-12)
	// t(0.975; 2) is 4.302653 (any table); 4.302653 · 0.1/√3 = 0.248414.
	traintest.Near(t, "lower end", soft.Difference.Interval[0], 0.2-0.248414, 1e-6)
	traintest.Near(t, "upper end", soft.Difference.Interval[1], 0.2+0.248414, 1e-6)
	// t is 0.2/(0.1/√3) = 3.464102, of which p is 1 - t/√(2+t²) with two degrees of freedom; two have less.
	traintest.Near(t, "p", *soft.Difference.P, 0.074180, 1e-6)
	if c.Comparisons != 4 || soft.Difference.Corrected() != "0.148" {
		t.Errorf("of %d comparisons p is %v", c.Comparisons, *soft.Difference.PHolm)
	}
	uw := row["uw"]
	if uw.Failed != 1 || uw.Joint.N != 2 || uw.Difference.N != 2 {
		t.Errorf("uw, of which one diverged: %+v", uw)
	}
	// Paired with its own seeds 1 and 3: -0.1 twice.
	traintest.Near(t, "paired difference", uw.Difference.Difference, -0.1, 1e-12)
	traintest.Near(t, "its interval's width", uw.Difference.Interval[1]-uw.Difference.Interval[0], 0, 1e-9)

	one := newComparison(&Setup{}, []CellResult{scored("static", 1, 1, 0.5), scored("softmax", 1, 1.5, 0.5)})
	if r := one.Rows[1]; r.Joint.SD != nil || r.Difference.Interval != nil || r.Difference.String() != "+0.500" ||
		r.Joint.String() != "2.000" {
		t.Errorf("one seed has %v and %v, want no spread and no interval", r.Joint, r.Difference)
	}
	none := newComparison(&Setup{}, []CellResult{scored("softmax", 1, 1, 1)})
	if none.Rows[0].Difference.String() != "–" {
		t.Errorf("without a static weighting the difference is %v", none.Rows[0].Difference)
	}
}
