package eval

import (
	"math"
	"math/rand/v2"
	"testing"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/metrics"
	"tandem/train/sample"
	"tandem/train/traintest"
)

// What a network says is made too sure by a known factor, another for voices, for faces and for both: calibrate must
// find each, and withTemperatures undo it.
func TestCalibrateBySense(t *testing.T) {
	const each = 6000
	rng := rand.New(rand.NewPCG(3, 4))
	data := &sample.Prepared{}
	var p, honest []pipeline.Prediction
	kinds := []struct {
		audio, video    bool
		emotion, gender float64
	}{{true, true, 2, 0.5}, {true, false, 0.6, 1.5}, {false, true, 1, 3}}
	draw := func(classes int) (probabilities []float32, label int) {
		z := make([]float32, classes)
		for k := range z {
			z[k] = float32(math.Exp(rng.NormFloat64()))
		}
		probabilities = metrics.PowerNormalize(z, 1)
		u := rng.Float64()
		for label = 0; label < classes-1; label++ {
			if u -= float64(probabilities[label]); u < 0 {
				break
			}
		}
		return probabilities, label
	}
	for _, k := range kinds {
		for range each {
			e, el := draw(5)
			g, gl := draw(2)
			s := sample.Sample{Clip: len(data.Clips)}
			if k.audio {
				s.Audio = []int16{1}
			}
			if k.video {
				s.Video = []byte{1}
			}
			data.Samples, data.Clips = append(
				data.Samples,
				s,
			), append(
				data.Clips,
				dataset.Clip{Emotion: el, Gender: gl},
			)
			honest = append(honest, pipeline.Prediction{Emotion: e, Gender: g})
			p = append(
				p,
				pipeline.Prediction{
					Emotion: metrics.PowerNormalize(e, k.emotion),
					Gender:  metrics.PowerNormalize(g, k.gender),
				},
			)
		}
	}
	var c infer.Contract
	Calibrate(&c, data, p)
	for _, k := range kinds {
		emotion, gender := c.Temperatures(k.audio, k.video)
		traintest.Near(t, "emotion temperature", emotion, k.emotion, 0.08*k.emotion)
		traintest.Near(t, "gender temperature", gender, k.gender, 0.08*k.gender)
	}
	calm := WithTemperatures(c, data, p)
	for i := range calm {
		traintest.Near(t, "probability", float64(calm[i].Emotion[0]), float64(honest[i].Emotion[0]), 0.03)
	}
}

// Of a sense that few clips have alone, the temperature is held to that of all; windows of one clip are not many clips.
func TestCalibrateOfFewClips(t *testing.T) {
	data, p := &sample.Prepared{}, []pipeline.Prediction{}
	add := func(s sample.Sample, emotion, windows int) {
		s.Clip = len(data.Clips)
		data.Clips = append(data.Clips, dataset.Clip{
			Emotion: emotion, Gender: -1, Speaker: []string{"anna", "ben"}[s.Clip%2],
		})
		for range windows {
			data.Samples = append(data.Samples, s)
			p = append(p, pipeline.Prediction{Emotion: []float32{0.9, 0.1}, Gender: []float32{0.5, 0.5}})
		}
	}
	for i := range 1000 {
		add(sample.Sample{Video: []byte{1}}, i%4/3, 1) // right in three of four
	}
	add(sample.Sample{Audio: []int16{1}}, 1, 200) // always wrong
	var c infer.Contract
	Calibrate(&c, data, p)
	traintest.Near(t, "video", c.EmotionAlone.Video, 2, 0.02) // 9^(1/2) = 3 to 1
	if got := c.EmotionAlone.Audio; got < 2 || got > 2.4 {
		t.Errorf("200 windows of one clip have a temperature of their own, %g; that of all is 2", got)
	}
	if c.GenderTemperature != 1 || c.GenderAlone != (infer.ModalityTemperatures{Audio: 1, Video: 1}) {
		t.Errorf("gender, of which no label is known: %g, %+v", c.GenderTemperature, c.GenderAlone)
	}
	by := c.Calibration["emotion.audio"]
	if by.Clips != 1 || by.Speakers != 1 || math.Abs(by.Pull-9.9) > 1e-9 || math.Abs(by.Expected-2) > 0.02 {
		t.Errorf("fitted by %+v", by)
	}
	if by := c.Calibration["emotion.video"]; by.Clips != 1000 || by.Speakers != 2 || by.Pull != 1 {
		t.Errorf("fitted by %+v", by)
	}
	if by := c.Calibration["gender"]; by.Clips != 0 || by.Pull != 10 {
		t.Errorf("fitted by %+v", by)
	}
}

// Where all windows are of one kind, they are not drawn upon twice.
func TestCalibrateOfOneKind(t *testing.T) {
	data, p := &sample.Prepared{}, []pipeline.Prediction{}
	for i := range 6 {
		data.Samples = append(data.Samples, sample.Sample{Clip: i, Audio: []int16{1}})
		data.Clips = append(data.Clips, dataset.Clip{Emotion: 0, Gender: -1})
		p = append(p, pipeline.Prediction{Emotion: []float32{0.9, 0.1}, Gender: []float32{0.5, 0.5}})
	}
	var c infer.Contract
	Calibrate(&c, data, p)
	if c.EmotionAlone.Audio != c.EmotionTemperature || c.EmotionTemperature >= 1 ||
		c.Calibration["emotion.audio"].Expected != 1 {
		t.Errorf("sound alone %g by %+v, all %g", c.EmotionAlone.Audio, c.Calibration["emotion.audio"],
			c.EmotionTemperature)
	}
}
