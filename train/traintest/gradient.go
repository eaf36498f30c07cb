package traintest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// CheckGradients compares the gradient of a scalar with central differences, in float64 and pure Go, at three places of
// every parameter, the one of the largest gradient among them. build makes the scalar of the inputs, with its
// parameters in the scope net. GoMLX v0.28.7 has layers whose gradient is silently wrong (convolutions with an even
// kernel), so none is trusted unchecked.
func CheckGradients(
	t *testing.T, build func(net *model.Scope, in []*graph.Node) *graph.Node, inputs ...*tensors.Tensor,
) {
	t.Helper()
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	store := model.NewStore()
	var names []string
	args := make([]any, len(inputs))
	for i, in := range inputs {
		args[i] = in
	}
	exec, err := model.NewExec(backend, store, func(root *model.Scope, in []*graph.Node) []*graph.Node {
		g := in[0].Graph()
		loss := build(root.At("net"), in)
		names = nil
		var vars []*graph.Node
		for v := range root.At("net").IterVariables() {
			if v.InUseByGraph(g) {
				names, vars = append(names, v.Path()), append(vars, v.NodeValue(g))
			}
		}
		return append([]*graph.Node{loss}, graph.Gradient(loss, vars...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(args...)
	if err != nil {
		t.Fatal(err)
	}
	loss := func() float64 {
		out, err := exec.Call(args...)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.ToScalar[float64](out[0])
	}
	if len(names) == 0 {
		t.Fatal("no parameter in the graph")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i, name := range names {
		compareGradient(t, store.GetVariable(name), tensors.MustCopyFlatData[float32](out[1+i]), loss, rng)
	}
}

// compareGradient compares the gradient grad of loss by a variable with central differences of loss.
func compareGradient(t *testing.T, v *model.Variable, grad []float32, loss func() float64, rng *rand.Rand) {
	t.Helper()
	value := tensors.MustCopyFlatData[float32](v.MustValue())
	dims := v.Shape().Dimensions
	lossAt := func(k int, x float32) float64 {
		was := value[k]
		value[k] = x
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(slices.Clone(value), dims...)); err != nil {
			t.Fatal(err)
		}
		value[k] = was
		return loss()
	}
	largest := 0
	for k, g := range grad {
		if math.Abs(float64(g)) > math.Abs(float64(grad[largest])) {
			largest = k
		}
	}
	for _, k := range []int{largest, rng.IntN(len(value)), rng.IntN(len(value))} {
		const h = 1.0 / (1 << 14)
		up, down := value[k]+h, value[k]-h
		want := (lossAt(k, up) - lossAt(k, down)) / (float64(up) - float64(down))
		lossAt(k, value[k]) // as it was
		off := 1e-6 + 2e-4*max(math.Abs(want), math.Abs(float64(grad[largest])))
		if diff := math.Abs(want - float64(grad[k])); diff > off {
			t.Errorf("%s[%d]: gradient %.8g, central difference %.8g", v.Path(), k, grad[k], want)
		}
	}
}

// Wave returns a float64 tensor of a smooth signal without symmetry, so that no error can cancel.
func Wave(dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	x := make([]float64, n)
	for i := range x {
		x[i] = math.Sin(float64(i)*0.7) + 0.3*math.Cos(float64(i*i)*0.11)
	}
	return tensors.FromFlatDataAndDimensions(x, dims...)
}
