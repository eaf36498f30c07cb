package eval

import (
	"math"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/metrics"
	"tandem/train/sample"
)

// Calibrate sets the contract's temperatures by what the network, whose own were 1, says of the validation split: for
// each task one for windows with both senses and one for windows with each alone, since a network that is too sure of a
// voice need not be of a face. Each clip counts once, however many windows it has. The temperature of all windows of a
// task is held to 1 and those of its kinds of windows to that of all, the more strongly the fewer clips there are
// (metrics.Pull); the contract tells by what each was fitted.
func Calibrate(c *infer.Contract, data *sample.Prepared, p []pipeline.Prediction) {
	c.Calibration = map[string]infer.Calibration{}
	emotion := taskCalibration{data, "emotion", func(i int) ([]float32, int) {
		return p[i].Emotion, data.Clips[data.Samples[i].Clip].Emotion
	}}
	gender := taskCalibration{data, "gender", func(i int) ([]float32, int) {
		return p[i].Gender, data.Clips[data.Samples[i].Clip].Gender
	}}
	c.EmotionTemperature, c.EmotionAlone = emotion.temperatures(c.Calibration)
	c.GenderTemperature, c.GenderAlone = gender.temperatures(c.Calibration)
}

// taskCalibration fits the temperatures of a task. said returns the probabilities and the label of a sample.
type taskCalibration struct {
	data *sample.Prepared
	task string
	said func(sample int) (probabilities []float32, label int)
}

// temperatures also says in by, under the temperatures' names, what they were fitted by. Where all windows are of one
// kind, that of all is its.
func (t taskCalibration) temperatures(by map[string]infer.Calibration) (both float64, of infer.ModalityTemperatures) {
	windows := func(which func(*sample.Sample) bool) (chosen []int) {
		for i := range t.data.Samples {
			if _, label := t.said(i); label >= 0 && which(&t.data.Samples[i]) {
				chosen = append(chosen, i)
			}
		}
		return chosen
	}
	every := windows(func(*sample.Sample) bool { return true })
	all, ofAll := t.fit(1, every)
	kind := func(name string, which func(*sample.Sample) bool) (temperature float64) {
		chosen := windows(which)
		if len(chosen) == len(every) {
			by[name] = ofAll
			return all
		}
		temperature, by[name] = t.fit(all, chosen)
		return temperature
	}
	both = kind(t.task, func(s *sample.Sample) bool { return s.Audio != nil && s.Video != nil })
	of.Audio = kind(t.task+".audio", func(s *sample.Sample) bool { return s.Video == nil })
	of.Video = kind(t.task+".video", func(s *sample.Sample) bool { return s.Audio == nil })
	return both, of
}

// fit returns the temperature of some samples, whose labels are known, and what it was fitted by.
func (t taskCalibration) fit(expected float64, chosen []int) (float64, infer.Calibration) {
	windows, speakers := map[int]int{}, map[string]bool{}
	for _, i := range chosen {
		clip := t.data.Samples[i].Clip
		windows[clip]++
		if who := t.data.Clips[clip].Speaker; who != "" {
			speakers[who] = true
		}
	}
	items := make([]metrics.Calibrated, len(chosen))
	for k, i := range chosen {
		said, label := t.said(i)
		items[k] = metrics.Calibrated{
			Logits: logProbabilities(said), Truth: label, Weight: 1 / float64(windows[t.data.Samples[i].Clip]),
		}
	}
	by := infer.Calibration{
		Clips: len(windows), Speakers: len(speakers), Expected: expected, Pull: metrics.Pull(len(windows)),
	}
	return metrics.FitTemperature(items, expected, by.Pull), by
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
