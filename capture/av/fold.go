package av

import "math"

// When the two channels of stereo sound are taken for one in opposite phase: their mean has less than so much of the
// louder one's power, and no longer from so much on. Channels that have nothing in common have a quarter to a half of
// it there.
const (
	cancelled   = 0.05
	uncancelled = 0.15
	// foldMemory is how much of the former power counts beside that of a new frame: some ten frames.
	foldMemory = 0.9
	// audible is the power below which nothing is said of phases: -110 dBFS.
	audible = 1e-11
)

// fold makes one channel of two. Of stereo it takes the mean or, where that would cancel both, since one is the other
// upside down, as by a cable or a plug that is wired wrongly, the louder one. Of a centre and the mean of the others it
// takes the centre, unless that is silent beside them.
type fold struct {
	centre bool // the first is a centre

	first, second, mean float64 // power, with a memory
	opposite            bool    // one of stereo is taken
	secondLouder        bool
	cancelled           int64 // samples of stereo of which one channel was taken
}

// mono makes one channel of [first, second, first, ...], in the same memory.
func (f *fold) mono(two []float32) []float32 {
	n := len(two) / 2
	if n == 0 {
		return nil
	}
	f.listen(two, n)
	out := two[:n:n]
	for i := range n {
		a, b := two[2*i], two[2*i+1]
		switch {
		case !f.centre && !f.opposite:
			out[i] = (a + b) / 2
		case f.secondLouder:
			out[i] = b
		default:
			out[i] = a
		}
	}
	if f.opposite && !f.centre {
		f.cancelled += int64(n)
	}
	return out
}

// listen measures n samples of both and decides what is taken.
func (f *fold) listen(two []float32, n int) {
	var first, second, mean float64
	for i := range n {
		a, b := float64(two[2*i]), float64(two[2*i+1])
		first, second, mean = first+a*a, second+b*b, mean+(a+b)*(a+b)/4
	}
	for _, p := range []struct {
		to *float64
		v  float64
	}{{&f.first, first}, {&f.second, second}, {&f.mean, mean}} {
		if v := p.v / float64(n); !math.IsNaN(v) && !math.IsInf(v, 0) {
			*p.to = foldMemory**p.to + (1-foldMemory)*v
		}
	}
	louder := max(f.first, f.second)
	switch {
	case louder < audible:
		return
	case f.centre:
		if f.first < cancelled*f.second {
			f.secondLouder = true
		} else if f.first > uncancelled*f.second {
			f.secondLouder = false
		}
		return
	case f.mean < cancelled*louder:
		f.opposite = true
	case f.mean > uncancelled*louder:
		f.opposite = false
	}
	if f.second > 1.25*f.first {
		f.secondLouder = true
	} else if f.first > 1.25*f.second {
		f.secondLouder = false
	}
}
