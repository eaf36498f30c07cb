package augment

import (
	"math"
	"math/rand/v2"

	"tandem/capture"
)

// decibels returns the amplitude ratio of a level in dB.
func decibels(db float64) float64 { return math.Pow(10, db/20) }

// resample reads src from shift on at the given speed, by cubic interpolation (Catmull-Rom), centred so that the middle
// of src comes to the middle of dst but for shift; beyond src it is silent.
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

// peaking filters x in place by a bell of gain db at centre Hz (the peaking equaliser of R. Bristow-Johnson's
// cookbook).
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

// tilt brightens (c < 0) or dulls (c > 0) the sound in place by the two-tap filter 1 + c/z, at the same level for white
// noise.
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

// pinkGains makes the low-passes s += k (v - s) of addNoise about equally strong: the power of one is k/(2-k). Each is
// a little weaker than the one above it, since they add up where all of them pass.
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

// reverb adds to x the echoes of a room in which they fall by 60 dB in so many seconds: four feedback combs side by
// side, then two all-passes (Schroeder 1962, "Natural sounding artificial reverberation"). wet is their amplitude
// beside the sound itself.
func reverb(x []float32, seconds, wet float64, rng *rand.Rand) {
	echo := make([]float32, len(x))
	for range 4 {
		delay := int(uniform(rng, 0.030, 0.045) * capture.SampleRate)
		g := float32(math.Pow(10, -3*float64(delay)/capture.SampleRate/seconds))
		line := make([]float32, delay)
		// Each comb, and the four together, at the power of what goes in.
		scale := float32(math.Sqrt(float64(1-g*g))) / 2
		for i, v := range x {
			k := i % delay
			echo[i] += scale * line[k]
			line[k] = v + g*line[k]
		}
	}
	for _, ms := range []float64{5, 1.7} {
		const g = 0.7
		line := make([]float32, int(ms*capture.SampleRate/1000))
		for i, v := range echo {
			k := i % len(line)
			y := line[k] - g*v
			line[k] = v + g*y
			echo[i] = y
		}
	}
	for i := range x {
		x[i] += float32(wet) * echo[i]
	}
}

// maskBand takes a band out of x, as masking channels of a spectrogram does (SpecAugment, Park et al. 2019, arXiv
// 1904.08779). It is three notches side by side (R. Bristow-Johnson's cookbook), each a third of the octaves wide.
func maskBand(x []float32, centre, octaves float64) {
	for i := -1; i <= 1; i++ {
		w := 2 * math.Pi * centre * math.Pow(2, float64(i)*octaves/3) / capture.SampleRate
		if w >= math.Pi {
			continue
		}
		alpha := math.Sin(w) * math.Sinh(math.Ln2/2*octaves*w/math.Sin(w))
		a0 := 1 + alpha
		b0, b1, a2 := float32(1/a0), float32(-2*math.Cos(w)/a0), float32((1-alpha)/a0)
		var s1, s2 float32 // transposed direct form II; its b2 is b0 and its a1 is b1
		for i, v := range x {
			y := b0*v + s1
			s1 = b1*(v-y) + s2
			s2 = b0*v - a2*y
			x[i] = y
		}
	}
}
