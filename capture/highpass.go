package capture

import "math"

// The design of HighPass. Between the two ends of its slope lies what is neither mains hum nor voice: the lowest male
// voices speak at 85 Hz.
const (
	highPassOrder = 7
	// highPassStop is the upper edge of the stop band in Hz. With it one of the filter's zeros lies at 60 Hz, one at
	// 48.1 Hz, beside the 50 Hz of the other mains, and one at 0.
	highPassStop = 61.54
	// highPassDown is by how much, in dB, all up to highPassStop is lowered at least. With more of it the slope would
	// end higher, within the lowest voices: it is -1.1 dB at 85 Hz.
	highPassDown = 40
)

// flushBelow is the size under which what a section remembers is taken for 0. It is 400 dB below full scale, so
// nothing hears it, and far above the numbers that processors compute with slowly (below 1e-308), which a filter's
// decay reaches after some seconds of digital silence.
const flushBelow = 1e-20

// HighPass removes what lies below the voice from sound at SampleRate: its mean, rumble and the hum of the mains. It is
// an inverse Chebyshev filter of order 7: -40 dB or less up to 61.5 Hz (-49 dB at 50 Hz, -97 dB at 60 Hz), -1.1 dB at
// 85 Hz, 0.06 dB or less from 100 Hz on, with zeros at 0, 26.7, 48.1 and 60 Hz (Oppenheim and Schafer, Discrete-Time
// Signal Processing, third edition, appendix B.2: the approximation, and 7.2.2: the bilinear transformation).
//
// It streams: however sound is divided into calls, the result is the same, bit for bit. The first sample, and the first
// after Reset, is taken for one that has lasted for ever: so a bias makes no click there. Its group delay is
// 7.5 ms at 100 Hz, 1 ms at 200 Hz and less above.
//
// The zero value is ready to use. It belongs to one goroutine.
type HighPass struct {
	primed bool
	// memory has the two delays of each section, transposed direct form II; the first section has the first only.
	memory [len(highPassSections)][2]float64
}

// section is a second-order section: (b[0] + b[1]/z + b[2]/z²) / (1 + a[0]/z + a[1]/z²).
type section struct {
	b [3]float64
	a [2]float64
}

// highPassSections has the section of the real pole first, whose zero at 0 Hz keeps a bias from all others.
var highPassSections = func() (s [(highPassOrder + 1) / 2]section) {
	edge := math.Tan(math.Pi * highPassStop / SampleRate) // in units of twice the sample rate, as all that follows
	mu := math.Asinh(math.Sqrt(math.Pow(10, highPassDown/10.0)-1)) / highPassOrder
	for i := range s {
		// Poles of the low-pass are a Chebyshev filter's, inverted. To make a high-pass of it inverts them again.
		theta := math.Pi/2 - float64(i)*math.Pi/highPassOrder
		re, im := -edge*math.Sinh(mu)*math.Sin(theta), edge*math.Cosh(mu)*math.Cos(theta)
		if i == 0 {
			pole := (1 + re) / (1 - re)
			gain := (1 + pole) / 2
			s[i] = section{[3]float64{gain, -gain, 0}, [2]float64{-pole, 0}}
			continue
		}
		over := (1-re)*(1-re) + im*im
		a := [2]float64{-2 * (1 - re*re - im*im) / over, ((1+re)*(1+re) + im*im) / over}
		zero := edge * math.Cos(theta)
		cos := (1 - zero*zero) / (1 + zero*zero)
		gain := (1 - a[0] + a[1]) / (2 + 2*cos) // 1 at the highest frequency
		s[i] = section{[3]float64{gain, -2 * cos * gain, gain}, a}
	}
	return s
}()

// Filter writes src, filtered, to dst, which has the same length and may be src. What is not a number or is infinite
// counts as 0, and results are finite.
func (h *HighPass) Filter(dst, src []float32) {
	for i, v := range src {
		x := float64(v)
		if x-x != 0 {
			x = 0
		}
		if !h.primed {
			h.primed = true
			h.memory[0][0] = highPassSections[0].b[1] * x
		}
		for j := range highPassSections {
			s, m := &highPassSections[j], &h.memory[j]
			y := s.b[0]*x + m[0]
			m[0] = flush(s.b[1]*x - s.a[0]*y + m[1])
			m[1] = flush(s.b[2]*x - s.a[1]*y)
			x = y
		}
		dst[i] = float32(flush(min(max(x, -math.MaxFloat32), math.MaxFloat32)))
	}
}

// Reset forgets the sound so far: what comes next does not follow it.
func (h *HighPass) Reset() { *h = HighPass{} }

func flush(x float64) float64 {
	if math.Abs(x) < flushBelow {
		return 0
	}
	return x
}
