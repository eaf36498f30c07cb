package nn

import (
	"math"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// weightEps keeps the standardization of a constant filter finite.
const weightEps = 1e-6

// GraphOps reads the network as a GoMLX graph, which training differentiates; onnxOps is the other reading. Images are
// [N, H, W, C]. Parameters are variables of Scope, whose store owns their tensors; every node that a method returns
// belongs to Graph. As with GoMLX's own graph functions, what cannot be built is a panic, which the executor returns as
// an error.
//
// Convolutions are written as patches times a matrix: compute-onnx cannot differentiate strided convolutions, and
// a product is as fast as its own (measured in docs/benchmarks.md).
type GraphOps struct {
	Scope   *model.Scope // of the parameters
	Graph   *graph.Graph
	Seed    uint64 // of new parameters
	Float64 bool   // compute in float64: gradient checks do, training does not
	// CropMask [crops, 1] is 1 for the crops that some row uses: batch statistics are made of those. It is nil but in
	// training.
	CropMask *graph.Node
	// KeepMasks are dropout's masks by the layer's name, already divided by the keep probability; nil: no dropout.
	KeepMasks map[string]*graph.Node
}

// EncodeFaces reads crops [N, S, S, C] of bytes and returns the features of each, [N, a.FaceFeatures()].
func (o *GraphOps) EncodeFaces(a Arch, crops *graph.Node) *graph.Node {
	return encodeFaces(o, a, crops)
}

// EncodeAudio reads windows of audio [B, samples] from -1 to 1, zeros but for the share covered [B, 1] at their end,
// and returns the features of each, [B, F].
func (o *GraphOps) EncodeAudio(a Arch, audio, covered *graph.Node) *graph.Node {
	return encodeAudio(o, a, audio, covered)
}

// Fuse reads the features of each row's crops [R, T, a.FaceFeatures()] and audio [R, F], each with a mask of what is
// there, [R, T] and [R, 1], and returns the logits of both tasks, [R, a.Emotions] and [R, a.Genders]. Features of a
// modality that the network does not use may be nil.
func (o *GraphOps) Fuse(a Arch, faces, videoMask, audio, audioMask *graph.Node) (emotion, gender *graph.Node) {
	return fuse(o, a, faces, videoMask, audio, audioMask)
}

func (o *GraphOps) dims(x *graph.Node) []int { return x.Shape().Dimensions }

// Variable returns the variable of Scope with a name such as "face/0/w", which makes scopes of its parts; a new one
// gets its values from init.
func (o *GraphOps) Variable(name string, init Initializer, dims ...int) *model.Variable {
	parts := strings.Split(name, "/")
	scope, base := o.Scope, parts[len(parts)-1]
	for _, p := range parts[:len(parts)-1] {
		scope = scope.At("%s", p)
	}
	if v := scope.GetVariable(base); v != nil {
		return v
	}
	return scope.VariableWithValue(base, tensors.FromFlatDataAndDimensions(init.values(name, o.Seed, dims), dims...))
}

// Param returns the value of a Variable, in the type that the graph computes in.
func (o *GraphOps) Param(name string, init Initializer, dims ...int) *graph.Node {
	return o.Typed(o.Variable(name, init, dims...).NodeValue(o.Graph))
}

// Typed returns x in the type that the graph computes in.
func (o *GraphOps) Typed(x *graph.Node) *graph.Node {
	if o.Float64 {
		return graph.ConvertDType(x, dtypes.Float64)
	}
	return graph.ConvertDType(x, dtypes.Float32)
}

// Constant returns a tensor that is not trained; data is in row-major order.
func (o *GraphOps) Constant(data []float32, dims ...int) *graph.Node {
	return o.Typed(graph.Const(o.Graph, tensors.FromFlatDataAndDimensions(data, dims...)))
}

func (o *GraphOps) image(x *graph.Node, lo, hi float64) *graph.Node {
	return graph.AddScalar(graph.MulScalar(o.Typed(x), (hi-lo)/255), lo)
}

// kernel is a convolution's weight [taps*in, out]: each filter brought to zero mean and a variance of 1/fan-in, times
// scale and the learned gain.
func (o *GraphOps) kernel(name string, taps, in, out int, scale float64) *graph.Node {
	fan := float64(taps * in)
	// Standardization undoes the weights' scale, but Adam's steps are relative to it: from unit weights they would
	// be tens of times too small.
	w := o.Param(name+"/w", NormalInit(1/math.Sqrt(fan)), taps*in, out)
	gain := o.Param(name+"/gain", ConstInit(1), 1, out)
	w = graph.Sub(w, graph.MulScalar(graph.ReduceAndKeep(w, graph.ReduceSum, 0), 1/fan))
	variance := graph.MulScalar(graph.ReduceAndKeep(graph.Square(w), graph.ReduceSum, 0), 1/fan)
	std := graph.Sqrt(graph.AddScalar(variance, weightEps))
	return graph.Mul(w, graph.MulScalar(graph.Div(gain, std), scale/math.Sqrt(fan)))
}

func (o *GraphOps) conv(x *graph.Node, name string, out int, scale float64) *graph.Node {
	d := x.Shape().Dimensions
	n, h, w, c := d[0], d[1], d[2], d[3]
	padded := graph.Pad(x, graph.ScalarZero(o.Graph, x.DType()), compute.PadAxis{}, compute.PadAxis{Start: 1, End: 1},
		compute.PadAxis{Start: 1, End: 1}, compute.PadAxis{})
	taps := make([]*graph.Node, 0, 9)
	for i := range 3 {
		for j := range 3 {
			taps = append(taps, graph.Slice(padded, graph.AxisRange(), graph.AxisRange(i, i+h), graph.AxisRange(j, j+w),
				graph.AxisRange()))
		}
	}
	cols := graph.Reshape(graph.Concatenate(taps, 3), n*h*w, 9*c)
	return graph.Reshape(o.product(cols, name, 9, out, scale), n, h, w, out)
}

func (o *GraphOps) merge(x *graph.Node, name string, out int, scale float64) *graph.Node {
	x = o.fold(x)
	d := x.Shape().Dimensions
	cols := graph.Reshape(x, d[0]*d[1]*d[2], d[3])
	return graph.Reshape(o.product(cols, name, 4, out, scale), d[0], d[1], d[2], out)
}

// product is patches [rows, taps*in] times the kernel, plus the bias.
func (o *GraphOps) product(cols *graph.Node, name string, taps, out int, scale float64) *graph.Node {
	in := cols.Shape().Dimensions[1] / taps
	bias := o.Param(name+"/b", ConstInit(0), 1, out)
	return graph.Add(graph.Dot(cols, o.kernel(name, taps, in, out, scale)).Product(), bias)
}

func sliceAxis(x *graph.Node, axis, from, to int) *graph.Node {
	spec := make([]graph.SliceAxisSpec, x.Rank())
	for i := range spec {
		spec[i] = graph.AxisRange()
	}
	spec[axis] = graph.AxisRange(from, to)
	return graph.Slice(x, spec...)
}

func (o *GraphOps) fold(x *graph.Node) *graph.Node {
	d := x.Shape().Dimensions
	x = graph.Reshape(x, d[0], d[1]/2, 2, d[2]/2, 2, d[3])
	x = graph.TransposeAllAxes(x, 0, 1, 3, 2, 4, 5)
	return graph.Reshape(x, d[0], d[1]/2, d[2]/2, 4*d[3])
}

func (o *GraphOps) toImage(x *graph.Node, h, w, c int) *graph.Node {
	return graph.Reshape(x, -1, h, w, c)
}

func (o *GraphOps) flat(x *graph.Node, perRow bool) *graph.Node {
	d := x.Shape().Dimensions
	if perRow {
		return graph.Reshape(x, d[0]*d[1], d[2]*d[3])
	}
	return graph.Reshape(x, d[0], d[1]*d[2]*d[3])
}

func (o *GraphOps) reshape(x *graph.Node, dims ...int) *graph.Node { return graph.Reshape(x, dims...) }

func (o *GraphOps) slice(x *graph.Node, axis, from, to int) *graph.Node {
	return sliceAxis(x, axis, from, to)
}

func (o *GraphOps) concat(axis int, xs ...*graph.Node) *graph.Node {
	return graph.Concatenate(xs, axis)
}

func (o *GraphOps) matmul(x, y *graph.Node) *graph.Node            { return graph.Dot(x, y).Product() }
func (o *GraphOps) add(x, y *graph.Node) *graph.Node               { return graph.Add(x, y) }
func (o *GraphOps) sub(x, y *graph.Node) *graph.Node               { return graph.Sub(x, y) }
func (o *GraphOps) mul(x, y *graph.Node) *graph.Node               { return graph.Mul(x, y) }
func (o *GraphOps) div(x, y *graph.Node) *graph.Node               { return graph.Div(x, y) }
func (o *GraphOps) addScalar(x *graph.Node, c float64) *graph.Node { return graph.AddScalar(x, c) }
func (o *GraphOps) mulScalar(x *graph.Node, c float64) *graph.Node { return graph.MulScalar(x, c) }
func (o *GraphOps) log(x *graph.Node) *graph.Node                  { return graph.Log(x) }
func (o *GraphOps) sqrt(x *graph.Node) *graph.Node                 { return graph.Sqrt(x) }
func (o *GraphOps) abs(x *graph.Node) *graph.Node                  { return graph.Abs(x) }
func (o *GraphOps) exp(x *graph.Node) *graph.Node                  { return graph.Exp(x) }
func (o *GraphOps) sum(x *graph.Node, axis int) *graph.Node {
	return graph.ReduceAndKeep(x, graph.ReduceSum, axis)
}

func (o *GraphOps) max(x *graph.Node, axis int) *graph.Node {
	return graph.StopGradient(graph.ReduceAndKeep(x, graph.ReduceMax, axis))
}

// relu is x times where it is positive: one product forward and one backward, where the gradient of a maximum costs
// six passes over memory.
func (o *GraphOps) relu(x *graph.Node) *graph.Node {
	positive := graph.ConvertDType(graph.GreaterThan(x, graph.ScalarZero(o.Graph, x.DType())), x.DType())
	return graph.Mul(x, graph.StopGradient(positive))
}

func (o *GraphOps) named(x *graph.Node, _ string) *graph.Node { return x }

func (o *GraphOps) dropout(x *graph.Node, name string) *graph.Node {
	if mask := o.KeepMasks[name]; mask != nil {
		return graph.Mul(x, mask)
	}
	return x
}
