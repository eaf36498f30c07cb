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

// Weights are a network's parameters by name.
type Weights map[string]Weight

type Weight struct {
	Dims []int
	Data []float32
}

// OnnxValue is a named value of the ONNX graph. dims are those of the channels-last meaning; an image is kept
// channels-first in the file, which is what ONNX's convolutions read.
type OnnxValue struct {
	Name  string
	Dims  []int // the first is -1: the batch is dynamic; parameters and constants have none that is
	image bool
}

// OnnxOps reads the network as ONNX nodes.
type OnnxOps struct {
	weights Weights
	nodes   []*onnx.NodeProto
	consts  map[string]*onnx.TensorProto
	order   []string
	missing error
}

func NewOnnxOps(w Weights) *OnnxOps {
	return &OnnxOps{weights: w, consts: map[string]*onnx.TensorProto{}}
}

func (o *OnnxOps) dims(x OnnxValue) []int { return x.Dims }

// node appends an operation with one output of the given dims.
func (o *OnnxOps) node(op string, dims []int, attrs []*onnx.AttributeProto, in ...OnnxValue) OnnxValue {
	out := fmt.Sprintf("%s_%d", op, len(o.nodes))
	n := &onnx.NodeProto{OpType: op, Name: out, Output: []string{out}, Attribute: attrs}
	for _, v := range in {
		n.Input = append(n.Input, v.Name)
	}
	o.nodes = append(o.nodes, n)
	return OnnxValue{Name: out, Dims: dims}
}

func intsAttr(name string, v ...int64) *onnx.AttributeProto {
	return &onnx.AttributeProto{Name: name, Type: onnx.AttributeProto_INTS, Ints: v}
}

func intAttr(name string, v int64) *onnx.AttributeProto {
	return &onnx.AttributeProto{Name: name, Type: onnx.AttributeProto_INT, I: v}
}

func floatBytes(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

func (o *OnnxOps) tensor(name string, data []float32, dims ...int) OnnxValue {
	if o.consts[name] == nil {
		t := &onnx.TensorProto{Name: name, DataType: int32(onnx.TensorProto_FLOAT), RawData: floatBytes(data)}
		for _, d := range dims {
			t.Dims = append(t.Dims, int64(d))
		}
		o.consts[name] = t
		o.order = append(o.order, name)
	}
	return OnnxValue{Name: name, Dims: dims}
}

func (o *OnnxOps) ints(v ...int) OnnxValue {
	name := fmt.Sprint("ints", v)
	if o.consts[name] == nil {
		t := &onnx.TensorProto{Name: name, DataType: int32(onnx.TensorProto_INT64), Dims: []int64{int64(len(v))}}
		for _, d := range v {
			t.RawData = binary.LittleEndian.AppendUint64(t.RawData, uint64(int64(d)))
		}
		o.consts[name] = t
		o.order = append(o.order, name)
	}
	return OnnxValue{Name: name}
}

func (o *OnnxOps) scalar(v float64) OnnxValue {
	return o.tensor(fmt.Sprintf("scalar %g", float32(v)), []float32{float32(v)})
}

func (o *OnnxOps) weight(name string, dims ...int) Weight {
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

func (o *OnnxOps) Param(name string, _ initializer, dims ...int) OnnxValue {
	return o.tensor(name, o.weight(name, dims...).Data, dims...)
}

func (o *OnnxOps) Constant(data []float32, dims ...int) OnnxValue {
	return o.tensor(fmt.Sprint("const", dims), data, dims...)
}

func (o *OnnxOps) image(x OnnxValue, lo, hi float64) OnnxValue {
	y := o.node("Cast", x.Dims, []*onnx.AttributeProto{intAttr("to", int64(onnx.TensorProto_FLOAT))}, x)
	y = o.addScalar(o.mulScalar(y, (hi-lo)/255), lo)
	return o.toImage(y, x.Dims[1], x.Dims[2], x.Dims[3])
}

// folded is a convolution's weight [out, in, side, side] with its standardization worked in: at inference it is a
// plain convolution.
func (o *OnnxOps) folded(name string, side, in, out int, scale float64) OnnxValue {
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

func (o *OnnxOps) convolve(x OnnxValue, name string, side, stride, out int, scale float64) OnnxValue {
	d := x.Dims
	bias := o.tensor(name+"/b", o.weight(name+"/b", 1, out).Data, out)
	pad := int64(side-stride) / 2
	y := o.node("Conv", []int{d[0], d[1] / stride, d[2] / stride, out}, []*onnx.AttributeProto{
		intsAttr("kernel_shape", int64(side), int64(side)), intsAttr("strides", int64(stride), int64(stride)),
		intsAttr("pads", pad, pad, pad, pad),
	}, x, o.folded(name, side, d[3], out, scale), bias)
	y.image = true
	return y
}

func (o *OnnxOps) conv(x OnnxValue, name string, out int, scale float64) OnnxValue {
	return o.convolve(x, name, 3, 1, out, scale)
}

func (o *OnnxOps) merge(x OnnxValue, name string, out int, scale float64) OnnxValue {
	return o.convolve(x, name, 2, 2, out, scale)
}

func (o *OnnxOps) fold(x OnnxValue) OnnxValue {
	d := x.Dims
	y := o.node("SpaceToDepth", []int{d[0], d[1] / 2, d[2] / 2, 4 * d[3]},
		[]*onnx.AttributeProto{intAttr("blocksize", 2)}, x)
	y.image = true
	return y
}

func (o *OnnxOps) toImage(x OnnxValue, h, w, c int) OnnxValue {
	y := o.reshape(x, -1, h, w, c)
	if c == 1 {
		y = o.reshape(y, -1, 1, h, w) // one channel: no need to move memory
	} else {
		y = o.node("Transpose", nil, []*onnx.AttributeProto{intsAttr("perm", 0, 3, 1, 2)}, y)
	}
	return OnnxValue{y.Name, []int{-1, h, w, c}, true}
}

func (o *OnnxOps) flat(x OnnxValue, perRow bool) OnnxValue {
	d := x.Dims
	y := o.node("Transpose", d, []*onnx.AttributeProto{intsAttr("perm", 0, 2, 3, 1)}, x)
	if perRow {
		return o.reshape(y, -1, d[2]*d[3])
	}
	return o.reshape(y, -1, d[1]*d[2]*d[3])
}

func (o *OnnxOps) reshape(x OnnxValue, dims ...int) OnnxValue {
	return o.node("Reshape", dims, nil, x, o.ints(dims...))
}

func (o *OnnxOps) slice(x OnnxValue, axis, from, to int) OnnxValue {
	dims := append([]int(nil), x.Dims...)
	dims[axis] = to - from
	return o.node("Slice", dims, nil, x, o.ints(from), o.ints(to), o.ints(axis))
}

func (o *OnnxOps) concat(axis int, xs ...OnnxValue) OnnxValue {
	dims := append([]int(nil), xs[0].Dims...)
	for _, x := range xs[1:] {
		dims[axis] += x.Dims[axis]
	}
	return o.node("Concat", dims, []*onnx.AttributeProto{intAttr("axis", int64(axis))}, xs...)
}

func (o *OnnxOps) matmul(x, y OnnxValue) OnnxValue {
	return o.node("MatMul", []int{x.Dims[0], y.Dims[1]}, nil, x, y)
}

func (o *OnnxOps) binary(op string, x, y OnnxValue) OnnxValue {
	dims := append([]int(nil), x.Dims...)
	for i := range y.Dims {
		if i > 0 || dims[i] > 0 && y.Dims[i] < 0 {
			if dims[i] == 1 || y.Dims[i] < 0 {
				dims[i] = y.Dims[i]
			}
		}
	}
	z := o.node(op, dims, nil, x, y)
	z.image = x.image
	return z
}

func (o *OnnxOps) unary(op string, x OnnxValue) OnnxValue {
	y := o.node(op, x.Dims, nil, x)
	y.image = x.image
	return y
}

func (o *OnnxOps) Add(x, y OnnxValue) OnnxValue { return o.binary("Add", x, y) }
func (o *OnnxOps) sub(x, y OnnxValue) OnnxValue { return o.binary("Sub", x, y) }
func (o *OnnxOps) mul(x, y OnnxValue) OnnxValue { return o.binary("Mul", x, y) }
func (o *OnnxOps) div(x, y OnnxValue) OnnxValue { return o.binary("Div", x, y) }

func (o *OnnxOps) addScalar(x OnnxValue, c float64) OnnxValue {
	return o.binary("Add", x, o.scalar(c))
}

func (o *OnnxOps) mulScalar(x OnnxValue, c float64) OnnxValue {
	return o.binary("Mul", x, o.scalar(c))
}

func (o *OnnxOps) relu(x OnnxValue) OnnxValue { return o.unary("Relu", x) }
func (o *OnnxOps) log(x OnnxValue) OnnxValue  { return o.unary("Log", x) }
func (o *OnnxOps) sqrt(x OnnxValue) OnnxValue { return o.unary("Sqrt", x) }
func (o *OnnxOps) abs(x OnnxValue) OnnxValue  { return o.unary("Abs", x) }
func (o *OnnxOps) exp(x OnnxValue) OnnxValue  { return o.unary("Exp", x) }

func (o *OnnxOps) Sum(x OnnxValue, axis int) OnnxValue {
	dims := append([]int(nil), x.Dims...)
	dims[axis] = 1
	return o.node("ReduceSum", dims, []*onnx.AttributeProto{intAttr("keepdims", 1)}, x, o.ints(axis))
}

func (o *OnnxOps) max(x OnnxValue, axis int) OnnxValue {
	dims := append([]int(nil), x.Dims...)
	dims[axis] = 1
	return o.node("ReduceMax", dims, []*onnx.AttributeProto{intAttr("keepdims", 1), intsAttr("axes", int64(axis))}, x)
}

func (o *OnnxOps) dropout(x OnnxValue, _ string) OnnxValue { return x }

// Rename gives a value a name that others know it by.
func (o *OnnxOps) Rename(x OnnxValue, name string) OnnxValue {
	n := &onnx.NodeProto{OpType: "Identity", Name: name, Input: []string{x.Name}, Output: []string{name}}
	o.nodes = append(o.nodes, n)
	x.Name = name
	return x
}

// Model wraps the nodes as an ONNX file with the given metadata. Inputs and outputs have a dynamic batch axis.
func (o *OnnxOps) Model(inputs, outputs []*onnx.ValueInfoProto, meta map[string]string) ([]byte, error) {
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
func ValueInfo(name string, t onnx.TensorProto_DataType, dims ...int) *onnx.ValueInfoProto {
	shape := &onnx.TensorShapeProto{Dim: []*onnx.TensorShapeProto_Dimension{
		{Value: &onnx.TensorShapeProto_Dimension_DimParam{DimParam: "B"}},
	}}
	for _, d := range dims {
		shape.Dim = append(shape.Dim, &onnx.TensorShapeProto_Dimension{Value: &onnx.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}})
	}
	return &onnx.ValueInfoProto{Name: name, Type: &onnx.TypeProto{Value: &onnx.TypeProto_TensorType{
		TensorType: &onnx.TypeProto_Tensor{ElemType: int32(t), Shape: shape},
	}}}
}
