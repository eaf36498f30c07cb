package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/train/traintest"
)

// matrixProblem is to bring a matrix of rows x columns from start to c.
type matrixProblem struct {
	rows, columns int
	start, c      []float32
}

// muonRun minimises the sum of squares of w - c, a hidden layer's matrix, of b - c, its bias, and of an output layer's
// matrix.
func muonRun(t *testing.T, r Recipe, p matrixProblem, steps int) (hidden, bias, out []float32) {
	t.Helper()
	n := minimise(t, r, steps, func(net *model.Scope, g *graph.Graph) *graph.Node {
		squares := func(scope *model.Scope, name string) *graph.Node {
			return halfSquares(scope, g, name, p.start, p.c, p.rows, p.columns)
		}
		layer := net.At("face").At("1")
		both := graph.Add(squares(layer, "w"), squares(layer, "b"))
		return graph.Add(both, squares(net.At("face").At("emotion"), "w"))
	})
	value := func(path string) []float32 {
		return tensors.MustCopyFlatData[float32](n.store.GetVariable(path).MustValue())
	}
	return value("/net/face/1/w"), value("/net/face/1/b"), value("/net/face/emotion/w")
}

// muonByHand is Muon on paper, of the same problem: Jordan et al. 2024 with Liu et al. 2025's scale.
func muonByHand(r Recipe, p matrixProblem, steps int) []float64 {
	rows, columns, start, c := p.rows, p.columns, p.start, p.c
	w, m := make([]float64, len(start)), make([]float64, len(start))
	for i := range w {
		w[i] = float64(start[i])
	}
	times := func(a []float64, ar, ac int, b []float64, bc int) []float64 {
		out := make([]float64, ar*bc)
		for i := range ar {
			for j := range bc {
				for k := range ac {
					out[i*bc+j] += a[i*ac+k] * b[k*bc+j]
				}
			}
		}
		return out
	}
	flip := func(a []float64, ar, ac int) []float64 {
		out := make([]float64, len(a))
		for i := range ar {
			for j := range ac {
				out[j*ar+i] = a[i*ac+j]
			}
		}
		return out
	}
	for t := range steps {
		x := make([]float64, len(w))
		norm := 0.0
		for i := range w {
			g := w[i] - float64(c[i])
			m[i] = 0.95*m[i] + g
			x[i] = g + 0.95*m[i]
			norm += x[i] * x[i]
		}
		for i := range x {
			x[i] /= math.Sqrt(norm)
		}
		// On the left as it stands, however tall it is: (x xT)^k x is x (xT x)^k.
		for range 5 {
			square := times(x, rows, columns, flip(x, rows, columns), rows)
			first, second := times(square, rows, rows, x, columns),
				times(times(square, rows, rows, square, rows), rows, rows, x, columns)
			for i := range x {
				x[i] = 3.4445*x[i] - 4.7750*first[i] + 2.0315*second[i]
			}
		}
		lr := r.rate(t)
		for i := range w {
			w[i] -= lr * (0.2*math.Sqrt(float64(max(rows, columns)))*x[i] + r.WeightDecay*w[i])
		}
	}
	return w
}

func TestMuonIsThatOfItsPaper(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	for _, d := range [][2]int{{6, 3}, {3, 6}, {4, 4}} {
		start, c := make([]float32, d[0]*d[1]), make([]float32, d[0]*d[1])
		for i := range start {
			start[i], c[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
		}
		r := DefaultRecipe()
		r.Optimizer, r.LearningRate, r.WarmupSteps, r.Schedule, r.Clip, r.WeightDecay, r.EMA = "muon", 0.05, 3,
			"constant", 0, 0.1, 0
		p := matrixProblem{rows: d[0], columns: d[1], start: start, c: c}
		hidden, bias, out := muonRun(t, r, p, 10)
		want := muonByHand(r, p, 10)
		r.Optimizer = "adamw"
		rest, _ := reference(r, start, c, 10)
		for i := range hidden {
			traintest.Near(t, "hidden layer", float64(hidden[i]), want[i], 1e-4)
			traintest.Near(t, "bias, which is Adam's", float64(bias[i]), rest[i], 1e-5)
			traintest.Near(t, "output layer, which is Adam's", float64(out[i]), rest[i], 1e-5)
		}
	}
}
