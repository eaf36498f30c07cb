package train

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"time"
)

// reportVersion is the version of report.json; consumers ignore fields that they do not know.
const reportVersion = 1

// Report is what tandem eval writes.
type Report struct {
	Version int       `json:"v"`
	Created time.Time `json:"created"`
	Model   string    `json:"model"` // SHA-256 of the model file in hex
	Split   string    `json:"split"`
	// SplitBy is how the data was divided, if not as the sets say, and SharedSpeakers names who stands in several splits.
	SplitBy        string   `json:"split_by,omitempty"`
	SharedSpeakers []string `json:"shared_speakers,omitempty"`

	Senses  Senses               `json:"senses"`
	Labels  ReportLabels         `json:"labels"`
	Clips   int                  `json:"clips"` // judged
	Skipped []string             `json:"skipped,omitempty"`
	Sets    map[string]SetReport `json:"sets"`
	All     SetReport            `json:"all"` // the clips of all sets together
}

// ReportLabels names the rows and columns of the confusion matrices.
type ReportLabels struct {
	Emotions []string `json:"emotions"`
	Genders  []string `json:"genders"`
}

// SetReport judges one data set; a task without labels is nil.
type SetReport struct {
	Emotion *Scores `json:"emotion,omitempty"`
	Gender  *Scores `json:"gender,omitempty"`
}

// Write writes report.json and report.html into dir, which it makes.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	page, err := r.HTML()
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{"report.json": append(data, '\n'), "report.html": page} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

//go:embed report.html
var reportPage string

// HTML is the report as one page that needs nothing else.
func (r *Report) HTML() ([]byte, error) {
	page, err := template.New("report").Funcs(template.FuncMap{
		"three":   func(v float64) string { return fmt.Sprintf("%.3f", v) },
		"percent": func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) },
		"row":     confusionRow,
		"bars":    calibrationBars,
		"shade":   func(share int) float64 { return 0.9 * float64(share) / 100 },
	}).Parse(reportPage)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, struct {
		*Report
		Rows []reportRow
	}{r, r.rows()}); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return b.Bytes(), nil
}

// reportRow is one task of one set.
type reportRow struct {
	Set, Task string
	Labels    []string
	*Scores
}

// rows lists all tasks of all sets, and of all together at the end if there are several sets.
func (r *Report) rows() []reportRow {
	var rows []reportRow
	add := func(set string, s SetReport) {
		if s.Emotion != nil {
			rows = append(rows, reportRow{set, "emotion", r.Labels.Emotions, s.Emotion})
		}
		if s.Gender != nil {
			rows = append(rows, reportRow{set, "gender", r.Labels.Genders, s.Gender})
		}
	}
	for _, set := range sortedKeys(r.Sets) {
		add(set, r.Sets[set])
	}
	if len(r.Sets) > 1 {
		add("all", r.All)
	}
	return rows
}

// cell is one entry of a confusion matrix: how many, and which part of its row, in percent.
type cell struct {
	N     int
	Share int
	Hit   bool
}

func confusionRow(s *Scores, class int) []cell {
	total := 0
	for _, n := range s.Confusion[class] {
		total += n
	}
	cells := make([]cell, len(s.Confusion[class]))
	for i, n := range s.Confusion[class] {
		cells[i] = cell{N: n, Share: (200*n + total) / max(2*total, 1), Hit: i == class}
	}
	return cells
}

// bar is a bin of the calibration plot, in a square of 150 units with y growing downwards.
type bar struct {
	X, Y, W, H, DotX, DotY float64
	N                      int
}

const plotSide = 150

func calibrationBars(s *Scores) []bar {
	w := float64(plotSide) / CalibrationBins
	var bars []bar
	for i, b := range s.Bins {
		if b.N > 0 {
			bars = append(bars, bar{
				X: float64(i) * w, W: w - 1, Y: plotSide * (1 - b.Accuracy), H: plotSide * b.Accuracy,
				DotX: plotSide * b.Confidence, DotY: plotSide * (1 - b.Accuracy), N: b.N,
			})
		}
	}
	return bars
}
