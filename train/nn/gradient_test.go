package nn

import (
	"fmt"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/train/traintest"
)

// checkGradients is CheckGradients for what the network is built of.
func checkGradients(t *testing.T, build func(o *GraphOps, in []*graph.Node) *graph.Node, inputs ...*tensors.Tensor) {
	t.Helper()
	traintest.CheckGradients(t, func(net *model.Scope, in []*graph.Node) *graph.Node {
		return build(&GraphOps{Scope: net, Graph: in[0].Graph(), Seed: 3, Float64: true}, in)
	}, inputs...)
}

// score makes a scalar to which every value contributes differently.
func score(x *graph.Node) *graph.Node {
	n := x.Shape().Size()
	w := graph.AddScalar(graph.MulScalar(graph.ConvertDType(graph.IotaFull(x.Graph(), x.Shape()), x.DType()),
		1/float64(n)), 0.1)
	return graph.ReduceAllSum(graph.Mul(graph.Square(x), w))
}

func TestGradientsOfLayers(t *testing.T) {
	image := func(f func(o *GraphOps, x *graph.Node) *graph.Node) func(*testing.T) {
		return func(t *testing.T) {
			checkGradients(t, func(o *GraphOps, in []*graph.Node) *graph.Node {
				// The first layer makes the gradient reach past the layer under test, to its input.
				return score(f(o, o.conv(in[0], "before", 3, 1)))
			}, traintest.Wave(2, 4, 6, 2))
		}
	}
	t.Run("conv", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.conv(x, "conv", 4, reluGain) }))
	t.Run("merge", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.merge(x, "merge", 4, reluGain) }))
	t.Run("relu", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.relu(x) }))
	t.Run("fold", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.fold(x) }))
	t.Run("residual", image(func(o *GraphOps, x *graph.Node) *graph.Node {
		return residual(ops[*graph.Node](o), x, "residual")
	}))
	t.Run("dense", image(func(o *GraphOps, x *graph.Node) *graph.Node {
		return dense(ops[*graph.Node](o), o.flat(x, false), "dense", 5)
	}))
	t.Run("head", image(func(o *GraphOps, x *graph.Node) *graph.Node {
		return head(ops[*graph.Node](o), o.flat(x, true), "head", 5)
	}))
	t.Run("dropout", image(func(o *GraphOps, x *graph.Node) *graph.Node {
		o.KeepMasks = map[string]*graph.Node{"d": o.Constant(Initializer{kind: "normal", value: 1}.values("d", 1,
			[]int{2, 72}), 2, 72)}
		return o.dropout(o.flat(x, false), "d")
	}))
	t.Run("attend", image(func(o *GraphOps, x *graph.Node) *graph.Node {
		x = o.reshape(x, 4, 12, 3)
		there := o.Constant([]float32{1, 0, 1, .5, 1, 0, 0, 1, 1, 1, 0, 0}, 1, 12, 1)
		return attend(ops[*graph.Node](o), x, o.slice(x, 2, 0, 1), there)
	}))
}

func gradientArch() Arch {
	a := Arch{Kind: KindTandem, Width: 1, Spec: DefaultSpec, Emotions: 7, Genders: 2}
	a.Spec.CropSize, a.Spec.VideoFrames = 16, 3
	a.Spec.Window = 32 * soundHop * 1e9 / 16000
	a.FaceWidths, a.SoundWidths = []int{3, 4, 5, 4}, []int{3, 4, 4}
	a.FaceStem, a.FaceBlocks, a.SoundBlocks, a.Gated = 6, []int{1, 0, 1, 1}, []int{0, 1, 1}, true
	a.FaceDim, a.FaceNets, a.SoundDim, a.FuseDim, a.MelBands = 3, 2, 5, 6, 8
	return a
}

func TestGradientsOfEncodersAndFusion(t *testing.T) {
	a := gradientArch()
	n := a.Spec.AudioSamples()
	t.Run("face", func(t *testing.T) {
		checkGradients(t, func(o *GraphOps, in []*graph.Node) *graph.Node {
			return score(tandemFaces(ops[*graph.Node](o), a, graph.MulScalar(graph.AddScalar(in[0], 1.5), 80)))
		}, traintest.Wave(2, 16, 16, 1))
	})
	t.Run("sound", func(t *testing.T) {
		checkGradients(t, func(o *GraphOps, in []*graph.Node) *graph.Node {
			return score(tandemAudio(ops[*graph.Node](o), a, in[0], o.Constant([]float32{1, 1}, 2, 1)))
		}, traintest.Wave(2, n))
	})
	t.Run("sound of windows that begin empty", func(t *testing.T) {
		checkGradients(t, func(o *GraphOps, in []*graph.Node) *graph.Node {
			// Where there is nothing a convolution gives its bias, and at 0, where these start, ReLU has no gradient.
			for i, width := range a.SoundWidths {
				o.Param(fmt.Sprintf("sound/%d/b", i), NormalInit(0.1), 1, width)
			}
			for _, name := range []string{"sound/2a/b", "sound/2b/b"} {
				o.Param(name, NormalInit(0.1), 1, a.SoundWidths[2])
			}
			return score(tandemAudio(ops[*graph.Node](o), a, in[0], o.Constant([]float32{0.9, 0.6}, 2, 1)))
		}, traintest.Wave(2, n))
	})
	t.Run("fuse", func(t *testing.T) {
		checkGradients(t, func(o *GraphOps, in []*graph.Node) *graph.Node {
			videoMask := o.Constant([]float32{1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0}, 4, 3)
			audioMask := o.Constant([]float32{1, 0, 1, 1}, 4, 1)
			e, g := tandemFuse(ops[*graph.Node](o), a, in[0], videoMask, in[1], audioMask)
			return graph.Add(score(e), score(g))
		}, traintest.Wave(4, 3, a.FaceFeatures()), traintest.Wave(4, a.SoundDim))
	})
}
