package train

import (
	"math"
	"math/rand/v2"

	"tandem/capture"
)

// The ranges of AugmentAudio. Speed changes pitch too, and pitch is what apparent gender is heard by: hence so little of it.
const (
	maxShift  = 0.1  // seconds, either way
	maxSpeed  = 0.06 // part by which speed and pitch change
	minGain   = -12  // dB
	maxGain   = 6    // dB
	minSNR    = 5    // dB
	maxSNR    = 40   // dB
	maxEQ     = 8    // dB at the centre of the equaliser's bell
	chance    = 0.5  // that speed, equaliser or noise is applied at all
	eqLowest  = 150  // Hz, centre
	eqHighest = 5000 // Hz, centre
)

// AugmentAudio writes a random variation of the window src to dst, of the same length, in [-1, 1]: shifted by up to 0.1 s, by
// chance up to 6 % faster or slower (with its pitch), through a random equaliser, with white or pink noise at 5 to 40 dB below it,
// at a gain of -12 to +6 dB. What rng gives decides all of it.
func AugmentAudio(dst []float32, src []int16, rng *rand.Rand) {
	shift := uniform(rng, -maxShift, maxShift) * capture.SampleRate
	speed := 1.0
	if rng.Float64() < chance {
		speed += uniform(rng, -maxSpeed, maxSpeed)
	}
	resample(dst, src, shift, speed)
	if rng.Float64() < chance {
		centre := eqLowest * math.Pow(eqHighest/eqLowest, rng.Float64())
		peaking(dst, centre, uniform(rng, 0.5, 2), uniform(rng, -maxEQ, maxEQ))
		tilt(dst, uniform(rng, -0.4, 0.4))
	}
	if rng.Float64() < chance {
		addNoise(dst, uniform(rng, minSNR, maxSNR), rng.Float64() < 0.5, rng)
	}
	gain := float32(decibels(uniform(rng, minGain, maxGain)))
	for i, v := range dst {
		dst[i] = min(max(v*gain, -1), 1)
	}
}

func uniform(rng *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*rng.Float64() }

// decibels is the amplitude ratio of a level.
func decibels(db float64) float64 { return math.Pow(10, db/20) }

// resample reads src from shift on at the given speed, by cubic interpolation (Catmull-Rom), centred so that the middle of the window keeps
// its place but for shift; beyond src it is silent.
func resample(dst []float32, src []int16, shift, speed float64) {
	at := func(i int) float32 {
		if uint(i) >= uint(len(src)) {
			return 0
		}
		return float32(src[i])
	}
	middle := float64(len(dst)) / 2
	pos := shift + middle - middle*speed
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

// addNoise adds noise snr dB below the mean power of x; silence stays silent.
func addNoise(x []float32, snr float64, pink bool, rng *rand.Rand) {
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
