package compare

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"path/filepath"
	"strconv"

	"tandem/internal/atomicfile"
	"tandem/train"
	"tandem/train/eval"
	"tandem/train/metrics"
	"tandem/train/plot"
)

//go:embed compare.html
var comparePage string

// Write writes compare.json, compare.csv and compare.html into the comparison's folder, where the runs' logs are.
func (c *Comparison) Write(dir string) error {
	data, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return fmt.Errorf("comparison: %w", err)
	}
	page, err := c.html(dir)
	if err != nil {
		return fmt.Errorf("comparison: %w", err)
	}
	for _, f := range []struct {
		name string
		b    []byte
	}{{"compare.json", append(data, '\n')}, {"compare.csv", c.csv()}, {"compare.html", page}} {
		if err := atomicfile.WriteBytes(filepath.Join(dir, f.name), f.b); err != nil {
			return fmt.Errorf("comparison: %w", err)
		}
	}
	return nil
}

// csv has a row a run; one that diverged has no scores.
func (c *Comparison) csv() []byte {
	rows := [][]string{{
		"weighting", "modal", "seed", "failed", "joint_nll", "emotion_nll", "emotion_uar", "gender_nll", "gender_uar",
		"weight_emotion", "weight_gender", "epoch", "seconds",
	}}
	for i := range c.Cells {
		r := &c.Cells[i]
		row := []string{r.Weighting, r.Modal, strconv.FormatUint(r.Seed, 10), r.Failed}
		if r.Failed == "" {
			for _, v := range []float64{
				r.Joint(), r.All.Emotion.NLL, r.All.Emotion.UAR, r.All.Gender.NLL, r.All.Gender.UAR, r.WeightEmotion,
				r.WeightGender, float64(r.Best), r.Seconds,
			} {
				row = append(row, strconv.FormatFloat(v, 'g', 7, 64))
			}
		} else {
			row = append(row, make([]string, len(rows[0])-len(row))...)
		}
		rows = append(rows, row)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.WriteAll(rows) // a buffer takes all
	return b.Bytes()
}

// compareView is one mode on the page.
type compareView struct {
	Modal       string
	Rows        []Row
	Sets        []string // that have a joint NLL
	Best        string   // the best static weighting, "" without any
	Seeds       int
	Differences template.HTML
	Weights     []template.HTML
}

func (c *Comparison) html(dir string) ([]byte, error) {
	d := &eval.Drawing{}
	var views []compareView
	for _, modal := range c.Modes() {
		v := compareView{Modal: modal, Sets: c.JointSets(modal)}
		var against []plot.Interval
		for _, r := range c.Rows {
			if r.Modal != modal {
				continue
			}
			v.Rows = append(v.Rows, r)
			v.Seeds = max(v.Seeds, r.Joint.N+r.Failed)
			if r.BestStatic {
				v.Best = r.Weighting
			}
			if a := r.Difference; a != nil {
				i := plot.Interval{
					Name: fmt.Sprintf("%s (%d)", r.Weighting, a.N), Mean: a.Difference, Lo: math.NaN(),
					Hi: math.NaN(),
				}
				if a.Interval != nil {
					i.Lo, i.Hi = a.Interval[0], a.Interval[1]
				}
				against = append(against, i)
			}
			if !r.Static() {
				series, err := c.weights(dir, r)
				if err != nil {
					return nil, err
				}
				v.Weights = append(v.Weights, d.Inline(plot.Lines("Task weights: "+r.Weighting, "step", "weight",
					series)))
			}
		}
		if len(against) > 0 {
			v.Differences = d.Inline(plot.Intervals("Joint NLL less that of "+v.Best, "nats (below 0: better)",
				against))
		}
		views = append(views, v)
	}
	if d.Err != nil {
		return nil, d.Err
	}
	recipe, err := json.MarshalIndent(c.Setup.Recipe, "", "  ")
	if err != nil {
		return nil, err
	}
	page, err := template.New("compare").Funcs(template.FuncMap{
		"spread": Spread.String,
		"two":    func(v float64) string { return fmt.Sprintf("%.2f", v) },
		"short":  func(s string) string { return s[:min(12, len(s))] },
	}).Parse(comparePage)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, struct {
		*Comparison
		Views  []compareView
		Recipe string
	}{c, views, string(recipe)})
	return b.Bytes(), err
}

// weights are a weighting's by step: the mean over seeds, in a band from the lowest to the highest.
func (c *Comparison) weights(dir string, row Row) ([]plot.Series, error) {
	var out []plot.Series
	for _, task := range []string{"emotion", "gender"} {
		s := plot.Series{Name: task}
		var runs [][]float64
		for _, r := range c.Cells {
			if r.Weighting != row.Weighting || r.Modal != row.Modal || r.Failed != "" {
				continue
			}
			steps, err := train.ReadSteps(filepath.Join(dir, runsDir, r.cell().name(), train.StepsFile), math.MaxInt)
			if err != nil {
				return nil, err
			}
			x, y := steps.Series("weight_" + task)
			if len(runs) == 0 || len(x) < len(s.X) { // early stopping ends runs at different steps
				s.X = x
			}
			runs = append(runs, y)
		}
		for i := range s.X {
			mean, lo, hi := 0.0, math.Inf(1), math.Inf(-1)
			for _, y := range runs {
				mean, lo, hi = mean+y[i]/float64(len(runs)), min(lo, y[i]), max(hi, y[i])
			}
			s.Y, s.Lo, s.Hi = append(s.Y, mean), append(s.Lo, lo), append(s.Hi, hi)
		}
		out = append(out, s)
	}
	return out, nil
}

// String is the mean ± standard deviation, to three digits.
func (s Spread) String() string {
	switch {
	case s.N == 0:
		return "–"
	case s.SD == nil:
		return fmt.Sprintf("%.3f", s.Mean)
	}
	return fmt.Sprintf("%.3f ± %.3f", s.Mean, *s.SD)
}

// Corrected is p, corrected for the number of comparisons, to three digits; "–" where there is none.
func (a *Against) Corrected() string {
	var s metrics.Significance
	if a != nil {
		s = a.Significance
	}
	return s.Corrected()
}

// String is the difference with its interval and, where there are fewer than two seeds, none.
func (a *Against) String() string {
	switch {
	case a == nil:
		return "–"
	case a.Interval == nil:
		return fmt.Sprintf("%+.3f", a.Difference)
	}
	return fmt.Sprintf("%+.3f [%+.3f, %+.3f]", a.Difference, a.Interval[0], a.Interval[1])
}
