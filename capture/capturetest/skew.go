package capturetest

import (
	"math"
	"slices"
	"time"

	"tandem/capture"
)

// Marks are a flash and the beep that belongs to it, by their onsets.
type Marks struct{ Flash, Beep time.Duration }

// Skew is how late the sound is against the picture; negative: early.
func (m Marks) Skew() time.Duration { return m.Beep - m.Flash }

// What SkewMeter goes by.
const (
	markKept = 60 // marks kept, about a minute's
	// markPair is how far a beep may be from its flash: less than half a second, or it may be another's.
	markPair  = 490 * time.Millisecond
	beepBlock = capture.SampleRate / 400 // 2.5 ms: five periods of the beep
)

// SkewMeter measures the skew between sound and picture from the flashes and beeps of capture.NewPattern,
// wherever the media came through: a file, a network, a screen before a camera. Its methods suit
// pipeline.Options.OnFrame and OnSamples. A flash is timed to the frame that first shows it, a beep to about
// 2.5 ms. It belongs to one goroutine.
type SkewMeter struct {
	flashing, beeping bool
	primed            bool // has seen the dark
	flashes, beeps    []time.Duration
	rest              []float32 // sound that does not fill a block
	at                time.Duration
	marks             []Marks
}

// Frame takes the next picture.
func (m *SkewMeter) Frame(f *capture.Frame) {
	on := FlashLevel(f) > 0.5
	if on && !m.flashing && m.primed {
		m.flashes = append(m.flashes, f.Time)
		m.pair()
	}
	m.primed = m.primed || !on
	m.flashing = on
}

// Samples takes the next sound.
func (m *SkewMeter) Samples(s *capture.Samples) {
	if end := m.at + samplesTime(len(m.rest)); s.Time != end {
		m.rest, m.at = nil, s.Time // a gap
	}
	x := append(m.rest, s.Data...)
	for ; len(x) >= beepBlock; x = x[beepBlock:] {
		on := BeepLevel(x[:beepBlock]) > 0.4
		if m.beeping {
			on = BeepLevel(x[:beepBlock]) > 0.2
		}
		if on && !m.beeping {
			m.beeps = append(m.beeps, m.at)
			m.pair()
		}
		m.beeping = on
		m.at += samplesTime(beepBlock)
	}
	m.rest = slices.Clone(x)
}

// pair joins flashes and beeps, in order.
func (m *SkewMeter) pair() {
	for len(m.flashes) > 0 && len(m.beeps) > 0 {
		switch d := m.beeps[0] - m.flashes[0]; {
		case d > markPair:
			m.flashes = m.flashes[1:]
		case d < -markPair:
			m.beeps = m.beeps[1:]
		default:
			m.marks = append(m.marks, Marks{m.flashes[0], m.beeps[0]})
			m.flashes, m.beeps = m.flashes[1:], m.beeps[1:]
		}
	}
	m.marks = latest(m.marks)
	m.flashes, m.beeps = latest(m.flashes), latest(m.beeps)
}

func samplesTime(n int) time.Duration { return time.Duration(n) * time.Second / capture.SampleRate }

func latest[T any](x []T) []T { return slices.Clone(x[max(0, len(x)-markKept):]) }

// Marks are the last pairs of flash and beep, oldest first, at most 60.
func (m *SkewMeter) Marks() []Marks { return slices.Clone(m.marks) }

// Skew is the median skew of Marks and how many of these there are: 0 if nothing was measured.
func (m *SkewMeter) Skew() (skew time.Duration, n int) {
	if len(m.marks) == 0 {
		return 0, 0
	}
	d := make([]time.Duration, len(m.marks))
	for i, k := range m.marks {
		d[i] = k.Skew()
	}
	slices.Sort(d)
	return d[len(d)/2], len(d)
}

// FlashLevel is how bright the part of a pattern's picture is that flashes: 0 black to 1 white. It is over 0.7 in a
// flash and under 0.3 otherwise, at any size and after any usual codec.
func FlashLevel(f *capture.Frame) float64 {
	rows := max(f.Height*3/32, 1) // not the strip's lower edge, which a codec blurs
	sum := 0
	pix := f.Pix[:3*f.Width*rows]
	for _, v := range pix {
		sum += int(v)
	}
	return float64(sum) / float64(255*len(pix))
}

// BeepLevel is the amplitude of the beep's frequency in mono sound at SampleRate (Goertzel's algorithm), 0 to about
// 0.8. Ten milliseconds tell beep (over 0.4) from speech (under 0.2).
func BeepLevel(data []float32) float64 {
	if len(data) == 0 {
		return 0
	}
	coeff := 2 * math.Cos(2*math.Pi*capture.PatternBeep/capture.SampleRate)
	var s1, s2 float64
	for _, x := range data {
		s1, s2 = float64(x)+coeff*s1-s2, s1
	}
	return 2 * math.Sqrt(max(s1*s1+s2*s2-coeff*s1*s2, 0)) / float64(len(data))
}
