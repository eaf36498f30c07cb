package eval

import (
	"fmt"
	"runtime"
	"testing"

	"tandem/train/dataset"
	"tandem/train/metrics"
	"tandem/train/sample"
	"tandem/train/traintest"
)

// What an evaluation holds grows by the answers to its clips alone, not by their sound, pictures and variants: some
// hundred bytes for each answer, of windows of 41 kB and more.
func TestMemoryIsThatOfAnswers(t *testing.T) {
	held := func(clips int) uint64 {
		spec := traintest.Spec
		p := &sample.Prepared{Spec: spec}
		sound, crops := make([]int16, spec.AudioSamples()), make([]byte, spec.VideoFrames*sample.CropBytes(spec))
		mask := make([]bool, spec.VideoFrames)
		for i := range mask {
			mask[i] = true
		}
		for i := range clips {
			p.Clips = append(p.Clips, dataset.Clip{
				ID: fmt.Sprint(i), Dataset: "mine", Gender: i % 2, Emotion: i % 3, Split: dataset.SplitVal,
			})
			p.Samples = append(p.Samples, sample.Sample{Clip: i, Audio: sound, Video: crops, VideoMask: mask})
		}
		rec := levelRecognizer{spec}
		o, err := Options{Bootstrap: metrics.Bootstrap{Resamples: 20}, Parallel: 2}.filled()
		if err != nil {
			t.Fatal(err)
		}
		memory := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := memory()
		said, _, err := predict(t.Context(), rec, p, o)
		if err != nil {
			t.Fatal(err)
		}
		r, err := newScorer(p, said, o, rec.Labels()).judge()
		if err != nil {
			t.Fatal(err)
		}
		after := memory()
		runtime.KeepAlive(said)
		runtime.KeepAlive(r)
		return after - min(before, after)
	}
	const few, many = 50, 450
	if grown := (float64(held(many)) - float64(held(few))) / (many - few); grown > 3000 {
		t.Errorf("a clip more takes %.0f bytes", grown)
	} else {
		t.Logf("a clip more takes %.0f bytes", grown)
	}
}
