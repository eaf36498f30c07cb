package compare

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"tandem/train/dataset"
	"tandem/train/eval"
	"tandem/train/metrics"
)

// compareVersion is the version of compare.json, setup.json and cell.json.
const compareVersion = 1

// Comparison is the result of a comparison: compare.json.
type Comparison struct {
	Version int          `json:"v"`
	Created time.Time    `json:"created"`
	Split   string       `json:"split"` // on which all is measured and the best static weighting is chosen
	Setup   Setup        `json:"setup"`
	Rows    []Row        `json:"rows"`
	Cells   []CellResult `json:"cells"`
	// Comparisons is the number of differences with a p value, for all of which together p_holm is corrected.
	Comparisons int `json:"comparisons,omitempty"`
}

// CellResult is the result of one run of a comparison: cell.json. Scores are those of the validation split; JSON calls
// losses in nats nll.
type CellResult struct {
	Version   int    `json:"v"`
	Weighting string `json:"weighting"`
	Modal     string `json:"modal"`
	Seed      uint64 `json:"seed"`
	Failed    string `json:"failed,omitempty"` // why it diverged; then it has no scores
	Model     string `json:"model,omitempty"`  // SHA-256
	Best      int    `json:"epoch"`            // that is kept
	// Seconds are those of training and evaluating, in the process that finished it.
	Seconds       float64                   `json:"seconds"`
	WeightEmotion float64                   `json:"weight_emotion"` // at the end of the kept epoch
	WeightGender  float64                   `json:"weight_gender"`
	Clips         int                       `json:"clips"`
	All           eval.SetReport            `json:"all"`
	Sets          map[string]eval.SetReport `json:"sets"`
}

// Joint returns the joint loss without weights, in nats: the sum of both tasks' NLL over the clips of all sets.
func (c *CellResult) Joint() float64 { return c.All.Emotion.NLL + c.All.Gender.NLL }

// cell returns the cell whose result c is.
func (c *CellResult) cell() cell { return cell{c.Weighting, c.Modal, c.Seed} }

// scored reports whether both tasks were measured.
func (c *CellResult) scored() bool { return c.All.Emotion != nil && c.All.Gender != nil }

// Row is one weighting in one mode, over the seeds.
type Row struct {
	Weighting     string `json:"weighting"`
	Modal         string `json:"modal"`
	Failed        int    `json:"failed,omitempty"` // runs that diverged
	Joint         Spread `json:"joint_nll"`
	EmotionNLL    Spread `json:"emotion_nll"`
	EmotionUAR    Spread `json:"emotion_uar"`
	GenderNLL     Spread `json:"gender_nll"`
	GenderUAR     Spread `json:"gender_uar"`
	WeightEmotion Spread `json:"weight_emotion"`
	WeightGender  Spread `json:"weight_gender"`
	// JointBySet is the joint NLL of each data set that has both labels: that of all clips together is mostly that of
	// the largest sets.
	JointBySet map[string]Spread `json:"joint_nll_by_set,omitempty"`
	BestStatic bool              `json:"best_static,omitempty"` // of its mode, by the mean joint NLL
	// Difference is the joint NLL less the best static's; nil for that itself, and without one.
	Difference *Against `json:"difference,omitempty"`
}

// Static reports whether the weights are given and stay.
func (r *Row) Static() bool { return isStatic(r.Weighting) }

// isStatic reports whether a weighting is one of static's.
func isStatic(weighting string) bool { return strings.HasPrefix(weighting, "static") }

// Spread is a mean over seeds and its standard deviation (of a sample: n-1), nil for fewer than two.
type Spread struct {
	N    int      `json:"n"`
	Mean float64  `json:"mean"`
	SD   *float64 `json:"sd,omitempty"`
}

// spread returns the Spread of values.
func spread(x []float64) Spread {
	s := Spread{N: len(x)}
	if len(x) > 0 {
		s.Mean = stat.Mean(x, nil)
	}
	if len(x) > 1 {
		sd := stat.StdDev(x, nil)
		s.SD = &sd
	}
	return s
}

// Against is a mean paired difference over n seeds, with its 95 % interval; nil for fewer than two.
type Against struct {
	N          int            `json:"n"`
	Difference float64        `json:"difference"`
	Interval   *metrics.Range `json:"interval,omitempty"`
	metrics.Significance
}

// paired is the interval of Student's paired t test (metrics.StudentRange) of the differences, with standard errors of
// s/√n. It takes them for draws from a normal distribution, which so few seeds can't tell.
func paired(differences []float64) *Against {
	s := spread(differences)
	if s.N == 0 {
		return nil
	}
	a := &Against{N: s.N, Difference: s.Mean}
	if s.SD != nil {
		se := *s.SD / math.Sqrt(float64(s.N))
		interval, p := metrics.StudentRange(s.Mean, se, s.N), metrics.PValue(s.Mean, se, s.N)
		a.Interval, a.P = &interval, &p
	}
	return a
}

// newComparison compares the results of all cells.
func newComparison(s *Setup, cells []CellResult) *Comparison {
	c := &Comparison{
		Version: compareVersion, Created: time.Now().UTC().Truncate(time.Second), Split: dataset.SplitVal,
		Setup: *s, Cells: cells,
	}
	of := map[rowKey][]*CellResult{}
	var order []rowKey
	for i := range cells {
		k := rowKey{cells[i].Modal, cells[i].Weighting}
		if of[k] == nil {
			order = append(order, k)
		}
		of[k] = append(of[k], &cells[i])
	}
	best := map[string]int{} // row, by mode
	for _, k := range order {
		r := newRow(k, of[k])
		// One that diverged somewhere would be judged by its lucky seeds.
		if b, ok := best[k.modal]; r.Static() && r.Failed == 0 && (!ok || r.Joint.Mean < c.Rows[b].Joint.Mean) {
			best[k.modal] = len(c.Rows)
		}
		c.Rows = append(c.Rows, r)
	}
	for i := range c.Rows {
		r := &c.Rows[i]
		b, ok := best[r.Modal]
		if !ok {
			continue
		}
		if r.BestStatic = b == i; !r.BestStatic {
			r.Difference = difference(of[r.key()], of[c.Rows[b].key()])
		}
	}
	c.correct()
	return c
}

// correct corrects the p values of all rows for their number (metrics.Correct).
func (c *Comparison) correct() {
	var all []*metrics.Significance
	for _, r := range c.Rows {
		if r.Difference != nil {
			all = append(all, &r.Difference.Significance)
		}
	}
	c.Comparisons = metrics.Correct(all)
}

// rowKey names a row.
type rowKey struct{ modal, weighting string }

func (r *Row) key() rowKey { return rowKey{r.Modal, r.Weighting} }

// newRow returns the row of some runs, without the comparison to the best static weighting.
func newRow(k rowKey, runs []*CellResult) Row {
	var good []*CellResult
	for _, cell := range runs {
		if cell.Failed == "" {
			good = append(good, cell)
		}
	}
	over := func(value func(*CellResult) float64) Spread {
		var x []float64
		for _, cell := range good {
			x = append(x, value(cell))
		}
		return spread(x)
	}
	bySet := map[string]Spread{}
	for set := range jointSets(good) {
		bySet[set] = over(func(c *CellResult) float64 { return *c.Sets[set].Joint })
	}
	return Row{
		Weighting: k.weighting, Modal: k.modal, Failed: len(runs) - len(good), JointBySet: bySet,
		Joint:         over((*CellResult).Joint),
		EmotionNLL:    over(func(c *CellResult) float64 { return c.All.Emotion.NLL }),
		EmotionUAR:    over(func(c *CellResult) float64 { return c.All.Emotion.UAR }),
		GenderNLL:     over(func(c *CellResult) float64 { return c.All.Gender.NLL }),
		GenderUAR:     over(func(c *CellResult) float64 { return c.All.Gender.UAR }),
		WeightEmotion: over(func(c *CellResult) float64 { return c.WeightEmotion }),
		WeightGender:  over(func(c *CellResult) float64 { return c.WeightGender }),
	}
}

// jointSets returns the data sets of which all runs have a joint NLL.
func jointSets(runs []*CellResult) map[string]bool {
	sets := map[string]bool{}
	for i, cell := range runs {
		for set, r := range cell.Sets {
			if i == 0 && r.Joint != nil {
				sets[set] = true
			}
		}
		for set := range sets {
			if cell.Sets[set].Joint == nil {
				delete(sets, set)
			}
		}
	}
	return sets
}

// JointSets returns the names of the data sets of which rows of a mode have a joint NLL, sorted.
func (c *Comparison) JointSets(modal string) []string {
	sets := map[string]bool{}
	for _, r := range c.Rows {
		for set := range r.JointBySet {
			if r.Modal == modal {
				sets[set] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(sets))
}

// difference compares the joint NLL of runs with those of others of the same seeds, none of which diverged.
func difference(runs, others []*CellResult) *Against {
	joint := map[uint64]float64{}
	for _, cell := range others {
		joint[cell.Seed] = cell.Joint()
	}
	var d []float64
	for _, cell := range runs {
		if cell.Failed == "" {
			d = append(d, cell.Joint()-joint[cell.Seed])
		}
	}
	return paired(d)
}

// Modes returns the modes that are compared, in order.
func (c *Comparison) Modes() []string {
	var modes []string
	for _, r := range c.Rows {
		if !slices.Contains(modes, r.Modal) {
			modes = append(modes, r.Modal)
		}
	}
	return modes
}
