package eval

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/dataset/datasettest"
	"tandem/train/metrics"
	"tandem/train/traintest"
)

// reportOf returns a report of clips, all of the first emotion, four of each speaker, of which the model gives the
// probabilities p to it. Its other emotion is named otherwise in between, where swap is set.
func reportOf(swap bool, p ...float32) *Report {
	r := &Report{Labels: ReportLabels{Emotions: []string{"happy", "sad"}, Genders: []string{"f", "m"}}}
	if swap {
		slices.Reverse(r.Labels.Emotions)
	}
	for i, v := range p {
		emotion := []float32{v, 1 - v}
		if swap {
			slices.Reverse(emotion)
		}
		r.answers = append(r.answers, clipAnswer{
			clip: &dataset.Clip{
				ID: fmt.Sprint("c", i), Dataset: []string{"a", "b"}[i/8], Speaker: fmt.Sprint("s", i/4), Gender: -1,
			},
			windows: 1, now: pipeline.Prediction{Emotion: emotion, Gender: []float32{0.5, 0.5}},
		})
	}
	return r
}

// Two models are compared clip by clip, whatever the order of their labels and whatever clips one of them lacks.
func TestCompareWithIsPaired(t *testing.T) {
	mine := reportOf(false, .9, .9, .9, .4, .9, .9, .9, .9, .9, .9, .4, .9, .9, .9, .9, .9)
	other := reportOf(true, .9, .2, .9, .2, .9, .9, .9, .2, .9, .9, .9, .9, .9, .2, .9, .9)
	other.answers = slices.Delete(other.answers, 15, 16)
	other.Model = "other"
	if err := mine.CompareWith(other, metrics.Bootstrap{Resamples: 100, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	rows := mine.Against.Rows()
	if len(rows) != 3 || rows[2].Set != "all" || mine.Against.Model != "other" {
		t.Fatalf("%+v", rows)
	}
	all := rows[2]
	// Of the 15 clips that both have, 13 are right here, and 11 there.
	traintest.Near(t, "accuracy", all.Accuracy.Difference, 13./15-11./15, 1e-6)
	if all.N != 15 || all.McNemar.First != 3 || all.McNemar.Second != 1 || all.Units != 4 {
		t.Errorf("%+v", all.Paired)
	}
	traintest.Near(t, "p of McNemar", *all.McNemar.P, 2*5./16, 1e-9)
	// Two speakers give no interval; four do, and each p is corrected for all of the report.
	if rows[0].Accuracy.Interval != nil || all.Accuracy.Interval == nil || mine.Comparisons != 6 {
		t.Errorf("intervals %v, %v; %d comparisons", rows[0].Accuracy.Interval, all.Accuracy.Interval, mine.Comparisons)
	}
	if *all.McNemar.PHolm < *all.McNemar.P {
		t.Errorf("p %g, corrected %g", *all.McNemar.P, *all.McNemar.PHolm)
	}
	page, err := mine.HTML()
	if err != nil || !bytes.Contains(page, []byte("<td>3 : 1 <small>p 1</small>")) {
		t.Errorf("the page does not tell: %v", err)
	}
	other.Labels.Emotions = []string{"sad", "angry"}
	err = mine.CompareWith(other, metrics.Bootstrap{})
	if err == nil || !strings.Contains(err.Error(), "same labels") {
		t.Errorf("other labels: %v", err)
	}
}

// The rows of a predictions file give the scores of the report.
func TestPredictionsGiveTheScores(t *testing.T) {
	rec := levelRecognizer{traintest.Spec}
	r, err := Evaluate(t.Context(), rec, traintest.NewFinder().Make, datasettest.Clips(t), Options{
		Split: SplitAll, Plain: true, Temperatures: func(audio, video bool) (float64, float64) { return 2, 2 },
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.WritePredictions(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 1+r.Clips {
		t.Fatalf("%d rows of %d clips, %v", len(rows), r.Clips, err)
	}
	at := func(row []string, column string) string {
		k := slices.Index(rows[0], column)
		if k < 0 {
			t.Fatalf("no column %s in %v", column, rows[0])
		}
		return row[k]
	}
	right, n, nll, before := 0, 0, 0.0, 0.0
	for _, row := range rows[1:] {
		if at(row, "clip") == "" || strings.Contains(at(row, "clip"), t.TempDir()) || at(row, "windows") == "0" {
			t.Errorf("row %v", row)
		}
		truth := at(row, "emotion_truth")
		if truth == "" {
			continue
		}
		n++
		if at(row, "emotion") == truth {
			right++
		}
		for column, sum := range map[string]*float64{"emotion:": &nll, "emotion_before:": &before} {
			p, err := strconv.ParseFloat(at(row, column+truth), 64)
			if err != nil {
				t.Fatal(err)
			}
			*sum -= math.Log(p)
		}
	}
	traintest.Near(t, "accuracy", float64(right)/float64(n), r.All.Emotion.Accuracy, 1e-9)
	traintest.Near(t, "NLL", nll/float64(n), r.All.Emotion.NLL, 1e-4)
	traintest.Near(t, "NLL before", before/float64(n), *r.All.Emotion.NLLBefore, 1e-4)
	if len(r.All.Emotion.Classes) != 3 || r.All.Emotion.Classes[0].Support == 0 {
		t.Errorf("scores by class %+v", r.All.Emotion.Classes)
	}
}
