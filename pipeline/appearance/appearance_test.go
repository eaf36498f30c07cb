package appearance

import (
	"math"
	"math/rand/v2"
	"testing"
)

func noise(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	crop := make([]byte, Size*Size)
	for i := range crop {
		crop[i] = byte(r.Uint32())
	}
	return crop
}

func TestSpaceIsOfThisVersion(t *testing.T) {
	if want := 8*Dim + Dim*(Dim+1)/2; len(spaceBytes) != want {
		t.Errorf("space.bin has %d bytes, want %d", len(spaceBytes), want)
	}
}

func TestOf(t *testing.T) {
	a, b := Of(noise(1)), Of(noise(2))
	if d := a.Cosine(a); math.Abs(d-1) > 1e-5 {
		t.Errorf("a look's length is %v", d)
	}
	if d := a.Cosine(b); d > 0.9 {
		t.Errorf("two noises are alike by %v", d)
	}
	for _, crop := range [][]byte{nil, make([]byte, 10), make([]byte, Size*Size)} {
		if l := Of(crop); l != nil {
			t.Errorf("a crop of %d bytes without edges has a look", len(crop))
		}
	}
}

// An edge from dark to light to the right is of direction 0, one downwards of direction 2.
func TestHistogramDirections(t *testing.T) {
	for direction, value := range map[int]func(x, y int) int{
		0: func(x, _ int) int { return x }, 2: func(_, y int) int { return y },
		4: func(x, _ int) int { return Size - x }, 6: func(_, y int) int { return Size - y },
	} {
		crop := make([]byte, Size*Size)
		for i := range crop {
			crop[i] = byte(5 * value(i%Size, i/Size))
		}
		for i, v := range Histogram(crop) {
			if (v > 0) != (i%directions == direction) {
				t.Fatalf("direction %d: %v at %d", direction, v, i)
			}
		}
	}
}

func TestMeanFadesAndIsBounded(t *testing.T) {
	a, b := Of(noise(1)), Of(noise(2))
	var m Mean
	if !m.Empty() || m.Cosine(a) != 0 {
		t.Error("an empty mean is like something")
	}
	m.Add(a)
	if d := m.Cosine(a); math.Abs(d-1) > 1e-5 {
		t.Errorf("a mean of one is like it by %v", d)
	}
	for range 200 {
		m.Add(b)
	}
	if d := m.Cosine(b); d < 0.999 {
		t.Errorf("after 200 others the mean is like them by %v", d)
	}
}

func BenchmarkOf(b *testing.B) {
	crop := noise(1)
	for b.Loop() {
		Of(crop)
	}
}
