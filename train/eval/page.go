package eval

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"

	"tandem/train/metrics"
	"tandem/train/plot"
)

//go:embed report.html
var reportPage string

// HTML is the report as one page that needs nothing else.
func (r *Report) HTML() ([]byte, error) {
	d := &Drawing{}
	page, err := template.New("report").Funcs(template.FuncMap{
		"three":    func(v float64) string { return fmt.Sprintf("%.3f", v) },
		"interval": func(v metrics.Range) string { return fmt.Sprintf("[%.3f, %.3f]", v[0], v[1]) },
		"p":        func(v float64) string { return fmt.Sprintf("%.3g", v) },
		"signed":   func(v float64) string { return fmt.Sprintf("%+.3f", v) },
		"known": func(v *float64) string {
			if v == nil {
				return "–"
			}
			return fmt.Sprintf("%.3f", *v)
		},
		"confusion":   d.confusion,
		"reliability": d.reliability,
		"intervals":   d.intervals,
		"id":          anchor,
	}).Parse(reportPage)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, r.page()); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if d.Err != nil {
		return nil, fmt.Errorf("report: %w", d.Err)
	}
	return b.Bytes(), nil
}

// reportView holds what the page shows.
type reportView struct {
	*Report
	Rows    []Row // all sets as a whole
	BySense []reportTable
	Groups  []reportTable
	Window  []Row // per window
	Fusion  []fusionRow
	// AgainstRows are the comparison with another model.
	AgainstRows []AgainstRow
	Joints      []JointRow
	Few         int  // the fewest units from which an interval was drawn, 0 if none was
	None        bool // some row has too few units for an interval
	Off         bool // some ECE is above calibrated
}

// Row is one task of one set, or of a part of it.
type Row struct {
	Set, Task, Part string
	Labels          []string
	*metrics.Scores
}

// classRow is one class of a row.
type classRow struct {
	Label string
	metrics.ClassScores
}

// ByClass lists the classes that occur or are predicted.
func (r Row) ByClass() (rows []classRow) {
	for k, s := range r.Classes {
		if s.Support+s.Predicted > 0 {
			rows = append(rows, classRow{r.Labels[k], s})
		}
	}
	return rows
}

// Name returns the row's name in a chart.
func (r Row) Name() string {
	if r.Part != "" {
		return r.Part
	}
	return r.Set + ": " + r.Task
}

// reportTable is the parts of one task of one set.
type reportTable struct {
	Set, Task, Kind string
	Rows            []Row
}

// JointRow is the joint NLL of one set.
type JointRow struct {
	Set string // "": all sets together
	NLL float64
}

// Joints lists the joint NLL of each set that has one, and of all together; nil where no set has one.
func (r *Report) Joints() []JointRow {
	var rows []JointRow
	for _, set := range slices.Sorted(maps.Keys(r.Sets)) {
		if joint := r.Sets[set].Joint; joint != nil {
			rows = append(rows, JointRow{set, *joint})
		}
	}
	if r.All.Joint != nil && len(r.Sets) > 1 {
		rows = append(rows, JointRow{"", *r.All.Joint})
	}
	return rows
}

type fusionRow struct {
	Set, Task string
	*Fusion
}

func (r *Report) page() *reportView {
	v := &reportView{Report: r, Rows: r.Rows(), Joints: r.Joints(), AgainstRows: r.Against.Rows()}
	for _, row := range v.Rows {
		if row.Intervals != nil && (v.Few == 0 || row.Intervals.Units < v.Few) {
			v.Few = row.Intervals.Units
		}
		v.None = v.None || row.Drawn != nil && row.Drawn.Method == ""
		v.Off = v.Off || row.ECE > calibrated
	}
	for _, set := range slices.Sorted(maps.Keys(r.Details)) {
		d := r.Details[set]
		if d.Windows != nil {
			v.Window = append(v.Window, r.tasks(set, "", *d.Windows)...)
		}
		var parts []Row
		for _, c := range Conditions {
			if s, ok := d.Modalities[c]; ok {
				parts = append(parts, r.tasks(set, conditionNames[c], s)...)
			}
		}
		v.BySense = append(v.BySense, tables(set, "", parts)...)
		for _, kind := range slices.Sorted(maps.Keys(d.Groups)) {
			parts = nil
			for _, name := range slices.Sorted(maps.Keys(d.Groups[kind])) {
				parts = append(parts, r.tasks(set, name, d.Groups[kind][name])...)
			}
			v.Groups = append(v.Groups, tables(set, kind, parts)...)
		}
		if f := d.Fusion; f != nil {
			if f.Emotion != nil {
				v.Fusion = append(v.Fusion, fusionRow{set, "emotion", f.Emotion})
			}
			if f.Gender != nil {
				v.Fusion = append(v.Fusion, fusionRow{set, "gender", f.Gender})
			}
		}
	}
	return v
}

// calibrated is the largest ECE that the page does not remark on.
const calibrated = 0.05 // the page's template has it too

// conditionNames are the conditions' names on the page.
var conditionNames = map[Condition]string{
	Condition(Both):      "as it is",
	Condition(AudioOnly): "sound only",
	Condition(VideoOnly): "picture only",
	AudioNoise:           "noise on the sound (0 dB)",
	VideoBlack:           "picture black",
	VideoBlur:            "picture blurred",
	VideoNoise:           "noise on the picture",
}

// Rows lists all tasks of all sets, and of all together at the end if there are several sets.
func (r *Report) Rows() []Row {
	var rows []Row
	for _, set := range slices.Sorted(maps.Keys(r.Sets)) {
		rows = append(rows, r.tasks(set, "", r.Sets[set])...)
	}
	if len(r.Sets) > 1 {
		rows = append(rows, r.tasks("all", "", r.All)...)
	}
	return rows
}

func (r *Report) tasks(set, part string, s SetReport) []Row {
	var rows []Row
	if s.Emotion != nil {
		rows = append(rows, Row{set, "emotion", part, r.Labels.Emotions, s.Emotion})
	}
	if s.Gender != nil {
		rows = append(rows, Row{set, "gender", part, r.Labels.Genders, s.Gender})
	}
	return rows
}

// tables sorts the rows of a set by task.
func tables(set, kind string, rows []Row) []reportTable {
	var all []reportTable
	for _, task := range []string{"emotion", "gender"} {
		t := reportTable{Set: set, Task: task, Kind: kind}
		for _, row := range rows {
			if row.Task == task {
				t.Rows = append(t.Rows, row)
			}
		}
		if len(t.Rows) > 1 { // one alone is the whole set
			all = append(all, t)
		}
	}
	return all
}

// anchor is a name for links inside the page.
func anchor(parts ...string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(strings.Join(parts, "-")))
}

// Drawing makes the charts and keeps the first error.
type Drawing struct{ Err error }

// Inline returns a chart for a page; after an error it returns nothing, and Err keeps the first.
func (d *Drawing) Inline(svg []byte, err error) template.HTML {
	if err != nil && d.Err == nil {
		d.Err = err
	}
	// A page knows what svg is.
	return template.HTML(bytes.Replace(svg, []byte(` xmlns="http://www.w3.org/2000/svg"`), nil, 1))
}

func (d *Drawing) confusion(r Row) template.HTML {
	return d.Inline(plot.Confusion("Confusion", r.Labels, r.Confusion))
}

func (d *Drawing) reliability(title string, bins []metrics.CalibrationBin) template.HTML {
	var b []plot.Bin
	for _, bin := range bins {
		b = append(b, plot.Bin{Confidence: bin.Confidence, Accuracy: bin.Accuracy, N: bin.N})
	}
	return d.Inline(plot.Reliability(title, b))
}

// intervals draws one score of the rows of a task: "accuracy" or "UAR".
func (d *Drawing) intervals(title, score, task string, rows []Row) template.HTML {
	var b []plot.Interval
	for _, r := range rows {
		if r.Task != task {
			continue
		}
		v := plot.Interval{Name: fmt.Sprintf("%s (%d)", strings.TrimSuffix(r.Name(), ": "+task), r.N), Mean: r.Accuracy}
		if score == "UAR" {
			v.Mean = r.UAR
		}
		v.Lo, v.Hi = math.NaN(), math.NaN()
		if r.Intervals != nil {
			of := r.Intervals.Accuracy
			if score == "UAR" {
				of = r.Intervals.UAR
			}
			v.Lo, v.Hi = of[0], of[1]
		}
		b = append(b, v)
	}
	if len(b) == 0 {
		return ""
	}
	return d.Inline(plot.Intervals(title, score, b))
}
