package nn

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	onnx "github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"
)

// opset is the ONNX operator set that the exported file uses.
const opset = 17

// onnxValue is a named value of the ONNX graph. dims are those of the channels-last meaning; an image is kept
// channels-first in the file, as ONNX's convolutions read it.
type onnxValue struct {
	name  string
	dims  []int // the first is -1: the batch is dynamic; parameters and constants have none that is
	image bool
}

// onnxOps reads the network as ONNX nodes, which Export writes to a file; GraphOps is the other reading. It copies the
// weights that it reads into the tensors of the file.
type onnxOps struct {
	weights Weights
	nodes   []*onnx.NodeProto
	consts  map[string]*onnx.TensorProto
	order   []string
	missing error
}

func newOnnxOps(w Weights) *onnxOps {
	return &onnxOps{weights: w, consts: map[string]*onnx.TensorProto{}}
}

func (o *onnxOps) dims(x onnxValue) []int { return x.dims }

// node appends an operation with one output of the given dims.
func (o *onnxOps) node(op string, dims []int, attrs []*onnx.AttributeProto, in ...onnxValue) onnxValue {
	out := fmt.Sprintf("%s_%d", op, len(o.nodes))
	n := &onnx.NodeProto{OpType: op, Name: out, Output: []string{out}, Attribute: attrs}
	for _, v := range in {
		n.Input = append(n.Input, v.name)
	}
	o.nodes = append(o.nodes, n)
	return onnxValue{name: out, dims: dims}
}

func intsAttr(name string, v ...int64) *onnx.AttributeProto {
	return &onnx.AttributeProto{Name: name, Type: onnx.AttributeProto_INTS, Ints: v}
}

func intAttr(name string, v int64) *onnx.AttributeProto {
	return &onnx.AttributeProto{Name: name, Type: onnx.AttributeProto_INT, I: v}
}

func (o *onnxOps) tensor(name string, data []float32, dims ...int) onnxValue {
	if o.consts[name] == nil {
		t := &onnx.TensorProto{Name: name, DataType: int32(onnx.TensorProto_FLOAT), RawData: float32Bytes(data)}
		for _, d := range dims {
			t.Dims = append(t.Dims, int64(d))
		}
		o.consts[name] = t
		o.order = append(o.order, name)
	}
	return onnxValue{name: name, dims: dims}
}

func (o *onnxOps) ints(v ...int) onnxValue {
	name := fmt.Sprint("ints", v)
	if o.consts[name] == nil {
		t := &onnx.TensorProto{Name: name, DataType: int32(onnx.TensorProto_INT64), Dims: []int64{int64(len(v))}}
		for _, d := range v {
			t.RawData = binary.LittleEndian.AppendUint64(t.RawData, uint64(int64(d)))
		}
		o.consts[name] = t
		o.order = append(o.order, name)
	}
	return onnxValue{name: name}
}

func (o *onnxOps) scalar(v float64) onnxValue {
	return o.tensor(fmt.Sprintf("scalar %g", float32(v)), []float32{float32(v)})
}

func (o *onnxOps) weight(name string, dims ...int) Weight {
	w, ok := o.weights[name]
	if !ok || fmt.Sprint(w.Dims) != fmt.Sprint(dims) {
		if o.missing == nil {
			o.missing = fmt.Errorf("export: parameter %q has shape %v, want %v", name, w.Dims, dims)
		}
		n := 1
		for _, d := range dims {
			n *= d
		}
		return Weight{dims, make([]float32, n)}
	}
	return w
}

func (o *onnxOps) Param(name string, _ Initializer, dims ...int) onnxValue {
	return o.tensor(name, o.weight(name, dims...).Data, dims...)
}

func (o *onnxOps) Constant(data []float32, dims ...int) onnxValue {
	return o.tensor(fmt.Sprint("const", dims), data, dims...)
}

func (o *onnxOps) image(x onnxValue, lo, hi float64) onnxValue {
	y := o.node("Cast", x.dims, []*onnx.AttributeProto{intAttr("to", int64(onnx.TensorProto_FLOAT))}, x)
	y = o.addScalar(o.mulScalar(y, (hi-lo)/255), lo)
	return o.toImage(y, x.dims[1], x.dims[2], x.dims[3])
}

// folded is a convolution's weight [out, in, side, side] with its standardization worked in: at inference it is a
// plain convolution.
func (o *onnxOps) folded(name string, side, in, out int, scale float64) onnxValue {
	taps := side * side
	fan := taps * in
	w := o.weight(name+"/w", fan, out)
	gain := o.weight(name+"/gain", 1, out)
	folded := make([]float32, len(w.Data))
	for k := range out {
		var mean, variance float64
		for i := range fan {
			mean += float64(w.Data[i*out+k])
		}
		mean /= float64(fan)
		for i := range fan {
			d := float64(w.Data[i*out+k]) - mean
			variance += d * d
		}
		s := scale * float64(gain.Data[k]) / math.Sqrt((variance/float64(fan)+weightEps)*float64(fan))
		for i := range fan {
			folded[(k*in+i%in)*taps+i/in] = float32((float64(w.Data[i*out+k]) - mean) * s)
		}
	}
	return o.tensor(name+"/folded", folded, out, in, side, side)
}

func (o *onnxOps) convolve(x onnxValue, name string, side, stride, out int, scale float64) onnxValue {
	d := x.dims
	bias := o.tensor(name+"/b", o.weight(name+"/b", 1, out).Data, out)
	pad := int64(side-stride) / 2
	y := o.node("Conv", []int{d[0], d[1] / stride, d[2] / stride, out}, []*onnx.AttributeProto{
		intsAttr("kernel_shape", int64(side), int64(side)), intsAttr("strides", int64(stride), int64(stride)),
		intsAttr("pads", pad, pad, pad, pad),
	}, x, o.folded(name, side, d[3], out, scale), bias)
	y.image = true
	return y
}

func (o *onnxOps) conv(x onnxValue, name string, out int, scale float64) onnxValue {
	return o.convolve(x, name, 3, 1, out, scale)
}

func (o *onnxOps) merge(x onnxValue, name string, out int, scale float64) onnxValue {
	return o.convolve(x, name, 2, 2, out, scale)
}

func (o *onnxOps) fold(x onnxValue) onnxValue {
	d := x.dims
	y := o.node("SpaceToDepth", []int{d[0], d[1] / 2, d[2] / 2, 4 * d[3]},
		[]*onnx.AttributeProto{intAttr("blocksize", 2)}, x)
	y.image = true
	return y
}

func (o *onnxOps) toImage(x onnxValue, h, w, c int) onnxValue {
	y := o.reshape(x, -1, h, w, c)
	if c == 1 {
		y = o.reshape(y, -1, 1, h, w) // one channel: no need to move memory
	} else {
		y = o.node("Transpose", nil, []*onnx.AttributeProto{intsAttr("perm", 0, 3, 1, 2)}, y)
	}
	return onnxValue{y.name, []int{-1, h, w, c}, true}
}

func (o *onnxOps) flat(x onnxValue, perRow bool) onnxValue {
	d := x.dims
	y := o.node("Transpose", d, []*onnx.AttributeProto{intsAttr("perm", 0, 2, 3, 1)}, x)
	if perRow {
		return o.reshape(y, -1, d[2]*d[3])
	}
	return o.reshape(y, -1, d[1]*d[2]*d[3])
}

func (o *onnxOps) reshape(x onnxValue, dims ...int) onnxValue {
	return o.node("Reshape", dims, nil, x, o.ints(dims...))
}

func (o *onnxOps) slice(x onnxValue, axis, from, to int) onnxValue {
	dims := append([]int(nil), x.dims...)
	dims[axis] = to - from
	return o.node("Slice", dims, nil, x, o.ints(from), o.ints(to), o.ints(axis))
}

func (o *onnxOps) concat(axis int, xs ...onnxValue) onnxValue {
	dims := append([]int(nil), xs[0].dims...)
	for _, x := range xs[1:] {
		dims[axis] += x.dims[axis]
	}
	return o.node("Concat", dims, []*onnx.AttributeProto{intAttr("axis", int64(axis))}, xs...)
}

func (o *onnxOps) matmul(x, y onnxValue) onnxValue {
	return o.node("MatMul", []int{x.dims[0], y.dims[1]}, nil, x, y)
}

func (o *onnxOps) binary(op string, x, y onnxValue) onnxValue {
	dims := append([]int(nil), x.dims...)
	for i := range y.dims {
		if i > 0 || dims[i] > 0 && y.dims[i] < 0 {
			if dims[i] == 1 || y.dims[i] < 0 {
				dims[i] = y.dims[i]
			}
		}
	}
	z := o.node(op, dims, nil, x, y)
	z.image = x.image
	return z
}

func (o *onnxOps) unary(op string, x onnxValue) onnxValue {
	y := o.node(op, x.dims, nil, x)
	y.image = x.image
	return y
}

func (o *onnxOps) add(x, y onnxValue) onnxValue { return o.binary("Add", x, y) }
func (o *onnxOps) sub(x, y onnxValue) onnxValue { return o.binary("Sub", x, y) }
func (o *onnxOps) mul(x, y onnxValue) onnxValue { return o.binary("Mul", x, y) }
func (o *onnxOps) div(x, y onnxValue) onnxValue { return o.binary("Div", x, y) }

func (o *onnxOps) addScalar(x onnxValue, c float64) onnxValue {
	return o.binary("Add", x, o.scalar(c))
}

func (o *onnxOps) mulScalar(x onnxValue, c float64) onnxValue {
	return o.binary("Mul", x, o.scalar(c))
}

func (o *onnxOps) relu(x onnxValue) onnxValue { return o.unary("Relu", x) }
func (o *onnxOps) log(x onnxValue) onnxValue  { return o.unary("Log", x) }
func (o *onnxOps) sqrt(x onnxValue) onnxValue { return o.unary("Sqrt", x) }
func (o *onnxOps) abs(x onnxValue) onnxValue  { return o.unary("Abs", x) }
func (o *onnxOps) exp(x onnxValue) onnxValue  { return o.unary("Exp", x) }

func (o *onnxOps) sum(x onnxValue, axis int) onnxValue {
	dims := append([]int(nil), x.dims...)
	dims[axis] = 1
	return o.node("ReduceSum", dims, []*onnx.AttributeProto{intAttr("keepdims", 1)}, x, o.ints(axis))
}

func (o *onnxOps) max(x onnxValue, axis int) onnxValue {
	dims := append([]int(nil), x.dims...)
	dims[axis] = 1
	return o.node("ReduceMax", dims, []*onnx.AttributeProto{intAttr("keepdims", 1), intsAttr("axes", int64(axis))}, x)
}

func (o *onnxOps) dropout(x onnxValue, _ string) onnxValue { return x }

// named gives a value the name that runners of the file know it by.
func (o *onnxOps) named(x onnxValue, name string) onnxValue {
	n := &onnx.NodeProto{OpType: "Identity", Name: name, Input: []string{x.name}, Output: []string{name}}
	o.nodes = append(o.nodes, n)
	x.name = name
	return x
}

// model wraps the nodes as an ONNX file with the given metadata. Inputs and outputs have a dynamic batch axis.
func (o *onnxOps) model(inputs, outputs []*onnx.ValueInfoProto, meta map[string]string) ([]byte, error) {
	if o.missing != nil {
		return nil, o.missing
	}
	g := &onnx.GraphProto{Name: "tandem", Node: o.nodes, Input: inputs, Output: outputs}
	for _, name := range o.order {
		g.Initializer = append(g.Initializer, o.consts[name])
	}
	m := &onnx.ModelProto{
		IrVersion: 8, ProducerName: "tandem", Graph: g,
		OpsetImport: []*onnx.OperatorSetIdProto{{Version: opset}},
	}
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		m.MetadataProps = append(m.MetadataProps, &onnx.StringStringEntryProto{Key: k, Value: meta[k]})
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// ValueInfo describes a graph input or output [B, dims...].
func valueInfo(name string, t onnx.TensorProto_DataType, dims ...int) *onnx.ValueInfoProto {
	shape := &onnx.TensorShapeProto{Dim: []*onnx.TensorShapeProto_Dimension{
		{Value: &onnx.TensorShapeProto_Dimension_DimParam{DimParam: "B"}},
	}}
	for _, d := range dims {
		shape.Dim = append(shape.Dim, &onnx.TensorShapeProto_Dimension{
			Value: &onnx.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)},
		})
	}
	return &onnx.ValueInfoProto{Name: name, Type: &onnx.TypeProto{Value: &onnx.TypeProto_TensorType{
		TensorType: &onnx.TypeProto_Tensor{ElemType: int32(t), Shape: shape},
	}}}
}
