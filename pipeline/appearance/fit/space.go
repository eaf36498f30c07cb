package main

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"tandem/pipeline/appearance"
)

const dim = appearance.Dim

// space is a mean of histograms and a lower triangular matrix, as package appearance embeds them.
type space struct {
	mean  []float64
	lower *mat.TriDense
}

// newSpace learns from people what differs between pictures of one, and from photographs what a face is like.
func newSpace(people []*person, stills [][]float32) (*space, error) {
	s := &space{mean: make([]float64, dim)}
	for _, h := range stills {
		for i, v := range h {
			s.mean[i] += float64(v) / float64(len(stills))
		}
	}
	within := mat.NewSymDense(dim, nil)
	n := 0
	r := rand.New(rand.NewPCG(1, 1))
	for _, p := range people {
		var hs [][]float32
		for _, f := range p.faces {
			for _, c := range f.crops {
				for _, c := range [][]byte{c, changed(c, r)} {
					if h := appearance.Histogram(c); h != nil {
						hs = append(hs, h)
					}
				}
			}
		}
		mean := make([]float64, dim)
		for _, h := range hs {
			for i, v := range h {
				mean[i] += float64(v) / float64(len(hs))
			}
		}
		d := mat.NewVecDense(dim, nil)
		for _, h := range hs {
			for i, v := range h {
				d.SetVec(i, float64(v)-mean[i])
			}
			within.SymRankOne(within, 1, d)
		}
		n += len(hs)
	}
	within.ScaleSym(1/float64(n), within)
	add := ridge * mat.Trace(within) / dim
	for i := range dim {
		within.SetSym(i, i, within.At(i, i)+add)
	}
	var root mat.Cholesky
	if !root.Factorize(within) {
		return nil, errors.New("the variance within people has no root")
	}
	var l mat.TriDense
	root.LTo(&l)
	s.lower = new(mat.TriDense)
	return s, s.lower.InverseTri(&l)
}

// bytes returns the space as package appearance embeds it.
func (s *space) bytes() []byte {
	var b, scales, rows []byte
	for i := range dim {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(s.mean[i])))
		var most float64
		for j := range i + 1 {
			most = max(most, math.Abs(s.lower.At(i, j)))
		}
		scales = binary.LittleEndian.AppendUint32(scales, math.Float32bits(float32(most/127)))
		for j := range i + 1 {
			rows = append(rows, byte(int8(math.Round(s.lower.At(i, j)/most*127))))
		}
	}
	return append(append(b, scales...), rows...)
}

// changed returns a crop as it would be of a face that is farther, cut a little beside it, in another light.
func changed(crop []byte, r *rand.Rand) []byte {
	const n = appearance.Size
	size := 16 + r.Float64()*(n-16)
	return altered(crop, size, 3*r.Float64()-1.5, 3*r.Float64()-1.5, math.Exp2(1.6*r.Float64()-0.8))
}

// altered returns a crop as it would be if the picture had shown it with only size pixels a side, from (x, y) on, its
// values raised to a power.
func altered(crop []byte, size, x, y, power float64) []byte {
	const n = appearance.Size
	at := func(b []float64, w int, x, y float64) float64 {
		i := min(max(int(math.Floor(x)), 0), w-2)
		j := min(max(int(math.Floor(y)), 0), w-2)
		fx, fy := min(max(x-float64(i), 0), 1), min(max(y-float64(j), 0), 1)
		top := b[j*w+i]*(1-fx) + b[j*w+i+1]*fx
		bottom := b[(j+1)*w+i]*(1-fx) + b[(j+1)*w+i+1]*fx
		return top*(1-fy) + bottom*fy
	}
	full := make([]float64, n*n)
	for i, v := range crop {
		full[i] = 255 * math.Pow(float64(v)/255, power)
	}
	w := int(size)
	small := make([]float64, w*w)
	step := float64(n) / float64(w)
	for j := range w {
		for i := range w {
			for _, d := range [][2]float64{{.25, .25}, {.75, .25}, {.25, .75}, {.75, .75}} {
				small[j*w+i] += at(full, n, (float64(i)+d[0])*step-0.5+x, (float64(j)+d[1])*step-0.5+y) / 4
			}
		}
	}
	out := make([]byte, n*n)
	for j := range n {
		for i := range n {
			out[j*n+i] = byte(at(small, w, (float64(i)+0.5)/step-0.5, (float64(j)+0.5)/step-0.5) + 0.5)
		}
	}
	return out
}
