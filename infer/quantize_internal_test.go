package infer

import (
	"slices"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"
)

// smallNet is Identity, Conv, Relu, and a half of the sum of that and itself, which goes on to a node that stays float.
func smallNet() *protos.ModelProto {
	constant := func(name string, v []float32, dims ...int64) *protos.TensorProto {
		return &protos.TensorProto{
			Name: name, DataType: int32(protos.TensorProto_FLOAT), RawData: floatBytes(v),
			Dims: dims,
		}
	}
	node := func(op, out string, in ...string) *protos.NodeProto {
		return &protos.NodeProto{OpType: op, Name: out, Input: in, Output: []string{out}}
	}
	return &protos.ModelProto{
		OpsetImport: []*protos.OperatorSetIdProto{{Version: 17}},
		Graph: &protos.GraphProto{
			Node: []*protos.NodeProto{
				node("Identity", "x", "in"), node("Conv", "c", "x", "w", "b"), node("Relu", "r", "c"),
				node("Add", "s", "r", "r"),
				node("Mul", "h", "s", "half"), node("Sigmoid", "out", "h"),
			},
			Initializer: []*protos.TensorProto{
				constant("w", []float32{1, -2, 0.5, 0}, 2, 2, 1, 1), constant("b", []float32{0.1, -0.2}, 2),
				constant("half", []float32{0.5}),
			},
		},
	}
}

func TestQuantizerTakesConvolutionsAndWhatFollows(t *testing.T) {
	m := smallNet()
	q, err := newQuantizer(m)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"x", "r", "s", "h"}; !slices.Equal(q.tensors, want) { // not c: Conv and Relu become one
		t.Errorf("tensors %v, want %v", q.tensors, want)
	}
	if err := q.quantize(Int8Ranges{"x": {-1, 3}, "r": {0, 2}, "s": {0, 4}, "h": {0, 2}}); err != nil {
		t.Fatal(err)
	}
	consts := map[string]*protos.TensorProto{}
	for _, c := range m.Graph.Initializer {
		consts[c.Name] = c
	}
	if consts["w"] != nil || consts["half"] != nil {
		t.Error("float weights are still there")
	}
	// Filters go to ±127 by their largest weight: (1, -2) and (0.5, 0).
	if got := consts["c/int8/1/q"].RawData; !slices.Equal(got, []byte{64, 256 - 127, 127, 0}) {
		t.Errorf("weights %v", got)
	}
	if z := consts["x/int8/zero"].RawData[0]; z != 64 { // a quarter of the way from -1 to 3
		t.Errorf("zero of x %d", z)
	}
	if z := consts["r/int8/zero"].RawData[0]; z != 0 { // the runtime drops a Relu before such a zero
		t.Errorf("zero of r %d", z)
	}
	last := m.Graph.Node[len(m.Graph.Node)-1]
	if last.OpType != "Sigmoid" || last.Input[0] != "h/int8" {
		t.Errorf("the float part reads %v", last.Input)
	}
}

func TestQuantizerRefusesOldOpsets(t *testing.T) {
	m := smallNet()
	m.OpsetImport[0].Version = 12
	if _, err := newQuantizer(m); err == nil {
		t.Error("opset 12 has no scales by channel")
	}
}

// FuzzQuantize rewrites whatever graphs there are.
func FuzzQuantize(f *testing.F) {
	whole, err := proto.Marshal(smallNet())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, float32(-1), float32(3))
	for _, damage := range []func(*protos.ModelProto){
		func(m *protos.ModelProto) { m.Graph.Initializer[0].RawData = nil },
		func(m *protos.ModelProto) { m.Graph.Initializer[0].Dims = []int64{-2, 1, 1, 1} },
		func(m *protos.ModelProto) { m.Graph.Node[1].Output = nil },
		func(m *protos.ModelProto) { slices.Reverse(m.Graph.Node) },
		func(m *protos.ModelProto) { m.Graph.Node[3].Input = nil },
	} {
		m := smallNet()
		damage(m)
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, float32(0), float32(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, lo, hi float32) {
		var m protos.ModelProto
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		q, err := newQuantizer(&m)
		if err != nil {
			return
		}
		ranges := Int8Ranges{}
		for _, x := range q.tensors {
			ranges[x] = [2]float32{lo, hi}
		}
		if err := q.quantize(ranges); err != nil {
			t.Error(err)
		}
	})
}
