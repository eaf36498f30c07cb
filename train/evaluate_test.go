package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/pipeline"
)

// levelRecognizer tells emotion from the level of the sound and gender from that of the pictures, so that its answers depend on all of
// both.
type levelRecognizer struct{ spec pipeline.Spec }

func (r levelRecognizer) Spec() pipeline.Spec { return r.spec }

func (r levelRecognizer) Labels() pipeline.Labels {
	return pipeline.Labels{Emotions: []string{"neutral", "happy", "sad"}, Genders: []string{"female", "male"}}
}

func (r levelRecognizer) Recognize(_ context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	var out []pipeline.Prediction
	for _, w := range ws {
		var weighted, level float64
		for i, v := range w.Audio {
			weighted += math.Abs(float64(v)) * float64(i)
		}
		for i, v := range w.Video {
			level += float64(v) * float64(i%7)
		}
		e := float32(0.2 + weighted/float64(len(w.Audio))/float64(len(w.Audio)))
		g := float32(level / 255 / 6 / float64(len(w.Video)))
		if !w.AudioPresent {
			e = 0.1
		}
		out = append(out, pipeline.Prediction{Emotion: []float32{e, 0.9 - e, 0.1}, Gender: []float32{g, 1 - g}})
	}
	return out, nil
}

// TestEvaluateAgreesWithRun holds evaluation to the pipeline: the mean of what Run says of a clip's windows, before smoothing.
func TestEvaluateAgreesWithRun(t *testing.T) {
	clips := testClips(t)[:3]
	rec := levelRecognizer{testSpec}
	for i := range clips {
		clips[i].Emotion, clips[i].Gender = 0, 0
		src, err := openClip(t.Context(), &clips[i])
		if err != nil {
			t.Fatal(err)
		}
		var emotion, gender, n float64
		_, err = pipeline.Run(t.Context(), src, newFinder(), rec, pipeline.Options{Faces: 1}, func(e pipeline.Event) error {
			if e.Window != nil {
				emotion += e.Window.Emotion.P[0].P
				gender += e.Window.Gender.P[0].P
				n++
			}
			return nil
		})
		src.Close()
		if err != nil {
			t.Fatal(err)
		}
		r, err := Evaluate(t.Context(), rec, newFinder().make, clips[i:i+1], EvalOptions{Split: SplitAll})
		if err != nil {
			t.Fatal(err)
		}
		near64(t, clips[i].ID+": p(emotion)", math.Exp(-r.All.Emotion.NLL), emotion/n, 1e-4)
		near64(t, clips[i].ID+": p(gender)", math.Exp(-r.All.Gender.NLL), gender/n, 1e-4)
	}
}

func TestEvaluateChoosesSplitAndSenses(t *testing.T) {
	clips := testClips(t)
	rec := levelRecognizer{testSpec}
	for _, tc := range []struct {
		o                               EvalOptions
		clips, emotion, gender, skipped int
	}{
		{EvalOptions{}, 2, 2, 2, 2},
		{EvalOptions{Split: SplitTrain}, 1, 1, 0, 0},
		{EvalOptions{Split: SplitAll}, 3, 3, 2, 2},
		{EvalOptions{Split: SplitAll, Senses: AudioOnly}, 2, 2, 1, 2},
		{EvalOptions{Split: SplitAll, Senses: VideoOnly}, 2, 2, 1, 2},
		{EvalOptions{Senses: VideoOnly}, 1, 1, 1, 2},
	} {
		r, err := Evaluate(t.Context(), rec, newFinder().make, clips, tc.o)
		if err != nil {
			t.Errorf("%+v: %v", tc.o, err)
			continue
		}
		n := func(s *Scores) int {
			if s == nil {
				return 0
			}
			return s.N
		}
		if r.Clips != tc.clips || n(r.All.Emotion) != tc.emotion || n(r.All.Gender) != tc.gender || len(r.Skipped) != tc.skipped {
			t.Errorf("%+v: %d clips, emotion %d, gender %d, skipped %d", tc.o, r.Clips, n(r.All.Emotion), n(r.All.Gender), len(r.Skipped))
		}
		if set := r.Sets["mine"]; n(set.Emotion) != tc.emotion || (set.Gender == nil) != (tc.gender == 0) {
			t.Errorf("%+v: set %+v", tc.o, set)
		}
	}
	for _, tc := range []struct {
		o    EvalOptions
		says string
	}{
		{EvalOptions{Split: "dev"}, `split "dev"`}, {EvalOptions{Split: SplitTest}, "of the split test"}, {EvalOptions{Senses: "smell"}, `senses "smell"`},
	} {
		if _, err := Evaluate(t.Context(), rec, newFinder().make, clips, tc.o); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%+v: %v", tc.o, err)
		}
	}
	clips[0].Emotion = 5
	if _, err := Evaluate(t.Context(), rec, newFinder().make, clips, EvalOptions{}); err == nil || !strings.Contains(err.Error(), "does not: its labels are") {
		t.Errorf("label beyond the model's: %v", err)
	}
}

func TestReportIsTheContract(t *testing.T) {
	r := &Report{
		Version: reportVersion, Model: "abc", Split: SplitVal, Senses: BothSenses, Labels: ReportLabels{[]string{"neutral", "<b>"}, []string{"female", "male"}},
		Clips: 3, Skipped: []string{"x.mp4: not a film"},
		Sets: map[string]SetReport{},
	}
	emotion := Score([][]float64{{.9, .1}, {.3, .7}, {.6, .4}}, []int{0, 1, 1}, 2)
	r.Sets["ravdess"] = SetReport{Emotion: &emotion, Gender: &emotion}
	r.Sets["fer2013"] = SetReport{Emotion: &emotion}
	r.All = SetReport{Emotion: &emotion}
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
		Sets  map[string]map[string]map[string]any
		All   map[string]map[string]any
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.V != 1 || got.Model != "abc" || got.Split != "val" || len(got.Sets) != 2 || len(got.All) != 1 {
		t.Errorf("%+v", got)
	}
	if _, ok := got.Sets["fer2013"]["gender"]; ok {
		t.Error("a task without labels is there")
	}
	scores := got.Sets["ravdess"]["emotion"]
	for key, want := range map[string]float64{"n": 3, "accuracy": 2. / 3, "uar": .75, "f1": 2. / 3, "nll": emotion.NLL, "ece": emotion.ECE} {
		v, ok := scores[key].(float64)
		if !ok {
			t.Errorf("%s is missing", key)
			continue
		}
		near64(t, key, v, want, 1e-9)
	}

	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, want := range []string{"66.7 %", "ravdess: gender", "all: emotion", "&lt;b&gt;", "x.mp4: not a film", "<svg", "50 % of the row", "abc"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, no := range []string{"http://", "https://", "<script", "src=", "ZgotmplZ", "NaN", "<b>\n"} {
		if strings.Contains(text, no) {
			t.Errorf("the page says %q", no)
		}
	}
}

func TestEvaluateHeedsItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Evaluate(ctx, levelRecognizer{testSpec}, newFinder().make, testClips(t), EvalOptions{}); err == nil {
		t.Error("no error of a cancelled context")
	}
}
