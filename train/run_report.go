package train

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/infer"
	"tandem/internal/atomicfile"
	"tandem/pipeline"
	"tandem/train/eval"
	"tandem/train/metrics"
	"tandem/train/plot"
)

// validated holds the scores of a network on the validation split, for the report.
type validated struct {
	what   string // "epoch 3", "the kept epoch, 3, calibrated"
	labels pipeline.Labels
	sets   map[string]eval.SetReport
	all    eval.SetReport
	before *eval.SetReport // all before calibration; nil: not calibrated
	// calibration says what the temperatures are and by what they were fitted.
	calibration []string
	test        *validation // by the test split, of the finished model; nil: none
}

// calibrationLines says by what clips each task's temperatures were fitted, and that few clips hold them back.
func calibrationLines(c infer.Contract) []string {
	var lines []string
	for _, t := range []struct {
		name string
		both float64
		one  infer.ModalityTemperatures
	}{
		{"emotion", c.EmotionTemperature, c.EmotionAlone},
		{"gender", c.GenderTemperature, c.GenderAlone},
	} {
		var parts []string
		for _, kind := range []struct {
			of, key string
			is      float64
		}{
			{"both senses", t.name, t.both},
			{"sound alone", t.name + ".audio", t.one.Audio},
			{"picture alone", t.name + ".video", t.one.Video},
		} {
			by := c.Calibration[kind.key]
			if by.Clips == 0 {
				continue
			}
			part := fmt.Sprintf("%s %.3f by %d clips", kind.of, kind.is, by.Clips)
			if by.Speakers > 0 {
				part += fmt.Sprintf(" of %d speakers", by.Speakers)
			}
			if by.Pull > 1 {
				part += fmt.Sprintf(", held to %.3f since they are few", by.Expected)
			}
			parts = append(parts, part)
		}
		if len(parts) > 0 {
			lines = append(lines, fmt.Sprintf("temperature of %s: %s", t.name, strings.Join(parts, "; ")))
		}
	}
	return lines
}

//go:embed run_report.html
var runReportPage string

// chart is one drawing of a report.
type chart struct {
	Name string // of its file, without ".svg"
	SVG  template.HTML
}

// writeReport writes report.html, and the charts in it, in plots/, as files.
func (r *run) writeReport(j *validated, done bool) error {
	training, err := r.trainingCharts()
	if err != nil {
		return err
	}
	judging, err := j.charts()
	if err != nil {
		return err
	}
	dir := filepath.Join(r.Run, "plots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range slices.Concat(append(judging, training)...) {
		if err := atomicfile.WriteBytes(filepath.Join(dir, c.Name+".svg"), []byte(c.SVG)); err != nil {
			return err
		}
	}
	a, err := r.readAbout()
	if err != nil {
		return err
	}
	recipe, err := json.MarshalIndent(r.Recipe, "", "  ")
	if err != nil {
		return err
	}
	page, err := template.New("run").Funcs(template.FuncMap{
		"three":   func(v float64) string { return fmt.Sprintf("%.3f", v) },
		"percent": func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) },
		"short":   func(s string) string { return s[:min(12, len(s))] },
	}).Parse(runReportPage)
	if err != nil {
		return err
	}
	var test []eval.Row
	if j.test != nil {
		test = (&eval.Report{Labels: eval.ReportLabels(j.labels), Sets: j.test.sets, All: j.test.all}).Rows()
	}
	var b bytes.Buffer
	if err := page.Execute(&b, struct {
		Name     string
		Now      time.Time
		About    about
		State    state
		Epochs   int
		Spent    time.Duration
		Done     bool
		Judged   string
		Rows     []eval.Row
		Fitted   []string
		Test     []eval.Row
		Judging  [][]chart
		Training []chart
		Epoch    [][]string
		Recipe   string
	}{
		Name: filepath.Base(r.Run), Now: time.Now().UTC(), About: a, State: r.st, Epochs: r.Recipe.Epochs, Done: done,
		Spent: time.Duration(r.st.Seconds * float64(time.Second)).Round(time.Second), Judged: j.what,
		Rows:    (&eval.Report{Labels: eval.ReportLabels(j.labels), Sets: j.sets, All: j.all}).Rows(),
		Fitted:  j.calibration,
		Test:    test,
		Judging: judging, Training: training, Epoch: r.log.summary(), Recipe: string(recipe),
	}); err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(r.Run, "report.html"), b.Bytes())
}

// charts gathers drawings up to the first failure.
type charts struct {
	all []chart
	err error
}

func (c *charts) add(name string, svg []byte, err error) {
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("chart %s: %w", name, err)
	}
	c.all = append(c.all, chart{name, template.HTML(svg)}) // made by package plot, which escapes what it writes
}

// trainingCharts returns charts of the run's logs.
func (r *run) trainingCharts() ([]chart, error) {
	var c charts
	steps := func(column, name string) plot.Series {
		x, y := r.steps.rows.Series(column)
		return plot.Series{Name: name, X: x, Y: y}
	}
	lines := func(name, title, x, y string, series ...plot.Series) {
		svg, err := plot.Lines(title, x, y, series)
		c.add(name, svg, err)
	}
	// The weighted loss falls when weight moves to the smaller one; the sum shows whether anything is learned.
	sum, gender := steps("emotion", "their sum"), steps("gender", "")
	for i := range sum.Y {
		sum.Y[i] += gender.Y[i]
	}
	lines("losses", "Training losses", "step", "nats", steps("emotion", "emotion"), steps("gender", "gender"), sum,
		steps("joint", "joint (weighted)"))
	lines("weights", "Task weights: "+r.Recipe.Weighting, "step", "weight", steps("weight_emotion", "emotion"),
		steps("weight_gender", "gender"))
	lines("learning-rate", "Learning rate", "step", "rate", steps("learning_rate", "learning rate"))
	lines("gradient-norm", "Gradient norm before clipping", "step", "norm", steps("gradient_norm", "gradient norm"))
	var uar, nll []plot.Series
	for _, column := range r.log.header() {
		set, ok := strings.CutPrefix(column, "val_")
		if !ok {
			continue
		}
		x, y := r.log.series(column)
		if name, ok := strings.CutSuffix(set, "_uar"); ok {
			uar = append(uar, plot.Series{Name: strings.ReplaceAll(name, "_", " "), X: x, Y: y})
		}
		if name, ok := strings.CutSuffix(set, "_nll"); ok {
			nll = append(nll, plot.Series{Name: strings.ReplaceAll(name, "_", " "), X: x, Y: y})
		}
	}
	lines("generalization", "Loss without augmentation and smoothing", "epoch", "nats",
		r.log.named("plain_emotion", "emotion, training clips"), r.log.named("held_out_emotion", "emotion, validation"),
		r.log.named("plain_gender", "gender, training clips"), r.log.named("held_out_gender", "gender, validation"))
	lines("validation-uar", "Validation: unweighted average recall", "epoch", "UAR", uar...)
	lines("validation-nll", "Validation: negative log-likelihood", "epoch", "nats", nll...)
	return c.all, c.err
}

// charts returns charts of the validation, in a group for each task.
func (j *validated) charts() (groups [][]chart, err error) {
	for _, t := range []struct {
		name   string
		labels []string
		s      *metrics.Scores
		before func(eval.SetReport) *metrics.Scores
	}{
		{"emotion", j.labels.Emotions, j.all.Emotion, func(s eval.SetReport) *metrics.Scores { return s.Emotion }},
		{"gender", j.labels.Genders, j.all.Gender, func(s eval.SetReport) *metrics.Scores { return s.Gender }},
	} {
		if t.s == nil {
			continue
		}
		var c charts
		svg, err := plot.Confusion("Confusion, "+t.name, t.labels, t.s.Confusion)
		c.add("confusion-"+t.name, svg, err)
		title := "Calibration, " + t.name
		if j.before != nil {
			if before := t.before(*j.before); before != nil {
				svg, err := plot.Reliability(fmt.Sprintf("%s, before: ECE %.3f", title, before.ECE), bins(before))
				c.add("calibration-"+t.name+"-before", svg, err)
			}
			title += ", after"
		}
		svg, err = plot.Reliability(fmt.Sprintf("%s: ECE %.3f", title, t.s.ECE), bins(t.s))
		c.add("calibration-"+t.name, svg, err)
		if c.err != nil {
			return nil, c.err
		}
		groups = append(groups, c.all)
	}
	return groups, nil
}

func bins(s *metrics.Scores) []plot.Bin {
	out := make([]plot.Bin, len(s.Bins))
	for i, b := range s.Bins {
		out[i] = plot.Bin{Confidence: b.Confidence, Accuracy: b.Accuracy, N: b.N}
	}
	return out
}

// header returns the names of the log's columns.
func (l *epochLog) header() []string {
	if len(l.rows) == 0 {
		return nil
	}
	return l.rows[0]
}

// named returns a column as a line of a chart.
func (l *epochLog) named(column, name string) plot.Series {
	x, y := l.series(column)
	return plot.Series{Name: name, X: x, Y: y}
}

// series returns a column by epoch; cells that are empty or no numbers are left out.
func (l *epochLog) series(column string) (x, y []float64) {
	for at, name := range l.header() {
		if name != column {
			continue
		}
		for _, row := range l.rows[1:] {
			epoch, err := strconv.ParseFloat(row[0], 64)
			v, err2 := strconv.ParseFloat(row[at], 64)
			if err == nil && err2 == nil {
				x, y = append(x, epoch), append(y, v)
			}
		}
	}
	return x, y
}

// summary returns the columns of the log that fit a page, with the header.
func (l *epochLog) summary() [][]string {
	want := []string{
		"epoch", "seconds", "emotion", "gender", "unweighted_sum", "weight_emotion", "weight_gender",
		"val_score",
	}
	var rows [][]string
	for i := range l.rows {
		row := make([]string, 0, len(want))
		for _, name := range want {
			for at, have := range l.rows[0] {
				if have == name {
					row = append(row, l.rows[i][at])
				}
			}
		}
		rows = append(rows, row)
	}
	return rows
}
