package augment

import (
	"bytes"
	"encoding/json"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"tandem/capture"
	"tandem/train/traintest"
)

const windowSamples = 40960

// usual is the default recipe's augmentation.
var usual = func() Config {
	var recipe struct{ Augment Config }
	b, err := os.ReadFile("../recipes/default.json")
	if err == nil {
		err = json.Unmarshal(b, &recipe)
	}
	if err != nil {
		panic(err)
	}
	return recipe.Augment
}()

// amplitude is that of one frequency in x.
func amplitude(x []float32, hz float64) float64 {
	var sum complex128
	for i, v := range x {
		sum += complex(float64(v), 0) * cmplx.Rect(1, -2*math.Pi*hz*float64(i)/capture.SampleRate)
	}
	return 2 * cmplx.Abs(sum) / float64(len(x))
}

func floats(s []int16) []float32 {
	x := make([]float32, len(s))
	for i, v := range s {
		x[i] = float32(v) / 32768
	}
	return x
}

func TestAugmentAudioIsDeterministicAndBounded(t *testing.T) {
	src := traintest.Sine(220, windowSamples)
	before := slices.Clone(src)
	a, b := make([]float32, len(src)), make([]float32, len(src))
	different := false
	for seed := range uint64(40) {
		usual.Audio.Apply(a, src, rand.New(rand.NewPCG(seed, 0)))
		usual.Audio.Apply(b, src, rand.New(rand.NewPCG(seed, 0)))
		if !slices.Equal(a, b) {
			t.Fatalf("seed %d gives two variations", seed)
		}
		for i, v := range a {
			if !(v >= -1 && v <= 1) {
				t.Fatalf("seed %d: sample %d is %g", seed, i, v)
			}
		}
		usual.Audio.Apply(b, src, rand.New(rand.NewPCG(seed+1, 0)))
		different = different || !slices.Equal(a, b)
		// A band that is taken out may hold the tone.
		whole := usual.Audio
		whole.MaskBand = 0
		whole.Apply(a, src, rand.New(rand.NewPCG(seed, 0)))
		// -12 to +6 dB of gain and at most 8 dB of equaliser about a tone of 0.354 root mean square.
		if rms := math.Sqrt(meanPower(a)); rms < 0.354*decibels(-23) || rms > 1 {
			t.Errorf("seed %d: level %g", seed, rms)
		}
	}
	if !different {
		t.Error("every seed gives the same")
	}
	if !slices.Equal(src, before) {
		t.Error("the source was written to")
	}
}

func TestAugmentAudioKeepsSilence(t *testing.T) {
	dst := make([]float32, windowSamples)
	for seed := range uint64(10) {
		usual.Audio.Apply(dst, make([]int16, windowSamples), rand.New(rand.NewPCG(seed, 0)))
		if meanPower(dst) != 0 {
			t.Fatalf("seed %d: silence has power %g", seed, meanPower(dst))
		}
	}
}

func TestResample(t *testing.T) {
	src := traintest.Sine(500, windowSamples)
	dst := make([]float32, len(src))
	resample(dst, src, 0, 1)
	if !slices.Equal(dst, floats(src)) {
		t.Error("no shift and speed 1 change the sound")
	}
	resample(dst, src, 100, 1)
	if !slices.Equal(dst[:len(dst)-100], floats(src)[100:]) || meanPower(dst[len(dst)-98:]) != 0 {
		t.Error("a shift of 100 samples does not shift by 100 samples, silent behind")
	}
	resample(dst, src, 0, 1.05)
	traintest.Near(t, "amplitude at 525 Hz", amplitude(dst[2000:34000], 525), 0.5, 0.01)
	traintest.Near(t, "amplitude at 500 Hz", amplitude(dst[2000:34000], 500), 0, 0.01)
}

func TestPeaking(t *testing.T) {
	for _, tc := range []struct{ hz, db float64 }{{1000, 6}, {1000, -6}, {4000, 8}} {
		for _, at := range []struct{ hz, want float64 }{{tc.hz, decibels(tc.db)}, {tc.hz / 20, 1}} {
			x := floats(traintest.Sine(at.hz, windowSamples))
			peaking(x, tc.hz, 1, tc.db)
			traintest.Near(t, "gain", amplitude(x[8000:], at.hz)/0.5, at.want, 0.03)
		}
	}
}

func TestTilt(t *testing.T) {
	for _, hz := range []float64{100, 4000, 7000} {
		x := floats(traintest.Sine(hz, windowSamples))
		tilt(x, 0.4)
		want := cmplx.Abs(1+0.4*cmplx.Rect(1, -2*math.Pi*hz/capture.SampleRate)) / math.Sqrt(1.16)
		traintest.Near(t, "gain", amplitude(x[1600:], hz)/0.5, want, 0.01)
	}
}

func TestNoiseLevelAndColour(t *testing.T) {
	for _, pink := range []bool{false, true} {
		clean := floats(traintest.Sine(300, windowSamples))
		x := slices.Clone(clean)
		AddNoise(x, 10, pink, rand.New(rand.NewPCG(5, 6)))
		for i := range x {
			x[i] -= clean[i]
		}
		traintest.Near(t, "noise level dB", 10*math.Log10(meanPower(clean)/meanPower(x)), 10, 0.01)
		// Power in the octaves about 125 and 4000 Hz, five octaves apart: white rises 3 dB an octave, pink is level.
		low, high := band(x, 88, 177), band(x, 2828, 5657)
		rise := 10 * math.Log10(high/low)
		if want := map[bool]float64{false: 15, true: 0}[pink]; math.Abs(rise-want) > 3 {
			t.Errorf("pink %v: an octave at 4 kHz has %.1f dB more than one at 125 Hz, want %.0f", pink, rise, want)
		}
	}
}

// band is the power of x between two frequencies, by probing 200 of them over short blocks.
func band(x []float32, lo, hi float64) float64 {
	sum := 0.0
	const probes = 100
	for b := 0; b+8192 <= len(x); b += 8192 {
		for i := range probes {
			a := amplitude(x[b:b+8192], lo+(hi-lo)*(float64(i)+.5)/probes)
			sum += a * a
		}
	}
	return sum * (hi - lo)
}

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
		one := gradient(size, channels)
		src := slices.Concat(one, one, one)
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
			for i := range one {
				worst = max(worst, int(max(a[i], a[i+len(one)]))-int(min(a[i], a[i+len(one)])))
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
	newView(size, 1, 0, 0, 1, 0, 0).draw(dst, src, size, 3)
	if !slices.Equal(dst, src) {
		t.Error("the identity changes the crop")
	}
	newView(size, -1, 0, 0, 1, 0, 0).draw(dst, src, size, 3)
	for y := range size {
		for x := range size {
			if p, q := (y*size+x)*3, (y*size+size-1-x)*3; !slices.Equal(dst[p:p+3], src[q:q+3]) {
				t.Fatalf("mirrored (%d, %d) is %v, want %v", x, y, dst[p:p+3], src[q:q+3])
			}
		}
	}
	newView(size, 1, 0, 0, 1, 5, -2).draw(dst, src, size, 3)
	if p, q := (10*size+10)*3, (8*size+15)*3; !slices.Equal(dst[p:p+3], src[q:q+3]) {
		t.Errorf("moved pixel is %v, want %v", dst[p:p+3], src[q:q+3])
	}
}

func TestJitterMovesEachFrameByItself(t *testing.T) {
	const size, frames = 48, 40
	one := gradient(size, 1) // 3 grey levels a column
	src := bytes.Repeat(one, frames)
	dst := make([]byte, len(src))
	Face{Jitter: 0.04, Gamma: 1}.Apply(dst, src, frames, size, 1, rand.New(rand.NewPCG(1, 2)))
	middle := size*size/2 + size/2
	seen := map[int]bool{}
	for f := range frames {
		d := int(dst[f*len(one)+middle]) - int(one[middle])
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
		mx := (float64(v.x0) + c*float64(v.xx+v.xy)) / one
		my := (float64(v.y0) + c*float64(v.yx+v.yy)) / one
		if math.Hypot(mx-c, my-c) > math.Sqrt2*usual.Face.Move*48+0.1 {
			t.Errorf("the middle moves to %.1f, %.1f", mx, my)
		}
		det := (float64(v.xx)*float64(v.yy) - float64(v.xy)*float64(v.yx)) / one / one
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

func BenchmarkAugmentAudio(b *testing.B) {
	src, dst := traintest.Sine(200, windowSamples), make([]float32, windowSamples)
	rng := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		usual.Audio.Apply(dst, src, rng)
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
