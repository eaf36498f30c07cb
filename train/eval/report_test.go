package eval

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/train/dataset"
	"tandem/train/metrics"
	"tandem/train/traintest"
)

// wholeReport is a report that has all parts, and its scores without intervals.
func wholeReport() (*Report, metrics.Scores) {
	r := &Report{
		Version: reportVersion, Model: "abc", Split: dataset.SplitVal, Modalities: Both,
		Labels: ReportLabels{[]string{"neutral", "<b>"}, []string{"female", "male"}},
		Clips:  3, Skipped: []string{"x.mp4: not a film"},
		Sets: map[string]SetReport{},
	}
	emotion := metrics.Score([][]float64{{.9, .1}, {.3, .7}, {.6, .4}}, []int{0, 1, 1}, 2)
	r.Sets["ravdess"] = SetReport{Emotion: &emotion, Gender: &emotion}
	r.Sets["fer2013"] = SetReport{Emotion: &emotion}
	r.All = SetReport{Emotion: &emotion}
	before := 0.25
	drawn := metrics.Drawn{By: metrics.BySpeaker, Units: 4, Method: metrics.Student}
	judged := emotion
	judged.Drawn = &drawn
	judged.ECEBefore, judged.NLLBefore, judged.BinsBefore = &before, &before, emotion.Bins
	judged.Intervals = &metrics.Intervals{
		Accuracy:  metrics.Range{0.1234, 0.9876},
		ECEBefore: &metrics.Range{0, 1},
		Drawn:     drawn,
	}
	r.Sets["ravdess"] = SetReport{Emotion: &judged, Gender: &emotion}
	gain := metrics.Difference{Difference: 0.0777, Interval: &metrics.Range{-0.1, 0.2}}
	gain.P = &before
	r.Details = map[string]Detail{"ravdess": {
		Windows:    &SetReport{Emotion: &judged},
		Modalities: map[Condition]SetReport{"both": {Emotion: &judged}, VideoBlack: {Emotion: &judged}},
		Fusion: &FusionReport{
			Emotion: &Fusion{N: 3, Better: AudioOnly, UAR: gain, Drawn: drawn},
		},
		Groups: map[string]map[string]SetReport{"age": {"18–29": {Gender: &judged}, "<60>": {Gender: &judged}}},
	}}
	lone := emotion
	lone.Drawn = &metrics.Drawn{By: metrics.BySpeaker, Units: 2}
	joint := 1.2345
	r.Sets["emodb"] = SetReport{Emotion: &lone, Joint: &joint}
	r.correct()
	return r, emotion
}

func TestReportIsTheContract(t *testing.T) {
	r, emotion := wholeReport()
	dir := filepath.Join(t.TempDir(), "new", "report")
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		V     int
		Model string
		Split string
		Sets  map[string]map[string]json.RawMessage
		All   map[string]map[string]any
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.V != 1 || got.Model != "abc" || got.Split != "val" || len(got.Sets) != 3 || len(got.All) != 1 {
		t.Errorf("%+v", got)
	}
	if _, ok := got.Sets["fer2013"]["gender"]; ok {
		t.Error("a task without labels is there")
	}
	for _, want := range []string{
		`"details"`, `"senses"`, `"video_black"`, `"fusion"`, `"groups"`, `"windows"`, `"ece_before": 0.25`,
		`"by": "speaker"`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("report.json does not have %s", want)
		}
	}
	var scores map[string]any
	if err := json.Unmarshal(got.Sets["ravdess"]["emotion"], &scores); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]float64{
		"n": 3, "accuracy": 2. / 3, "uar": .75, "f1": 2. / 3, "nll": emotion.NLL, "ece": emotion.ECE,
	} {
		v, ok := scores[key].(float64)
		if !ok {
			t.Errorf("%s is missing", key)
			continue
		}
		traintest.Near(t, key, v, want, 1e-9)
	}

	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, want := range []string{
		"0.667", "[0.123, 0.988]", "0.250", "#43;0.078", "[-0.100, 0.200]", "picture black", "18–29", "&lt;60&gt;",
		"4 speakers, Student&#39;s t", "2 speakers, no interval", "as few as 4 speakers",
		"fewer than 3 speakers",
		"all 1 comparisons", "p 0.25", "Joint NLL", "1.234", "ECE is above 0.05",
		`href="#ravdess-gender"`, `id="ravdess-gender"`,
		"Before temperature scaling", "ravdess: gender", "all: emotion", "&lt;b&gt;", "x.mp4: not a film", "<svg",
		"abc",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, no := range []string{"http://", "https://", "<script", "src=", "ZgotmplZ", "NaN", "<b>\n", "<60>"} {
		if strings.Contains(text, no) {
			t.Errorf("the page says %q", no)
		}
	}
}

func TestReportSaysHowItsDataIsDivided(t *testing.T) {
	page, err := (&Report{SplitBy: dataset.ByAuthors, SharedSpeakers: []string{"anna (train, val)"}}).HTML()
	if err != nil || !strings.Contains(string(page), "Divided by authors") ||
		!strings.Contains(string(page), "1 speakers stand in several splits") {
		t.Errorf("report: %v\n%s", err, page)
	}
}
