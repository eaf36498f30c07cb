package av

// orientation is how a stored picture has to be turned and mirrored to stand upright: the signs of a display
// matrix. Stored (x, y) is shown at (a*x + c*y, b*x + d*y), shifted back into the picture.
type orientation struct{ a, b, c, d int }

var upright = orientation{a: 1, d: 1}

// orientationOf reads a display matrix (ISO/IEC 14496-12, 6.2.2): nine numbers, row by row. A turn that is no
// multiple of 90 degrees is taken to the nearest.
func orientationOf(m []int32) orientation {
	if len(m) < 5 {
		return upright
	}
	a, b, c, d := m[0], m[1], m[3], m[4]
	straight, across := abs(a)+abs(d), abs(b)+abs(c)
	switch {
	case straight == 0 && across == 0:
		return upright
	case straight >= across:
		return orientation{a: sign(a), d: sign(d)}
	default:
		return orientation{b: sign(b), c: sign(c)}
	}
}

// turned is a turn clockwise by so many quarters.
func turned(quarters int) orientation {
	return [4]orientation{upright, {b: 1, c: -1}, {a: -1, d: -1}, {b: -1, c: 1}}[quarters&3]
}

// size is that of a w x h picture after turning.
func (o orientation) size(w, h int) (int, int) {
	if o.a == 0 {
		return h, w
	}
	return w, h
}

// apply turns a packed RGB picture.
func (o orientation) apply(pix []byte, w, h int) ([]byte, int, int) {
	if o == upright {
		return pix, w, h
	}
	tw, th := o.size(w, h)
	out := make([]byte, len(pix))
	x0, y0 := 0, 0
	if o.a < 0 || o.c < 0 {
		x0 = tw - 1
	}
	if o.b < 0 || o.d < 0 {
		y0 = th - 1
	}
	step := 3 * (o.a + o.b*tw)
	for y := range h {
		to := 3 * (x0 + o.c*y + (y0+o.d*y)*tw)
		row := pix[3*w*y : 3*w*(y+1)]
		for ; len(row) > 0; row = row[3:] {
			out[to], out[to+1], out[to+2] = row[0], row[1], row[2]
			to += step
		}
	}
	return out, tw, th
}

func abs(v int32) int64 { return max(int64(v), -int64(v)) }

func sign(v int32) int {
	if v < 0 {
		return -1
	}
	return 1
}
