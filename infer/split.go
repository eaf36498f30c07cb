package infer

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"
)

// faceFeatures is the tensor at which a model can be cut in two; see Contract.
const faceFeatures = "face_features"

// parts are the two halves of a model: faces makes face_features of video, and rest takes them in its place. Of a model
// that is not cut faces is nil, and rest is all of it.
type parts struct{ faces, rest *protos.ModelProto }

// split cuts a model at its face_features; it returns nil if it has none, and an error if it cannot be cut there.
func split(m *protos.ModelProto) (*parts, error) {
	g := m.GetGraph()
	made := slices.IndexFunc(g.GetNode(),
		func(n *protos.NodeProto) bool { return slices.Contains(n.GetOutput(), faceFeatures) })
	if made < 0 {
		return nil, nil
	}
	if len(g.Node[made].GetOutput()) > 1 {
		return nil, fmt.Errorf("the node that makes %q has other outputs too", faceFeatures)
	}
	faces := extract(m, []string{faceFeatures}, "")
	rest := extract(m, outputNames, faceFeatures)
	for _, name := range inputNames {
		ofFaces := slices.ContainsFunc(faces.Graph.Input, named(name))
		switch {
		case name == "video" && !ofFaces:
			return nil, fmt.Errorf("%q is not made of input %q", faceFeatures, name)
		case name != "video" && ofFaces:
			return nil, fmt.Errorf("%q depends on input %q, and must on video alone", faceFeatures, name)
		case name == "video" && slices.ContainsFunc(rest.Graph.Input, named(name)):
			return nil, fmt.Errorf("the outputs depend on input %q by other ways than %q", name, faceFeatures)
		}
	}
	// Any number of crops goes in, as windows of one.
	for _, v := range faces.Graph.Input {
		if v.GetName() == "video" {
			d := v.GetType().GetTensorType().GetShape().GetDim()
			d[1] = &protos.TensorShapeProto_Dimension{Value: &protos.TensorShapeProto_Dimension_DimParam{DimParam: "T"}}
		}
	}
	features := tensorInfo(faceFeatures, "N", "D")
	faces.Graph.Output = []*protos.ValueInfoProto{features}
	rest.Graph.Input = append(rest.Graph.Input, features)
	// An input that nothing depends on is passed all the same.
	for _, v := range g.Input {
		if name := v.GetName(); name != "video" && slices.Contains(inputNames, name) &&
			!slices.ContainsFunc(rest.Graph.Input, named(name)) {
			rest.Graph.Input = append(rest.Graph.Input, v)
		}
	}
	rest.Graph.Output = g.Output
	return &parts{faces, rest}, nil
}

func named(name string) func(*protos.ValueInfoProto) bool {
	return func(v *protos.ValueInfoProto) bool { return v.GetName() == name }
}

// extract returns the model with only those nodes, weights and inputs that targets need; given is not traced any
// further. Messages are shared with m but for the inputs.
func extract(m *protos.ModelProto, targets []string, given string) *protos.ModelProto {
	g := m.GetGraph()
	need := map[string]bool{}
	for _, t := range targets {
		need[t] = true
	}
	out := &protos.GraphProto{Name: g.GetName()}
	for _, n := range slices.Backward(g.GetNode()) { // ONNX has them in the order of their dependence
		if !slices.ContainsFunc(n.GetOutput(), func(name string) bool { return name != given && need[name] }) {
			continue
		}
		out.Node = append(out.Node, n)
		addNeeded(need, n)
	}
	slices.Reverse(out.Node)
	for _, t := range g.GetInitializer() {
		if need[t.GetName()] {
			out.Initializer = append(out.Initializer, t)
		}
	}
	for _, t := range g.GetSparseInitializer() {
		if need[t.GetValues().GetName()] {
			out.SparseInitializer = append(out.SparseInitializer, t)
		}
	}
	for _, v := range g.GetInput() {
		if need[v.GetName()] {
			out.Input = append(out.Input, proto.CloneOf(v))
		}
	}
	return &protos.ModelProto{
		IrVersion: m.GetIrVersion(), OpsetImport: m.GetOpsetImport(), Functions: m.GetFunctions(),
		ProducerName: m.GetProducerName(), Graph: out,
	}
}

// addNeeded adds what a node reads, the graphs inside it included: what they do not make themselves comes from outside.
func addNeeded(need map[string]bool, n *protos.NodeProto) {
	for _, name := range n.GetInput() {
		need[name] = true
	}
	for _, a := range n.GetAttribute() {
		for _, g := range append(a.GetGraphs(), a.GetG()) {
			for _, inner := range g.GetNode() {
				addNeeded(need, inner)
			}
			for _, v := range g.GetOutput() {
				need[v.GetName()] = true
			}
		}
	}
}

// tensorInfo describes a float tensor whose dimensions are all dynamic.
func tensorInfo(name string, dims ...string) *protos.ValueInfoProto {
	shape := &protos.TensorShapeProto{}
	for _, d := range dims {
		shape.Dim = append(shape.Dim,
			&protos.TensorShapeProto_Dimension{Value: &protos.TensorShapeProto_Dimension_DimParam{DimParam: d}})
	}
	return &protos.ValueInfoProto{Name: name, Type: &protos.TypeProto{Value: &protos.TypeProto_TensorType{
		TensorType: &protos.TypeProto_Tensor{ElemType: int32(protos.TensorProto_FLOAT), Shape: shape},
	}}}
}
