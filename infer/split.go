package infer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"
)

// The tensors at which a model can be cut; see Contract.
const (
	faceFeatures  = "face_features"
	soundFeatures = "sound_features"
)

// parts are the pieces of a model: faces makes face_features of video, sounds makes sound_features of audio, and rest
// takes them in their place. A piece that is not cut off is nil, and in rest.
type parts struct{ faces, sounds, rest *protos.ModelProto }

// split cuts a model at its face_features and its sound_features, as far as it has them, and returns an error if it
// cannot be cut there.
func split(m *protos.ModelProto) (*parts, error) {
	p := &parts{rest: m}
	var err error
	if p.faces, p.rest, err = cutOff(p.rest, faceFeatures, "video"); err != nil {
		return nil, err
	}
	if p.sounds, p.rest, err = cutOff(p.rest, soundFeatures, "audio", audioCovered); err != nil {
		return nil, err
	}
	if p.faces == nil {
		return p, nil
	}
	// Any number of crops goes in, as windows of one.
	d := p.faces.Graph.Input[0].GetType().GetTensorType().GetShape().GetDim()
	d[1] = &protos.TensorShapeProto_Dimension{Value: &protos.TensorShapeProto_Dimension_DimParam{DimParam: "T"}}
	return p, nil
}

// cutOff cuts a model at an inner tensor that is made of some inputs, of the first at least, by which alone these reach
// the outputs: a model that makes the tensor, and one that takes it as an input in their place. Of a model without that
// tensor the first is nil.
func cutOff(m *protos.ModelProto, tensor string, of ...string) (part, rest *protos.ModelProto, err error) {
	g := m.GetGraph()
	made := slices.IndexFunc(g.GetNode(),
		func(n *protos.NodeProto) bool { return slices.Contains(n.GetOutput(), tensor) })
	if made < 0 {
		return nil, m, nil
	}
	if len(g.Node[made].GetOutput()) > 1 {
		return nil, nil, fmt.Errorf("the node that makes %q has other outputs too", tensor)
	}
	part = extract(m, []string{tensor}, "")
	rest = extract(m, outputNames, tensor)
	for _, v := range g.GetInput() {
		name := v.GetName()
		takes := slices.ContainsFunc(part.Graph.Input, named(name))
		switch {
		case name == of[0] && !takes:
			return nil, nil, fmt.Errorf("%q is not made of input %q", tensor, name)
		case takes && !slices.Contains(of, name):
			return nil, nil, fmt.Errorf("%q depends on input %q, and must on %s alone", tensor, name,
				strings.Join(of, " and "))
		case slices.Contains(of, name) && slices.ContainsFunc(rest.Graph.Input, named(name)):
			return nil, nil, fmt.Errorf("the outputs depend on input %q by other ways than %q", name, tensor)
		case slices.Contains(of, name) && !takes: // an input that nothing depends on is passed all the same
			part.Graph.Input = append(part.Graph.Input, v)
		case !slices.Contains(of, name) && !slices.ContainsFunc(rest.Graph.Input, named(name)):
			rest.Graph.Input = append(rest.Graph.Input, v)
		}
	}
	features := tensorInfo(tensor, "N", "D")
	part.Graph.Output = []*protos.ValueInfoProto{features}
	rest.Graph.Input = append(rest.Graph.Input, features)
	rest.Graph.Output = g.Output
	return part, rest, nil
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
