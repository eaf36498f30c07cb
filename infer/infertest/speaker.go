package infertest

import (
	"maps"
	"slices"
	"time"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"tandem/infer"
	"tandem/pipeline"
)

// SpeakerContract is a valid contract of a speaker model, with small mouths.
func SpeakerContract() infer.SpeakerContract {
	return infer.SpeakerContract{
		SampleRate: 16000,
		Mouths:     pipeline.MouthSpec{Every: 64 * time.Millisecond, Size: 8, Margin: 1.6, Slots: 8},
		Gain:       0.5, Bias: -0.25,
		Data:    []infer.DataSet{{Name: "made", Split: "00ff", Licence: "Apache-2.0"}},
		Metrics: []byte(`{"made":{"silent":0.5}}`), Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		TandemVersion: "test",
	}
}

// SpeakerModel returns an ONNX file that keeps the contract: a slot's answer is the mean brightness of its mouth, from
// 0 to 255, plus the mean of all sound.
func SpeakerModel(c infer.SpeakerContract) []byte {
	b, err := proto.Marshal(SpeakerProto(c))
	if err != nil {
		panic(err) // a message made here
	}
	return b
}

// SpeakerProto returns the message that SpeakerModel marshals, for tests that change it.
func SpeakerProto(c infer.SpeakerContract) *protos.ModelProto {
	T, S := int64(c.Mouths.Slots), int64(c.Mouths.Size)
	f32 := protos.TensorProto_FLOAT
	audio := Value("audio", f32, int64(c.AudioSamples()))
	audio.GetType().GetTensorType().GetShape().Dim[0].Value = &protos.TensorShapeProto_Dimension_DimValue{DimValue: 1}
	m := &protos.ModelProto{
		IrVersion: 8, ProducerName: "infertest", OpsetImport: []*protos.OperatorSetIdProto{{Version: 17}},
		Graph: &protos.GraphProto{
			Name: "infertest",
			Input: []*protos.ValueInfoProto{
				Value("mouths", protos.TensorProto_UINT8, T, S, S), Value("there", f32, T), audio,
			},
			Output: []*protos.ValueInfoProto{Value("speaking", f32, T)},
			Node: []*protos.NodeProto{
				cast("pixels", "mouths"), reduceMean("brightness", "pixels", 2, 3),
				node("Mul", "seen", "brightness", "there"),
				keepMean("level", "audio", 1), node("Add", "speaking", "seen", "level"),
			},
		},
	}
	metadata := c.Metadata()
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		m.MetadataProps = append(m.MetadataProps, &protos.StringStringEntryProto{Key: k, Value: metadata[k]})
	}
	return m
}

// keepMean is reduceMean, but the axes stay, as 1.
func keepMean(out, in string, axes ...int64) *protos.NodeProto {
	n := reduceMean(out, in, axes...)
	for _, a := range n.Attribute {
		if a.Name == "keepdims" {
			a.I = 1
		}
	}
	return n
}
