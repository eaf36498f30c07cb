package train

import (
	"errors"
	"testing"

	onnx "github.com/gomlx/compute-onnx/support/protos"
	ort "github.com/yalue/onnxruntime_go"

	"tandem/infer"
	"tandem/train/nn"
)

// BenchmarkEncode is the embedded model's encoders' share of a window's inference, on one thread: one face crop, of
// which a window has VideoFrames, and one window of sound.
func BenchmarkEncode(b *testing.B) {
	if err := infer.Init(); err != nil {
		b.Skip(err)
	}
	in, err := ReadPretrained("embedded", infer.DefaultModel())
	if err != nil {
		b.Fatal(err)
	}
	a, s := in.Arch, in.Arch.Spec
	b.Run("face", func(b *testing.B) {
		o := nn.NewOnnxOps(in.Params)
		dims := []int{s.CropSize, s.CropSize, s.Channels}
		out := nn.FaceEncoders(o, a, nn.OnnxValue{Name: "in", Dims: append([]int{-1}, dims...)})
		crop, err := ort.NewTensor(ort.NewShape(1, int64(dims[0]), int64(dims[1]), int64(dims[2])),
			textured(s.CropSize, s.Channels))
		if err != nil {
			b.Fatal(err)
		}
		defer crop.Destroy()
		runEncoder(b, o, out, onnx.TensorProto_UINT8, dims, a.FaceFeatures(), crop)
	})
	b.Run("sound", func(b *testing.B) {
		o := nn.NewOnnxOps(in.Params)
		dims := []int{s.AudioSamples()}
		out := nn.SoundEncoder(o, a, nn.OnnxValue{Name: "in", Dims: []int{-1, dims[0]}})
		data := make([]float32, dims[0])
		for i := range data {
			data[i] = float32(i%160)/800 - 0.1
		}
		sound, err := ort.NewTensor(ort.NewShape(1, int64(dims[0])), data)
		if err != nil {
			b.Fatal(err)
		}
		defer sound.Destroy()
		runEncoder(b, o, out, onnx.TensorProto_FLOAT, dims, a.SoundDim, sound)
	})
}

// textured is a crop that is not all alike.
func textured(size, channels int) []byte {
	crop := make([]byte, size*size*channels)
	for i := range crop {
		crop[i] = byte(i * i % 251)
	}
	return crop
}

// runEncoder times a graph with the one input "in", which has dims behind its batch of one, and the output out.
func runEncoder(b *testing.B, o *nn.OnnxOps, out nn.OnnxValue, inType onnx.TensorProto_DataType, dims []int, width int,
	in ort.Value,
) {
	b.Helper()
	o.Rename(out, "out")
	file, err := o.Model(
		[]*onnx.ValueInfoProto{nn.ValueInfo("in", inType, dims...)},
		[]*onnx.ValueInfoProto{nn.ValueInfo("out", onnx.TensorProto_FLOAT, width)}, nil)
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
