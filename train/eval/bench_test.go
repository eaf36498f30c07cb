package eval

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/metrics"
)

// tenThousand returns so many clips of five sets and fifty speakers each, and what a model said of them.
func tenThousand(clips int) ([]dataset.Clip, []Answer, pipeline.Labels) {
	rng := rand.New(rand.NewPCG(1, 2))
	labels := pipeline.Labels{
		Emotions: []string{"neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"},
		Genders:  []string{"female", "male"},
	}
	all, answers := make([]dataset.Clip, clips), make([]Answer, clips)
	say := func(truth, classes int) (p []float32) {
		sum := float32(0)
		for i := range classes {
			v := rng.Float32()
			if i == truth {
				v++
			}
			p, sum = append(p, v), sum+v
		}
		for i := range p {
			p[i] /= sum
		}
		return p
	}
	for i := range all {
		set := fmt.Sprint("set", i%5)
		all[i] = dataset.Clip{
			ID: fmt.Sprint(i), Dataset: set, Speaker: fmt.Sprint(set, i/5%50), Emotion: rng.IntN(7),
			Gender: rng.IntN(2),
		}
		e, g := say(all[i].Emotion, 7), say(all[i].Gender, 2)
		answers[i] = Answer{
			Clip: all[i].ID, Set: set, Windows: 3, Emotion: e, Gender: g, EmotionBefore: e, GenderBefore: g,
		}
	}
	return all, answers, labels
}

// BenchmarkReport makes the whole report of clips that are judged, with intervals of a thousand resamples.
func BenchmarkReport(b *testing.B) {
	for _, n := range []int{1000, 10000, 100000} {
		clips, answers, labels := tenThousand(n)
		b.Run(fmt.Sprintf("clips=%d", n), func(b *testing.B) {
			for b.Loop() {
				r, err := Pool(clips, answers, labels, metrics.Bootstrap{Resamples: 1000, Seed: 1})
				if err != nil {
					b.Fatal(err)
				}
				if err := r.Write(b.TempDir()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
		})
	}
}
