package nn

import (
	"fmt"
	"maps"
	"slices"

	onnx "github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"tandem/infer"
)

// Export returns the network as the bytes of an ONNX file that keeps the contract of package infer. c's shape fields
// are set from the architecture; the rest is the caller's. It fails where w lacks a parameter or has it in another
// shape.
func Export(a Arch, w Weights, c infer.Contract) ([]byte, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	s := a.Spec
	c.Window, c.Hop, c.VideoFrames, c.CropSize, c.CropMargin = s.Window, s.Hop, s.VideoFrames, s.CropSize, s.CropMargin
	c.PixelScale = [2]float64{pixelLo, pixelHi}
	o := newOnnxOps(w)
	video := onnxValue{name: "video", dims: []int{-1, s.VideoFrames, s.CropSize, s.CropSize, s.Channels}}
	audio := onnxValue{name: "audio", dims: []int{-1, s.AudioSamples()}}
	videoMask := onnxValue{name: "video_mask", dims: []int{-1, s.VideoFrames}}
	audioMask := onnxValue{name: "audio_mask", dims: []int{-1, 1}}
	covered := onnxValue{name: "audio_covered", dims: []int{-1, 1}}

	var faces, sounds onnxValue // features
	if a.UsesVideo() {
		faces = encodeFaces(o, a, o.reshape(video, -1, s.CropSize, s.CropSize, s.Channels))
		faces = o.named(faces, "face_features") // where runners may cut it
		faces = o.reshape(faces, -1, s.VideoFrames, a.FaceFeatures())
	}
	if a.UsesAudio() {
		sounds = encodeAudio(o, a, audio, covered)
		if a.Kind == KindTandem { // without sound the paper's network reads silence
			sounds = o.named(sounds, "sound_features")
		}
	}
	emotion, gender := fuse(o, a, faces, videoMask, sounds, audioMask)
	o.named(emotion, "emotion")
	o.named(gender, "gender")
	const f = onnx.TensorProto_FLOAT
	inputs := []*onnx.ValueInfoProto{
		valueInfo("audio", f, s.AudioSamples()),
		valueInfo("video", onnx.TensorProto_UINT8, s.VideoFrames, s.CropSize, s.CropSize, s.Channels),
		valueInfo("audio_mask", f, 1),
		valueInfo("video_mask", f, s.VideoFrames),
	}
	if a.Kind == KindTandem {
		inputs = append(inputs, valueInfo(covered.name, f, 1))
	}
	return o.model(inputs,
		[]*onnx.ValueInfoProto{valueInfo("emotion", f, a.Emotions), valueInfo("gender", f, a.Genders)},
		c.Metadata())
}

// WithContract returns a model's bytes with the metadata of c instead of its own: temperatures and metrics are known
// only after training.
func WithContract(model []byte, c infer.Contract) ([]byte, error) {
	var m onnx.ModelProto
	if err := proto.Unmarshal(model, &m); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	m.MetadataProps = nil
	meta := c.Metadata()
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		m.MetadataProps = append(m.MetadataProps, &onnx.StringStringEntryProto{Key: k, Value: meta[k]})
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(&m)
}
