package infer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The names of the contract's inputs and outputs, in the order in which they are passed.
var (
	inputNames  = []string{"audio", "video", "audio_mask", "video_mask"}
	outputNames = []string{"emotion", "gender"}
)

// audioCovered is the optional input of models that read windows which begin empty; it is passed last.
const audioCovered = "audio_covered"

// inputs returns the names of the model's inputs, in the order in which they are passed.
func (c *Contract) inputs() []string {
	if c.Covered {
		return append(slices.Clone(inputNames), audioCovered)
	}
	return slices.Clone(inputNames)
}

// dynamic stands for a dimension that must not be fixed.
const dynamic = -1

// LoadModel reads an ONNX file's bytes and checks the whole contract without running it: the metadata, the names,
// types and shapes of inputs and outputs against it, and that the file stands alone. An error wraps ErrContract
// and names the key or the tensor. It needs no ONNX Runtime.
func LoadModel(b []byte) (Contract, error) {
	c, _, err := loadModel(b, Options{})
	return c, err
}

// loadModel is LoadModel, and returns the model as it is to be run: in 8 bits if o wants it, and in parts as far as it
// can be cut.
func loadModel(b []byte, o Options) (Contract, *parts, error) {
	refuse := func(format string, args ...any) (Contract, *parts, error) {
		return Contract{}, nil, fmt.Errorf("%w: %w", ErrContract, fmt.Errorf(format, args...))
	}
	m, metadata, err := readModel(b)
	if err != nil {
		return Contract{}, nil, err
	}
	c, err := ParseContract(metadata)
	if err != nil {
		return Contract{}, nil, err
	}
	if err := c.checkGraph(m.GetGraph()); err != nil {
		return refuse("%w", err)
	}
	if o.int8(&c) {
		if c.Int8Ranges == nil {
			return Contract{}, nil, ErrNoRanges
		}
		q, err := newQuantizer(m)
		if err != nil {
			return Contract{}, nil, err
		}
		if err := q.quantize(c.Int8Ranges); err != nil {
			return refuse("%w", err)
		}
	}
	p, err := split(m)
	if err != nil {
		return refuse("%w", err)
	}
	return c, p, nil
}

// readModel decodes an ONNX file that stands alone, and its metadata. An error wraps ErrContract.
func readModel(b []byte) (*protos.ModelProto, map[string]string, error) {
	refuse := func(format string, args ...any) (*protos.ModelProto, map[string]string, error) {
		return nil, nil, fmt.Errorf("%w: %w", ErrContract, fmt.Errorf(format, args...))
	}
	if len(b) == 0 {
		return refuse("the file is empty")
	}
	if len(b) > MaxModelBytes {
		return refuse("the file has %d MB, more than the limit of %d MB", len(b)>>20, MaxModelBytes>>20)
	}
	var m protos.ModelProto
	if err := proto.Unmarshal(b, &m); err != nil {
		return refuse("the file is not ONNX (%v)", err)
	}
	if len(m.GetGraph().GetNode()) == 0 {
		return refuse("the file is not ONNX, or has an empty graph")
	}
	if err := refuseExternal(m.ProtoReflect()); err != nil {
		return refuse("%w", err)
	}
	metadata := make(map[string]string, len(m.GetMetadataProps()))
	for _, p := range m.GetMetadataProps() {
		if _, twice := metadata[p.GetKey()]; twice && strings.HasPrefix(p.GetKey(), keyPrefix) {
			return refuse("%s stands twice in the model's metadata", quote(p.GetKey()))
		}
		metadata[p.GetKey()] = p.GetValue()
	}
	return &m, metadata, nil
}

// refuseExternal refuses tensors whose data lie in another file, wherever in the model they stand: a model is
// read from bytes, and never may a path inside it be opened.
func refuseExternal(m protoreflect.Message) (err error) {
	if t, ok := m.Interface().(*protos.TensorProto); ok {
		if t.GetDataLocation() == protos.TensorProto_EXTERNAL || len(t.GetExternalData()) > 0 {
			return fmt.Errorf("tensor %s keeps its data in another file: save the model with its weights inside",
				quote(t.GetName()))
		}
		return nil
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Message() == nil {
			return true
		}
		if !fd.IsList() {
			err = refuseExternal(v.Message())
			return err == nil
		}
		for i := range v.List().Len() {
			if err = refuseExternal(v.List().Get(i).Message()); err != nil {
				return false
			}
		}
		return true
	})
	return err
}

// reads reports whether a node of the graph reads an input.
func reads(g *protos.GraphProto, input string) bool {
	return slices.ContainsFunc(g.GetNode(), func(n *protos.NodeProto) bool {
		return slices.Contains(n.GetInput(), input)
	})
}

// checkGraph compares inputs and outputs with the metadata and fills in Channels, FloatVideo, Covered and Senses.
func (c *Contract) checkGraph(g *protos.GraphProto) error {
	samples := c.Window.Seconds() * float64(c.SampleRate)
	if math.Abs(samples-math.Round(samples)) > 1e-3 {
		return fmt.Errorf("tandem.window_seconds is %v, which is not a whole number of samples at %d Hz",
			c.Window.Seconds(), c.SampleRate)
	}
	// Before IR version 4 weights are listed among the inputs too.
	weights := map[string]bool{}
	for _, t := range g.GetInitializer() {
		weights[t.GetName()] = true
	}
	c.Covered = slices.ContainsFunc(g.GetInput(), named(audioCovered))
	inputs, err := valuesByName("input", g.GetInput(), c.inputs(), weights)
	if err != nil {
		return err
	}
	outputs, err := valuesByName("output", g.GetOutput(), outputNames, nil)
	if err != nil {
		return err
	}
	const f32, u8 = protos.TensorProto_FLOAT, protos.TensorProto_UINT8
	T, S := c.VideoFrames, c.CropSize
	video := inputs["video"]
	if t := elemType(video); t != f32 && t != u8 {
		return fmt.Errorf("input %q has type %v, must be UINT8 or FLOAT", "video", t)
	}
	c.FloatVideo = elemType(video) == f32
	switch audio, video := reads(g, "audio"), reads(g, "video"); {
	case audio && !video:
		c.Senses = "audio"
	case video && !audio:
		c.Senses = "video"
	}
	c.Channels = 3
	if d := video.GetType().GetTensorType().GetShape().GetDim(); len(d) == 5 && d[4].GetDimValue() == 1 {
		c.Channels = 1
	}
	var covered error
	if c.Covered {
		covered = checkTensor("input", inputs[audioCovered], f32, "the contract", dynamic, 1)
	}
	return errors.Join(
		checkTensor("input", inputs["audio"], f32, "tandem.window_seconds and tandem.sample_rate", dynamic,
			int(math.Round(samples))),
		checkTensor("input", video, elemType(video), "tandem.video_frames and tandem.crop_size, with 1 or 3 channels",
			dynamic, T, S, S, c.Channels),
		checkTensor("input", inputs["audio_mask"], f32, "the contract", dynamic, 1),
		checkTensor("input", inputs["video_mask"], f32, "tandem.video_frames", dynamic, T),
		covered,
		checkTensor("output", outputs["emotion"], f32, "tandem.emotions", dynamic, len(c.Emotions)),
		checkTensor("output", outputs["gender"], f32, "tandem.genders", dynamic, len(c.Genders)),
	)
}

// valuesByName indexes inputs or outputs and demands exactly the wanted ones.
func valuesByName(kind string, values []*protos.ValueInfoProto, want []string,
	ignore map[string]bool,
) (map[string]*protos.ValueInfoProto, error) {
	found := map[string]*protos.ValueInfoProto{}
	for _, v := range values {
		name := v.GetName()
		switch {
		case slices.Contains(want, name):
			found[name] = v
		case !ignore[name]:
			return nil, fmt.Errorf("%s %s is not in the contract, which has %s", kind, quote(name),
				strings.Join(want, ", "))
		}
	}
	for _, name := range want {
		if found[name] == nil {
			return nil, fmt.Errorf("%s %q is missing", kind, name)
		}
	}
	return found, nil
}

func elemType(v *protos.ValueInfoProto) protos.TensorProto_DataType {
	return protos.TensorProto_DataType(v.GetType().GetTensorType().GetElemType())
}

// checkTensor compares a declared type and shape with what why asks for.
func checkTensor(kind string, v *protos.ValueInfoProto, want protos.TensorProto_DataType, why string,
	shape ...int,
) error {
	if t := elemType(v); t != want {
		return fmt.Errorf("%s %q has type %v, must be %v", kind, v.GetName(), t, want)
	}
	dims := v.GetType().GetTensorType().GetShape().GetDim()
	same := len(dims) == len(shape)
	got := make([]string, len(dims))
	for i, d := range dims {
		fixed, isFixed := d.GetValue().(*protos.TensorShapeProto_Dimension_DimValue)
		got[i] = "B"
		if isFixed {
			got[i] = fmt.Sprint(fixed.DimValue)
		} else if i > 0 {
			got[i] = "?"
		}
		if same && isFixed {
			same = shape[i] != dynamic && fixed.DimValue == int64(shape[i])
		} else if same {
			same = shape[i] == dynamic
		}
	}
	if same {
		return nil
	}
	need := make([]string, len(shape))
	for i, d := range shape {
		need[i] = fmt.Sprint(d)
		if d == dynamic {
			need[i] = "B"
		}
	}
	return fmt.Errorf("%s %q has shape [%s], must be [%s] (B dynamic) by %s", kind, v.GetName(), strings.Join(got, " "),
		strings.Join(need, " "), why)
}
