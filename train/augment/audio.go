package augment

import (
	"fmt"
	"math"
	"math/rand/v2"

	"tandem/capture"
)

// Config says how training varies what it shows the network. All of it is drawn from the run's seed.
type Config struct {
	Audio Audio `json:"sound"`
	Face  Face  `json:"face"`
}

// Audio says by how much sounds vary; 0 turns a variation off. Speed and pitch are what apparent gender is heard by, so the
// default has little of them.
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

// Check refuses strengths that make no sense.
func (a Audio) Check() error {
	switch {
	case a.Chance < 0 || a.Chance > 1:
		return fmt.Errorf("augment.sound.chance %g: want 0 to 1", a.Chance)
	case a.Shift < 0 || a.Shift > 1 || a.MaskTime < 0 || a.MaskTime > 2 || a.Reverb < 0 || a.Reverb > 5:
		return fmt.Errorf("augment.sound: shift %g, mask_time %g, reverb %g: want seconds, at most 1, 2 and 5", a.Shift, a.MaskTime, a.Reverb)
	case a.Speed < 0 || a.Speed > 0.5 || a.Tempo < 0 || a.Tempo > 0.5:
		return fmt.Errorf("augment.sound: speed %g, tempo %g: want parts from 0 to 0.5", a.Speed, a.Tempo)
	case a.Pitch < 0 || a.Pitch > 12 || a.MaskBand < 0 || a.MaskBand > 3 || a.Equalizer < 0 || a.Equalizer > 30:
		return fmt.Errorf("augment.sound: pitch %g, mask_band %g, equalizer %g: want at most 12 semitones, 3 octaves and 30 dB", a.Pitch, a.MaskBand, a.Equalizer)
	case a.SNR[0] > a.SNR[1] || a.Gain[0] > a.Gain[1] || max(a.SNR[1], a.Gain[1]) > 100 || min(a.SNR[0], a.Gain[0]) < -100:
		return fmt.Errorf("augment.sound: snr %v, gain %v: want dB, the lower first", a.SNR, a.Gain)
	}
	return nil
}

// Apply writes a random variation of the window src to dst, of the same length, in [-1, 1]. What rng gives decides all of it.
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

func uniform(rng *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*rng.Float64() }

// decibels is the amplitude ratio of a level.
func decibels(db float64) float64 { return math.Pow(10, db/20) }

// resample reads src from shift on at the given speed, by cubic interpolation (Catmull-Rom), centred so that the middle of src comes to the
// middle of dst but for shift; beyond src it is silent.
func resample(dst []float32, src []int16, shift, speed float64) {
	at := func(i int) float32 {
		if uint(i) >= uint(len(src)) {
			return 0
		}
		return float32(src[i])
	}
	pos := shift + float64(len(src))/2 - float64(len(dst))/2*speed
	for i := range dst {
		floor := math.Floor(pos)
		k, t := int(floor), float32(pos-floor)
		pos += speed
		var a, b, c, d float32
		if k >= 1 && k+2 < len(src) {
			a, b, c, d = float32(src[k-1]), float32(src[k]), float32(src[k+1]), float32(src[k+2])
		} else {
			a, b, c, d = at(k-1), at(k), at(k+1), at(k+2)
		}
		dst[i] = (b + 0.5*t*(c-a+t*(2*a-5*b+4*c-d+t*(3*(b-c)+d-a)))) / 32768
	}
}

// peaking filters x in place by a bell of gain db at centre Hz (the peaking equaliser of R. Bristow-Johnson's cookbook).
func peaking(x []float32, centre, q, db float64) {
	a := math.Sqrt(decibels(db))
	w := 2 * math.Pi * centre / capture.SampleRate
	alpha := math.Sin(w) / (2 * q)
	a0 := 1 + alpha/a
	b0, b1, b2 := float32((1+alpha*a)/a0), float32(-2*math.Cos(w)/a0), float32((1-alpha*a)/a0)
	a2 := float32((1 - alpha/a) / a0)
	var s1, s2 float32 // transposed direct form II; its a1 is b1
	for i, v := range x {
		y := b0*v + s1
		s1 = b1*(v-y) + s2
		s2 = b2*v - a2*y
		x[i] = y
	}
}

// tilt brightens (c < 0) or dulls (c > 0) the sound in place by the two-tap filter 1 + c/z, at the same level for white noise.
func tilt(x []float32, c float64) {
	scale := float32(1 / math.Sqrt(1+c*c))
	k := float32(c)
	var last float32
	for i, v := range x {
		x[i] = scale * (v + k*last)
		last = v
	}
}

// AddNoise adds noise snr dB below the mean power of x; silence stays silent.
func AddNoise(x []float32, snr float64, pink bool, rng *rand.Rand) {
	noise := make([]float32, len(x))
	for i := 0; i < len(noise); i += 4 {
		bits := rng.Uint64()
		for j := i; j < min(i+4, len(noise)); j++ {
			noise[j] = float32(int16(bits))
			bits >>= 16
		}
	}
	if pink {
		// Low-passes an octave and a half apart, of nearly equal power each, add up to a fall of about 3 dB an octave.
		var s [5]float32
		for i, v := range noise {
			sum, k := float32(0), float32(0.5)
			for j := range s {
				s[j] += k * (v - s[j])
				sum += s[j] * pinkGains[j]
				k *= 0.35
			}
			noise[i] = sum
		}
	}
	power := meanPower(noise)
	if power == 0 {
		return
	}
	scale := float32(math.Sqrt(meanPower(x)/power) / decibels(snr))
	for i := range x {
		x[i] += scale * noise[i]
	}
}

// pinkGains makes the low-passes s += k (v - s) of addNoise about equally strong: the power of one is k/(2-k). Each is a little weaker
// than the one above it, since they add up where all of them pass.
var pinkGains = func() (g [5]float32) {
	k, fall := 0.5, 1.0
	for i := range g {
		g[i] = float32(fall * math.Sqrt((2-k)/k))
		fall *= 0.8
		k *= 0.35
	}
	return g
}()

func meanPower(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum / float64(max(len(x), 1))
}
