package augment

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Face is by how much faces vary; 0 turns a variation off, but for Gamma. Lengths are parts of the crop's side.
type Face struct {
	Flip        float64    `json:"flip"` // chance of a mirror image
	Move        float64    `json:"move"`
	Jitter      float64    `json:"jitter"`     // as move, but of each crop of a clip by itself, as detections jump
	Zoom        float64    `json:"zoom"`       // part by which the face grows or shrinks
	Turn        float64    `json:"turn"`       // degrees
	Brightness  float64    `json:"brightness"` // grey levels
	Contrast    float64    `json:"contrast"`   // part by which contrast changes
	Gamma       float64    `json:"gamma"`      // largest, and its inverse the smallest; 1: none
	Grain       int        `json:"grain"`      // grey levels, largest amplitude of the noise
	GrainChance float64    `json:"grain_chance"`
	Blur        float64    `json:"blur"`       // chance
	Coarse      float64    `json:"coarse"`     // chance of a lower resolution, as of a face far away
	Erase       float64    `json:"erase"`      // chance that a rectangle is painted over
	EraseSide   [2]float64 `json:"erase_side"` // its sides, smallest and largest
}

// Check returns an error, by the names in a recipe, for strengths out of range.
func (a Face) Check() error {
	for name, chance := range map[string]float64{
		"flip": a.Flip, "grain_chance": a.GrainChance, "blur": a.Blur, "coarse": a.Coarse, "erase": a.Erase,
	} {
		if !(chance >= 0 && chance <= 1) {
			return fmt.Errorf("augment.face.%s %g: want a chance from 0 to 1", name, chance)
		}
	}
	switch {
	case a.Blur+a.Coarse > 1:
		return fmt.Errorf("augment.face: blur %g and coarse %g: a face is made one of the two, so want at most 1 "+
			"together", a.Blur, a.Coarse)
	case a.Move < 0 || a.Move > 0.5 || a.Zoom < 0 || a.Zoom > 0.5 || a.Turn < 0 || a.Turn > 180:
		return fmt.Errorf("augment.face: move %g, zoom %g, turn %g: want at most 0.5, 0.5 and 180 degrees", a.Move,
			a.Zoom, a.Turn)
	case !(a.Jitter >= 0 && a.Jitter <= 0.5):
		return fmt.Errorf("augment.face.jitter %g: want at most 0.5", a.Jitter)
	case a.Brightness < 0 || a.Brightness > 255 || a.Contrast < 0 || a.Contrast >= 1 || a.Gamma < 1 || a.Gamma > 5 ||
		a.Grain < 0 || a.Grain > 127:
		return fmt.Errorf("augment.face: brightness %g, contrast %g, gamma %g, grain %d: want 0 to 255, 0 to 1, 1 to "+
			"5 and 0 to 127", a.Brightness, a.Contrast, a.Gamma, a.Grain)
	case !(a.EraseSide[0] >= 0 && a.EraseSide[0] <= a.EraseSide[1] && a.EraseSide[1] <= 1):
		return fmt.Errorf("augment.face.erase_side %v: want parts of the side, the smaller first", a.EraseSide)
	}
	return nil
}

// Apply writes a random variation of src to dst, both frames crops of size*size*channels bytes that must not overlap.
// All frames get the same variation (but for the jitter and the noise), as they show one face under one light. Crops
// that are missing by the mask are varied too, and mean nothing after.
func (a Face) Apply(dst, src []byte, frames, size, channels int, rng *rand.Rand) {
	view := a.view(size, rng)
	soften := a.soften(size, channels, rng)
	tone := a.tone(rng)
	grain := 0
	if rng.Float64() < a.GrainChance && a.Grain > 0 {
		grain = 1 + rng.IntN(a.Grain)
	}
	erase := rng.Float64() < a.Erase
	box := randomBox(size, a.EraseSide, rng)
	paint := byte(rng.Uint32())
	n := size * size * channels
	for f := range frames {
		d := dst[f*n : (f+1)*n]
		v := view
		if a.Jitter > 0 {
			v = v.moved(uniform(rng, -a.Jitter, a.Jitter)*float64(size),
				uniform(rng, -a.Jitter, a.Jitter)*float64(size))
		}
		v.draw(d, src[f*n:(f+1)*n], size, channels)
		soften(d)
		for i, v := range d {
			d[i] = tone[v]
		}
		if grain > 0 {
			AddGrain(d, grain, rng)
		}
		if erase {
			for y := box.y0; y < box.y1; y++ {
				row := d[(y*size+box.x0)*channels : (y*size+box.x1)*channels]
				for i := range row {
					row[i] = paint
				}
			}
		}
	}
}

// faceView is the place in the source that each pixel of a crop is taken from, in 16.16 fixed point:
// x = x0 + xx*column + xy*row, y = y0 + yx*column + yy*row.
type faceView struct{ x0, y0, xx, xy, yx, yy int }

// fixedOne is 1 in 16.16 fixed point.
const fixedOne = 1 << 16

// view draws a view of a crop.
func (a Face) view(size int, rng *rand.Rand) faceView {
	side := float64(size)
	turn := uniform(rng, -a.Turn, a.Turn) * math.Pi / 180
	zoom := 1 + uniform(rng, -a.Zoom, a.Zoom)
	dx, dy := uniform(rng, -a.Move, a.Move)*side, uniform(rng, -a.Move, a.Move)*side
	cos, sin := math.Cos(turn)*zoom, math.Sin(turn)*zoom
	mirror := 1.0
	if rng.Float64() < a.Flip {
		mirror = -1
	}
	return affine{xx: mirror * cos, xy: -sin, yx: mirror * sin, yy: cos, dx: dx, dy: dy}.view(size)
}

// affine maps about the middle of a crop by the matrix (xx xy; yx yy), and then moves by (dx, dy) pixels.
type affine struct{ xx, xy, yx, yy, dx, dy float64 }

// view returns the map for crops of size*size pixels.
func (m affine) view(size int) faceView {
	c := float64(size-1) / 2
	fixed := func(v float64) int { return int(math.Round(v * fixedOne)) }
	return faceView{
		x0: fixed(c + m.dx - m.xx*c - m.xy*c), xx: fixed(m.xx), xy: fixed(m.xy),
		y0: fixed(c + m.dy - m.yx*c - m.yy*c), yx: fixed(m.yx), yy: fixed(m.yy),
	}
}

// moved returns the view moved by (dx, dy) source pixels.
func (v faceView) moved(dx, dy float64) faceView {
	v.x0 += int(math.Round(dx * fixedOne))
	v.y0 += int(math.Round(dy * fixedOne))
	return v
}

// draw writes to dst what the view shows of src, by bilinear interpolation; beyond src its edge goes on.
func (v faceView) draw(dst, src []byte, size, channels int) {
	last := (size - 1) * fixedOne
	i := 0
	for row := range size {
		x, y := v.x0+v.xy*row, v.y0+v.yy*row
		for range size {
			cx, cy := min(max(x, 0), last), min(max(y, 0), last)
			px, py := cx>>16, cy>>16
			fx, fy := (cx&(fixedOne-1))>>8, (cy&(fixedOne-1))>>8
			a := (py*size + px) * channels
			right, down := channels, size*channels
			if px == size-1 {
				right = 0
			}
			if py == size-1 {
				down = 0
			}
			for range channels {
				top := int(src[a])*(256-fx) + int(src[a+right])*fx
				low := int(src[a+down])*(256-fx) + int(src[a+down+right])*fx
				dst[i] = byte((top*(256-fy) + low*fy + 1<<15) >> 16)
				a++
				i++
			}
			x += v.xx
			y += v.yx
		}
	}
}

// soften draws a function that softens a crop in place: not at all, by a blur, or by fewer pixels, as of a face far
// from the camera.
func (a Face) soften(size, channels int, rng *rand.Rand) func([]byte) {
	switch p := rng.Float64(); {
	case p < a.Blur:
		return func(d []byte) { blur(d, size, channels) }
	case p < a.Blur+a.Coarse:
		small := max(2, int(float64(size)/uniform(rng, 1.3, 3)))
		return func(d []byte) { Coarsen(d, size, small, channels) }
	}
	return func([]byte) {}
}

// blur applies the kernel 1 2 1 along rows and columns in place.
func blur(d []byte, size, channels int) {
	step, stride := channels, size*channels
	for range 2 { // along rows, then along columns
		for line := range size {
			for c := range channels {
				at := line*stride + c
				before := int(d[at])
				for k := range size {
					now := int(d[at])
					next := now
					if k < size-1 {
						next = int(d[at+step])
					}
					d[at] = byte((before + 2*now + next + 2) / 4)
					before = now
					at += step
				}
			}
		}
		step, stride = stride, step
	}
}

// Coarsen averages a crop of size*size*channels bytes down to small*small pixels and stretches it back, in place.
func Coarsen(d []byte, size, small, channels int) {
	few := make([]byte, small*small*channels)
	for y := range small {
		y0, y1 := y*size/small, (y+1)*size/small
		for x := range small {
			x0, x1 := x*size/small, (x+1)*size/small
			for c := range channels {
				sum := 0
				for yy := y0; yy < y1; yy++ {
					for xx := x0; xx < x1; xx++ {
						sum += int(d[(yy*size+xx)*channels+c])
					}
				}
				n := (y1 - y0) * (x1 - x0)
				few[(y*small+x)*channels+c] = byte((sum + n/2) / n)
			}
		}
	}
	scale, last := small*fixedOne/size, (small-1)*fixedOne
	for y := range size {
		sy := min(max(scale*y+(scale-fixedOne)/2, 0), last) // pixel centres stay pixel centres
		py, fy := sy>>16, (sy&(fixedOne-1))>>8
		py1 := min(py+1, small-1)
		for x := range size {
			sx := min(max(scale*x+(scale-fixedOne)/2, 0), last)
			px, fx := sx>>16, (sx&(fixedOne-1))>>8
			px1 := min(px+1, small-1)
			for c := range channels {
				top := int(few[(py*small+px)*channels+c])*(256-fx) + int(few[(py*small+px1)*channels+c])*fx
				low := int(few[(py1*small+px)*channels+c])*(256-fx) + int(few[(py1*small+px1)*channels+c])*fx
				d[(y*size+x)*channels+c] = byte((top*(256-fy) + low*fy + 1<<15) >> 16)
			}
		}
	}
}

// tone draws a new level for each grey level: by gamma, then contrast about the middle, then brightness.
func (a Face) tone(rng *rand.Rand) *[256]byte {
	gamma := math.Pow(a.Gamma, uniform(rng, -1, 1))
	contrast := 1 + uniform(rng, -a.Contrast, a.Contrast)
	bright := uniform(rng, -a.Brightness, a.Brightness)
	var tone [256]byte
	for i := range tone {
		v := 255 * math.Pow(float64(i)/255, gamma)
		tone[i] = byte(min(max(math.Round((v-128)*contrast+128+bright), 0), 255))
	}
	return &tone
}

// AddGrain adds uniform noise of up to amplitude grey levels either way.
func AddGrain(d []byte, amplitude int, rng *rand.Rand) {
	width := 2*amplitude + 1
	for i := 0; i < len(d); i += 8 {
		bits := rng.Uint64()
		for j := i; j < min(i+8, len(d)); j++ {
			noise := int(bits&255)*width>>8 - amplitude
			d[j] = byte(min(max(int(d[j])+noise, 0), 255))
			bits >>= 8
		}
	}
}

// box is a rectangle in pixels, without x1 and y1.
type box struct{ x0, y0, x1, y1 int }

// randomBox draws a box in a crop whose sides are between two parts of the crop's.
func randomBox(size int, part [2]float64, rng *rand.Rand) box {
	side := func() int { return max(1, int(uniform(rng, part[0], part[1])*float64(size))) }
	w, h := side(), side()
	x, y := rng.IntN(size-w+1), rng.IntN(size-h+1)
	return box{x, y, x + w, y + h}
}
