package infer

import "encoding/binary"

// view places a picture on a square canvas: a canvas coordinate is a picture coordinate times scale plus offset. A
// mirrored one then swaps left and right of the canvas.
type view struct {
	scale, dx, dy float64
	mirrored      bool
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

// around returns the view in whose middle a square of the picture fills the canvas.
func around(x, y, square float64, side int) view {
	scale := float64(side) / square
	return view{scale: scale, dx: float64(side)/2 - scale*x, dy: float64(side)/2 - scale*y}
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
	all := make([]uint32, 0, side*(int(support)/step+2))
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
		from := len(all)
		var run float64
		var done uint32
		for _, s := range shares {
			run += s / sum
			upTo := uint32(run*float64(uint32(1)<<bits) + 0.5)
			all = append(all, upTo-done)
			done = upTo
		}
		taps[i] = tap{start: first, weights: all[from:len(all):len(all)]}
	}
	return taps, step
}

// A pixel's 8 bits, the bits of a weight along y and of one along x fill 32.
const (
	yBits = 8
	xBits = 16
)

// scaler draws pictures of one size on a canvas by one view. It reads only those pixels of a picture that the view
// shows.
type scaler struct {
	width, height, side int
	view                view
	x, y                []tap
	xStep, yStep        int
	left, right         int      // the columns that are read: [left, right)
	sums                []uint64 // weighted sums of rows: 8 bytes as 16-bit lanes, the even ones then the odd ones
	line                []uint32 // the same, a value a channel
}

func newScaler(width, height, side int, v view) *scaler {
	s := &scaler{width: width, height: height, side: side, view: v, left: width}
	s.x, s.xStep = newTaps(width, side, v.scale, v.dx, xBits)
	s.y, s.yStep = newTaps(height, side, v.scale, v.dy, yBits)
	for _, t := range s.x {
		s.left = min(s.left, t.start)
		s.right = max(s.right, t.start+(len(t.weights)-1)*s.xStep+1)
	}
	words := (3*(s.right-s.left) + 7) / 8
	s.sums, s.line = make([]uint64, 2*words), make([]uint32, 8*words)
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
			at := 3 * (t.start - s.left)
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

// blendRows sums the read part of rows, weighted, into line, four rows at a time.
func (s *scaler) blendRows(pix []byte, t *tap) {
	last := len(t.weights) - 1
	for first := 0; first <= last; first += 4 {
		var rows [4][]byte
		var weights [4]uint64 // 0 where there is no row
		for i := range rows {
			at := 3 * (t.start + min(first+i, last)*s.yStep) * s.width
			rows[i] = pix[at+3*s.left : at+3*s.right]
			if first+i <= last {
				weights[i] = uint64(t.weights[first+i])
			}
		}
		s.addRows(&rows, &weights, first == 0)
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

// addRows adds weighted rows to sums, or begins these with them. It takes eight bytes at a time, since all bytes that
// are read pass through here: a weight has 8 bits and they sum to 256, so that four products fit a word side by side.
func (s *scaler) addRows(rows *[4][]byte, weights *[4]uint64, begin bool) {
	const lanes = 0x00ff00ff00ff00ff
	n := len(rows[0])
	a, b, c, d := rows[0][:n], rows[1][:n], rows[2][:n], rows[3][:n]
	wa, wb, wc, wd := weights[0], weights[1], weights[2], weights[3]
	if begin {
		clear(s.sums)
	}
	sums := s.sums
	for at := 0; at <= n-8 && len(sums) >= 2; at += 8 {
		p, q := binary.LittleEndian.Uint64(a[at:]), binary.LittleEndian.Uint64(b[at:])
		u, v := binary.LittleEndian.Uint64(c[at:]), binary.LittleEndian.Uint64(d[at:])
		sums[0] += (p&lanes)*wa + (q&lanes)*wb + (u&lanes)*wc + (v&lanes)*wd
		sums[1] += (p>>8&lanes)*wa + (q>>8&lanes)*wb + (u>>8&lanes)*wc + (v>>8&lanes)*wd
		sums = sums[2:]
	}
	for at := n &^ 7; at < n; at++ { // the last few bytes
		sum := uint64(a[at])*wa + uint64(b[at])*wb + uint64(c[at])*wc + uint64(d[at])*wd
		sums[at&1] += sum << (16 * (at & 7 / 2))
	}
}
