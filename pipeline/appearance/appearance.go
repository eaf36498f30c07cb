// Package appearance compares pictures of faces, by which those of one person are known: by histograms of the
// directions of edges (HOG, Dalal & Triggs 2005), in a space in which what differs between pictures of one person is
// alike in all directions (within-class covariance normalization, Hatch et al. 2006), by the cosine. It is for telling
// apart the few who come and go before one camera within a minute, and no more.
package appearance

import (
	_ "embed"
	"encoding/binary"
	"math"
	"sync"
)

// What a crop for Of is.
const (
	Size   = 48  // pixels, of 1 byte
	Margin = 2.6 // see pipeline.Spec.CropMargin
)

const (
	cell       = 8 // pixels
	cells      = Size / cell
	directions = 8
	// Dim is the size of a histogram, and of a Look.
	Dim = cells * cells * directions
	// faint is the sum of edges, in grey values, with which a cell counts half.
	faint = 50
)

// Look is how a face looks: a vector of length 1.
type Look [Dim]float32

// Cosine returns how alike two looks are, from -1 to 1.
func (l *Look) Cosine(m *Look) float64 {
	var s float32
	for i, v := range l {
		s += v * m[i]
	}
	return float64(s)
}

// Mean is the running mean of the looks of a face; the zero value has none.
type Mean struct {
	sum Look
	n   int
}

// lasting is over how many looks a Mean goes: older ones fade.
const lasting = 16

// Add takes one more look.
func (m *Mean) Add(l *Look) {
	m.n = min(m.n+1, lasting)
	for i, v := range l {
		m.sum[i] += (v - m.sum[i]) / float32(m.n)
	}
}

// Empty reports whether there was no look.
func (m *Mean) Empty() bool { return m.n == 0 }

// Cosine returns how alike a look and the mean are, from -1 to 1; 0 if the mean is empty.
func (m *Mean) Cosine(l *Look) float64 { return cosine(&m.sum, l) }

// Alike returns how alike two means are, from -1 to 1; 0 if one is empty.
func (m *Mean) Alike(o *Mean) float64 { return cosine(&m.sum, &o.sum) }

func cosine(a, b *Look) float64 {
	norm := math.Sqrt(a.Cosine(a) * b.Cosine(b))
	if norm == 0 {
		return 0
	}
	return a.Cosine(b) / norm
}

// Histogram returns what a Look is made of: for each cell of a crop of Size by Size pixels how much of its edges goes
// in each direction; nil for a crop of another size or without edges.
func Histogram(crop []byte) []float32 {
	if len(crop) != Size*Size {
		return nil
	}
	h := make([]float32, Dim)
	for y := 1; y < Size-1; y++ {
		for x := 1; x < Size-1; x++ {
			i := y*Size + x
			dx := float64(crop[i+1]) - float64(crop[i-1])
			dy := float64(crop[i+Size]) - float64(crop[i-Size])
			turn := math.Atan2(dy, dx)/(2*math.Pi) + 1 // shared among the two nearest directions
			whole, part := math.Modf(turn * directions)
			strength := math.Hypot(dx, dy)
			at := h[(y/cell*cells+x/cell)*directions:]
			at[int(whole)%directions] += float32(strength * (1 - part))
			at[(int(whole)+1)%directions] += float32(strength * part)
		}
	}
	var squares float64
	for at := 0; at < Dim; at += directions {
		var sum float32
		for _, v := range h[at : at+directions] {
			sum += v
		}
		for i, v := range h[at : at+directions] {
			v /= sum + faint
			squares += float64(v)
			h[at+i] = float32(math.Sqrt(float64(v)))
		}
	}
	if squares == 0 {
		return nil
	}
	for i := range h {
		h[i] /= float32(math.Sqrt(squares))
	}
	return h
}

// Of returns how the face in a crop of Size by Size pixels looks; nil for a crop of another size or without edges.
func Of(crop []byte) *Look {
	h := Histogram(crop)
	if h == nil {
		return nil
	}
	return embedded().look(h)
}

// space is where looks are compared: a histogram less the mean of all, times a lower triangular matrix.
type space struct {
	mean, scale [Dim]float32
	rows        []int8 // row by row; row i has i+1 values, times scale[i]
}

// The space in the form of spaceBytes: mean and scale as little-endian float32, then rows. It is written by fit.
//
//go:embed space.bin
var spaceBytes []byte

var embedded = sync.OnceValue(func() *space {
	s := &space{rows: make([]int8, Dim*(Dim+1)/2)}
	for i := range Dim {
		s.mean[i] = math.Float32frombits(binary.LittleEndian.Uint32(spaceBytes[4*i:]))
		s.scale[i] = math.Float32frombits(binary.LittleEndian.Uint32(spaceBytes[4*(Dim+i):]))
	}
	for i := range s.rows {
		s.rows[i] = int8(spaceBytes[8*Dim+i])
	}
	return s
})

func (s *space) look(h []float32) *Look {
	var centred, l Look
	for i, v := range h {
		centred[i] = v - s.mean[i]
	}
	row := s.rows
	for i := range l {
		var sum float32
		for j, v := range row[:i+1] {
			sum += float32(v) * centred[j]
		}
		l[i] = sum * s.scale[i]
		row = row[i+1:]
	}
	norm := float32(math.Sqrt(l.Cosine(&l)))
	if norm == 0 {
		return nil
	}
	for i := range l {
		l[i] /= norm
	}
	return &l
}
