package nn

import (
	"fmt"
	"maps"
	"slices"

	onnx "github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"tandem/infer"
)

// Export writes the network as an ONNX file that keeps the contract of package infer. c's shape fields are set from
// the architecture; the rest is the caller's.
func Export(a Arch, w Weights, c infer.Contract) ([]byte, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	s := a.Spec
	c.Window, c.Hop, c.VideoFrames, c.CropSize, c.CropMargin = s.Window, s.Hop, s.VideoFrames, s.CropSize, s.CropMargin
	c.PixelScale = [2]float64{pixelLo, pixelHi}
	o := NewOnnxOps(w)
	video := OnnxValue{Name: "video", Dims: []int{-1, s.VideoFrames, s.CropSize, s.CropSize, s.Channels}}
	audio := OnnxValue{Name: "audio", Dims: []int{-1, s.AudioSamples()}}
	videoMask := OnnxValue{Name: "video_mask", Dims: []int{-1, s.VideoFrames}}
	audioMask := OnnxValue{Name: "audio_mask", Dims: []int{-1, 1}}

	var faces, sound OnnxValue
	if a.Sees() {
		faces = EncodeFaces(o, a, o.reshape(video, -1, s.CropSize, s.CropSize, s.Channels))
		faces = o.Rename(faces, "face_features") // where runners may cut it
		faces = o.reshape(faces, -1, s.VideoFrames, a.FaceFeatures())
	}
	if a.Hears() {
		sound = EncodeSound(o, a, audio)
	}
	emotion, gender := FuseSenses(o, a, faces, videoMask, sound, audioMask)
	o.Rename(emotion, "emotion")
	o.Rename(gender, "gender")
	const f = onnx.TensorProto_FLOAT
	return o.Model(
		[]*onnx.ValueInfoProto{
			ValueInfo("audio", f, s.AudioSamples()),
			ValueInfo("video", onnx.TensorProto_UINT8, s.VideoFrames, s.CropSize, s.CropSize, s.Channels),
			ValueInfo("audio_mask", f, 1),
			ValueInfo("video_mask", f, s.VideoFrames),
		},
		[]*onnx.ValueInfoProto{ValueInfo("emotion", f, a.Emotions), ValueInfo("gender", f, a.Genders)},
		c.Metadata())
}

// WithContract gives a model's bytes with other metadata: temperatures and metrics are known only after training.
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

// Parameters is how many numbers of the network are trained.
func (w Weights) Parameters() int {
	n := 0
	for name, p := range w {
		if !isStatistic(name) {
			n += len(p.Data)
		}
	}
	return n
}
