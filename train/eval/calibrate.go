package eval

import (
	"math"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/metrics"
	"tandem/train/sample"
)

// minCalibrated is the fewest windows with a known label for which a temperature of their own is fitted.
const minCalibrated = 100

// Calibrate sets the contract's temperatures by what the network, whose own were 1, says of the validation split: for
// each task one for windows with both senses and one for windows with each alone, since a network that is too sure of a
// voice need not be of a face.
func Calibrate(c *infer.Contract, data *sample.Prepared, p []pipeline.Prediction) {
	c.EmotionTemperature, c.EmotionAlone = taskTemperatures(data, p,
		func(p *pipeline.Prediction) []float32 { return p.Emotion }, func(c *dataset.Clip) int { return c.Emotion })
	c.GenderTemperature, c.GenderAlone = taskTemperatures(data, p,
		func(p *pipeline.Prediction) []float32 { return p.Gender }, func(c *dataset.Clip) int { return c.Gender })
}

func taskTemperatures(
	data *sample.Prepared,
	p []pipeline.Prediction,
	said func(*pipeline.Prediction) []float32,
	label func(*dataset.Clip) int,
) (both float64, alone infer.ModalityTemperatures) {
	fit := func(which func(s *sample.Sample) bool) (temperature float64, n int) {
		var logits [][]float32
		var truth []int
		for i := range data.Samples {
			s := &data.Samples[i]
			known := label(&data.Clips[s.Clip])
			if known < 0 || !which(s) {
				continue
			}
			logits, truth = append(logits, logProbabilities(said(&p[i]))), append(truth, known)
		}
		return metrics.FitTemperature(logits, truth), len(truth)
	}
	all, _ := fit(func(*sample.Sample) bool { return true })
	or := func(fallback float64, which func(s *sample.Sample) bool) float64 {
		if t, n := fit(which); n >= minCalibrated {
			return t
		}
		return fallback
	}
	both = or(all, func(s *sample.Sample) bool { return s.Audio != nil && s.Video != nil })
	alone.Audio = or(all, func(s *sample.Sample) bool { return s.Video == nil })
	alone.Video = or(all, func(s *sample.Sample) bool { return s.Audio == nil })
	return both, alone
}

// logProbabilities are logits up to a constant.
func logProbabilities(p []float32) []float32 {
	l := make([]float32, len(p))
	for k, x := range p {
		l[k] = float32(math.Log(math.Max(float64(x), 1e-12)))
	}
	return l
}

// WithTemperatures returns what predictions made without any become under a contract's temperatures: softmax(z/T) =
// p^(1/T) / sum p^(1/T).
func WithTemperatures(c infer.Contract, data *sample.Prepared, p []pipeline.Prediction) []pipeline.Prediction {
	out := make([]pipeline.Prediction, len(p))
	for i := range p {
		s := &data.Samples[i]
		emotion, gender := c.Temperatures(s.Audio != nil, s.Video != nil)
		out[i] = p[i]
		out[i].Emotion, out[i].Gender = metrics.PowerNormalize(
			p[i].Emotion,
			1/emotion,
		), metrics.PowerNormalize(
			p[i].Gender,
			1/gender,
		)
	}
	return out
}

// uncalibrate undoes temperature scaling: p is softmax(z/T), so that softmax(z) is p^T made to sum to 1.
func uncalibrate(p pipeline.Prediction, emotion, gender float64) pipeline.Prediction {
	return pipeline.Prediction{
		Emotion: metrics.PowerNormalize(p.Emotion, emotion), Gender: metrics.PowerNormalize(p.Gender, gender),
	}
}
