package infer

import "encoding/binary"

// view places a picture on a square canvas: a canvas coordinate is a picture coordinate times scale plus offset.
type view struct {
	scale, dx, dy float64
}

// fit returns the view that centres a picture so that its longer side takes the share fill of the canvas.
func fit(width, height, side int, fill float64) view {
	scale := fill * float64(side) / float64(max(width, height))
	return view{
		scale: scale,
		dx:    (float64(side) - scale*float64(width)) / 2,
		dy:    (float64(side) - scale*float64(height)) / 2,
	}
}

// maxTaps bounds the pixels averaged along an axis: where there are more, some between them are left out, so that
// the cost does not grow with the square of a picture's size.
const maxTaps = 6

// tap is the run of pixels along one axis that make one canvas pixel: each step-th from start, one a weight.
type tap struct {
	start   int
	weights []uint32 // sum to 1 << bits
}

// newTaps covers the canvas pixels [0, side). When the picture shrinks each is the average over the pixels it
// covers, in part at the edges; when it grows, a linear blend of two. Beyond the picture its edge is repeated.
func newTaps(length, side int, scale, offset float64, bits uint) (taps []tap, step int) {
	support := max(1/scale, 1) // picture pixels a canvas pixel
	step = max(1, int(support/(maxTaps/2)))
	if support <= maxTaps {
		step = 1
	}
	taps = make([]tap, side)
	var shares []float64
	for i := range taps {
		mid := (float64(i) + 0.5 - offset) / scale
		mid = min(max(mid, 0.5), float64(length)-0.5)
		lo, hi := max(mid-support/2, 0), min(mid+support/2, float64(length))
		first := min(int(lo), length-1)
		shares = shares[:0]
		var sum float64
		for x := first; x < length && float64(x) < hi; x += step {
			s := 1.0
			if step == 1 {
				s = min(float64(x+1), hi) - max(float64(x), lo)
			}
			shares = append(shares, s)
			sum += s
		}
		// Rounding the running sum, not each weight, makes the weights sum to exactly one.
		t := tap{start: first, weights: make([]uint32, len(shares))}
		var run float64
		var done uint32
		for k, s := range shares {
			run += s / sum
			upTo := uint32(run*float64(uint32(1)<<bits) + 0.5)
			t.weights[k] = upTo - done
			done = upTo
		}
		taps[i] = t
	}
	return taps, step
}

// A pixel's 8 bits, the bits of a weight along y and of one along x fill 32.
const (
	yBits = 8
	xBits = 16
)

// scaler draws pictures of one size on a canvas of one size.
type scaler struct {
	width, height, side int
	fill                float64
	view                view
	x, y                []tap
	xStep, yStep        int
	sums                []uint64 // weighted sums of rows: 8 bytes as 16-bit lanes, the even ones then the odd ones
	line                []uint32 // the same, a value a channel
}

func newScaler(width, height, side int, fill float64) *scaler {
	words := (3*width + 7) / 8
	s := &scaler{
		width: width, height: height, side: side, fill: fill,
		view: fit(width, height, side, fill),
		sums: make([]uint64, 2*words),
		line: make([]uint32, 8*words),
	}
	s.x, s.xStep = newTaps(width, side, s.view.scale, s.view.dx, xBits)
	s.y, s.yStep = newTaps(height, side, s.view.scale, s.view.dy, yBits)
	return s
}

// draw writes pix, packed RGB, to dst, 3*side*side values in [-1, 1].
func (s *scaler) draw(dst []float32, pix []byte) {
	const toUnit = 2.0 / (255 << (yBits + xBits))
	for i := range s.y {
		s.blendRows(pix, &s.y[i])
		row := dst[3*i*s.side : 3*(i+1)*s.side]
		for j := range s.x {
			t := &s.x[j]
			var r, g, b uint32
			at := 3 * t.start
			for _, w := range t.weights {
				p := s.line[at : at+3 : at+3]
				r += w * p[0]
				g += w * p[1]
				b += w * p[2]
				at += 3 * s.xStep
			}
			q := row[3*j : 3*j+3 : 3*j+3]
			q[0], q[1], q[2] = float32(r)*toUnit-1, float32(g)*toUnit-1, float32(b)*toUnit-1
		}
	}
}

// blendRows sums whole rows, weighted, into line. It takes eight bytes at a time, since all the picture's bytes
// pass through here: a weight has 8 bits and they sum to 256, so that four products fit a word side by side.
func (s *scaler) blendRows(pix []byte, t *tap) {
	const lanes = 0x00ff00ff00ff00ff
	bytes := 3 * s.width
	clear(s.sums)
	for k, w := range t.weights {
		at := (t.start + k*s.yStep) * bytes
		row := pix[at : at+bytes]
		w := uint64(w)
		sums := s.sums
		for len(row) >= 8 && len(sums) >= 2 {
			v := binary.LittleEndian.Uint64(row)
			sums[0] += (v & lanes) * w
			sums[1] += (v >> 8 & lanes) * w
			row, sums = row[8:], sums[2:]
		}
		if len(row) > 0 {
			var last [8]byte
			copy(last[:], row)
			v := binary.LittleEndian.Uint64(last[:])
			sums[0] += (v & lanes) * w
			sums[1] += (v >> 8 & lanes) * w
		}
	}
	line := s.line
	for sums := s.sums; len(sums) >= 2 && len(line) >= 8; sums, line = sums[2:], line[8:] {
		even, odd := sums[0], sums[1]
		line[0], line[1] = uint32(even&0xffff), uint32(odd&0xffff)
		line[2], line[3] = uint32(even>>16&0xffff), uint32(odd>>16&0xffff)
		line[4], line[5] = uint32(even>>32&0xffff), uint32(odd>>32&0xffff)
		line[6], line[7] = uint32(even>>48), uint32(odd>>48)
	}
}
