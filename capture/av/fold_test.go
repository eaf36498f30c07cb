package av

import (
	"math"
	"math/rand/v2"
	"testing"
)

// folded returns the power of what is made of so many seconds of two channels, in frames as decoders hand them out.
func folded(f *fold, seconds float64, of func(i int) (a, b float64)) (power float64) {
	const frame = 1024
	n := int(seconds * SampleRate)
	for at := 0; at < n; at += frame {
		two := make([]float32, 0, 2*frame)
		for i := at; i < at+frame; i++ {
			a, b := of(i)
			two = append(two, float32(a), float32(b))
		}
		for i, v := range f.mono(two) {
			if at+i >= SampleRate/10 { // once it has listened
				power += float64(v) * float64(v) / float64(n-SampleRate/10)
			}
		}
	}
	return power
}

func TestFold(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	tone := func(i int) float64 { return 0.3 * math.Sin(float64(i)*0.2) }
	noise := func(p float64) float64 { return p * rng.NormFloat64() }
	const whole = 0.3 * 0.3 / 2 // power of the tone
	for name, c := range map[string]struct {
		of       func(i int) (a, b float64)
		centre   bool
		power    float64
		opposite bool
	}{
		"alike":             {func(i int) (a, b float64) { return tone(i), tone(i) }, false, whole, false},
		"one channel alone": {func(i int) (a, b float64) { return tone(i), 0 }, false, whole / 4, false},
		"opposite":          {func(i int) (a, b float64) { return tone(i), -tone(i) }, false, whole, true},
		"opposite, the right louder": {
			func(i int) (a, b float64) { return -0.8 * tone(i), tone(i) }, false, whole, true,
		},
		"opposite, under noise": {
			func(i int) (a, b float64) { return tone(i) + noise(0.01), -tone(i) + noise(0.01) }, false, whole, true,
		},
		"nothing in common": {
			func(int) (a, b float64) { return noise(0.1), noise(0.1) }, false, 0.005, false,
		},
		"a quarter of a period apart": {
			func(i int) (a, b float64) { return tone(i), 0.3 * math.Cos(float64(i)*0.2) }, false, whole / 2, false,
		},
		"silence":                   {func(int) (a, b float64) { return 0, 0 }, false, 0, false},
		"a centre":                  {func(i int) (a, b float64) { return tone(i), noise(0.2) }, true, whole, false},
		"a centre alone":            {func(i int) (a, b float64) { return tone(i), 0 }, true, whole, false},
		"a silent centre":           {func(i int) (a, b float64) { return 0, tone(i) }, true, whole, false},
		"a centre against its like": {func(i int) (a, b float64) { return tone(i), -tone(i) }, true, whole, false},
	} {
		f := &fold{centre: c.centre}
		if power := folded(f, 2, c.of); math.Abs(power-c.power) > 0.05*c.power {
			t.Errorf("%s: power %.4f, want %.4f", name, power, c.power)
		}
		if (f.cancelled > SampleRate) != c.opposite {
			t.Errorf("%s: one channel taken for %d samples", name, f.cancelled)
		}
	}
	// A cable that is put right is heard right.
	f := &fold{}
	folded(f, 1, func(i int) (a, b float64) { return tone(i), -tone(i) })
	folded(f, 1, func(i int) (a, b float64) { return tone(i), tone(i) })
	if f.opposite {
		t.Error("the channels are alike again, and one is taken still")
	}
	if f.mono(nil) != nil {
		t.Error("nothing has samples")
	}
	nan := float32(math.NaN())
	f.mono([]float32{nan, nan, nan, nan})
	if math.IsNaN(f.first) || math.IsNaN(f.mean) {
		t.Error("what is not a number stays in its memory")
	}
}
