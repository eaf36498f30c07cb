package sweep

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html/template"
	"path/filepath"
	"slices"
	"strconv"

	"tandem/internal/atomicfile"
	"tandem/train/eval"
	"tandem/train/plot"
)

//go:embed sweep.html
var sweepPage string

// Ranked returns the trials, the best first: those that came further before those that were left behind, of these by
// score, and those that diverged last.
func (s *Sweep) Ranked() []Trial {
	all := slices.Clone(s.Trials)
	slices.SortStableFunc(all, func(a, b Trial) int {
		x, okX := a.Score()
		y, okY := b.Score()
		switch {
		case okX != okY:
			if okX {
				return -1
			}
			return 1
		case len(a.Scores) != len(b.Scores):
			return len(b.Scores) - len(a.Scores)
		}
		return cmp.Compare(y, x)
	})
	return all
}

// WriteReport writes sweep.csv and sweep.html beside sweep.json.
func (s *Sweep) WriteReport(dir string) error {
	page, err := s.html()
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	for _, f := range []struct {
		name string
		b    []byte
	}{{"sweep.csv", s.csv()}, {"sweep.html", page}} {
		if err := atomicfile.WriteBytes(filepath.Join(dir, f.name), f.b); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}

// csv has a row a trial, the best first, with a column a field and a column a round, empty where it took no part.
func (s *Sweep) csv() []byte {
	header := []string{"trial"}
	for _, d := range s.Setup.Space {
		header = append(header, d.Field)
	}
	for _, r := range s.Rounds {
		header = append(header, fmt.Sprintf("score_epoch_%d", r.Epochs))
	}
	rows := [][]string{append(header, "epochs", "failed")}
	for _, t := range s.Ranked() {
		row := append([]string{strconv.Itoa(t.Number)}, t.Values...)
		for i := range s.Rounds {
			score := ""
			if i < len(t.Scores) {
				score = strconv.FormatFloat(t.Scores[i], 'g', 6, 64)
			}
			row = append(row, score)
		}
		rows = append(rows, append(row, strconv.Itoa(t.Epochs), t.Failed))
	}
	var b bytes.Buffer
	_ = csv.NewWriter(&b).WriteAll(rows) // a buffer takes all
	return b.Bytes()
}

func (s *Sweep) html() ([]byte, error) {
	axes := make([]plot.Axis, len(s.Setup.Space)+1)
	for i, d := range s.Setup.Space {
		axes[i] = plot.Axis{Name: d.Field, Log: d.Log, Values: d.Values}
		if isNumbers(d.Values) {
			axes[i].Values = nil
		}
	}
	axes[len(axes)-1] = plot.Axis{Name: "score"}
	var lines [][]string
	var curves []plot.Series
	ranked := s.Ranked()
	for i := len(ranked) - 1; i >= 0; i-- { // the best on top
		t := ranked[i]
		score, ok := t.Score()
		if !ok {
			continue
		}
		lines = append(lines, append(slices.Clone(t.Values), strconv.FormatFloat(score, 'g', -1, 64)))
		c := plot.Series{}
		for k, v := range t.Scores {
			c.X, c.Y = append(c.X, float64(s.Rounds[k].Epochs)), append(c.Y, v)
		}
		curves = append(curves, c)
	}
	d := &eval.Drawing{}
	parallel := d.Inline(plot.Parallel("A line a trial: its values and its score, dark for high", axes, lines))
	var halving template.HTML
	if len(s.Rounds) > 1 {
		halving = d.Inline(plot.Lines("Score at the end of each round", "epoch", "validation score", curves))
	}
	if d.Err != nil {
		return nil, d.Err
	}
	recipe, err := json.MarshalIndent(s.Setup.Recipe, "", "  ")
	if err != nil {
		return nil, err
	}
	page, err := template.New("sweep").Funcs(template.FuncMap{
		"short": func(s string) string { return s[:min(12, len(s))] },
		"four":  func(v float64) string { return fmt.Sprintf("%.4f", v) },
	}).Parse(sweepPage)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, struct {
		*Sweep
		Ranked            []Trial
		Parallel, Halving template.HTML
		Schedule, Recipe  string
	}{s, ranked, parallel, halving, s.schedule(), string(recipe)})
	return b.Bytes(), err
}

// isNumbers reports whether all values are numbers, those of no list too.
func isNumbers(values []string) bool {
	for _, v := range values {
		if _, err := strconv.ParseFloat(v, 64); err != nil {
			return false
		}
	}
	return true
}
