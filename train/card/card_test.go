package card

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"tandem/infer"
	"tandem/train/eval"
	"tandem/train/metrics"
)

// contract is that of a model of two sets, one of which has shared speakers and a name with all that could break a
// table or YAML.
func contract() infer.Contract {
	return infer.Contract{
		Emotions: []string{"calm", "joyful"}, Genders: []string{"female", "male"}, SampleRate: 16000,
		Window: 2560 * time.Millisecond, Hop: 250 * time.Millisecond, VideoFrames: 8, CropSize: 48, Channels: 1,
		EmotionTemperature: 1.5, GenderTemperature: 0.48619, Weighting: "softmax",
		Calibration: map[string]infer.Calibration{"emotion": {Clips: 120, Speakers: 4}},
		Data: []infer.DataSet{
			{Name: "a|b: \"c\"", Licence: "CC BY 4.0", Split: "0123456789abcdef"},
			{Name: "mine", SharedSpeakers: 3, Split: "fedcba9876543210"},
		},
		Metrics: []byte(`{"mine":{"emotion":{"uar":0.5}}}`), MetricsSplit: "val",
		Created: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), TandemVersion: "v9",
	}
}

// parse divides a card into its metadata, as YAML reads it, and its text.
func parse(t *testing.T, b []byte) (map[string]any, string) {
	t.Helper()
	rest, ok := bytes.CutPrefix(b, []byte("---\n"))
	front, text, ok2 := bytes.Cut(rest, []byte("\n---\n"))
	var meta map[string]any
	if err := yaml.Unmarshal(front, &meta); !ok || !ok2 || err != nil {
		t.Fatalf("no metadata: %v\n%s", err, b)
	}
	return meta, string(text)
}

func TestCardSaysWhatTheReportSays(t *testing.T) {
	emotion := metrics.Scores{
		N: 120, Accuracy: 0.61239, UAR: 0.6, F1: 0.59, NLL: 1.01, ECE: 0.05,
		Drawn:     &metrics.Drawn{By: "speaker", Units: 4, Method: metrics.Student},
		Intervals: &metrics.Intervals{Accuracy: metrics.Range{0.5, 0.7}},
	}
	gender := metrics.Scores{N: 50, Accuracy: 0.9, UAR: 0.88, F1: 0.87, NLL: 0.3, ECE: 0.02}
	r := &eval.Report{
		Model: "cafe", Split: "test", Clips: 120, Seen: &eval.Seen{Trained: 7, OfSpeakers: 9},
		Sets: map[string]eval.SetReport{"mine": {Emotion: &emotion, Gender: &gender}},
	}
	b, err := Write(Options{
		Name: "my model", Contract: contract(), SHA256: "cafe", Bytes: 12345, Report: r, Recipe: `{"seed": 1}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	meta, text := parse(t, b)
	if meta["license"] != "other" || meta["license_name"] == nil || meta["library_name"] != "onnx" {
		t.Errorf("metadata %v", meta)
	}
	index := meta["model-index"].([]any)[0].(map[string]any)
	results := index["results"].([]any)
	first := results[0].(map[string]any)
	data := first["dataset"].(map[string]any)
	accuracy := first["metrics"].([]any)[0].(map[string]any)
	if index["name"] != "my model" || len(results) != 2 || data["name"] != "mine" || data["split"] != "test" ||
		accuracy["value"] != 0.612 {
		t.Errorf("model-index %v", index)
	}
	if sets := meta["datasets"].([]any); len(sets) != 1 || sets[0] != "mine" { // the other is no name of the Hub's
		t.Errorf("data sets %q", sets)
	}
	for _, want := range []string{
		"# my model\n", "calm, joyful", "| mine | emotion | 120 | 0.612 [0.500, 0.700] |",
		"| mine | gender | 50 | 0.900 | 0.880 |", "4 speakers, Student's t",
		`| a\|b: "c" | CC BY 4.0 | as the set prescribes |`,
		"does not say which clips and speakers",
		"| mine | not stated |", "**Speakers stood in several splits** of mine (3 speakers)",
		"**7 of the clips judged were learned from, 9 are of speakers that were.**",
		"emotion: 1.5, fitted by 120 clips of 4 known speakers", "gender: 0.486\n", `{"seed": 1}`, "the test split",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the card lacks %q", want)
		}
	}
	if strings.Contains(text, "flatter") {
		t.Error("test figures are said to flatter")
	}
	// A table's rows have as many cells as its head.
	for _, table := range strings.Split(text, "\n\n") {
		lines := strings.Split(strings.TrimSpace(table), "\n")
		for _, l := range lines {
			if strings.HasPrefix(l, "| ") && strings.HasPrefix(lines[0], "|") &&
				strings.Count(strings.ReplaceAll(l, `\|`, ""), "|") != strings.Count(lines[0], "|") {
				t.Errorf("a row of another width: %s\nin\n%s", l, table)
			}
		}
	}
}

// Without a report the card says so, and has the model's own figures; with that of another model there is none.
func TestCardWithoutReport(t *testing.T) {
	o := Options{Name: "m", Contract: contract(), SHA256: "cafe", Licence: "cc-by-4.0"}
	b, err := Write(o)
	if err != nil {
		t.Fatal(err)
	}
	meta, text := parse(t, b)
	if meta["license"] != "cc-by-4.0" || meta["license_name"] != nil || meta["model-index"] != nil {
		t.Errorf("metadata %v", meta)
	}
	for _, want := range []string{"No evaluation was given", "the val split", `{"mine":{"emotion":{"uar":0.5}}}`} {
		if !strings.Contains(text, want) {
			t.Errorf("the card lacks %q", want)
		}
	}
	if strings.Contains(text, "Recipe") {
		t.Error("a recipe out of nowhere")
	}
	o.Contract.Data = nil
	if b, err = Write(o); err != nil || !strings.Contains(string(b), "does not say which data") {
		t.Errorf("%v", err)
	}
	o.Report = &eval.Report{Model: "beef"}
	if _, err := Write(o); !errors.Is(err, ErrOtherModel) {
		t.Errorf("%v", err)
	}
}

func TestCardOfOneSense(t *testing.T) {
	for senses, want := range map[string][2]string{
		"audio": {"audio-classification", "sound alone"}, "video": {"image-classification", "faces alone"},
	} {
		o := Options{Contract: contract()}
		o.Contract.Senses = senses
		b, err := Write(o)
		if err != nil {
			t.Fatal(err)
		}
		if meta, text := parse(t, b); meta["pipeline_tag"] != want[0] || !strings.Contains(text, want[1]) {
			t.Errorf("%s: %v", senses, meta)
		}
	}
}

func TestCheckLicence(t *testing.T) {
	for _, id := range []string{"mit", "other", "cc-by-nc-sa-4.0", "apache-2.0", "openrail++", "gpl-3.0", "c-uda"} {
		if err := CheckLicence(id); err != nil {
			t.Error(err)
		}
	}
	for id, want := range map[string]string{
		"CC BY 4.0": "such as cc-by-4.0", "MIT": "such as mit", "": "such as", "my licence!": "such as cc-by-4.0",
	} {
		if err := CheckLicence(id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", id, err)
		}
	}
}
