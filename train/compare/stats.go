package compare

import (
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"tandem/train/dataset"
	"tandem/train/eval"
	"tandem/train/metrics"
)

// compareVersion is the version of compare.json and of what it is made of.
const compareVersion = 1

// Comparison is what tandem compare writes.
type Comparison struct {
	Version int          `json:"v"`
	Created time.Time    `json:"created"`
	Split   string       `json:"split"` // on which all is measured and the best static weighting is chosen
	Setup   setup        `json:"setup"`
	Rows    []Row        `json:"rows"`
	Cells   []CellResult `json:"cells"`
}

// CellResult is one run of a comparison.
type CellResult struct {
	Version   int    `json:"v"`
	Weighting string `json:"weighting"`
	Modal     string `json:"modal"`
	Seed      uint64 `json:"seed"`
	Failed    string `json:"failed,omitempty"` // why it diverged; then it has no scores
	Model     string `json:"model,omitempty"`  // SHA-256
	Best      int    `json:"epoch"`            // that is kept
	// of training and judging, in the process that finished it
	Seconds       float64                   `json:"seconds"`
	WeightEmotion float64                   `json:"weight_emotion"` // at the end of the kept epoch
	WeightGender  float64                   `json:"weight_gender"`
	Clips         int                       `json:"clips"`
	All           eval.SetReport            `json:"all"`
	Sets          map[string]eval.SetReport `json:"sets"`
}

// Joint is the joint loss without weights: the sum of both tasks' NLL over the clips of all sets.
func (c *CellResult) Joint() float64 { return c.All.Emotion.NLL + c.All.Gender.NLL }

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
	BestStatic    bool   `json:"best_static,omitempty"` // of its mode, by the mean joint NLL
	// joint NLL less the best static's; nil for that itself, and without one
	Difference *Against `json:"difference,omitempty"`
}

// Static tells whether the weights are given and stay.
func (r *Row) Static() bool { return isStatic(r.Weighting) }

func isStatic(weighting string) bool { return strings.HasPrefix(weighting, "static") }

// Spread is a mean over seeds and its standard deviation (of a sample: n-1), nil for fewer than two.
type Spread struct {
	N    int      `json:"n"`
	Mean float64  `json:"mean"`
	SD   *float64 `json:"sd,omitempty"`
}

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
}

// paired is the interval of Student's paired t test: mean ± t(0.975; n-1) s/√n of the differences (Student 1908, "The
// probable error of a mean"). It takes them for draws from a normal distribution, which so few seeds can't tell.
func paired(differences []float64) *Against {
	s := spread(differences)
	if s.N == 0 {
		return nil
	}
	a := &Against{N: s.N, Difference: s.Mean}
	if s.SD != nil {
		n := float64(s.N)
		half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975) * *s.SD / math.Sqrt(n)
		a.Interval = &metrics.Range{s.Mean - half, s.Mean + half}
	}
	return a
}

func newComparison(s *setup, cells []CellResult) *Comparison {
	c := &Comparison{
		Version: compareVersion, Created: time.Now().UTC().Truncate(time.Second), Split: dataset.SplitVal,
		Setup: *s, Cells: cells,
	}
	type key struct{ modal, weighting string }
	of := map[key][]*CellResult{}
	var order []key
	for i := range cells {
		k := key{cells[i].Modal, cells[i].Weighting}
		if of[k] == nil {
			order = append(order, k)
		}
		of[k] = append(of[k], &cells[i])
	}
	best := map[string]int{} // row, by mode
	for _, k := range order {
		r := Row{Weighting: k.weighting, Modal: k.modal}
		var good []*CellResult
		for _, cell := range of[k] {
			if cell.Failed == "" {
				good = append(good, cell)
			}
		}
		r.Failed = len(of[k]) - len(good)
		over := func(value func(*CellResult) float64) Spread {
			var x []float64
			for _, cell := range good {
				x = append(x, value(cell))
			}
			return spread(x)
		}
		r.Joint = over((*CellResult).Joint)
		r.EmotionNLL = over(func(c *CellResult) float64 { return c.All.Emotion.NLL })
		r.EmotionUAR = over(func(c *CellResult) float64 { return c.All.Emotion.UAR })
		r.GenderNLL = over(func(c *CellResult) float64 { return c.All.Gender.NLL })
		r.GenderUAR = over(func(c *CellResult) float64 { return c.All.Gender.UAR })
		r.WeightEmotion = over(func(c *CellResult) float64 { return c.WeightEmotion })
		r.WeightGender = over(func(c *CellResult) float64 { return c.WeightGender })
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
		if r.BestStatic = b == i; r.BestStatic {
			continue
		}
		joint := map[uint64]float64{}
		for _, cell := range of[key{r.Modal, c.Rows[b].Weighting}] {
			joint[cell.Seed] = cell.Joint()
		}
		var d []float64
		for _, cell := range of[key{r.Modal, r.Weighting}] {
			if cell.Failed == "" {
				d = append(d, cell.Joint()-joint[cell.Seed])
			}
		}
		r.Difference = paired(d)
	}
	return c
}

// Modes are those compared, in order.
func (c *Comparison) Modes() []string {
	var modes []string
	for _, r := range c.Rows {
		if !slices.Contains(modes, r.Modal) {
			modes = append(modes, r.Modal)
		}
	}
	return modes
}
