package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// CheckGradients compares the gradient of a scalar with central differences, in float64 and pure Go, at a few places of every
// parameter. build makes the scalar of the inputs, with its parameters in the scope net. It is here because GoMLX v0.28.7 has layers whose gradient is
// silently wrong (convolutions with an even kernel), so none is trusted unchecked.
func CheckGradients(t *testing.T, build func(net *model.Scope, in []*graph.Node) *graph.Node, inputs ...*tensors.Tensor) {
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
		grad := tensors.MustCopyFlatData[float32](out[1+i])
		v := store.GetVariable(name)
		value := tensors.MustCopyFlatData[float32](v.MustValue())
		dims := v.Shape().Dimensions
		set := func() {
			if err := v.SetValue(tensors.FromFlatDataAndDimensions(append([]float32(nil), value...), dims...)); err != nil {
				t.Fatal(err)
			}
		}
		largest := 0
		for k, g := range grad {
			if math.Abs(float64(g)) > math.Abs(float64(grad[largest])) {
				largest = k
			}
		}
		for _, k := range []int{largest, rng.IntN(len(value)), rng.IntN(len(value))} {
			const h = 1.0 / (1 << 14)
			was := value[k]
			value[k] = was + h
			up := value[k]
			set()
			above := loss()
			value[k] = was - h
			down := value[k]
			set()
			below := loss()
			value[k] = was
			set()
			want := (above - below) / (float64(up) - float64(down))
			if diff := math.Abs(want - float64(grad[k])); diff > 1e-6+2e-4*math.Max(math.Abs(want), math.Abs(float64(grad[largest]))) {
				t.Errorf("%s[%d]: gradient %.8g, central difference %.8g", name, k, grad[k], want)
			}
		}
	}
}

// checkGradients is CheckGradients for what the network is built of.
func checkGradients(t *testing.T, build func(o *graphOps, in []*graph.Node) *graph.Node, inputs ...*tensors.Tensor) {
	t.Helper()
	CheckGradients(t, func(net *model.Scope, in []*graph.Node) *graph.Node {
		return build(&graphOps{scope: net, graph: in[0].Graph(), seed: 3, wide: true}, in)
	}, inputs...)
}

// wave is a smooth input without symmetry, so that no error can cancel.
func wave(dims ...int) *tensors.Tensor {
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

// score makes a scalar to which every value contributes differently.
func score(x *graph.Node) *graph.Node {
	n := x.Shape().Size()
	w := graph.AddScalar(graph.MulScalar(graph.ConvertDType(graph.IotaFull(x.Graph(), x.Shape()), x.DType()), 1/float64(n)), 0.1)
	return graph.ReduceAllSum(graph.Mul(graph.Square(x), w))
}

func TestGradientsOfLayers(t *testing.T) {
	image := func(f func(o *graphOps, x *graph.Node) *graph.Node) func(*testing.T) {
		return func(t *testing.T) {
			checkGradients(t, func(o *graphOps, in []*graph.Node) *graph.Node {
				// The first layer makes the gradient reach past the layer under test, to its input.
				return score(f(o, o.conv(in[0], "before", 3, 1)))
			}, wave(2, 4, 6, 2))
		}
	}
	t.Run("conv", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.conv(x, "conv", 4, reluGain) }))
	t.Run("merge", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.merge(x, "merge", 4, reluGain) }))
	t.Run("relu", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.relu(x) }))
	t.Run("fold", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.fold(x) }))
	t.Run("residual", image(func(o *graphOps, x *graph.Node) *graph.Node { return residual(ops[*graph.Node](o), x, "residual") }))
	t.Run("dense", image(func(o *graphOps, x *graph.Node) *graph.Node {
		return dense(ops[*graph.Node](o), o.flat(x, false), "dense", 5)
	}))
	t.Run("head", image(func(o *graphOps, x *graph.Node) *graph.Node {
		return head(ops[*graph.Node](o), o.flat(x, true), "head", 5)
	}))
	t.Run("dropout", image(func(o *graphOps, x *graph.Node) *graph.Node {
		o.drop = map[string]*graph.Node{"d": o.constant(initializer{kind: "normal", value: 1}.values("d", 1, []int{2, 72}), 2, 72)}
		return o.dropout(o.flat(x, false), "d")
	}))
	t.Run("attend", image(func(o *graphOps, x *graph.Node) *graph.Node {
		x = o.reshape(x, 4, 12, 3)
		return attend(ops[*graph.Node](o), x, o.slice(x, 2, 0, 1))
	}))
}

func gradientArch() Arch {
	a := Arch{Kind: KindTandem, Width: 1, Spec: DefaultSpec, Emotions: 7, Genders: 2}
	a.Spec.CropSize, a.Spec.VideoFrames = 16, 3
	a.Spec.Window = 32 * soundHop * 1e9 / 16000
	a.FaceWidths, a.SoundWidths = []int{3, 4, 5, 4}, []int{3, 4, 4}
	a.FaceDim, a.FaceNets, a.SoundDim, a.FuseDim, a.MelBands = 3, 2, 5, 6, 8
	return a
}

func TestGradientsOfEncodersAndFusion(t *testing.T) {
	a := gradientArch()
	n := a.Spec.AudioSamples()
	t.Run("face", func(t *testing.T) {
		checkGradients(t, func(o *graphOps, in []*graph.Node) *graph.Node {
			return score(faceEncoders(ops[*graph.Node](o), a, graph.MulScalar(graph.AddScalar(in[0], 1.5), 80)))
		}, wave(2, 16, 16, 1))
	})
	t.Run("sound", func(t *testing.T) {
		checkGradients(t, func(o *graphOps, in []*graph.Node) *graph.Node {
			return score(soundEncoder(ops[*graph.Node](o), a, in[0]))
		}, wave(2, n))
	})
	t.Run("fuse", func(t *testing.T) {
		checkGradients(t, func(o *graphOps, in []*graph.Node) *graph.Node {
			videoMask := o.constant([]float32{1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0}, 4, 3)
			audioMask := o.constant([]float32{1, 0, 1, 1}, 4, 1)
			e, g := fuse(ops[*graph.Node](o), a, in[0], videoMask, in[1], audioMask)
			return graph.Add(score(e), score(g))
		}, wave(4, 3, a.faceFeatures()), wave(4, a.SoundDim))
	})
}
