package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"tandem/train/eval"
	"tandem/train/folds"
	"tandem/train/metrics"
)

// writeScores prints a report as tables that fit into 100 columns.
func writeScores(c *console, r *eval.Report) error {
	var out bytes.Buffer
	w := newScoreTable("set", "task", "n", "accuracy", "UAR", "F1", "NLL", "ECE", "before")
	for _, set := range slices.Sorted(maps.Keys(r.Sets)) {
		w.wholes(set, r.Sets[set])
	}
	if len(r.Sets) > 1 {
		w.wholes("all", r.All)
	}
	w.appendTo(&out)
	w = newScoreTable("by sense", "", "task", "n", "accuracy", "UAR", "ECE")
	for _, set := range slices.Sorted(maps.Keys(r.Details)) {
		for _, condition := range eval.Conditions {
			if s, ok := r.Details[set].Modalities[condition]; ok && len(r.Details[set].Modalities) > 1 {
				w.part(set, string(condition), "emotion", s.Emotion)
				w.part(set, string(condition), "gender", s.Gender)
			}
		}
	}
	w.appendTo(&out)
	w = newScoreTable("both less", "better", "task", "n", "UAR", "p", "NLL", "p")
	for _, set := range slices.Sorted(maps.Keys(r.Details)) {
		if f := r.Details[set].Fusion; f != nil {
			w.fusion(set, "emotion", f.Emotion)
			w.fusion(set, "gender", f.Gender)
		}
	}
	w.appendTo(&out)
	against(&out, r.Against)
	byClass(&out, r)
	if lines := notes(r); lines != nil {
		out.WriteString("\n" + strings.Join(lines, ""))
	}
	_, err := c.out.Write(out.Bytes())
	return err
}

// writeFolds prints the scores of each fold, their means, and those of all clips together.
func writeFolds(c *console, cv *folds.CrossValidation) error {
	var out bytes.Buffer
	w := newScoreTable("fold", "task", "n", "accuracy", "UAR", "NLL")
	for _, f := range cv.Folds {
		for task, s := range []*metrics.Scores{f.Scores.Emotion, f.Scores.Gender} {
			if s != nil {
				w.row(f.Name, []string{"emotion", "gender"}[task], fmt.Sprint(s.N), three(s.Accuracy), three(s.UAR),
					three(s.NLL))
			}
		}
	}
	for _, task := range []string{"emotion", "gender"} {
		if m := cv.Means[task]; m != nil {
			n := fmt.Sprintf("%d folds", m["uar"].N)
			w.row("mean", task, n, spread(m["accuracy"]), spread(m["uar"]), spread(m["nll"]))
		}
	}
	w.appendTo(&out)
	out.WriteString("\nall folds' test clips as one, each judged by the model that has not seen its speaker:\n\n")
	if _, err := c.out.Write(out.Bytes()); err != nil {
		return err
	}
	return writeScores(c, cv.Pooled)
}

// spread returns a mean and its standard deviation.
func spread(m folds.Mean) string { return fmt.Sprintf("%.3f ± %.3f", m.Mean, m.SD) }

// byClass appends the scores by class, of all sets together.
func byClass(out *bytes.Buffer, r *eval.Report) {
	w := newScoreTable("by class", "task", "n", "precision", "recall", "F1", "ROC AUC", "AP")
	rows := r.Rows()
	set := ""
	if len(rows) > 0 {
		set = rows[len(rows)-1].Set
	}
	for _, row := range rows {
		if row.Set != set {
			continue
		}
		for k, s := range row.Classes {
			if s.Support+s.Predicted > 0 {
				w.row(row.Labels[k], row.Task, fmt.Sprint(s.Support), known(s.Precision), known(s.Recall), known(s.F1),
					known(s.ROCAUC), known(s.AveragePrecision))
			}
		}
	}
	w.appendTo(out)
}

// known returns a score to three digits, "–" where there is none.
func known(v *float64) string {
	if v == nil {
		return "–"
	}
	return three(*v)
}

// against appends the comparison with another model, if there is one.
func against(out *bytes.Buffer, a *eval.Against) {
	right := newScoreTable("less other", "task", "n", "accuracy", "p", "right alone", "p (McNemar)")
	scores := newScoreTable("less other", "task", "n", "UAR", "p", "NLL", "p")
	for _, p := range a.Rows() {
		n := fmt.Sprint(p.N)
		right.row(p.Set, p.Task, n, gain(p.Accuracy), p.Accuracy.Corrected(),
			fmt.Sprintf("%d : %d", p.McNemar.First, p.McNemar.Second), p.McNemar.Corrected())
		scores.row(p.Set, p.Task, n, gain(p.UAR), p.UAR.Corrected(), gain(p.NLL), p.NLL.Corrected())
	}
	right.appendTo(out)
	scores.appendTo(out)
}

// notes returns what the figures above are made of, a line each: over what the intervals are, for how many comparisons
// p is corrected, and the joint NLL by set.
func notes(r *eval.Report) []string {
	var lines []string
	note := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format+"\n", args...)) }
	for _, row := range r.Rows() {
		if row.Drawn != nil {
			note("95 %% intervals, %s: over %s", row.Name(), row.Drawn)
		}
	}
	if r.Comparisons > 0 {
		note("p: corrected by Holm for all %d comparisons of the report; intervals are of one comparison each",
			r.Comparisons)
	}
	for _, joint := range r.Joints() {
		note("joint NLL, %s: %.3f", cmp.Or(joint.Set, "all clips together"), joint.NLL)
	}
	for _, caution := range r.Cautions() {
		note("caution: %s", caution)
	}
	if s := r.Standing(); s != "" {
		note("%s", s)
	}
	return lines
}

// scoreTable is a table of scores under construction.
type scoreTable struct {
	tabs *tabwriter.Writer
	text bytes.Buffer
	rows int
}

func newScoreTable(columns ...string) *scoreTable {
	w := &scoreTable{rows: -1}
	w.tabs = tabwriter.NewWriter(&w.text, 0, 0, 2, ' ', tabwriter.AlignRight)
	w.row(columns...)
	return w
}

// appendTo writes the table, if it has rows, below what is there.
func (w *scoreTable) appendTo(out *bytes.Buffer) {
	if w.rows == 0 {
		return
	}
	if out.Len() > 0 {
		out.WriteByte('\n')
	}
	w.tabs.Flush()
	for line := range bytes.Lines(w.text.Bytes()) {
		out.Write(bytes.TrimPrefix(line, []byte("  "))) // the space before the first column
	}
}

func (w *scoreTable) row(cells ...string) {
	for _, cell := range cells {
		fmt.Fprint(w.tabs, cell, "\t")
	}
	fmt.Fprintln(w.tabs)
	w.rows++
}

func (w *scoreTable) wholes(set string, r eval.SetReport) {
	w.whole(set, "emotion", r.Emotion)
	w.whole(set, "gender", r.Gender)
}

func (w *scoreTable) whole(set, task string, s *metrics.Scores) {
	if s == nil {
		return
	}
	before := "–"
	if s.ECEBefore != nil {
		before = three(*s.ECEBefore)
	}
	accuracy, uar := ranges(s)
	w.row(set, task, fmt.Sprint(s.N), three(s.Accuracy)+accuracy, three(s.UAR)+uar, three(s.F1), three(s.NLL),
		three(s.ECE), before)
}

func (w *scoreTable) part(set, condition, task string, s *metrics.Scores) {
	if s != nil {
		accuracy, uar := ranges(s)
		w.row(set, condition, task, fmt.Sprint(s.N), three(s.Accuracy)+accuracy, three(s.UAR)+uar, three(s.ECE))
	}
}

func (w *scoreTable) fusion(set, task string, f *eval.Fusion) {
	if f != nil {
		w.row(set, string(f.Better), task, fmt.Sprint(f.N), gain(f.UAR), f.UAR.Corrected(), gain(f.NLL),
			f.NLL.Corrected())
	}
}

func three(v float64) string { return fmt.Sprintf("%.3f", v) }

// ranges are the intervals of accuracy and UAR as they follow the numbers.
func ranges(s *metrics.Scores) (accuracy, uar string) {
	if s.Intervals == nil {
		return "", ""
	}
	return between(s.Intervals.Accuracy), between(s.Intervals.UAR)
}

func between(r metrics.Range) string { return fmt.Sprintf(" [%.3f, %.3f]", r[0], r[1]) }

func gain(d metrics.Difference) string {
	if d.Interval == nil {
		return fmt.Sprintf("%+.3f", d.Difference)
	}
	return fmt.Sprintf("%+.3f [%+.3f, %+.3f]", d.Difference, d.Interval[0], d.Interval[1])
}
