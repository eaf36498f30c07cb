// Package infertest makes small models that keep tandem's contract, for tests that must not depend on a trained one,
// and loads the embedded one for those that may.
package infertest

import (
	"maps"
	"slices"
	"time"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"tandem/infer"
)

// Contract is a valid contract with tandem's default labels and windows, and small pictures.
func Contract() infer.Contract {
	return infer.Contract{
		Emotions:           []string{"neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"},
		Genders:            []string{"female", "male"},
		SampleRate:         16000,
		Window:             2560 * time.Millisecond,
		Hop:                250 * time.Millisecond,
		VideoFrames:        8,
		CropSize:           16,
		CropMargin:         2.5,
		PixelScale:         [2]float64{-1, 1},
		AudioNorm:          0.1,
		EmotionTemperature: 1.5,
		GenderTemperature:  0.8,
		TaskWeights:        infer.TaskWeights{Emotion: 0.6, Gender: 0.4},
		Weighting:          "softmax",
		Data:               []infer.DataSet{{Name: "made", Split: "00ff", Licence: "Apache-2.0"}},
		Metrics:            []byte(`{"emotion":{"accuracy":0.5}}`),
		Created:            time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		TandemVersion:      "test",
		Channels:           3,
	}
}

// Model returns an ONNX file that keeps the contract. Its network is linear with fixed weights: each output
// depends on each input, a masked modality has no influence, and there is nothing to be learnt from its answers. It
// reads windows that begin empty if c.Covered.
func Model(c infer.Contract) []byte {
	b, err := proto.Marshal(Proto(c))
	if err != nil {
		panic(err) // a message made here
	}
	return b
}

// Proto returns the message that Model marshals, for tests that change it.
func Proto(c infer.Contract) *protos.ModelProto {
	samples := int64(c.Spec().AudioSamples())
	T, S, C := int64(c.VideoFrames), int64(c.CropSize), int64(c.Channels)
	E, G := int64(len(c.Emotions)), int64(len(c.Genders))
	pixels := protos.TensorProto_UINT8
	if c.FloatVideo {
		pixels = protos.TensorProto_FLOAT
	}
	f32 := protos.TensorProto_FLOAT
	heardBy := "audio_mask"
	if c.Covered {
		heardBy = "audio_share"
	}
	g := &protos.GraphProto{
		Name: "infertest",
		Input: []*protos.ValueInfoProto{
			Value("audio", f32, samples),
			Value("video", pixels, T, S, S, C),
			Value("audio_mask", f32, 1),
			Value("video_mask", f32, T),
		},
		Output: []*protos.ValueInfoProto{Value("emotion", f32, E), Value("gender", f32, G)},
		Initializer: []*protos.TensorProto{
			weights("w_audio_emotion", samples, E), weights("w_video_emotion", T, E),
			weights("w_audio_gender", samples, G), weights("w_video_gender", T, G),
		},
		Node: []*protos.NodeProto{
			node("Mul", "heard", "audio", heardBy),
			cast("pixels", "video"),
			reduceMean("brightness", "pixels", 2, 3, 4),
			node("Mul", "seen", "brightness", "video_mask"),
			node("MatMul", "heard_emotion", "heard", "w_audio_emotion"),
			node("MatMul", "seen_emotion", "seen", "w_video_emotion"),
			node("Add", "emotion", "heard_emotion", "seen_emotion"),
			node("MatMul", "heard_gender", "heard", "w_audio_gender"),
			node("MatMul", "seen_gender", "seen", "w_video_gender"),
			node("Add", "gender", "heard_gender", "seen_gender"),
		},
	}
	if c.Covered {
		g.Input = append(g.Input, Value("audio_covered", f32, 1))
		g.Node = append([]*protos.NodeProto{node("Mul", heardBy, "audio_mask", "audio_covered")}, g.Node...)
	}
	m := &protos.ModelProto{
		IrVersion:    8,
		ProducerName: "infertest",
		OpsetImport:  []*protos.OperatorSetIdProto{{Version: 17}},
		Graph:        g,
	}
	metadata := c.Metadata()
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		m.MetadataProps = append(m.MetadataProps, &protos.StringStringEntryProto{Key: k, Value: metadata[k]})
	}
	return m
}

// Split is Proto's network with the brightness of each crop as an inner tensor "face_features" [B*T, 1] and the sound,
// times the share that is covered, as another, "sound_features" [B, samples]. At these a runner may cut it. It gives
// the same answers.
func Split(c infer.Contract) *protos.ModelProto {
	m := Proto(c)
	sound := node("Identity", "sound_features", "audio")
	if c.Covered {
		sound = node("Mul", "sound_features", "audio", "audio_covered")
		m.Graph.Node = m.Graph.Node[1:] // without audio_share
	}
	at := slices.IndexFunc(m.Graph.Node, func(n *protos.NodeProto) bool { return n.Output[0] == "heard" })
	m.Graph.Node = slices.Replace(m.Graph.Node, at, at+1, sound, node("Mul", "heard", "sound_features", "audio_mask"))
	T, S, C := int64(c.VideoFrames), int64(c.CropSize), int64(c.Channels)
	i := slices.IndexFunc(m.Graph.Node, func(n *protos.NodeProto) bool { return n.Output[0] == "brightness" })
	m.Graph.Node = slices.Replace(m.Graph.Node, i, i+1,
		node("Reshape", "crops", "pixels", "crop_shape"),
		reduceMean("brightness_flat", "crops", 1),
		node("Reshape", "face_features", "brightness_flat", "feature_shape"),
		node("Reshape", "brightness", "face_features", "window_shape"))
	m.Graph.Initializer = append(m.Graph.Initializer,
		ints("crop_shape", -1, S*S*C), ints("feature_shape", -1, 1), ints("window_shape", -1, T))
	return m
}

func ints(name string, v ...int64) *protos.TensorProto {
	return &protos.TensorProto{
		Name: name, DataType: int32(protos.TensorProto_INT64), Dims: []int64{int64(len(v))},
		Int64Data: v,
	}
}

// Value describes an input or output with a dynamic first dimension.
func Value(name string, t protos.TensorProto_DataType, dims ...int64) *protos.ValueInfoProto {
	shape := &protos.TensorShapeProto{Dim: []*protos.TensorShapeProto_Dimension{
		{Value: &protos.TensorShapeProto_Dimension_DimParam{DimParam: "B"}},
	}}
	for _, d := range dims {
		shape.Dim = append(shape.Dim,
			&protos.TensorShapeProto_Dimension{Value: &protos.TensorShapeProto_Dimension_DimValue{DimValue: d}})
	}
	return &protos.ValueInfoProto{
		Name: name,
		Type: &protos.TypeProto{Value: &protos.TypeProto_TensorType{TensorType: &protos.TypeProto_Tensor{
			ElemType: int32(t),
			Shape:    shape,
		}}},
	}
}

// weights is a matrix of small, unequal numbers.
func weights(name string, rows, cols int64) *protos.TensorProto {
	data := make([]float32, rows*cols)
	for i := range data {
		data[i] = float32((i*7919)%101-50) / 500
	}
	return &protos.TensorProto{
		Name:      name,
		DataType:  int32(protos.TensorProto_FLOAT),
		Dims:      []int64{rows, cols},
		FloatData: data,
	}
}

func node(op, output string, inputs ...string) *protos.NodeProto {
	return &protos.NodeProto{OpType: op, Name: output, Input: inputs, Output: []string{output}}
}

func cast(output, input string) *protos.NodeProto {
	n := node("Cast", output, input)
	n.Attribute = []*protos.AttributeProto{{
		Name: "to", Type: protos.AttributeProto_INT, I: int64(protos.TensorProto_FLOAT),
	}}
	return n
}

func reduceMean(output, input string, axes ...int64) *protos.NodeProto {
	n := node("ReduceMean", output, input)
	n.Attribute = []*protos.AttributeProto{
		{Name: "axes", Type: protos.AttributeProto_INTS, Ints: axes},
		{Name: "keepdims", Type: protos.AttributeProto_INT, I: 0},
	}
	return n
}
