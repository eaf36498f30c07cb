package augment

import (
	"fmt"
	"math"
	"math/rand/v2"

	"tandem/capture"
)

// Audio is by how much sounds vary; 0 turns a variation off. Apparent gender is heard by speed and pitch, so the
// default recipe has little of them.
type Audio struct {
	Chance    float64    `json:"chance"`    // of each variation but shift and gain, which always come
	Shift     float64    `json:"shift"`     // seconds, either way
	Speed     float64    `json:"speed"`     // part by which speed and, with it, pitch change
	Tempo     float64    `json:"tempo"`     // part by which the tempo changes at the same pitch
	Pitch     float64    `json:"pitch"`     // semitones by which the pitch changes at the same tempo
	Equalizer float64    `json:"equalizer"` // dB at the centre of the equaliser's bell
	Reverb    float64    `json:"reverb"`    // seconds, longest time in which an echo falls by 60 dB
	SNR       [2]float64 `json:"snr"`       // dB, of the sound over the noise; both 0: no noise
	MaskTime  float64    `json:"mask_time"` // seconds, longest silence put in
	MaskBand  float64    `json:"mask_band"` // octaves, widest band taken out
	Gain      [2]float64 `json:"gain"`      // dB
}

const (
	eqLowest  = 150  // Hz, lowest centre of the equaliser and of the bands taken out
	eqHighest = 5000 // Hz
)

// Check returns an error, by the names in a recipe, for strengths out of range.
func (a Audio) Check() error {
	switch {
	case a.Chance < 0 || a.Chance > 1:
		return fmt.Errorf("augment.sound.chance %g: want 0 to 1", a.Chance)
	case a.Shift < 0 || a.Shift > 1 || a.MaskTime < 0 || a.MaskTime > 2 || a.Reverb < 0 || a.Reverb > 5:
		return fmt.Errorf("augment.sound: shift %g, mask_time %g, reverb %g: want seconds, at most 1, 2 and 5", a.Shift,
			a.MaskTime, a.Reverb)
	case a.Speed < 0 || a.Speed > 0.5 || a.Tempo < 0 || a.Tempo > 0.5:
		return fmt.Errorf("augment.sound: speed %g, tempo %g: want parts from 0 to 0.5", a.Speed, a.Tempo)
	case a.Pitch < 0 || a.Pitch > 12 || a.MaskBand < 0 || a.MaskBand > 3 || a.Equalizer < 0 || a.Equalizer > 30:
		return fmt.Errorf("augment.sound: pitch %g, mask_band %g, equalizer %g: want at most 12 semitones, 3 octaves "+
			"and 30 dB", a.Pitch, a.MaskBand, a.Equalizer)
	case a.SNR[0] > a.SNR[1] || a.Gain[0] > a.Gain[1] || max(a.SNR[1], a.Gain[1]) > 100 ||
		min(a.SNR[0], a.Gain[0]) < -100:
		return fmt.Errorf("augment.sound: snr %v, gain %v: want dB, the lower first", a.SNR, a.Gain)
	}
	return nil
}

// Apply writes a random variation of the window src to dst, of the same length and in [-1, 1]. All of it is drawn from
// rng; src is not written to.
func (a Audio) Apply(dst []float32, src []int16, rng *rand.Rand) {
	shift := uniform(rng, -a.Shift, a.Shift) * capture.SampleRate
	speed := 1.0
	if rng.Float64() < a.Chance {
		speed += uniform(rng, -a.Speed, a.Speed)
	}
	if a.Tempo > 0 && rng.Float64() < a.Chance {
		src = stretch(src, 1+uniform(rng, -a.Tempo, a.Tempo))
	}
	if a.Pitch > 0 && rng.Float64() < a.Chance {
		// Played faster by as much as it was stretched, it has its length again and another pitch.
		up := math.Pow(2, uniform(rng, -a.Pitch, a.Pitch)/12)
		src = stretch(src, 1/up)
		speed *= up
	}
	resample(dst, src, shift, speed)
	if rng.Float64() < a.Chance && a.Equalizer > 0 {
		centre := eqLowest * math.Pow(eqHighest/eqLowest, rng.Float64())
		peaking(dst, centre, uniform(rng, 0.5, 2), uniform(rng, -a.Equalizer, a.Equalizer))
		tilt(dst, uniform(rng, -0.05, 0.05)*a.Equalizer)
	}
	if a.Reverb > 0 && rng.Float64() < a.Chance {
		reverb(dst, uniform(rng, 0.1, max(a.Reverb, 0.1)), uniform(rng, 0.1, 0.5), rng)
	}
	if rng.Float64() < a.Chance && a.SNR != [2]float64{} {
		AddNoise(dst, uniform(rng, a.SNR[0], a.SNR[1]), rng.Float64() < 0.5, rng)
	}
	if a.MaskBand > 0 && rng.Float64() < a.Chance {
		centre := eqLowest * math.Pow(eqHighest/eqLowest, rng.Float64())
		maskBand(dst, centre, uniform(rng, 0.1, max(a.MaskBand, 0.1)))
	}
	if a.MaskTime > 0 && rng.Float64() < a.Chance {
		n := min(len(dst), int(uniform(rng, 0, a.MaskTime)*capture.SampleRate))
		at := rng.IntN(len(dst) - n + 1)
		clear(dst[at : at+n])
	}
	gain := float32(decibels(uniform(rng, a.Gain[0], a.Gain[1])))
	for i, v := range dst {
		dst[i] = min(max(v*gain, -1), 1)
	}
}

// uniform draws from [lo, hi).
func uniform(rng *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*rng.Float64() }
