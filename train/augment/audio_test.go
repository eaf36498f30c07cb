package augment

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

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

func BenchmarkAugmentAudio(b *testing.B) {
	src, dst := traintest.Sine(200, windowSamples), make([]float32, windowSamples)
	rng := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		usual.Audio.Apply(dst, src, rng)
	}
}

// Every variation that the default leaves out can be turned on, changes the sound and keeps its bounds.
func TestAudioTakesEachVariation(t *testing.T) {
	src := traintest.Sine(220, windowSamples)
	none := Audio{Chance: 1}
	plain := make([]float32, len(src))
	none.Apply(plain, src, rand.New(rand.NewPCG(3, 3)))
	if !slices.Equal(plain, floats(src)) {
		t.Error("no variation changes the sound")
	}
	for name, a := range map[string]Audio{
		"shift": {Shift: 0.1}, "speed": {Speed: 0.1}, "tempo": {Tempo: 0.2}, "pitch": {Pitch: 3},
		"equalizer": {Equalizer: 8}, "reverb": {Reverb: 1},
		"snr": {SNR: [2]float64{5, 10}}, "mask_time": {MaskTime: 0.5}, "mask_band": {MaskBand: 2},
		"gain": {Gain: [2]float64{-12, -6}},
	} {
		if err := a.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		a.Chance = 1
		x := make([]float32, len(src))
		a.Apply(x, src, rand.New(rand.NewPCG(3, 3)))
		if slices.Equal(x, plain) {
			t.Errorf("%s changes nothing", name)
		}
		if slices.ContainsFunc(x, func(v float32) bool { return !(v >= -1 && v <= 1) }) {
			t.Errorf("%s leaves [-1, 1]", name)
		}
	}
}
