package speaker

import (
	"math"
	"math/rand/v2"
)

// apply writes a random variation of the mouths of some slots to dst, and which are there. slot returns a slot's
// pixels, nil where there is no mouth. All of it is drawn from rng.
func (l Lips) apply(dst []byte, there []float32, size int, slot func(i int) []byte, rng *rand.Rand) {
	v := l.draw(size, rng)
	every, phase := 1, 0
	if rng.Float64() < l.Slow {
		every = 2 + rng.IntN(2)
		phase = rng.IntN(every)
	}
	for i := range there {
		at := i
		if every > 1 { // a picture stands until the next
			at = max(0, i-(i+phase)%every)
		}
		src := slot(at)
		out := dst[i*size*size : (i+1)*size*size]
		if src == nil || rng.Float64() < l.Drop {
			clear(out)
			there[i] = 0
			continue
		}
		there[i] = 1
		v.read(out, src, size, uniform(rng, -l.Jitter, l.Jitter), uniform(rng, -l.Jitter, l.Jitter), rng)
	}
}

// variation holds what all slots of a window have in common.
type variation struct {
	ex, ey [2]float64 // steps along a row and a column, in pixels of the source
	x, y   float64    // middle of the crop
	grey   [256]float32
	grain  float64
	coarse int // pixels a side that are shown
	small  []float32
}

func (l Lips) draw(size int, rng *rand.Rand) *variation {
	v := &variation{coarse: size}
	zoom := math.Exp(uniform(rng, -l.Zoom, l.Zoom))
	sin, cos := math.Sincos(uniform(rng, -l.Turn, l.Turn) * math.Pi / 180)
	flip := 1.0
	if rng.IntN(2) == 0 {
		flip = -1
	}
	v.ex, v.ey = [2]float64{flip * cos * zoom, flip * sin * zoom}, [2]float64{-sin * zoom, cos * zoom}
	n := float64(size)
	v.x, v.y = n/2+uniform(rng, -l.Move, l.Move)*n, n/2+uniform(rng, -l.Move, l.Move)*n
	gamma := math.Exp(uniform(rng, -1, 1) * math.Log(l.Gamma))
	contrast, bright := 1+uniform(rng, -l.Contrast, l.Contrast), uniform(rng, -l.Brightness, l.Brightness)
	for i := range v.grey {
		g := 255 * math.Pow(float64(i)/255, gamma)
		v.grey[i] = float32((g-128)*contrast + 128 + bright)
	}
	if rng.IntN(2) == 0 {
		v.grain = uniform(rng, 0, l.Grain)
	}
	if rng.Float64() < l.Coarse {
		v.coarse = size/3 + rng.IntN(size-size/3)
	}
	return v
}

// read writes one mouth, moved by parts of its side.
func (v *variation) read(dst, src []byte, size int, dx, dy float64, rng *rand.Rand) {
	n := float64(size)
	// A coarse one is read as fewer pixels, and these are spread.
	c := v.coarse
	step := n / float64(c)
	if len(v.small) != c*c {
		v.small = make([]float32, c*c)
	}
	x0, y0 := v.x+dx*n-0.5, v.y+dy*n-0.5
	for j := range c {
		for i := range c {
			u, w := (float64(i)+0.5-float64(c)/2)*step, (float64(j)+0.5-float64(c)/2)*step
			g := bilinear(src, size, x0+u*v.ex[0]+w*v.ey[0], y0+u*v.ex[1]+w*v.ey[1], &v.grey)
			if v.grain > 0 {
				g += float32(v.grain * rng.NormFloat64())
			}
			v.small[j*c+i] = g
		}
	}
	for j := range size {
		for i := range size {
			g := v.small[min(j, c-1)*c+min(i, c-1)]
			if c != size {
				g = bilinearFloat(v.small, c, (float64(i)+0.5)/step-0.5, (float64(j)+0.5)/step-0.5)
			}
			dst[j*size+i] = byte(min(max(g+0.5, 0), 255))
		}
	}
}

// bilinear reads pixels between their centres, each through a table; beyond the border the outermost go on.
func bilinear(src []byte, size int, x, y float64, table *[256]float32) float32 {
	x, y = min(max(x, 0), float64(size)-1.001), min(max(y, 0), float64(size)-1.001)
	i, j := int(x), int(y)
	fx, fy := float32(x-float64(i)), float32(y-float64(j))
	p, q := src[j*size+i:], src[(j+1)*size+i:]
	top := table[p[0]] + (table[p[1]]-table[p[0]])*fx
	bottom := table[q[0]] + (table[q[1]]-table[q[0]])*fx
	return top + (bottom-top)*fy
}

func bilinearFloat(src []float32, size int, x, y float64) float32 {
	x, y = min(max(x, 0), float64(size)-1.001), min(max(y, 0), float64(size)-1.001)
	i, j := int(x), int(y)
	fx, fy := float32(x-float64(i)), float32(y-float64(j))
	p, q := src[j*size+i:], src[(j+1)*size+i:]
	top := p[0] + (p[1]-p[0])*fx
	return top + (q[0]+(q[1]-q[0])*fx-top)*fy
}

// uniform draws from [lo, hi).
func uniform(rng *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*rng.Float64() }
