package cli

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"tandem/train/eval"
	"tandem/train/metrics"
)

func TestScoresFitInto100Columns(t *testing.T) {
	before, r := 0.0421, metrics.Range{0.5456, 0.5801}
	drawn := metrics.Drawn{By: "speaker", Units: 4, Method: metrics.Student}
	s := &metrics.Scores{
		N: 3400, Accuracy: 0.5628, UAR: 0.4632, F1: 0.4571, NLL: 1.1459, ECE: 0.0291, ECEBefore: &before,
		Intervals: &metrics.Intervals{Accuracy: r, UAR: r, Drawn: drawn},
	}
	s.Drawn = &drawn
	plain := &metrics.Scores{N: 7, Accuracy: 1}
	joint, p := 1.2345, 0.105
	set := eval.SetReport{Emotion: s, Gender: s, Joint: &joint}
	d := metrics.Difference{Difference: 0.0683, Interval: &metrics.Range{-0.0417, 0.0923}}
	d.P, d.PHolm = &p, &p
	report := &eval.Report{
		Sets: map[string]eval.SetReport{"ravdess-warp": set, "grid": {Gender: plain}},
		All:  set, Comparisons: 3,
		Details: map[string]eval.Detail{
			"ravdess-warp": {
				Modalities: map[eval.Condition]eval.SetReport{"both": set, eval.AudioNoise: set},
				Fusion: &eval.FusionReport{
					Emotion: &eval.Fusion{N: 240, Better: eval.AudioOnly, Accuracy: d, UAR: d, NLL: d, Drawn: drawn},
				},
			},
			"grid": {Modalities: map[eval.Condition]eval.SetReport{"both": {Gender: plain}}},
		},
	}
	m := metrics.McNemar{First: 123, Second: 45}
	m.P, m.PHolm = &p, &p
	paired := eval.AgainstReport{Emotion: &eval.Paired{N: 3400, Accuracy: d, UAR: d, NLL: d, McNemar: m, Drawn: drawn}}
	report.Against = &eval.Against{Sets: map[string]eval.AgainstReport{"ravdess-warp": paired}, All: &paired}
	report.Labels = eval.ReportLabels{Emotions: []string{"neutral", "disgusted"}, Genders: []string{"female", "male"}}
	s.Classes = []metrics.ClassScores{{}, {Support: 12345, Precision: &joint}}
	var out bytes.Buffer
	if err := writeScores(&console{out: &out}, report); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{
		"0.563 [0.546, 0.580]", "0.029   0.042", "audio_noise", "+0.068 [-0.042, +0.092]", "–\n",
		"ravdess-warp: emotion: over 4 speakers, Student's t\n", "by Holm for all 3 comparisons", "0.105  ",
		"123 : 45", "disgusted  emotion  12345      1.234       –   –",
		"joint NLL, ravdess-warp: 1.234\n", "joint NLL, all clips together: 1.234\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table does not say %q:\n%s", want, text)
		}
	}
	if strings.Count(text, "grid") != 1 {
		t.Errorf("a set that is judged one way is there by sense:\n%s", text)
	}
}
