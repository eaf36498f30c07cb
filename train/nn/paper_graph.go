package nn

import (
	"math"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

const (
	normEps      = 1e-5 // PyTorch's
	normMomentum = 0.05 // running statistics follow about 20 clips
	renormR      = 3.0  // limits of batch renormalization, the paper's
	renormD      = 5.0
)

func (o *GraphOps) maximum(x, y *graph.Node) *graph.Node { return graph.Max(x, y) }

func (o *GraphOps) transpose(x *graph.Node, perm ...int) *graph.Node {
	return graph.TransposeAllAxes(x, perm...)
}

func (o *GraphOps) batchMatmul(x, y *graph.Node) *graph.Node {
	return graph.Einsum("bij,bjk->bik", x, y)
}

// pieces returns the part of x under each tap of a square filter, [N, h, w, C] a tap, row by row. A stride of 2 is read
// from blocks of 2x2 pixels: the gradient of a slice with steps is not implemented in compute-onnx.
func (o *GraphOps) pieces(x *graph.Node, side, stride int) []*graph.Node {
	d := x.Shape().Dimensions
	n, h, w, c := d[0], d[1]/stride, d[2]/stride, d[3]
	if pad := side / 2; pad > 0 {
		around := compute.PadAxis{Start: pad, End: pad}
		x = graph.Pad(x, graph.ScalarZero(o.Graph, x.DType()), compute.PadAxis{}, around, around, compute.PadAxis{})
	}
	d = x.Shape().Dimensions
	x = graph.Reshape(x, n, d[1]/stride, stride, d[2]/stride, stride, c)
	taps := make([]*graph.Node, 0, side*side)
	for i := range side {
		for j := range side {
			tap := graph.Slice(x, graph.AxisRange(), graph.AxisRange(i/stride, i/stride+h), graph.AxisElem(i%stride),
				graph.AxisRange(j/stride, j/stride+w), graph.AxisElem(j%stride), graph.AxisRange())
			taps = append(taps, graph.Reshape(tap, n, h, w, c))
		}
	}
	return taps
}

func (o *GraphOps) pool(x *graph.Node) *graph.Node {
	taps := o.pieces(x, 3, 2)
	y := taps[0]
	for _, tap := range taps[1:] {
		y = graph.Max(y, tap)
	}
	return y
}

func (o *GraphOps) average(x *graph.Node) *graph.Node {
	d := x.Shape().Dimensions
	x = graph.Reshape(x, d[0], d[1]*d[2], d[3])
	return graph.MulScalar(graph.ReduceSum(x, 1), 1/float64(d[1]*d[2]))
}

func (o *GraphOps) convNorm(x *graph.Node, name string, side, stride, out int) *graph.Node {
	taps := o.pieces(x, side, stride)
	cols := taps[0]
	if len(taps) > 1 {
		cols = graph.Concatenate(taps, 3)
	}
	d := cols.Shape().Dimensions
	n, area, fan := d[0], d[1]*d[2], d[3]
	w := o.Param(name+"/w", NormalInit(math.Sqrt(2/float64(fan))), fan, out)
	y := graph.Dot(graph.Reshape(cols, n*area, fan), w).Product()

	mean, variance := o.running(name+"/mean", 0, out), o.running(name+"/variance", 1, out)
	m, v := o.Typed(mean.NodeValue(o.Graph)), o.Typed(variance.NodeValue(o.Graph))
	if o.CropMask == nil {
		y = graph.Div(graph.Sub(y, m), graph.Sqrt(graph.AddScalar(v, normEps)))
	} else {
		rows := graph.Reshape(graph.BroadcastToDims(o.CropMask, n, area), 1, n*area)
		var bm, bv *graph.Node
		y, bm, bv = batchNorm(y, rows)
		y = renorm(y, bm, bv, m, v)
		some := graph.MulScalar(graph.Reshape(graph.ReduceMax(o.CropMask), 1, 1), normMomentum)
		for _, s := range []struct {
			v        *model.Variable
			was, now *graph.Node
		}{{mean, m, bm}, {variance, v, bv}} {
			s.v.SetNodeValue(graph.ConvertDType(graph.StopGradient(graph.Add(s.was,
				graph.Mul(graph.Sub(s.now, s.was), some))), s.v.DType()))
		}
	}
	y = graph.Add(graph.Mul(y, o.Param(name+"/gain", ConstInit(1), 1, out)), o.Param(name+"/b", ConstInit(0), 1, out))
	return graph.Reshape(y, n, d[1], d[2], out)
}

// batchNorm brings y [R, C] to zero mean and unit variance by its rows that count, of which rows [1, R] has a 1; it
// returns both too.
func batchNorm(y, rows *graph.Node) (normal, mean, variance *graph.Node) {
	rows = graph.Div(rows, graph.AddScalar(graph.ReduceAndKeep(rows, graph.ReduceSum, 1), 1e-6))
	mean = graph.Dot(rows, y).Product()
	y = graph.Sub(y, mean)
	variance = graph.Dot(rows, graph.Square(y)).Product()
	return graph.Div(y, graph.Sqrt(graph.AddScalar(variance, normEps))), mean, variance
}

// renorm is batch renormalization (Ioffe 2017, arXiv 1702.03275, algorithm 1): what was normalized by a batch's
// statistics becomes what the running ones would have made of it, within limits, while the gradient stays that of the
// batch's. A batch here is the crops of one clip: all that they share, such as a face, its own statistics would take
// away.
func renorm(y, mean, variance, runningMean, runningVariance *graph.Node) *graph.Node {
	sd := func(v *graph.Node) *graph.Node { return graph.Sqrt(graph.AddScalar(v, normEps)) }
	r := graph.ClipScalar(graph.Div(sd(variance), sd(runningVariance)), 1/renormR, renormR)
	d := graph.ClipScalar(graph.Div(graph.Sub(mean, runningMean), sd(runningVariance)), -renormD, renormD)
	return graph.Add(graph.Mul(y, graph.StopGradient(r)), graph.StopGradient(d))
}

// isStatistic reports whether a variable of the network is a running statistic and no parameter.
func isStatistic(name string) bool {
	return strings.HasSuffix(name, "/mean") || strings.HasSuffix(name, "/variance")
}

// running returns a statistic of batch normalization, which training follows and does not learn.
func (o *GraphOps) running(name string, first float64, n int) *model.Variable {
	return o.Variable(name, ConstInit(first), 1, n).SetTrainable(false)
}

// lstm is unrolled: compute-onnx has no loop that can be differentiated.
func (o *GraphOps) lstm(x *graph.Node, name string, hidden int) *graph.Node {
	d := x.Shape().Dimensions
	n, steps, in := d[0], d[1], d[2]
	w, u := o.lstmParams(name, in, hidden)
	x = graph.Add(graph.Dot(graph.Reshape(x, n*steps, in), w).Product(), o.Param(name+"/b", ConstInit(0), 1, 4*hidden))
	x = graph.Reshape(x, n, steps, 4*hidden)
	var h, c *graph.Node
	out := make([]*graph.Node, steps)
	for t := range steps {
		z := graph.Reshape(sliceAxis(x, 1, t, t+1), n, 4*hidden)
		if h != nil {
			z = graph.Add(z, graph.Dot(h, u).Product())
		}
		gates := graph.Sigmoid(sliceAxis(z, 1, 0, 3*hidden))
		cell := graph.Mul(sliceAxis(gates, 1, 0, hidden), graph.Tanh(sliceAxis(z, 1, 3*hidden, 4*hidden)))
		if c != nil {
			cell = graph.Add(cell, graph.Mul(sliceAxis(gates, 1, 2*hidden, 3*hidden), c))
		}
		c = cell
		h = graph.Mul(sliceAxis(gates, 1, hidden, 2*hidden), graph.Tanh(c))
		out[t] = graph.Reshape(h, n, 1, hidden)
	}
	return graph.Concatenate(out, 1)
}

// lstmParams are an LSTM's weights of its input and of its own last output, in the order input gate, output gate,
// forget gate, cell, drawn as the authors did (Glorot's normal distribution).
func (o *GraphOps) lstmParams(name string, in, hidden int) (w, u *graph.Node) {
	w = o.Param(name+"/w", NormalInit(math.Sqrt(2/float64(in+4*hidden))), in, 4*hidden)
	return w, o.Param(name+"/u", NormalInit(math.Sqrt(2/float64(5*hidden))), hidden, 4*hidden)
}
