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

// checkGradients compares the gradient of a scalar with central differences, in float64 and pure Go, at a few places of every
// parameter. build makes the scalar of the inputs. It is here because GoMLX v0.28.7 has layers whose gradient is
// silently wrong (convolutions with an even kernel), so none is trusted unchecked.
func checkGradients(t *testing.T, build func(o *graphOps, in []*graph.Node) *graph.Node, inputs ...*tensors.Tensor) {
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
		o := &graphOps{scope: root.At("net"), graph: g, seed: 3, wide: true}
		loss := build(o, in)
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
	r := tinyRecipe()
	a := r.Arch
	a.Spec, a.Emotions, a.Genders = DefaultSpec, 7, 2
	a.Spec.CropSize, a.Spec.VideoFrames = 16, 3
	a.Spec.Window = 32 * soundHop * 1e9 / 16000
	a.FaceWidths, a.SoundWidths = []int{3, 4, 5, 4}, []int{3, 4, 4}
	a.FaceDim, a.SoundDim, a.FuseDim, a.MelBands = 6, 5, 6, 8
	return a
}

func TestGradientsOfEncodersAndFusion(t *testing.T) {
	a := gradientArch()
	n := a.Spec.AudioSamples()
	t.Run("face", func(t *testing.T) {
		checkGradients(t, func(o *graphOps, in []*graph.Node) *graph.Node {
			return score(faceEncoder(ops[*graph.Node](o), a, graph.MulScalar(graph.AddScalar(in[0], 1.5), 80)))
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
		}, wave(4, 3, a.FaceDim), wave(4, a.SoundDim))
	})
}

func TestGradientsOfJointLosses(t *testing.T) {
	for _, name := range []string{"softmax", "softmax-prior", "static:0.7,0.3"} {
		t.Run(name, func(t *testing.T) {
			w, err := ParseWeighting(name)
			if err != nil {
				t.Fatal(err)
			}
			checkGradients(t, func(o *graphOps, in []*graph.Node) *graph.Node {
				target := o.constant([]float32{1, 0, 0, 0.1, 0.8, 0.1, 0, 0, 1}, 3, 3)
				other := o.constant([]float32{1, 0, 0, 1, 0.5, 0.5}, 3, 2)
				known := o.constant([]float32{1, 0, 2}, 3)
				e := crossEntropy(dense(ops[*graph.Node](o), in[0], "e", 3), target, known)
				g := crossEntropy(dense(ops[*graph.Node](o), in[0], "g", 2), other, o.constant([]float32{1, 1, 1}, 3))
				j, _ := w.joint(o, []*graph.Node{e, g}, []int{3, 2})
				return j
			}, wave(3, 4))
		})
	}
}

// The paper's gradient is known: dJ/dw_i = p_i (L_i - J). With constant losses the weight goes to the smaller one,
// and the prior stops it at p_i proportional to q_i exp(-L_i/priorStrength).
func TestWeightsUnderConstantLosses(t *testing.T) {
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	descend := func(w Weighting, steps int) [2]float64 {
		store := model.NewStore()
		exec, err := model.NewExec(backend, store, func(root *model.Scope, in []*graph.Node) []*graph.Node {
			o := &graphOps{scope: root.At("net"), graph: in[0].Graph()}
			j, p := w.joint(o, []*graph.Node{graph.Scalar(o.graph, in[0].DType(), 1.4), graph.Scalar(o.graph, in[0].DType(), 0.1)}, []int{7, 2})
			v := root.At("net").At("task_weights").GetVariable("w")
			v.SetNodeValue(graph.Sub(v.NodeValue(o.graph), graph.MulScalar(graph.Gradient(j, v.NodeValue(o.graph))[0], 0.5)))
			return []*graph.Node{p}
		})
		if err != nil {
			t.Fatal(err)
		}
		var p []float32
		for range steps {
			out, err := exec.Call(float32(0))
			if err != nil {
				t.Fatal(err)
			}
			p = tensors.MustCopyFlatData[float32](out[0])
		}
		return [2]float64{float64(p[0]), float64(p[1])}
	}
	if p := descend(softmaxWeighting{}, 400); p[0] > 0.02 {
		t.Errorf("softmax: emotion weight %.3f after 400 steps, want the collapse that the paper's gradient brings", p[0])
	}
	a, b := math.Log(7)*math.Exp(-1.4/priorStrength), math.Log(2)*math.Exp(-0.1/priorStrength)
	if p, want := descend(priorWeighting{}, 400), a/(a+b); math.Abs(p[0]-want) > 1e-3 {
		t.Errorf("softmax-prior: emotion weight %.4f, want %.4f", p[0], want)
	}
}

func TestParseWeighting(t *testing.T) {
	for in, want := range map[string]string{
		"softmax": "softmax", "softmax-prior": "softmax-prior", "static": "static", "static:1,1": "static", "static:3,1": "static:0.75,0.25",
		"": "error", "Softmax": "error", "static:": "error", "static:1": "error", "static:-1,2": "error", "static:0,0": "error", "softmax:1": "error",
	} {
		w, err := ParseWeighting(in)
		got := "error"
		if err == nil {
			got = w.Name()
		}
		if got != want {
			t.Errorf("ParseWeighting(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
}
