package train

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/train/nn"
	"tandem/train/optim"
	"tandem/train/sample/sampletest"
	"tandem/train/traintest"
	"tandem/train/weighting"
)

// minimise takes steps by the recipe's optimizer down a loss of parameters that it makes under /net.
func minimise(t *testing.T, r Recipe, steps int, loss func(net *model.Scope, g *graph.Graph) *graph.Node) *network {
	t.Helper()
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	opt, err := optim.New(r.Optimizer)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{recipe: r, optimizer: opt, store: model.NewStore()}
	exec, err := model.NewExec(backend, n.store, func(root *model.Scope, in []*graph.Node) []*graph.Node {
		g := in[0].Graph()
		n.store.SetTraining(g, true)
		down := loss(root.At("net"), g)
		return []*graph.Node{n.update(root, graph.Gradient(down, optim.Trainable(root.At("net"), g)...), nil, in[0])}
	})
	if err != nil {
		t.Fatal(err)
	}
	for step := range steps {
		if _, err := exec.Call(float32(r.rate(step))); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// halfSquares is sum (v - c)^2 / 2 of a new parameter that begins at start.
func halfSquares(scope *model.Scope, g *graph.Graph, name string, start, c []float32, dims ...int) *graph.Node {
	v := scope.VariableWithValue(name, tensors.FromFlatDataAndDimensions(slices.Clone(start), dims...))
	to := graph.Const(g, tensors.FromFlatDataAndDimensions(slices.Clone(c), dims...))
	return graph.MulScalar(graph.ReduceAllSum(graph.Square(graph.Sub(v.NodeValue(g), to))), 0.5)
}

// quadratic minimises sum (w - c)^2 / 2 by the recipe's optimizer and returns w and its average after the steps.
func quadratic(t *testing.T, r Recipe, start, c []float32, steps int) (w, average []float32) {
	t.Helper()
	n := minimise(t, r, steps, func(net *model.Scope, g *graph.Graph) *graph.Node {
		return halfSquares(net, g, "w", start, c, len(start))
	})
	weights := n.weights()["w"].Data
	return tensors.MustCopyFlatData[float32](n.store.GetVariable("/net/w").MustValue()), weights
}

// reference is the same on paper: Kingma and Ba 2015, algorithm 1, with Loshchilov and Hutter's decay where it is
// decoupled.
func reference(r Recipe, start, c []float32, steps int) (w, average []float64) {
	w, average = make([]float64, len(start)), make([]float64, len(start))
	m, v := make([]float64, len(start)), make([]float64, len(start))
	for i := range w {
		w[i] = float64(start[i])
	}
	for t := 1; t <= steps; t++ {
		lr, norm := r.rate(t-1), 0.0
		g := make([]float64, len(w))
		for i := range g {
			g[i] = w[i] - float64(c[i])
			norm += g[i] * g[i]
		}
		norm = math.Sqrt(norm)
		for i := range g {
			if r.Clip > 0 {
				g[i] *= min(1, r.Clip/norm)
			}
			decay := lr * r.WeightDecay * w[i]
			if r.Optimizer == "adam" {
				g[i] += r.WeightDecay * w[i]
				decay = 0
			}
			m[i] = 0.9*m[i] + 0.1*g[i]
			v[i] = 0.999*v[i] + 0.001*g[i]*g[i]
			w[i] -= lr*(m[i]/(1-math.Pow(0.9, float64(t))))/(math.Sqrt(v[i]/(1-math.Pow(0.999, float64(t))))+1e-7) +
				decay
			d := min(r.EMA, float64(t-1)/float64(t+8))
			average[i] = d*average[i] + (1-d)*w[i]
		}
	}
	return w, average
}

func TestOptimizersAreThoseOfTheirPapers(t *testing.T) {
	start, c := []float32{3, -2, 0.5}, []float32{1, 1, 1}
	for name, change := range map[string]func(r *Recipe){
		"adamw":            func(r *Recipe) { r.WeightDecay = 0.1 },
		"adam":             func(r *Recipe) { r.Optimizer, r.WeightDecay = "adam", 0.1 },
		"no decay, clip":   func(r *Recipe) { r.WeightDecay, r.Clip = 0, 0.5 },
		"ema":              func(r *Recipe) { r.EMA = 0.4 },
		"ema, still short": func(r *Recipe) { r.EMA = 0.999 },
	} {
		t.Run(name, func(t *testing.T) {
			r := DefaultRecipe()
			r.LearningRate, r.WarmupSteps, r.Schedule, r.Clip = 0.1, 3, "constant", 0
			change(&r)
			w, average := quadratic(t, r, start, c, 12)
			wantW, wantAverage := reference(r, start, c, 12)
			for i := range w {
				traintest.Near(t, "parameter", float64(w[i]), wantW[i], 1e-5)
				want := wantW[i]
				if r.EMA > 0 {
					want = wantAverage[i]
				}
				traintest.Near(t, "what is exported", float64(average[i]), want, 1e-5)
			}
		})
	}
}

// A step of one batch given twice is a step of that batch; of two batches it is neither's.
func TestAccumulatedGradientsAreTheirMean(t *testing.T) {
	needBackend(t)
	backend, err := openBackend()
	if err != nil {
		t.Fatal(err)
	}
	after := func(accumulate int, which ...int) nn.Weights {
		t.Helper()
		recipe := tinyRecipe()
		recipe.Accumulate = accumulate
		arch := recipe.Arch
		arch.Spec, arch.Emotions, arch.Genders = nn.DefaultSpec, 7, 2
		method, err := weighting.Parse("softmax-prior")
		if err != nil {
			t.Fatal(err)
		}
		n, err := newNetwork(arch, method, recipe, backend)
		if err != nil {
			t.Fatal(err)
		}
		batches, err := newBatcher(recipe, arch, sampletest.Synthetic(nn.DefaultSpec, 12, 6, 6))
		if err != nil {
			t.Fatal(err)
		}
		var all []*batch
		for _, i := range which {
			b := batches.batch(i)
			b.rate = 0.01
			all = append(all, b)
		}
		for i := 0; i < len(all); i += accumulate {
			if _, err := n.trainAll(all[i : i+accumulate]); err != nil {
				t.Fatal(err)
			}
		}
		return n.weights()
	}
	distance := func(a, b nn.Weights) float64 {
		worst := 0.0
		for name := range a {
			for i := range a[name].Data {
				worst = max(worst, math.Abs(float64(a[name].Data[i]-b[name].Data[i])))
			}
		}
		return worst
	}
	// Twice, so that the sums must have been cleared in between. The first step moves each parameter by its rate,
	// whatever the gradient's size; gradients near zero may round to either side, so that the second batch is another
	// one.
	once, twice := after(1, 1, 2), after(2, 1, 1, 2, 2)
	if len(once) == 0 || len(once) != len(twice) {
		t.Fatalf("%d and %d parameters", len(once), len(twice))
	}
	if d := distance(once, twice); d > 1e-3 {
		t.Errorf("the same batch twice moves the parameters elsewhere, by %g", d)
	}
	if d := distance(once, after(2, 1, 2, 2, 1)); d < 1e-3 {
		t.Errorf("two batches a step move the parameters as one does, within %g", d)
	}
}

func TestEMAIsJudgedExportedAndResumed(t *testing.T) {
	needBackend(t)
	whole, data := quickRun(t.TempDir())
	whole.Recipe.EMA, whole.Recipe.Accumulate = 0.9, 2
	if _, err := trainOn(t.Context(), whole.Train, data); err != nil {
		t.Fatal(err)
	}
	plain, _ := quickRun(t.TempDir())
	plain.Recipe.EMA, plain.Recipe.Accumulate = 0, 2
	if _, err := trainOn(t.Context(), plain.Train, data); err != nil {
		t.Fatal(err)
	}
	a, _, _ := outcome(t, whole)
	b, _, _ := outcome(t, plain)
	if slices.Equal(a, b) {
		t.Error("the average is not what is exported")
	}
	resumed, _ := quickRun(t.TempDir())
	resumed.Recipe = whole.Recipe
	interrupt(t, &resumed, data, 8)
	if _, err := trainOn(t.Context(), resumed.Train, data); err != nil {
		t.Fatal(err)
	}
	sameOutcome(t, whole, resumed)
}
