// Package card writes a model card (Mitchell et al. 2019) of a model in the form of the Hugging Face Hub: Markdown with
// metadata in YAML before it. All that is in it comes from the model's own contract and, where there is one, from an
// evaluation's report; what neither says is named as missing.
//
// Of tandem's packages it imports infer for the contract and eval for the report.
package card

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"

	"tandem/infer"
	"tandem/train/eval"
	"tandem/train/metrics"
)

// Options say of what a card is.
type Options struct {
	Name     string // of the model
	Licence  string // an identifier of the Hub, such as "cc-by-nc-4.0"; "": other, as the data's terms allow
	Contract infer.Contract
	SHA256   string // of the model's file in hex
	Bytes    int    // of the file
	Report   *eval.Report
	Recipe   string // JSON, "" if it is not known
}

// ErrOtherModel is returned for a report of another file.
var ErrOtherModel = errors.New("the report is of another model")

// hubName is the form of the Hub's names of data sets. It refuses a card that names another; the text has all.
var hubName = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$`)

// licenceID is the form of its identifiers of licences.
var licenceID = regexp.MustCompile(`^[a-z0-9]+([.+-][a-z0-9]+)*\+{0,2}$`)

// CheckLicence returns an error for what can't be the Hub's identifier of a licence.
func CheckLicence(id string) error {
	if licenceID.MatchString(id) {
		return nil
	}
	like := strings.ToLower(strings.Join(strings.Fields(id), "-"))
	if !licenceID.MatchString(like) {
		like = "cc-by-4.0"
	}
	return fmt.Errorf("licence %q: give an identifier of the Hugging Face Hub, such as %s, or other", id, like)
}

//go:embed card.md
var body string

// header is the metadata, by the Hub's model-card specification.
type header struct {
	License     string       `yaml:"license"`
	LicenseName string       `yaml:"license_name,omitempty"`
	Library     string       `yaml:"library_name"`
	Pipeline    string       `yaml:"pipeline_tag"`
	Tags        []string     `yaml:"tags"`
	Datasets    []string     `yaml:"datasets,omitempty"`
	Metrics     []string     `yaml:"metrics,omitempty"`
	Index       []modelIndex `yaml:"model-index,omitempty"`
}

type modelIndex struct {
	Name    string   `yaml:"name"`
	Results []result `yaml:"results"`
}

type result struct {
	Task    task     `yaml:"task"`
	Dataset data     `yaml:"dataset"`
	Metrics []metric `yaml:"metrics"`
}

type task struct {
	Type string `yaml:"type"`
	Name string `yaml:"name"`
}

type data struct {
	Type  string `yaml:"type"`
	Name  string `yaml:"name"`
	Split string `yaml:"split,omitempty"`
}

type metric struct {
	Type  string  `yaml:"type"`
	Name  string  `yaml:"name"`
	Value float64 `yaml:"value"`
}

// Row is a line of the card's table: a data set's, or that of all clips.
type Row struct {
	Set, Task                        string
	N                                int
	Accuracy, UAR, F1, NLL, ECE, Who string
}

// Write returns the card.
func Write(o Options) ([]byte, error) {
	if o.Report != nil && o.Report.Model != o.SHA256 {
		return nil, fmt.Errorf("%w: of %.12s…, the model is %.12s…; evaluate this one by `tandem eval --report`",
			ErrOtherModel, o.Report.Model, o.SHA256)
	}
	front, err := yaml.Marshal(o.header())
	if err != nil {
		return nil, err
	}
	page, err := template.New("card").Funcs(template.FuncMap{
		"join": strings.Join, "cell": cell, "code": code, "senses": senses, "temperatures": temperatures,
	}).Parse(body)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("---\n")
	b.Write(front)
	b.WriteString("---\n\n")
	err = page.Execute(&b, struct {
		Options
		Rows   []Row
		Shared []string
	}{o, rows(o.Report), shared(o.Contract)})
	return b.Bytes(), err
}

func (o *Options) header() header {
	h := header{
		License: o.Licence, Library: "onnx", Pipeline: "audio-classification",
		Tags: []string{"emotion-recognition", "gender-recognition", "onnx", "tandem"},
	}
	if h.License == "" {
		h.License, h.LicenseName = "other", "as-the-training-data-allows"
	}
	switch o.Contract.Senses {
	case "video":
		h.Pipeline = "image-classification"
		h.Tags = append(h.Tags, "face")
	case "audio":
		h.Tags = append(h.Tags, "speech")
	default:
		h.Tags = append(h.Tags, "audio-visual", "face", "speech")
	}
	for _, d := range o.Contract.Data {
		name, _, _ := strings.Cut(d.Name, ":") // without the kind of labels
		if hubName.MatchString(name) && !slices.Contains(h.Datasets, name) {
			h.Datasets = append(h.Datasets, name)
		}
	}
	if o.Report == nil {
		return h
	}
	h.Metrics = []string{"accuracy", "recall", "f1"}
	index := modelIndex{Name: o.Name}
	for _, set := range slices.Sorted(maps.Keys(o.Report.Sets)) {
		for _, t := range tasks(o.Report.Sets[set]) {
			index.Results = append(index.Results, result{
				Task:    task{h.Pipeline, t.name},
				Dataset: data{set, set, splits[o.Report.Split]},
				Metrics: []metric{
					{"accuracy", "accuracy", three(t.Accuracy)},
					{"recall", "unweighted average recall", three(t.UAR)},
					{"f1", "macro F1", three(t.F1)},
					{"nll", "negative log-likelihood (nats)", three(t.NLL)},
					{"expected_calibration_error", "expected calibration error", three(t.ECE)},
				},
			})
		}
	}
	h.Index = []modelIndex{index}
	return h
}

// splits are the Hub's names.
var splits = map[string]string{"val": "validation", "test": "test", "train": "train"}

// three rounds to three digits: more would be noise.
func three(v float64) float64 { return math.Round(v*1000) / 1000 }

type taskScores struct {
	name string
	*metrics.Scores
}

// tasks returns the scores that there are.
func tasks(s eval.SetReport) (all []taskScores) {
	for _, t := range []taskScores{{"emotion", s.Emotion}, {"gender", s.Gender}} {
		if t.Scores != nil {
			all = append(all, t)
		}
	}
	return all
}

// rows returns the table of a report's sets; none without a report.
func rows(r *eval.Report) (all []Row) {
	if r == nil {
		return nil
	}
	add := func(set string, s eval.SetReport) {
		for _, t := range tasks(s) {
			row := Row{
				Set: set, Task: t.name, N: t.N, Accuracy: figure(t.Accuracy, nil), UAR: figure(t.UAR, nil),
				F1: figure(t.F1, nil), NLL: figure(t.NLL, nil), ECE: figure(t.ECE, nil), Who: "–",
			}
			if t.Drawn != nil {
				row.Who = t.Drawn.String()
			}
			if i := t.Intervals; i != nil {
				row.Accuracy, row.UAR = figure(t.Accuracy, &i.Accuracy), figure(t.UAR, &i.UAR)
				row.F1, row.NLL, row.ECE = figure(t.F1, &i.F1), figure(t.NLL, &i.NLL), figure(t.ECE, &i.ECE)
			}
			all = append(all, row)
		}
	}
	for _, set := range slices.Sorted(maps.Keys(r.Sets)) {
		add(set, r.Sets[set])
	}
	if len(r.Sets) > 1 {
		add("all clips", r.All)
	}
	return all
}

// figure writes a score to three digits, with its 95 % interval if there is one.
func figure(v float64, interval *metrics.Range) string {
	if interval == nil {
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.3f [%.3f, %.3f]", v, interval[0], interval[1])
}

// cell makes text one cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ").Replace(s)
}

// code makes text inline code.
func code(s string) string { return "`" + strings.ReplaceAll(cell(s), "`", "'") + "`" }

// senses says what the model reads.
func senses(s string) string {
	switch s {
	case "audio":
		return "sound alone"
	case "video":
		return "faces alone"
	}
	return "faces, sound, or both"
}

// temperatures returns a line for each that was fitted, sorted.
func temperatures(c infer.Contract) (lines []string) {
	metadata := c.Metadata()
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		name, ok := strings.CutPrefix(key, "tandem.temperature.")
		if !ok {
			continue
		}
		t, err := strconv.ParseFloat(metadata[key], 64)
		if err != nil {
			continue // a contract's own temperatures are numbers
		}
		line := fmt.Sprintf("%s: %.3g", name, t)
		if by, ok := c.Calibration[name]; ok {
			line += fmt.Sprintf(", fitted by %d clips of %d known speakers", by.Clips, by.Speakers)
		}
		lines = append(lines, line)
	}
	return lines
}

// shared names the sets whose splits shared speakers.
func shared(c infer.Contract) (sets []string) {
	for _, d := range c.Data {
		if d.SharedSpeakers > 0 {
			sets = append(sets, fmt.Sprintf("%s (%d speakers)", d.Name, d.SharedSpeakers))
		}
	}
	return sets
}
