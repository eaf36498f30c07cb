package pipeline

import (
	"encoding/binary"
	"math"

	"tandem/capture"
)

// CropEyeY is where the point between the eyes lies in a crop, as a part of its height from the top;
// horizontally it is in the middle.
const CropEyeY = 0.40

// maxTaps bounds the pixels of the source, along one side, whose mean makes one pixel of a crop.
const maxTaps = 8

// Crop cuts a face out of a picture: a square of Spec.CropSize pixels, row-major, 1 byte a pixel (ITU-R BT.601
// luma) or 3 (RGB) by Spec.Channels. The face is upright by the line through its eyes, the point between
// the eyes is at (0.5, CropEyeY) of the crop, and the side of the crop is Spec.CropMargin times the larger of
// the distance between the eyes and that from between the eyes to the mouth. Where the eyes are closer than a
// fifth of that larger one (a profile), their line is unreliable, and the line to the mouth is taken for the vertical.
// A face without usable points is cut by its box.
//
// A shrinking crop is a mean over areas: the picture is first reduced by the nearest whole factor, each pixel
// the mean of its block (of up to 8 x 8 evenly spread pixels), then read bilinearly. Beyond the border of
// the picture its outermost pixels go on. A picture whose size and bytes disagree gives black, and a Spec that
// is not valid gives nil.
func Crop(f *capture.Frame, face Face, spec Spec) []byte {
	if spec.Validate() != nil {
		return nil
	}
	s, c := spec.CropSize, spec.Channels
	if f.Width < 1 || f.Height < 1 || len(f.Pix) != 3*f.Width*f.Height {
		return make([]byte, s*s*c)
	}
	return cropped(f, cropArea(f, face, spec), CropEyeY, s, c)
}

// cropped reads an area of a picture, whose anchor comes to (0.5, anchorY) of the crop, as s x s pixels of c channels.
func cropped(f *capture.Frame, a area, anchorY float64, s, c int) []byte {
	out := make([]byte, s*s*c)
	scale := a.side / float64(s)
	g := lattice{n: s}
	g.ex, g.ey = Point{a.right.X * scale, a.right.Y * scale}, Point{-a.right.Y * scale, a.right.X * scale}
	n := float64(s)
	g.first.X = a.anchor.X + g.ex.X*(0.5-n/2) + g.ey.X*(0.5-anchorY*n)
	g.first.Y = a.anchor.Y + g.ex.Y*(0.5-n/2) + g.ey.Y*(0.5-anchorY*n)

	factor := max(1, int(math.Round(scale)))
	r := reduce(f, g, factor, c)

	// In pixels of the reduced picture, whose first centre is at 0.
	k := 1 / float64(factor)
	x0, y0 := g.first.X*k-float64(r.x)-0.5, g.first.Y*k-float64(r.y)-0.5
	ex, ey := Point{g.ex.X * k, g.ex.Y * k}, Point{g.ey.X * k, g.ey.Y * k}
	taps := []Point{{}}
	if scale*k > 1.2 {
		// Still shrinking, by up to 1.5: four taps a pixel.
		taps = taps[:0]
		for _, d := range []Point{{-0.25, -0.25}, {0.25, -0.25}, {-0.25, 0.25}, {0.25, 0.25}} {
			taps = append(taps, Point{d.X*ex.X + d.Y*ey.X, d.X*ex.Y + d.Y*ey.Y})
		}
	}
	weight := 1 / float32(len(taps))
	for j := range s {
		for i := range s {
			x := x0 + float64(i)*ex.X + float64(j)*ey.X
			y := y0 + float64(i)*ex.Y + float64(j)*ey.Y
			var sum [3]float32
			for _, d := range taps {
				r.read(x+d.X, y+d.Y, &sum)
			}
			o := (j*s + i) * c
			for ch := range c {
				out[o+ch] = byte(min(255, sum[ch]*weight+0.5))
			}
		}
	}
	return out
}

// area is the part of a picture that a crop shows.
type area struct {
	anchor Point   // a place whose row in the crop is given: between the eyes
	right  Point   // unit vector along the crop's rows
	side   float64 // pixels
}

func cropArea(f *capture.Frame, face Face, spec Spec) area {
	w, h := float64(f.Width), float64(f.Height)
	eyes := Point{(face.LeftEye.X + face.RightEye.X) / 2, (face.LeftEye.Y + face.RightEye.Y) / 2}
	across := Point{face.RightEye.X - face.LeftEye.X, face.RightEye.Y - face.LeftEye.Y}
	down := Point{face.Mouth.X - eyes.X, face.Mouth.Y - eyes.Y}
	width, height := math.Hypot(across.X, across.Y), math.Hypot(down.X, down.Y)
	unit := max(width, height)

	a := area{anchor: eyes, side: spec.CropMargin * unit}
	switch {
	case !face.usable():
		a = area{Point{face.X + face.W/2, face.Y + CropEyeY*face.H}, Point{1, 0}, max(face.W, face.H)}
		if !face.valid() {
			a = area{Point{w / 2, CropEyeY * h}, Point{1, 0}, max(w, h)}
		}
	case width >= unit/5:
		a.right = Point{across.X / width, across.Y / width}
	default:
		a.right = Point{down.Y / height, -down.X / height}
	}
	// A detector may be wrong, but not send us far out of the picture.
	a.side = min(max(a.side, 1), 4*max(w, h))
	a.anchor = Point{min(max(a.anchor.X, -w), 2*w), min(max(a.anchor.Y, -h), 2*h)}
	return a
}

// usable reports whether a face's points say where to cut it.
func (f *Face) usable() bool {
	eyes := Point{(f.LeftEye.X + f.RightEye.X) / 2, (f.LeftEye.Y + f.RightEye.Y) / 2}
	unit := max(math.Hypot(f.RightEye.X-f.LeftEye.X, f.RightEye.Y-f.LeftEye.Y),
		math.Hypot(f.Mouth.X-eyes.X, f.Mouth.Y-eyes.Y))
	return unit > 0 && max(unit, math.Abs(eyes.X), math.Abs(eyes.Y)) < math.MaxFloat32
}

// reduced is part of a picture, shrunk by a whole factor; (x, y) is the place of its first pixel in
// the shrunk picture.
type reduced struct {
	x, y, w, h, c int
	pix           []float32
}

// lattice is where the n x n pixels of a crop lie in the source, in its pixels: the centre of the first, and the steps
// along a row and a column.
type lattice struct {
	first, ex, ey Point
	n             int
}

// reduce shrinks the part of a picture that a crop needs by a whole factor, to c channels (1: luma).
func reduce(f *capture.Frame, g lattice, factor, c int) *reduced {
	n := float64(g.n)
	span := func(at, dx, dy float64) (first, count int) {
		at -= (dx + dy) / 2 // the corner
		low := (at + min(0, dx)*n + min(0, dy)*n) / float64(factor)
		high := (at + max(0, dx)*n + max(0, dy)*n) / float64(factor)
		first = int(math.Floor(low)) - 1
		return first, int(math.Ceil(high)) + 1 - first
	}
	r := &reduced{c: c}
	r.x, r.w = span(g.first.X, g.ex.X, g.ey.X)
	r.y, r.h = span(g.first.Y, g.ex.Y, g.ey.Y)
	r.pix = make([]float32, r.w*r.h*c)

	// Which pixels of the source make up each row and column of blocks.
	taps := min(factor, maxTaps)
	offsets := func(first, count, limit, stride int) []int {
		o := make([]int, 0, count*taps)
		for b := first; b < first+count; b++ {
			for t := range taps {
				p := b*factor + (2*t+1)*factor/(2*taps)
				o = append(o, min(max(p, 0), limit-1)*stride)
			}
		}
		return o
	}
	xs := offsets(r.x, r.w, f.Width, 3)
	ys := offsets(r.y, r.h, f.Height, 3*f.Width)
	left, right := xs[0], xs[len(xs)-1]+3
	columns := newColumnSums(right - left)
	weight := 1 / float32(taps*taps)
	for by := range r.h {
		for _, y := range ys[by*taps : (by+1)*taps] {
			columns.add(f.Pix[y+left : y+right])
		}
		sums := columns.take()
		for bx := range r.w {
			var red, green, blue uint32
			for _, x := range xs[bx*taps : (bx+1)*taps] {
				p := sums[x-left : x-left+3 : x-left+3]
				red += uint32(p[0])
				green += uint32(p[1])
				blue += uint32(p[2])
			}
			o := (by*r.w + bx) * c
			if c == 1 {
				r.pix[o] = (0.299*float32(red) + 0.587*float32(green) + 0.114*float32(blue)) * weight // ITU-R BT.601
			} else {
				r.pix[o], r.pix[o+1], r.pix[o+2] = float32(red)*weight, float32(green)*weight, float32(blue)*weight
			}
		}
	}
	return r
}

// columnSums adds up rows of bytes, at most maxTaps, column by column. It works on eight at a time, in 16-bit
// lanes of two words: this is where a crop's time goes.
type columnSums struct {
	even, odd []uint64
	padded    []byte // the end of a row
	sums      []uint16
}

const lanes = 0x00ff00ff00ff00ff

func newColumnSums(n int) *columnSums {
	words := (n + 7) / 8
	return &columnSums{make([]uint64, words), make([]uint64, words), make([]byte, 8), make([]uint16, 8*words)}
}

func (s *columnSums) add(row []byte) {
	whole := len(row) / 8
	even, odd := s.even[:whole], s.odd[:whole]
	for i := range even {
		v := binary.LittleEndian.Uint64(row)
		even[i] += v & lanes
		odd[i] += v >> 8 & lanes
		row = row[8:]
	}
	if len(row) > 0 {
		copy(s.padded, row)
		v := binary.LittleEndian.Uint64(s.padded)
		s.even[whole] += v & lanes
		s.odd[whole] += v >> 8 & lanes
	}
}

// take gives the sums, valid until the next take, and starts anew.
func (s *columnSums) take() []uint16 {
	for i, e := range s.even {
		o := s.odd[i]
		d := s.sums[8*i : 8*i+8 : 8*i+8]
		d[0], d[2], d[4], d[6] = uint16(e), uint16(e>>16), uint16(e>>32), uint16(e>>48)
		d[1], d[3], d[5], d[7] = uint16(o), uint16(o>>16), uint16(o>>32), uint16(o>>48)
	}
	clear(s.even)
	clear(s.odd)
	return s.sums
}

// read adds the picture's value at a place to sum, bilinearly.
func (r *reduced) read(x, y float64, sum *[3]float32) {
	i := min(max(int(math.Floor(x)), 0), r.w-2)
	j := min(max(int(math.Floor(y)), 0), r.h-2)
	fx, fy := float32(x)-float32(i), float32(y)-float32(j)
	p := r.pix[(j*r.w+i)*r.c:]
	q := p[r.w*r.c:]
	for ch := range r.c {
		top := p[ch] + (p[ch+r.c]-p[ch])*fx
		bottom := q[ch] + (q[ch+r.c]-q[ch])*fx
		sum[ch] += top + (bottom-top)*fy
	}
}
