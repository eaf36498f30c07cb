package infer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// quantizer rewrites a model so that its convolutions, and what stands between them, are computed in 8 bits: each of
// their tensors goes through QuantizeLinear and DequantizeLinear, which ONNX Runtime fuses into integer kernels (ONNX's
// QDQ form). Activations are uint8 with one scale a tensor, weights int8 with one a filter, biases int32 (Jacob et al.
// 2018, arXiv 1712.05877). The spectra, the dense layers and the fusion stay as they are: they cost little or need the
// range.
type quantizer struct {
	g         *protos.GraphProto
	consts    map[string]*protos.TensorProto
	producers map[string]*protos.NodeProto
	consumers map[string][]*protos.NodeProto
	quantized map[*protos.NodeProto]bool // what is to be 8 bits
	tensors   []string                   // the activations that are quantized, in the order of the graph
}

// errNotQuantizable is returned for a model that cannot be run in 8 bits.
var errNotQuantizable = errors.New("the model has no convolutions that could be computed in 8 bits " +
	"(float weights and a bias, opset 13 or later)")

func newQuantizer(m *protos.ModelProto) (*quantizer, error) {
	for _, o := range m.GetOpsetImport() {
		if o.GetDomain() == "" && o.GetVersion() < 13 {
			return nil, errNotQuantizable
		}
	}
	q := &quantizer{
		g: m.GetGraph(), consts: map[string]*protos.TensorProto{}, producers: map[string]*protos.NodeProto{},
		consumers: map[string][]*protos.NodeProto{}, quantized: map[*protos.NodeProto]bool{},
	}
	for _, t := range q.g.GetInitializer() {
		q.consts[t.GetName()] = t
	}
	for _, n := range q.g.GetNode() { // ONNX has them in the order of their dependence
		for _, x := range n.GetInput() {
			q.consumers[x] = append(q.consumers[x], n)
		}
		for _, x := range n.GetOutput() {
			q.producers[x] = n
		}
		q.quantized[n] = q.quantizable(n)
	}
	seen := map[string]bool{}
	add := func(x string) {
		if !seen[x] {
			seen[x] = true
			q.tensors = append(q.tensors, x)
		}
	}
	for _, n := range q.g.GetNode() {
		if !q.quantized[n] {
			continue
		}
		if n.GetOpType() == "Conv" {
			add(n.Input[0])
			if r := q.consumers[n.Output[0]]; len(r) == 1 && r[0].GetOpType() == "Relu" {
				continue // the two become one
			}
		}
		add(n.Output[0])
	}
	if len(q.tensors) == 0 {
		return nil, errNotQuantizable
	}
	return q, nil
}

// quantizable reports whether a node can be computed in 8 bits: a convolution of constants, or an operation element by
// element on the results of such.
func (q *quantizer) quantizable(n *protos.NodeProto) bool {
	if len(n.GetOutput()) != 1 {
		return false
	}
	switch n.GetOpType() {
	case "Conv":
		if len(n.GetInput()) != 3 || q.producers[n.Input[0]] == nil {
			return false
		}
		w, b := q.consts[n.Input[1]], q.consts[n.Input[2]]
		if w == nil || b == nil || len(w.GetDims()) != 4 {
			return false
		}
		out, weights, bias := int(w.GetDims()[0]), values(w), values(b)
		return out > 0 && len(bias) == out && len(weights) > 0 && len(weights)%out == 0
	case "Relu", "Add", "Mul":
		made := 0
		for _, x := range n.GetInput() {
			if maker := q.producers[x]; maker != nil && q.quantized[maker] {
				made++
			} else if v := values(q.consts[x]); len(v) != 1 || !(v[0] > 0) {
				return false
			}
		}
		return made > 0
	}
	return false
}

// quantize rewrites the graph by the ranges of its tensors.
func (q *quantizer) quantize(ranges Int8Ranges) error {
	scales := map[string]float64{}
	var nodes []*protos.NodeProto
	for _, n := range q.g.GetNode() {
		switch {
		case q.quantized[n] && n.GetOpType() == "Conv":
			nodes = append(nodes, q.quantizeConv(n, scales[n.Input[0]])...)
		case q.quantized[n]:
			for i, x := range n.GetInput() {
				if v := values(q.consts[x]); v != nil { // one positive number: 255 times a 255th of it
					at := fmt.Sprintf("%s/int8/%d", n.Output[0], i)
					q.addInitializer(at+"/q", protos.TensorProto_UINT8, []byte{255})
					nodes = append(nodes, q.dequantize(at, at+"/q", float64(v[0])/255, protos.TensorProto_UINT8, 0))
					n.Input[i] = at
				}
			}
		}
		for i, x := range n.GetInput() {
			if _, ok := scales[x]; ok {
				n.Input[i] = x + "/int8"
			}
		}
		nodes = append(nodes, n)
		for _, x := range n.GetOutput() {
			if !slices.Contains(q.tensors, x) {
				continue
			}
			r, ok := ranges[x]
			if !ok {
				return fmt.Errorf("the model's int8_ranges lack %s: run `tandem quantize` on it again", quote(x))
			}
			lo, hi := min(float64(r[0]), 0), max(float64(r[1]), 0) // zero must be exact: it pads
			scale := max(hi-lo, 1e-6) / 255
			zero := byte(min(max(math.Round(-lo/scale), 0), 255))
			scales[x] = scale
			back := q.dequantize(x+"/int8", x+"/int8/q", scale, protos.TensorProto_UINT8, zero)
			nodes = append(nodes, &protos.NodeProto{
				OpType: "QuantizeLinear", Name: x + "/int8/q",
				Input: []string{x, back.Input[1], back.Input[2]}, Output: []string{x + "/int8/q"},
			}, back)
		}
	}
	q.g.Node = nodes
	used := map[string]bool{}
	for _, n := range nodes {
		addNeeded(used, n)
	}
	q.g.Initializer = slices.DeleteFunc(q.g.Initializer, func(t *protos.TensorProto) bool { return !used[t.GetName()] })
	return nil
}

// quantizeConv quantizes a convolution's weights and biases, and returns the nodes that dequantize them.
func (q *quantizer) quantizeConv(n *protos.NodeProto, scaleIn float64) []*protos.NodeProto {
	w := q.consts[n.Input[1]]
	data, bias := values(w), values(q.consts[n.Input[2]])
	out := len(bias)
	each := len(data) / out
	ints, biases := make([]byte, len(data)), make([]byte, 0, 4*out)
	scales, biasScales := make([]float32, out), make([]float32, out)
	for k := range out {
		filter := data[k*each : (k+1)*each]
		most := 1e-8
		for _, v := range filter {
			most = max(most, math.Abs(float64(v)))
		}
		scales[k] = float32(most / 127)
		for i, v := range filter {
			ints[k*each+i] = byte(int8(math.Round(float64(v) / most * 127)))
		}
		biasScales[k] = scales[k] * float32(scaleIn)
		b := math.Round(float64(bias[k]) / float64(biasScales[k]))
		biases = binary.LittleEndian.AppendUint32(biases, uint32(int32(min(max(b, math.MinInt32), math.MaxInt32))))
	}
	axis := []*protos.AttributeProto{{Name: "axis", Type: protos.AttributeProto_INT, I: 0}}
	var nodes []*protos.NodeProto
	for i, part := range []struct {
		kind   protos.TensorProto_DataType
		raw    []byte
		dims   []int64
		scales []float32
		zeros  []byte
	}{
		{protos.TensorProto_INT8, ints, w.GetDims(), scales, make([]byte, out)},
		{protos.TensorProto_INT32, biases, []int64{int64(out)}, biasScales, make([]byte, 4*out)},
	} {
		at := fmt.Sprintf("%s/int8/%d", n.Output[0], i+1)
		q.addInitializer(at+"/q", part.kind, part.raw, part.dims...)
		q.addInitializer(at+"/scale", protos.TensorProto_FLOAT, floatBytes(part.scales), int64(out))
		q.addInitializer(at+"/zero", part.kind, part.zeros, int64(out))
		nodes = append(nodes,
			&protos.NodeProto{
				OpType: "DequantizeLinear", Name: at, Attribute: axis,
				Input: []string{at + "/q", at + "/scale", at + "/zero"}, Output: []string{at},
			})
		n.Input[i+1] = at
	}
	return nodes
}

// dequantize returns the node that makes the float tensor name of the 8-bit tensor from.
func (q *quantizer) dequantize(name, from string, scale float64, kind protos.TensorProto_DataType,
	zero byte,
) *protos.NodeProto {
	q.addInitializer(name+"/scale", protos.TensorProto_FLOAT, floatBytes([]float32{float32(scale)}))
	q.addInitializer(name+"/zero", kind, []byte{zero})
	return &protos.NodeProto{
		OpType: "DequantizeLinear", Name: name,
		Input: []string{from, name + "/scale", name + "/zero"}, Output: []string{name},
	}
}

func (q *quantizer) addInitializer(name string, kind protos.TensorProto_DataType, raw []byte, dims ...int64) {
	q.g.Initializer = append(q.g.Initializer,
		&protos.TensorProto{Name: name, DataType: int32(kind), RawData: raw, Dims: dims})
}

// values are those of a float tensor, nil if it is nil or none.
func values(t *protos.TensorProto) []float32 {
	if t.GetDataType() != int32(protos.TensorProto_FLOAT) {
		return nil
	}
	if len(t.GetRawData()) == 0 {
		return t.GetFloatData()
	}
	v := make([]float32, len(t.GetRawData())/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.RawData[4*i:]))
	}
	return v
}

func floatBytes(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}
