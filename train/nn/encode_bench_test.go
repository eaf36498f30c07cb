package nn

import (
	"errors"
	"testing"

	onnx "github.com/gomlx/compute-onnx/support/protos"
	ort "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/proto"

	"tandem/infer"
)

// BenchmarkEncode is the embedded model's encoders' share of a window's inference, on one thread: one face crop, of
// which a window has VideoFrames, and one window of sound.
func BenchmarkEncode(b *testing.B) {
	if err := infer.Init(); err != nil {
		b.Skip(err)
	}
	var m onnx.ModelProto
	if err := proto.Unmarshal(infer.DefaultModel(), &m); err != nil {
		b.Fatal(err)
	}
	net, err := FromModel(infer.DefaultModel(), &m)
	if err != nil {
		b.Fatal(err)
	}
	a, s := net.Arch, net.Arch.Spec
	b.Run("face", func(b *testing.B) {
		crop := make([]byte, s.CropSize*s.CropSize*s.Channels)
		for i := range crop {
			crop[i] = byte(i * i % 251)
		}
		e := encoder{
			ops: newOnnxOps(net.Params), in: onnx.TensorProto_UINT8,
			dims: []int{s.CropSize, s.CropSize, s.Channels},
		}
		e.out = tandemFaces(e.ops, a, e.input())
		runEncoder(b, e, a.FaceFeatures(), crop)
	})
	b.Run("sound", func(b *testing.B) {
		audio := make([]float32, s.AudioSamples())
		for i := range audio {
			audio[i] = float32(i%160)/800 - 0.1
		}
		e := encoder{ops: newOnnxOps(net.Params), in: onnx.TensorProto_FLOAT, dims: []int{s.AudioSamples()}}
		e.out = tandemAudio(e.ops, a, e.input(), e.ops.tensor("covered", []float32{1}, 1, 1))
		runEncoder(b, e, a.SoundDim, audio)
	})
}

// encoder is a graph with the one input "in", which has dims behind its batch, and one output.
type encoder struct {
	ops  *onnxOps
	in   onnx.TensorProto_DataType
	dims []int
	out  onnxValue
}

func (e encoder) input() onnxValue { return onnxValue{name: "in", dims: append([]int{-1}, e.dims...)} }

// runEncoder times an encoder on a batch of one, whose output has a width.
func runEncoder[T ort.TensorData](b *testing.B, e encoder, width int, data []T) {
	b.Helper()
	shape := ort.NewShape(1)
	for _, d := range e.dims {
		shape = append(shape, int64(d))
	}
	in, err := ort.NewTensor(shape, data)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Destroy()
	e.ops.named(e.out, "out")
	file, err := e.ops.model(
		[]*onnx.ValueInfoProto{valueInfo("in", e.in, e.dims...)},
		[]*onnx.ValueInfoProto{valueInfo("out", onnx.TensorProto_FLOAT, width)}, nil)
	if err != nil {
		b.Fatal(err)
	}
	so, err := ort.NewSessionOptions()
	if err != nil {
		b.Fatal(err)
	}
	defer so.Destroy()
	if err := errors.Join(so.SetIntraOpNumThreads(1), so.SetInterOpNumThreads(1)); err != nil {
		b.Fatal(err)
	}
	session, err := ort.NewDynamicAdvancedSessionWithONNXData(file, []string{"in"}, []string{"out"}, so)
	if err != nil {
		b.Fatal(err)
	}
	defer session.Destroy()
	res, err := ort.NewEmptyTensor[float32](ort.NewShape(1, int64(width)))
	if err != nil {
		b.Fatal(err)
	}
	defer res.Destroy()
	for b.Loop() {
		if err := session.Run([]ort.Value{in}, []ort.Value{res}); err != nil {
			b.Fatal(err)
		}
	}
}
