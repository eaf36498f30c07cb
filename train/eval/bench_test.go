package eval

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/metrics"
	"tandem/train/sample"
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

// BenchmarkReport makes the whole report of clips that are judged, with intervals of a thousand resamples: a pool of
// answers, as of cross-validation, and what tandem eval reports, by all conditions, groups and windows.
func BenchmarkReport(b *testing.B) {
	for _, n := range []int{1000, 10000, 100000} {
		clips, answers, labels := tenThousand(n)
		b.Run(fmt.Sprintf("pool/clips=%d", n), func(b *testing.B) {
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
	for _, n := range []int{1000, 10000} {
		for _, kind := range []string{"stills", "voices and faces"} {
			j := judged(n, kind == "stills")
			b.Run(fmt.Sprintf("eval/%s/clips=%d", kind, n), func(b *testing.B) {
				for b.Loop() {
					r, err := j.judge()
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
}

// judged is a model's answers under all conditions: to stills of one set whose people are not known, or to clips of
// three windows of five sets and fifty speakers each.
func judged(clips int, stills bool) scorer {
	all, answers, labels := tenThousand(clips)
	p := &sample.Prepared{Clips: all}
	o, err := Options{
		Split: SplitAll, Bootstrap: metrics.Bootstrap{Resamples: 1000, Seed: 1},
		Temperatures: func(bool, bool) (float64, float64) { return 1.5, 0.8 },
	}.filled()
	if err != nil {
		panic(err)
	}
	has, windows := modalities{true, true}, 3
	if stills {
		has, windows = modalities{video: true}, 1
	}
	said := predictions{}
	for i := range all {
		c := &all[i]
		c.Split, c.Age = dataset.SplitVal, 20+i%50
		if stills {
			c.Dataset, c.Speaker, c.Emotion = "stills", "", -1
		}
		for range windows {
			s := sample.Sample{Clip: i, Video: []byte{0}}
			if !stills {
				s.Audio = []int16{0}
			}
			p.Samples = append(p.Samples, s)
			for _, condition := range o.conditions(has) {
				said[condition] = append(said[condition], pipeline.Prediction{
					Emotion: answers[i].Emotion, Gender: answers[i].Gender,
				})
			}
		}
	}
	for _, condition := range o.conditions(modalities{true, true}) {
		if said[condition] == nil {
			said[condition] = make([]pipeline.Prediction, len(p.Samples))
		}
	}
	return newScorer(p, said, o, labels)
}
