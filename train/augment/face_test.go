package augment

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// gradient is a crop whose level grows along x in channel 0 and along y in the last.
func gradient(size, channels int) []byte {
	d := make([]byte, size*size*channels)
	for y := range size {
		for x := range size {
			for c := range channels {
				d[(y*size+x)*channels+c] = byte(40 + (x*(channels-c)+y*c)*3/channels)
			}
		}
	}
	return d
}

func TestAugmentFacesIsDeterministicAndAlikeInAllFrames(t *testing.T) {
	for _, channels := range []int{1, 3} {
		const size, frames = 48, 3
		crop := gradient(size, channels)
		src := slices.Concat(crop, crop, crop)
		before := slices.Clone(src)
		a, b := make([]byte, len(src)), make([]byte, len(src))
		seen := map[string]bool{}
		grained := 0
		for seed := range uint64(60) {
			usual.Face.Apply(a, src, frames, size, channels, rand.New(rand.NewPCG(seed, 1)))
			usual.Face.Apply(b, src, frames, size, channels, rand.New(rand.NewPCG(seed, 1)))
			if !slices.Equal(a, b) {
				t.Fatalf("seed %d gives two variations", seed)
			}
			seen[string(a)] = true
			worst := 0
			for i := range crop {
				worst = max(worst, int(max(a[i], a[i+len(crop)]))-int(min(a[i], a[i+len(crop)])))
			}
			if worst > 2*usual.Face.Grain {
				t.Errorf("seed %d: equal frames differ by %d grey levels", seed, worst)
			}
			if worst > 0 {
				grained++
			}
		}
		if len(seen) != 60 || grained == 0 || grained > 35 {
			t.Errorf("%d of 60 variations differ, %d have noise", len(seen), grained)
		}
		if !slices.Equal(src, before) {
			t.Error("the source was written to")
		}
	}
}

func TestViewKeepsMirrorsAndMoves(t *testing.T) {
	const size = 48
	src := gradient(size, 3)
	dst := make([]byte, len(src))
	affine{xx: 1, yy: 1}.view(size).draw(dst, src, size, 3)
	if !slices.Equal(dst, src) {
		t.Error("the identity changes the crop")
	}
	affine{xx: -1, yy: 1}.view(size).draw(dst, src, size, 3)
	for y := range size {
		for x := range size {
			if p, q := (y*size+x)*3, (y*size+size-1-x)*3; !slices.Equal(dst[p:p+3], src[q:q+3]) {
				t.Fatalf("mirrored (%d, %d) is %v, want %v", x, y, dst[p:p+3], src[q:q+3])
			}
		}
	}
	affine{xx: 1, yy: 1, dx: 5, dy: -2}.view(size).draw(dst, src, size, 3)
	if p, q := (10*size+10)*3, (8*size+15)*3; !slices.Equal(dst[p:p+3], src[q:q+3]) {
		t.Errorf("moved pixel is %v, want %v", dst[p:p+3], src[q:q+3])
	}
}

func TestJitterMovesEachFrameByItself(t *testing.T) {
	const size, frames = 48, 40
	crop := gradient(size, 1) // 3 grey levels a column
	src := bytes.Repeat(crop, frames)
	dst := make([]byte, len(src))
	Face{Jitter: 0.04, Gamma: 1}.Apply(dst, src, frames, size, 1, rand.New(rand.NewPCG(1, 2)))
	middle := size*size/2 + size/2
	seen := map[int]bool{}
	for f := range frames {
		d := int(dst[f*len(crop)+middle]) - int(crop[middle])
		if seen[d] = true; d < -6 || d > 6 { // 0.04*48*3 = 5.8
			t.Errorf("frame %d: %d grey levels are more than the move can be", f, d)
		}
	}
	if len(seen) < 8 {
		t.Errorf("%d frames are moved in %d ways", frames, len(seen))
	}
	if err := (Face{Jitter: 0.6, Gamma: 1}).Check(); err == nil || !strings.Contains(err.Error(), "jitter") {
		t.Errorf("a jitter of 0.6: %v", err)
	}
}

func TestRandomViewStaysInRange(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	mirrored := 0
	for range 500 {
		v := usual.Face.view(48, rng)
		// Where the source's middle is taken from, and how far its corner is from that.
		c := 23.5
		mx := (float64(v.x0) + c*float64(v.xx+v.xy)) / fixedOne
		my := (float64(v.y0) + c*float64(v.yx+v.yy)) / fixedOne
		if math.Hypot(mx-c, my-c) > math.Sqrt2*usual.Face.Move*48+0.1 {
			t.Errorf("the middle moves to %.1f, %.1f", mx, my)
		}
		det := (float64(v.xx)*float64(v.yy) - float64(v.xy)*float64(v.yx)) / fixedOne / fixedOne
		if zoom := math.Sqrt(math.Abs(det)); zoom < 1-usual.Face.Zoom-1e-3 || zoom > 1+usual.Face.Zoom+1e-3 {
			t.Errorf("zoom %g", zoom)
		}
		if det < 0 {
			mirrored++
		}
	}
	if mirrored < 200 || mirrored > 300 {
		t.Errorf("%d of 500 are mirrored", mirrored)
	}
}

func TestSofteningKeepsTheMean(t *testing.T) {
	const size = 48
	for _, channels := range []int{1, 3} {
		rng := rand.New(rand.NewPCG(7, 8))
		src := make([]byte, size*size*channels)
		for i := range src {
			src[i] = byte(rng.Uint32())
		}
		for name, soften := range map[string]func([]byte){
			"blur":    func(d []byte) { blur(d, size, channels) },
			"coarsen": func(d []byte) { Coarsen(d, size, 20, channels) },
		} {
			d := slices.Clone(src)
			soften(d)
			m0, r0 := meanAndRough(src, channels)
			m1, r1 := meanAndRough(d, channels)
			if math.Abs(m0-m1) > 2.5 || r1 > 0.5*r0 {
				t.Errorf("%s: mean %.1f to %.1f, roughness %.1f to %.1f", name, m0, m1, r0, r1)
			}
			flat := make([]byte, len(src))
			for i := range flat {
				flat[i] = 77
			}
			soften(flat)
			if i := slices.IndexFunc(flat, func(v byte) bool { return v != 77 }); i >= 0 {
				t.Errorf("%s: a flat crop becomes %d at %d", name, flat[i], i)
			}
		}
	}
}

// meanAndRough is the mean level and the mean step between neighbours of a channel.
func meanAndRough(d []byte, channels int) (mean, rough float64) {
	for i, v := range d {
		mean += float64(v)
		if i >= channels {
			rough += math.Abs(float64(v) - float64(d[i-channels]))
		}
	}
	return mean / float64(len(d)), rough / float64(len(d))
}

func TestToneNeverFalls(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 100 {
		tone := usual.Face.tone(rng)
		if !slices.IsSorted(tone[:]) {
			t.Fatalf("tone falls: %v", tone)
		}
	}
}

func BenchmarkAugmentFace(b *testing.B) {
	src := gradient(48, 1)
	dst := make([]byte, len(src))
	rng := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		usual.Face.Apply(dst, src, 1, 48, 1, rng)
	}
}
