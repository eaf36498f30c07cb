package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"tandem/train/nn"
	"tandem/train/sample"
	"tandem/train/traintest"
	"tandem/train/weighting"
)

// Every method trains the network, logs weights that are numbers, and goes on after an interruption bit for bit. DWA
// has two epochs behind it in the third.
func TestWeightingsTrainAndResume(t *testing.T) { trainsAndResumes(t, "famo", "cagrad") }

func TestLongWeightingsTrainAndResume(t *testing.T) {
	names := append([]string{"static:1,0", "static:0.7,0.3"}, weighting.Names...)
	trainsAndResumes(t, slices.DeleteFunc(names, func(n string) bool { return n == "famo" || n == "cagrad" })...)
}

func trainsAndResumes(t *testing.T, names ...string) {
	needBackend(t)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			short := func(dir string) (Options, *sample.Prepared) {
				o, data := quickRun(dir)
				o.Recipe.Weighting, o.Recipe.Epochs, o.Recipe.StepsPerEpoch, o.Recipe.Accumulate = name, 3, 2, 2
				return o, data
			}
			whole, data := short(t.TempDir())
			if _, err := trainOn(t.Context(), whole.Train, data); err != nil {
				t.Fatal(err)
			}
			stopped, _ := short(t.TempDir())
			ctx, cancel := context.WithCancel(t.Context())
			stopped.Progress = func(p Progress) {
				if p.Stage == "train" && p.Done == 3 {
					cancel()
				}
			}
			if _, err := trainOn(ctx, stopped.Train, data); !errors.Is(err, context.Canceled) {
				t.Fatalf("interrupted run ended with %v", err)
			}
			stopped.Resume, stopped.Progress = true, func(Progress) {}
			if _, err := trainOn(t.Context(), stopped.Train, data); err != nil {
				t.Fatal(err)
			}
			sameOutcome(t, whole, stopped)
			rows := readLog(t, whole.Run+"/log.csv")
			for i := 1; i < len(rows); i++ {
				e, g := number(t, rows, i, "weight_emotion"), number(t, rows, i, "weight_gender")
				if !(e >= 0 && g >= 0 && e+g > 0 && e+g < 100) {
					t.Errorf("epoch %d: weights %g and %g", i, e, g)
				}
				traintest.Near(t, "unweighted sum", number(t, rows, i, "unweighted_sum"),
					number(t, rows, i, "emotion")+number(t, rows, i, "gender"), 1e-4)
			}
		})
	}
}

// BenchmarkWeightings times a step of each method beside one of static, in turns, with the default recipe's batch.
func BenchmarkWeightings(b *testing.B) {
	for _, name := range weighting.Names {
		if name == "static" {
			continue
		}
		b.Run(name, func(b *testing.B) {
			reference, in := benchWeighting(b, "static")
			n, _ := benchWeighting(b, name)
			step(b, reference, in)
			step(b, n, in)
			var of, to []float64
			for b.Loop() {
				to = append(to, step(b, reference, in).Seconds())
				of = append(of, step(b, n, in).Seconds())
			}
			b.ReportMetric(1000*median(of), "ms/step")
			b.ReportMetric(median(of)/median(to), "of-static")
		})
	}
}

func benchWeighting(b *testing.B, name string) (*network, *batch) {
	b.Helper()
	w, err := weighting.Parse(name)
	if err != nil {
		b.Fatal(err)
	}
	return benchNetworkOf(b, DefaultRecipe(), w)
}

// The paper's weights learn with the network's rate, or with a part of it: by Adam the first step is as large as the
// rate, whatever the gradient.
func TestSoftmaxHasARateOfItsOwn(t *testing.T) {
	needBackend(t)
	backend, err := openBackend()
	if err != nil {
		t.Fatal(err)
	}
	o, data := quickRun(t.TempDir())
	arch := o.Recipe.Arch
	arch.Spec, arch.Emotions, arch.Genders = nn.DefaultSpec, 7, 2
	batches, err := newBatcher(o.Recipe, arch, data)
	if err != nil {
		t.Fatal(err)
	}
	for name, part := range map[string]float64{"softmax": 1, "softmax:0.1": 0.1} {
		w, err := weighting.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		net, err := newNetwork(arch, w, o.Recipe, backend)
		if err != nil {
			t.Fatal(err)
		}
		var last stepResult
		for step := range 2 {
			b := batches.batch(step)
			b.rate = 0.01
			if last, err = net.train(b); err != nil {
				t.Fatal(err)
			}
		}
		moved := math.Abs(math.Log(last.Weights[0] / last.Weights[1]))
		traintest.Near(t, name, moved, 2*0.01*part, 1e-4)
	}
}
