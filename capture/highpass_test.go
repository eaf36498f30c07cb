package capture_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/capture"
)

// tone returns seconds of a sine of amplitude 0.5.
func tone(hertz, seconds float64) []float32 {
	x := make([]float32, int(seconds*capture.SampleRate))
	for i := range x {
		x[i] = float32(0.5 * math.Sin(2*math.Pi*hertz*float64(i)/capture.SampleRate))
	}
	return x
}

func highPassed(x []float32) []float32 {
	y := make([]float32, len(x))
	new(capture.HighPass).Filter(y, x)
	return y
}

// rms is that of the second half, where a filter has settled.
func rms(x []float32) float64 {
	var sum float64
	for _, v := range x[len(x)/2:] {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(x)-len(x)/2))
}

func TestHighPassResponse(t *testing.T) {
	for _, c := range []struct{ hertz, least, most float64 }{ // dB
		{5, -300, -45},
		{20, -300, -40},
		{35, -300, -40},
		{49.5, -300, -40},
		{50, -300, -40},
		{50.5, -300, -40},
		{55, -300, -40},
		{59.5, -300, -50},
		{60, -300, -60},
		{60.5, -300, -50},
		{61.5, -300, -39.9},
		{85, -1.1, -0.9},
		{90, -0.6, -0.3},
		{100, -0.1, -0.02},
		{120, -0.02, 0.001},
		{200, -0.001, 0.001},
		{1000, -0.001, 0.001},
		{7900, -0.001, 0.001},
	} {
		x := tone(c.hertz, 8)
		gain := 20 * math.Log10(rms(highPassed(x))/rms(x))
		t.Logf("%6.1f Hz: %.3f dB", c.hertz, gain)
		if !(gain >= c.least && gain <= c.most) {
			t.Errorf("%v Hz: %.3f dB, want %v to %v", c.hertz, gain, c.least, c.most)
		}
	}
}

// A bias goes at once and leaves no click, wherever the sound begins.
func TestHighPassRemovesBias(t *testing.T) {
	x := slices.Repeat([]float32{0.9}, 1000)
	for i, v := range highPassed(x) {
		if v != 0 {
			t.Fatalf("sample %d of a bias of 0.9 is %g", i, v)
		}
	}
	speech := tone(150, 1)
	biased := slices.Clone(speech)
	for i := range biased {
		biased[i] += 0.05
	}
	want := highPassed(speech)
	for i, v := range highPassed(biased) {
		if math.Abs(float64(v-want[i])) > 1e-6 {
			t.Fatalf("sample %d is %g over a bias, %g without", i, v, want[i])
		}
	}
}

func TestHighPassStreams(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, 20000)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	want := highPassed(x)
	got := slices.Clone(x)
	var h capture.HighPass
	for rest := got; len(rest) > 0; {
		n := min(r.IntN(400), len(rest))
		h.Filter(rest[:n], rest[:n])
		rest = rest[n:]
	}
	if !slices.Equal(got, want) {
		t.Error("in parts it filters otherwise than as a whole")
	}
	h.Reset()
	h.Filter(got, x)
	if !slices.Equal(got, want) {
		t.Error("after Reset it filters otherwise than when new")
	}
}

// What is no number spoils nothing that comes after it, and neither do the largest of numbers.
func TestHighPassStaysFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, bad := range []float32{nan, inf, -inf} {
		x, clean := tone(300, 0.1), tone(300, 0.1)
		x[0], x[700], clean[0], clean[700] = bad, bad, 0, 0
		if !slices.Equal(highPassed(x), highPassed(clean)) {
			t.Errorf("%v is not taken for 0", bad)
		}
	}
	x := make([]float32, 2000)
	for i := range x {
		x[i] = math.MaxFloat32 * float32(1-i/16%2*2)
	}
	for i, v := range highPassed(x) {
		if v-v != 0 {
			t.Fatalf("sample %d is %v", i, v)
		}
	}
}

// In the silence after sound the filter comes to rest: it computes with no subnormal number, which are slow.
func TestHighPassComesToRest(t *testing.T) {
	const smallest = 0x1p-126 // the least float32 that is normal
	var h capture.HighPass
	x := tone(100, 0.5)
	h.Filter(x, x)
	x = make([]float32, 3*capture.SampleRate)
	h.Filter(x, x)
	for i, v := range x {
		if v != 0 && math.Abs(float64(v)) < smallest {
			t.Fatalf("sample %d of the silence is %g", i, v)
		}
	}
	if last := x[len(x)-1]; last != 0 {
		t.Errorf("after 3 s of silence it still gives %g", last)
	}
	if got := fmt.Sprint(h); got != fmt.Sprint(rested()) {
		t.Errorf("after 3 s of silence it remembers %v", got)
	}
}

// rested is a filter that has heard silence only.
func rested() (h capture.HighPass) {
	h.Filter(make([]float32, 1), make([]float32, 1))
	return h
}
