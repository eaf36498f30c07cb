package eval

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/dataset/datasettest"
	"tandem/train/metrics"
	"tandem/train/sample"
	"tandem/train/traintest"
)

// levelRecognizer tells emotion from the level of the sound and gender from that of the pictures, so that its answers
// depend on all of both.
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

// TestEvaluateAgreesWithRun holds evaluation to the pipeline: the mean of what Run says of a clip's windows, before
// smoothing.
func TestEvaluateAgreesWithRun(t *testing.T) {
	clips := datasettest.Clips(t)[:3]
	rec := levelRecognizer{traintest.Spec}
	for i := range clips {
		clips[i].Emotion, clips[i].Gender = 0, 0
		src, err := sample.OpenClip(t.Context(), &clips[i])
		if err != nil {
			t.Fatal(err)
		}
		var emotion, gender, n float64
		_, err = pipeline.Run(
			t.Context(),
			src,
			traintest.NewFinder(),
			rec,
			pipeline.Options{Faces: 1},
			func(e pipeline.Event) error {
				if e.Window != nil {
					emotion += e.Window.Emotion.P[0].P
					gender += e.Window.Gender.P[0].P
					n++
				}
				return nil
			},
		)
		src.Close()
		if err != nil {
			t.Fatal(err)
		}
		r, err := Evaluate(t.Context(), rec, traintest.NewFinder().Make, clips[i:i+1], Options{Split: SplitAll})
		if err != nil {
			t.Fatal(err)
		}
		traintest.Near(t, clips[i].ID+": p(emotion)", math.Exp(-r.All.Emotion.NLL), emotion/n, 1e-4)
		traintest.Near(t, clips[i].ID+": p(gender)", math.Exp(-r.All.Gender.NLL), gender/n, 1e-4)
	}
}

func TestEvaluateChoosesSplitAndSenses(t *testing.T) {
	clips := datasettest.Clips(t)
	rec := levelRecognizer{traintest.Spec}
	for _, tc := range []struct {
		o                               Options
		clips, emotion, gender, skipped int
	}{
		{Options{}, 2, 2, 2, 2},
		{Options{Split: dataset.SplitTrain}, 1, 1, 0, 0},
		{Options{Split: SplitAll}, 3, 3, 2, 2},
		{Options{Split: SplitAll, Modalities: AudioOnly}, 2, 2, 1, 2},
		{Options{Split: SplitAll, Modalities: VideoOnly}, 2, 2, 1, 2},
		{Options{Modalities: VideoOnly}, 1, 1, 1, 2},
	} {
		r, err := Evaluate(t.Context(), rec, traintest.NewFinder().Make, clips, tc.o)
		if err != nil {
			t.Errorf("%+v: %v", tc.o, err)
			continue
		}
		n := func(s *metrics.Scores) int {
			if s == nil {
				return 0
			}
			return s.N
		}
		if r.Clips != tc.clips || n(r.All.Emotion) != tc.emotion || n(r.All.Gender) != tc.gender ||
			len(r.Skipped) != tc.skipped {
			t.Errorf(
				"%+v: %d clips, emotion %d, gender %d, skipped %d",
				tc.o,
				r.Clips,
				n(r.All.Emotion),
				n(r.All.Gender),
				len(r.Skipped),
			)
		}
		if set := r.Sets["mine"]; n(set.Emotion) != tc.emotion || (set.Gender == nil) != (tc.gender == 0) {
			t.Errorf("%+v: set %+v", tc.o, set)
		}
	}
	for _, tc := range []struct {
		o    Options
		says string
	}{
		{Options{Split: "dev"}, `split "dev"`},
		{Options{Split: dataset.SplitTest}, "of the split test"},
		{Options{Modalities: "smell"}, `senses "smell"`},
	} {
		if _, err := Evaluate(t.Context(), rec, traintest.NewFinder().Make, clips, tc.o); err == nil ||
			!strings.Contains(err.Error(), tc.says) {
			t.Errorf("%+v: %v", tc.o, err)
		}
	}
	clips[0].Emotion = 5
	if _, err := Evaluate(t.Context(), rec, traintest.NewFinder().Make, clips, Options{}); err == nil ||
		!strings.Contains(err.Error(), "does not: its labels are") {
		t.Errorf("label beyond the model's: %v", err)
	}
}

// Details tell the same clips by sense and by group, and what is drawn does not hang on how much is done at a time.
func TestEvaluateTellsDetails(t *testing.T) {
	clips := datasettest.Clips(t)
	rec := levelRecognizer{traintest.Spec}
	o := Options{
		Split:        SplitAll,
		Bootstrap:    metrics.Bootstrap{Resamples: 20, Seed: 1},
		Temperatures: func(bool, bool) (float64, float64) { return 2, 2 },
		Parallel:     1,
	}
	for i := range clips {
		clips[i].Gender, clips[i].Age, clips[i].Race = i%2, 20, "white"
		clips[i].Speaker = fmt.Sprint(i)
	}
	one, err := Evaluate(t.Context(), rec, traintest.NewFinder().Make, clips, o)
	if err != nil {
		t.Fatal(err)
	}
	d := one.Details["mine"]
	counts := map[Condition]int{}
	for c, r := range d.Modalities {
		counts[c] = r.Gender.N
	}
	// Of the three clips that can be used two have sound, two have a face, and one has both.
	if want := "map[audio:1 audio_noise:2 both:3 video:1 video_black:2 video_blur:2 video_noise:2]"; fmt.Sprint(
		counts,
	) != want {
		t.Errorf("%v, want %s", counts, want)
	}
	if d.Fusion == nil || d.Fusion.Gender.N != 1 {
		t.Errorf("fusion %+v", d.Fusion)
	}
	for _, kind := range []string{"gender", "age", "race", "race and gender", "age and gender"} {
		n := 0
		for _, r := range d.Groups[kind] {
			n += r.Gender.N
		}
		if n != 3 {
			t.Errorf("%s has %d clips of 3: %v", kind, n, d.Groups[kind])
		}
	}
	if d.Windows == nil || d.Windows.Gender.N <= 3 {
		t.Errorf("windows %+v", d.Windows)
	}
	if s := one.All.Gender; s.ECEBefore == nil || s.Intervals == nil || s.Intervals.Units != 3 {
		t.Errorf("%+v", s)
	}
	if one.Speed.Windows <= d.Windows.Gender.N || one.Speed.Seconds <= 0 {
		t.Errorf("%+v", one.Speed)
	}
	o.Parallel = 4
	four, err := Evaluate(t.Context(), rec, traintest.NewFinder().Make, clips, o)
	if err != nil {
		t.Fatal(err)
	}
	four.Created, four.Speed = one.Created, one.Speed
	a, _ := json.Marshal(one)
	b, _ := json.Marshal(four)
	if string(a) != string(b) {
		t.Errorf("one at a time:\n%s\nfour:\n%s", a, b)
	}
}

// What is remembered of crops changes no answer: the default model says the same of each window, under each condition,
// by itself.
func TestRememberingChangesNothing(t *testing.T) {
	rec, err := infer.NewRecognizer(infer.DefaultModel(), infer.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	p, err := sample.Prepare(
		t.Context(),
		datasettest.Clips(t),
		sample.Options{Spec: rec.Spec(), Finder: traintest.NewFinder().Make, Workers: 1},
	)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := Options{Split: SplitAll}.filled()
	said, _, err := predict(t.Context(), rec, p, o)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	k := map[int]int{}
	for i, s := range p.Samples {
		for _, c := range Conditions {
			got := said[c][i]
			if got.Emotion == nil {
				continue
			}
			whole := p.Window(i)
			shareFeatures(whole, s.Still)
			w := applyCondition(c, whole, p.Spec, new(pipeline.FeatureCache), p.Clips[s.Clip].ID, k[s.Clip])
			w.FeatureCaches = nil
			want, err := rec.Recognize(t.Context(), []*pipeline.Window{w})
			if err != nil {
				t.Fatal(err)
			}
			for j := range got.Emotion {
				traintest.Near(t, string(c), float64(got.Emotion[j]), float64(want[0].Emotion[j]), 1e-4)
			}
			compared++
		}
		k[s.Clip]++
	}
	if compared < 10 {
		t.Errorf("only %d windows were compared", compared)
	}
}

func TestEvaluateHeedsItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec, finder := levelRecognizer{traintest.Spec}, traintest.NewFinder().Make
	if _, err := Evaluate(ctx, rec, finder, datasettest.Clips(t), Options{}); err == nil {
		t.Error("no error of a cancelled context")
	}
}

// A network that has learned from sound alone is asked by its sound alone: no face, black or other, is put to it.
func TestEvaluateByTheSenseThatWasLearned(t *testing.T) {
	clips := datasettest.Clips(t)
	for _, learned := range []Modalities{AudioOnly, VideoOnly} {
		rec := &asked{levelRecognizer: levelRecognizer{traintest.Spec}}
		o := Options{Split: SplitAll, Learned: learned, Parallel: 2}
		r, err := Evaluate(t.Context(), rec, traintest.NewFinder().Make, clips, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range rec.windows {
			if w.AudioPresent != (learned == AudioOnly) || w.VideoPresent() != (learned == VideoOnly) {
				t.Errorf("%s: asked with sound %v, picture %v", learned, w.AudioPresent, w.VideoPresent())
			}
		}
		if r.Modalities != learned || len(rec.windows) == 0 || r.Speed.Windows != len(rec.windows) {
			t.Errorf("%s: judged by %s, %d windows", learned, r.Modalities, len(rec.windows))
		}
		o.Modalities = map[Modalities]Modalities{AudioOnly: VideoOnly, VideoOnly: AudioOnly}[learned]
		_, err = Evaluate(t.Context(), rec, traintest.NewFinder().Make, clips, o)
		if err == nil || !strings.Contains(err.Error(), "has learned from "+string(learned)+" alone") {
			t.Errorf("%s judged by %s: %v", learned, o.Modalities, err)
		}
	}
}

// asked keeps the windows that it is asked about.
type asked struct {
	levelRecognizer
	mu      sync.Mutex
	windows []*pipeline.Window
}

func (r *asked) Recognize(ctx context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	r.mu.Lock()
	r.windows = append(r.windows, ws...)
	r.mu.Unlock()
	return r.levelRecognizer.Recognize(ctx, ws)
}

// What is held at a time is bounded by bytes: one window of the paper's network is as many as 25 of the default's.
func TestChunksAreBoundedByBytes(t *testing.T) {
	usual := pipeline.Spec{Window: 2560 * time.Millisecond, VideoFrames: 8, CropSize: 48, Channels: 1}
	paper := pipeline.Spec{Window: 6 * time.Second, VideoFrames: 150, CropSize: 96, Channels: 3}
	for _, c := range []struct {
		spec       pipeline.Spec
		chunk      int
		sideBySide int
	}{{usual, 8, 64}, {paper, 1, 13}} {
		if got := chunkSize(c.spec, len(Conditions)); got != c.chunk {
			t.Errorf("%d samples at a time, want %d of %+v", got, c.chunk, c.spec)
		}
		if got := sideBySide(c.spec, 64); got != c.sideBySide {
			t.Errorf("%d networks at a time, want %d of %+v", got, c.sideBySide, c.spec)
		}
		if got := sideBySide(c.spec, 0); got != 1 {
			t.Errorf("%d networks at a time, want 1", got)
		}
	}
}
