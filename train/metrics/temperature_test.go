package metrics

import (
	"math"
	"math/rand/v2"
	"testing"

	"tandem/train/traintest"
)

// TestFitTemperature draws labels from softmax(z) and shows the fit z times a known factor: it must find the factor.
func TestFitTemperature(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, factor := range []float64{0.4, 1, 3} {
		var items []Calibrated
		for range 20000 {
			z := make([]float32, 4)
			var total float64
			for j := range z {
				z[j] = float32(rng.NormFloat64())
				total += math.Exp(float64(z[j]))
			}
			u, k := rng.Float64()*total, 0
			for ; k < 3; k++ {
				if u -= math.Exp(float64(z[k])); u < 0 {
					break
				}
			}
			for j := range z {
				z[j] *= float32(factor)
			}
			items = append(items, Calibrated{Logits: z, Truth: k, Weight: 1})
		}
		got := FitTemperature(items, 1, 0)
		traintest.Near(t, "temperature", got, factor, 0.05*factor)
		best := temperatureNLL(items, got)
		for _, other := range []float64{got * 0.99, got * 1.01} {
			if temperatureNLL(items, other) < best {
				t.Errorf("factor %g: NLL at %g is below that at the fit %g", factor, other, got)
			}
		}
		// Of so many clips the pull that is left is not felt.
		traintest.Near(t, "held", FitTemperature(items, 1, Pull(len(items))), got, 0.01*got)
	}
}

func TestFitTemperatureEdges(t *testing.T) {
	if got := FitTemperature([]Calibrated{{[]float32{1, 2}, -1, 1}}, 1.5, 10); got != 1.5 {
		t.Errorf("without labels %g, want what is expected", got)
	}
	right, wrong := Calibrated{[]float32{1, -1}, 0, 1}, Calibrated{[]float32{5, -5}, 1, 1}
	if got := FitTemperature([]Calibrated{right}, 1, 0); got > 0.1 ||
		got < minTemperature { // below, the NLL is 0 in float64
		t.Errorf("always right: %g", got)
	}
	traintest.Near(t, "always wrong", FitTemperature([]Calibrated{wrong}, 1, 0), maxTemperature, 1e-1)
}

// Twelve clips that are all right say little of how sure a network may be: held to 1, the temperature leaves doubt.
func TestFitTemperatureOfFewClips(t *testing.T) {
	fit := func(n int, pull float64) float64 {
		var items []Calibrated
		for range n {
			items = append(items, Calibrated{[]float32{2, 0}, 0, 1}) // p = 0.88
		}
		return FitTemperature(items, 1, pull)
	}
	if free := fit(12, 0); free > 0.1 {
		t.Errorf("without a pull %g; the test shows nothing", free)
	}
	before := 1.0
	for _, n := range []int{1, 12, 50, 90, 1000} {
		got := fit(n, Pull(n))
		if got >= before {
			t.Errorf("%d clips: %.3f, not below that of fewer, %.3f", n, got, before)
		}
		before = got
		if sure := 1 / (1 + math.Exp(-2/got)); n <= 12 && sure > 0.97 {
			t.Errorf("%d clips: a temperature of %.3f, by which 0.88 becomes %.4f", n, got, sure)
		}
	}
	if Pull(0) != 10 || Pull(50) != 5 || Pull(1e6) != 1 {
		t.Errorf("pulls %g, %g, %g", Pull(0), Pull(50), Pull(1e6))
	}
}

// A clip counts once, however many windows it has.
func TestFitTemperatureByWeight(t *testing.T) {
	right, wrong := []float32{2, 0}, []float32{0, 2}
	one := []Calibrated{{right, 0, 1}, {right, 0, 1}, {right, 0, 1}, {wrong, 0, 1}}
	cut := one[:3:3]
	for range 50 {
		cut = append(cut, Calibrated{wrong, 0, 1. / 50})
	}
	traintest.Near(t, "temperature", FitTemperature(cut, 1, 2), FitTemperature(one, 1, 2), 1e-3)
}
