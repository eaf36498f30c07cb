package infer

// ModalityTemperatures are those of windows with one modality alone; 0: as with both.
type ModalityTemperatures struct{ Audio, Video float64 }

// Temperatures returns the divisors of the logits of a window that has these modalities.
func (c Contract) Temperatures(audio, video bool) (emotion, gender float64) {
	emotion, gender = c.EmotionTemperature, c.GenderTemperature
	alone := func(t ModalityTemperatures, both float64) float64 {
		switch {
		case audio && !video && t.Audio > 0:
			return t.Audio
		case video && !audio && t.Video > 0:
			return t.Video
		}
		return both
	}
	return alone(c.EmotionAlone, emotion), alone(c.GenderAlone, gender)
}

// aloneTemperatures are the optional temperatures by their keys.
func (c *Contract) aloneTemperatures() map[string]*float64 {
	return map[string]*float64{
		"temperature.emotion.audio": &c.EmotionAlone.Audio, "temperature.emotion.video": &c.EmotionAlone.Video,
		"temperature.gender.audio": &c.GenderAlone.Audio, "temperature.gender.video": &c.GenderAlone.Video,
	}
}

// Calibration says by what a temperature was fitted: validation clips, each counting once, and an expectation, to which
// few clips are held. docs/training.md has the formula.
type Calibration struct {
	Clips    int     `json:"clips"`
	Speakers int     `json:"speakers"` // that are known
	Expected float64 `json:"expected"`
	Pull     float64 `json:"pull"` // to the expectation: 10 without any clip, 1 from 90 on
}
