// Package sampletest makes prepared data for tests, without people and without media files.
package sampletest

import (
	"math/rand/v2"

	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/sample"
)

// Labels are those of Synthetic's clips.
var Labels = pipeline.Labels{
	Emotions: []string{"neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"},
	Genders:  []string{"female", "male"},
}

// Synthetic returns so many clips of one window each: stills whose pattern of brightness depends on the emotion, sounds
// whose pitch does, and both together. All are in the training split; the same numbers give the same data.
func Synthetic(spec pipeline.Spec, stills, voices, talking int) *sample.Prepared {
	rng := rand.New(rand.NewPCG(7, 7))
	p := &sample.Prepared{Spec: spec}
	size := sample.CropBytes(spec)
	face := func(e, g int) []byte {
		c := make([]byte, size)
		for i := range c {
			x, y := i%spec.CropSize, i/spec.CropSize
			c[i] = byte(100 + 40*((x*(e+1)/spec.CropSize)%2) + 60*g*y/spec.CropSize + rng.IntN(20))
		}
		return c
	}
	audio := func(e, g int) []int16 {
		a := make([]int16, spec.AudioSamples())
		period := 40 + 20*e + 90*g
		for i := range a {
			a[i] = int16(3000*((i%period)*2/period) + rng.IntN(800))
		}
		return a
	}
	add := func(kind int) {
		e, g := rng.IntN(7), rng.IntN(2)
		s := sample.Sample{Clip: len(p.Clips)}
		clip := dataset.Clip{Dataset: "synthetic", Emotion: e, Gender: g, Split: "train", Video: "v", Audio: "a"}
		if kind == 0 {
			s.Still, s.Video, s.VideoMask = true, face(e, g), []bool{true}
			clip.Gender = -1
		} else {
			s.Audio = audio(e, g)
		}
		if kind == 2 {
			for range spec.VideoFrames {
				s.Video, s.VideoMask = append(s.Video, face(e, g)...), append(s.VideoMask, true)
			}
		}
		p.Clips, p.Samples = append(p.Clips, clip), append(p.Samples, s)
	}
	for kind, n := range []int{stills, voices, talking} {
		for range n {
			add(kind)
		}
	}
	return p
}

// Split moves every fourth clip of p to the validation split and the others to training, and returns p.
func Split(p *sample.Prepared) *sample.Prepared {
	for i := range p.Clips {
		p.Clips[i].Split = dataset.SplitTrain
		if i%4 == 0 {
			p.Clips[i].Split = dataset.SplitVal
		}
	}
	return p
}
