package nn

import (
	"math"

	onnx "github.com/gomlx/compute-onnx/support/protos"
)

func (o *onnxOps) maximum(x, y onnxValue) onnxValue { return o.binary("Max", x, y) }

func (o *onnxOps) transpose(x onnxValue, perm ...int) onnxValue {
	dims := make([]int, len(perm))
	axes := make([]int64, len(perm))
	for i, p := range perm {
		dims[i], axes[i] = x.dims[p], int64(p)
	}
	return o.node("Transpose", dims, []*onnx.AttributeProto{intsAttr("perm", axes...)}, x)
}

func (o *onnxOps) batchMatmul(x, y onnxValue) onnxValue {
	return o.node("MatMul", []int{x.dims[0], x.dims[1], y.dims[2]}, nil, x, y)
}

func squareAttrs(side, stride, pad int) []*onnx.AttributeProto {
	s, t, p := int64(side), int64(stride), int64(pad)
	return []*onnx.AttributeProto{
		intsAttr("kernel_shape", s, s), intsAttr("strides", t, t),
		intsAttr("pads", p, p, p, p),
	}
}

func (o *onnxOps) pool(x onnxValue) onnxValue {
	d := x.dims
	y := o.node("MaxPool", []int{d[0], d[1] / 2, d[2] / 2, d[3]}, squareAttrs(3, 2, 1), x)
	y.image = true
	return y
}

func (o *onnxOps) average(x onnxValue) onnxValue {
	return o.reshape(o.node("GlobalAveragePool", x.dims, nil, x), -1, x.dims[3])
}

// convNorm is a plain convolution in the file: the running statistics are worked into its weights.
func (o *onnxOps) convNorm(x onnxValue, name string, side, stride, out int) onnxValue {
	d := x.dims
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
func (o *onnxOps) lstm(x onnxValue, name string, hidden int) onnxValue {
	steps, in := x.dims[1], x.dims[2]
	turned := func(p string, rows int) onnxValue {
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
	y := o.node("LSTM", []int{steps, 1, x.dims[0], hidden},
		[]*onnx.AttributeProto{intAttr("hidden_size", int64(hidden))},
		o.transpose(x, 1, 0, 2), turned("/w", in), turned("/u", hidden), o.tensor(name+"/bias", bias, 1, 8*hidden))
	return o.reshape(o.transpose(y, 2, 0, 1, 3), -1, steps, hidden)
}
