package infer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// exact draws a canvas pixel by integrating the picture, with its edge repeated outside, over what the pixel covers.
func exact(pix []byte, s *scaler, cx, cy, channel int) float64 {
	v := s.view
	span := func(c int, offset float64, length int) (lo, hi float64) {
		size := max(1/v.scale, 1)
		mid := min(max((float64(c)+0.5-offset)/v.scale, 0.5), float64(length)-0.5)
		return max(mid-size/2, 0), min(mid+size/2, float64(length))
	}
	x0, x1 := span(cx, v.dx, s.width)
	y0, y1 := span(cy, v.dy, s.height)
	var sum, area float64
	for y := int(y0); float64(y) < y1; y++ {
		for x := int(x0); float64(x) < x1; x++ {
			a := (min(float64(x+1), x1) - max(float64(x), x0)) * (min(float64(y+1), y1) - max(float64(y), y0))
			sum += a * float64(pix[3*(y*s.width+x)+channel])
			area += a
		}
	}
	return sum/area*2/255 - 1
}

func TestDraw(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		width, height, side int
		fill                float64
	}{
		{640, 480, 128, 1},
		{360, 288, 128, 1},
		{480, 640, 128, 1},
		{641, 363, 128, 1},
		{640, 480, 256, 1},
		{128, 128, 128, 1},
		{48, 48, 128, 1},
		{64, 64, 128, 0.5},
		{112, 112, 256, 0.5},
		{1, 1, 128, 1},
		{3, 2, 128, 0.5},
		{1, 700, 128, 1},
	} {
		t.Run(fmt.Sprintf("%dx%d to %d, %v", c.width, c.height, c.side, c.fill), func(t *testing.T) {
			pix := make([]byte, 3*c.width*c.height)
			for i := range pix {
				pix[i] = byte(rng.Uint32())
			}
			s := newScaler(c.width, c.height, c.side, fit(c.width, c.height, c.side, c.fill))
			dst := make([]float32, 3*c.side*c.side)
			for range 2 { // the second time over leftovers
				s.draw(dst, pix)
			}
			worst := 0.0
			for range 5000 {
				x, y, ch := rng.IntN(c.side), rng.IntN(c.side), rng.IntN(3)
				worst = max(worst, math.Abs(float64(dst[3*(y*c.side+x)+ch])-exact(pix, s, x, y, ch)))
			}
			// Weights along y have 8 bits, so noise may be off by about a level of 255.
			if !(worst < 0.02) {
				t.Errorf("off by %.4f", worst)
			}
		})
	}
}

// White stays white to the last bit, however large the picture, and the sums do not overflow.
func TestDrawWhite(t *testing.T) {
	for _, size := range [][2]int{{640, 480}, {7680, 4320}, {1, 5000}, {997, 7}} {
		pix := make([]byte, 3*size[0]*size[1])
		for i := range pix {
			pix[i] = 255
		}
		dst := make([]float32, 3*128*128)
		newScaler(size[0], size[1], 128, fit(size[0], size[1], 128, 1)).draw(dst, pix)
		for i, v := range dst {
			if v != 1 {
				t.Fatalf("%v: value %d is %v", size, i, v)
			}
		}
	}
}

func TestFit(t *testing.T) {
	v := fit(640, 480, 128, 1)
	if v.scale != 0.2 || v.dx != 0 || v.dy != 16 {
		t.Errorf("%+v", v)
	}
	if v = fit(64, 64, 128, 0.5); v.scale != 1 || v.dx != 32 || v.dy != 32 {
		t.Errorf("%+v", v)
	}
}
