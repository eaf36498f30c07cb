package metrics

import (
	"cmp"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// ClassScores judges the predictions of one class against all others.
type ClassScores struct {
	Support   int `json:"support"`   // items of the class
	Predicted int `json:"predicted"` // items of which it is the most probable class
	// Precision is the part of the items predicted as the class that are of it, nil where none is; Recall the part of
	// the class's items that are predicted as it, nil where it has none; F1 their harmonic mean, nil where it has no
	// item and is never predicted.
	Precision *float64 `json:"precision,omitempty"`
	Recall    *float64 `json:"recall,omitempty"`
	F1        *float64 `json:"f1,omitempty"`
	// ROCAUC is the probability that an item of the class has a higher probability of it than one of another class,
	// ties half (Fawcett 2006). AveragePrecision is the sum over the distinct probabilities, from the highest, of the
	// precision there times the recall that it adds, without interpolation. Both are nil where one side has no items.
	ROCAUC           *float64 `json:"roc_auc,omitempty"`
	AveragePrecision *float64 `json:"average_precision,omitempty"`
}

// ByClass judges probabilities p, [item][class], by class; items whose truth is negative do not count. It takes
// O(classes × items log items).
func ByClass(p [][]float64, truth []int, classes int) []ClassScores {
	out := make([]ClassScores, classes)
	hits := make([]int, classes)
	for i, t := range truth {
		if t < 0 {
			continue
		}
		best := argmax(p[i])
		out[t].Support++
		out[best].Predicted++
		if best == t {
			hits[t]++
		}
	}
	for k := range out {
		s := &out[k]
		s.Precision = share(float64(hits[k]), s.Predicted)
		s.Recall = share(float64(hits[k]), s.Support)
		s.F1 = share(2*float64(hits[k]), s.Support+s.Predicted)
		s.ROCAUC, s.AveragePrecision = ranked(p, truth, k)
	}
	return out
}

// share returns a/n, nil for an n of 0.
func share(a float64, n int) *float64 {
	if n == 0 {
		return nil
	}
	v := a / float64(n)
	return &v
}

// ranked returns the area under the ROC curve and the average precision of a class, nil where it has no items or all.
func ranked(p [][]float64, truth []int, class int) (auc, precision *float64) {
	order := make([]int, 0, len(truth))
	of := 0
	for i, t := range truth {
		if t < 0 {
			continue
		}
		order = append(order, i)
		if t == class {
			of++
		}
	}
	others := len(order) - of
	if of == 0 || others == 0 {
		return nil, nil
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(p[j][class], p[i][class]) })
	above, below := 0, 0 // items of the class, and of others, from here up
	area, sum := 0.0, 0.0
	for from := 0; from < len(order); {
		to, hits := from, 0
		for ; to < len(order) && p[order[to]][class] == p[order[from]][class]; to++ {
			if truth[order[to]] == class {
				hits++
			}
		}
		misses := to - from - hits
		area += float64(misses) * (float64(above) + float64(hits)/2)
		above += hits
		below += misses
		sum += float64(hits) * float64(above) / float64(above+below)
		from = to
	}
	area /= float64(of) * float64(others)
	sum /= float64(of)
	return &area, &sum
}

// McNemar compares two classifiers by the items of which one alone is right (McNemar 1947), by the exact binomial test.
type McNemar struct {
	First  int `json:"first_right"`  // items of which the first alone is right
	Second int `json:"second_right"` // and the second alone
	Significance
}

// McNemarOf compares two lists of verdicts on the same items in the same order. It takes items for independent, which
// those of one speaker are not.
func McNemarOf(out, other []Verdict) McNemar {
	var m McNemar
	for i := range out {
		if out[i].truth < 0 {
			continue
		}
		switch a, b := out[i].best == out[i].truth, other[i].best == other[i].truth; {
		case a && !b:
			m.First++
		case b && !a:
			m.Second++
		}
	}
	p := 1.0
	if n := m.First + m.Second; n > 0 {
		p = min(1, 2*distuv.Binomial{N: float64(n), P: 0.5}.CDF(float64(min(m.First, m.Second))))
	}
	m.P = &p
	return m
}
