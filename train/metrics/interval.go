package metrics

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// The values of Drawn.Method.
const (
	// Student is mean ± t(0.975; n-1) standard errors, of the jackknife that leaves out one unit at a time (Tukey 1958;
	// Efron and Tibshirani 1993, chapter 11). Of means over units of one size it is Student's interval over the means
	// of the units.
	Student = "student"
	// Resampled is the expanded percentile interval of a bootstrap that draws units (Hesterberg 2015, "What teachers
	// should know about the bootstrap"): quantiles a little farther out than 0.025 and 0.975, since those of n units
	// are too narrow by a factor of about √((n-1)/n)·z/t.
	Resampled = "bootstrap"
)

const (
	// leastUnits is the number of units below which there is no interval: of two, t is 12.7, and one outlier rules.
	leastUnits = 3
	// fewUnits is the number of units from which a bootstrap is drawn. With fewer its percentiles are too narrow.
	fewUnits = 20
)

// method returns how the intervals over n units are made, "" for none.
func (b Bootstrap) method(n int) string {
	switch {
	case b.Resamples <= 0 || n < leastUnits:
		return ""
	case n < fewUnits:
		return Student
	}
	return Resampled
}

// estimate is the 95 % interval of a statistic and its standard error.
type estimate struct {
	Range
	se float64
}

// within returns the interval cut to the values that the statistic can have.
func (e estimate) within(lo, hi float64) Range {
	return Range{min(max(e.Range[0], lo), hi), min(max(e.Range[1], lo), hi)}
}

// estimates returns those of some statistics, whose values over all items are whole; of returns their values over a
// resample that has each unit as often as times says.
func (b Bootstrap) estimates(c Clusters, whole []float64, of func(times []int) []float64) []estimate {
	v := make([][]float64, len(whole))
	keep := func(times []int) {
		for k, value := range of(times) {
			v[k] = append(v[k], value)
		}
	}
	student := b.method(c.n) == Student
	if student {
		c.leaveOneOut(keep)
	} else {
		b.each(c, keep)
	}
	n := float64(c.n)
	t := studentOf(c.n).Quantile(0.975)
	tail := distuv.UnitNormal.CDF(-t * math.Sqrt(n/(n-1)))
	out := make([]estimate, len(whole))
	for k := range v {
		sd := stat.PopStdDev(v[k], nil)
		if student {
			se := sd * math.Sqrt(n-1)
			out[k] = estimate{StudentRange(whole[k], se, c.n), se}
			continue
		}
		slices.Sort(v[k])
		out[k] = estimate{Range{quantile(v[k], tail), quantile(v[k], 1-tail)}, sd * math.Sqrt(n/(n-1))}
	}
	return out
}

// leaveOneOut calls visit with all units but one, for each unit. visit must not keep times.
func (c Clusters) leaveOneOut(visit func(times []int)) {
	times := slices.Repeat([]int{1}, c.n)
	for out := range c.n {
		times[out] = 0
		visit(times)
		times[out] = 1
	}
}

// studentOf returns Student's distribution of n values.
func studentOf(n int) distuv.StudentsT { return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)} }

// StudentRange returns Student's 95 % interval of a statistic over n units (Student 1908, "The probable error of a
// mean"): t(0.975; n-1) standard errors on either side. It takes the units for draws from a normal distribution.
func StudentRange(value, se float64, n int) Range {
	half := studentOf(n).Quantile(0.975) * se
	return Range{value - half, value + half}
}

// PValue returns the two-sided p of a difference over n units, of Student's t test, with its standard error. Without a
// spread it is 1 for no difference, else 0.
func PValue(difference, se float64, n int) float64 {
	if math.Abs(difference) < 1e-12 {
		return 1
	}
	if se == 0 {
		return 0
	}
	return 2 * studentOf(n).CDF(-math.Abs(difference)/se)
}

// Holm returns p values corrected for their number, in their order: each is at most alpha where the step-down test of
// Holm (1979, "A simple sequentially rejective multiple test procedure") rejects, at the level alpha for all together.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	out := make([]float64, len(p))
	least := 0.0
	for rank, i := range order {
		least = max(least, min(1, p[i]*float64(len(p)-rank)))
		out[i] = least
	}
	return out
}

// Significance is p of a difference, alone and among others; both are nil where there is none.
type Significance struct {
	P     *float64 `json:"p,omitempty"`      // two-sided, by Student's t
	PHolm *float64 `json:"p_holm,omitempty"` // corrected for all differences of the report (Correct)
}

// Corrected returns the corrected p to three digits, "–" where there is none.
func (s Significance) Corrected() string {
	if s.PHolm == nil {
		return "–"
	}
	return fmt.Sprintf("%.3f", *s.PHolm)
}

// Correct sets the corrected p of all differences that have a p, and returns how many have (Holm).
func Correct(all []*Significance) int {
	all = slices.DeleteFunc(all, func(s *Significance) bool { return s.P == nil })
	p := make([]float64, len(all))
	for i, s := range all {
		p[i] = *s.P
	}
	for i, corrected := range Holm(p) {
		all[i].PHolm = &corrected
	}
	return len(all)
}
