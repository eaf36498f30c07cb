package nn

import (
	"math"

	onnx "github.com/gomlx/compute-onnx/support/protos"
)

func (o *OnnxOps) maximum(x, y OnnxValue) OnnxValue { return o.binary("Max", x, y) }

func (o *OnnxOps) transpose(x OnnxValue, perm ...int) OnnxValue {
	dims := make([]int, len(perm))
	axes := make([]int64, len(perm))
	for i, p := range perm {
		dims[i], axes[i] = x.Dims[p], int64(p)
	}
	return o.node("Transpose", dims, []*onnx.AttributeProto{intsAttr("perm", axes...)}, x)
}

func (o *OnnxOps) batchMatmul(x, y OnnxValue) OnnxValue {
	return o.node("MatMul", []int{x.Dims[0], x.Dims[1], y.Dims[2]}, nil, x, y)
}

func squareAttrs(side, stride, pad int) []*onnx.AttributeProto {
	s, t, p := int64(side), int64(stride), int64(pad)
	return []*onnx.AttributeProto{
		intsAttr("kernel_shape", s, s), intsAttr("strides", t, t),
		intsAttr("pads", p, p, p, p),
	}
}

func (o *OnnxOps) pool(x OnnxValue) OnnxValue {
	d := x.Dims
	y := o.node("MaxPool", []int{d[0], d[1] / 2, d[2] / 2, d[3]}, squareAttrs(3, 2, 1), x)
	y.image = true
	return y
}

func (o *OnnxOps) average(x OnnxValue) OnnxValue {
	return o.reshape(o.node("GlobalAveragePool", x.Dims, nil, x), -1, x.Dims[3])
}

// convNorm is a plain convolution in the file: the running statistics are worked into its weights.
func (o *OnnxOps) convNorm(x OnnxValue, name string, side, stride, out int) OnnxValue {
	d := x.Dims
	taps, in := side*side, d[3]
	w := o.weight(name+"/w", taps*in, out).Data
	gain, bias := o.weight(name+"/gain", 1, out).Data, o.weight(name+"/b", 1, out).Data
	mean, variance := o.weight(name+"/mean", 1, out).Data, o.weight(name+"/variance", 1, out).Data
	folded, shift := make([]float32, len(w)), make([]float32, out)
	for k := range out {
		scale := float64(gain[k]) / math.Sqrt(float64(variance[k])+normEps)
		shift[k] = float32(float64(bias[k]) - float64(mean[k])*scale)
		for i := range taps * in {
			folded[(k*in+i%in)*taps+i/in] = float32(float64(w[i*out+k]) * scale)
		}
	}
	y := o.node("Conv", []int{d[0], d[1] / stride, d[2] / stride, out}, squareAttrs(side, stride, side/2), x,
		o.tensor(name+"/folded", folded, out, in, side, side), o.tensor(name+"/shift", shift, out))
	y.image = true
	return y
}

// lstm is ONNX's own, which reads [steps, batch, features] and gives [steps, 1, batch, hidden].
func (o *OnnxOps) lstm(x OnnxValue, name string, hidden int) OnnxValue {
	steps, in := x.Dims[1], x.Dims[2]
	turned := func(p string, rows int) OnnxValue {
		w := o.weight(name+p, rows, 4*hidden).Data
		t := make([]float32, len(w))
		for i := range rows {
			for k := range 4 * hidden {
				t[k*rows+i] = w[i*4*hidden+k]
			}
		}
		return o.tensor(name+p+"/turned", t, 1, 4*hidden, rows)
	}
	bias := append(append([]float32{}, o.weight(name+"/b", 1, 4*hidden).Data...), make([]float32, 4*hidden)...)
	y := o.node("LSTM", []int{steps, 1, x.Dims[0], hidden},
		[]*onnx.AttributeProto{intAttr("hidden_size", int64(hidden))},
		o.transpose(x, 1, 0, 2), turned("/w", in), turned("/u", hidden), o.tensor(name+"/bias", bias, 1, 8*hidden))
	return o.reshape(o.transpose(y, 2, 0, 1, 3), -1, steps, hidden)
}
