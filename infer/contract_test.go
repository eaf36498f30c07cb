package infer_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"tandem/infer"
	"tandem/infer/infertest"
)

func TestContractRoundTrip(t *testing.T) {
	want := infertest.Contract()
	want.EmotionAlone = infer.ModalityTemperatures{Audio: 1.25, Video: 0.5}
	want.GenderAlone = infer.ModalityTemperatures{Video: 3}
	want.Senses, want.MetricsSplit = "video", "test"
	want.Trained = &infer.Trained{Clips: infer.NewKeys([]infer.Key{7, 1 << 39, 8}), Incomplete: true}
	want.Calibration = map[string]infer.Calibration{
		"emotion.audio": {Clips: 12, Speakers: 3, Expected: 1.5, Pull: 8.8},
	}
	for _, norm := range []infer.AudioNorm{0, 0.1, 1. / 3} {
		for _, floatVideo := range []bool{false, true} {
			for _, channels := range []int{1, 3} {
				want.Covered = channels == 1
				want.AudioNorm, want.FloatVideo, want.Channels = norm, floatVideo, channels
				got, err := infer.LoadModel(infertest.Model(want))
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			}
		}
	}
	spec := want.Spec()
	if spec.AudioSamples() != 40960 || spec.VideoFrames != 8 || spec.CropSize != 16 || spec.Channels != 3 ||
		spec.CropMargin != 2.5 {
		t.Errorf("spec %+v", spec)
	}
}

// A window with one modality has that modality's temperatures where the model has them, and else those of both.
func TestContractTemperatures(t *testing.T) {
	c := infer.Contract{
		EmotionTemperature: 2, GenderTemperature: 4,
		EmotionAlone: infer.ModalityTemperatures{Audio: 5, Video: 6}, GenderAlone: infer.ModalityTemperatures{Video: 7},
	}
	for _, want := range []struct {
		audio, video    bool
		emotion, gender float64
	}{{true, true, 2, 4}, {true, false, 5, 4}, {false, true, 6, 7}, {false, false, 2, 4}} {
		if emotion, gender := c.Temperatures(want.audio, want.video); emotion != want.emotion || gender != want.gender {
			t.Errorf("audio %v, video %v: %g and %g, want %g and %g", want.audio, want.video, emotion, gender,
				want.emotion, want.gender)
		}
	}
}

// A model says that it takes any sound, or nothing, which means voices.
func TestContractHears(t *testing.T) {
	c := infertest.Contract()
	for _, anySound := range []bool{true, false} {
		c.AnySound = anySound
		m := c.Metadata()
		if _, says := m["tandem.hears"]; says != anySound {
			t.Errorf("any sound %v: hears %q", anySound, m["tandem.hears"])
		}
		if got, err := infer.ParseContract(m); err != nil || got.AnySound != anySound {
			t.Errorf("any sound %v was read as %v, %v", anySound, got.AnySound, err)
		}
	}
}

func TestContractKeys(t *testing.T) {
	// The keys of the contract as the design lists them.
	want := strings.Fields(`schema emotions genders sample_rate window_seconds hop_seconds video_frames crop_size
		crop_margin pixel_scale audio_norm temperature.emotion temperature.gender task_weights weighting data metrics
		created tandem_version`)
	got := slices.Sorted(maps.Keys(infer.Contract{}.Metadata()))
	if len(got) != len(want) {
		t.Errorf("%d keys, want %d: %v", len(got), len(want), got)
	}
	for _, k := range want {
		m := infertest.Contract().Metadata()
		if _, ok := m["tandem."+k]; !ok {
			t.Errorf("tandem.%s is not written", k)
		}
		delete(m, "tandem."+k)
		_, err := infer.ParseContract(m)
		refused(t, err, "tandem."+k+" is missing")
	}
}

// refused demands an error that wraps ErrContract and says want.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	if !errors.Is(err, infer.ErrContract) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one of the contract with %q", err, want)
	}
}

func TestContractRefusesValues(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"schema", "2", "tandem.schema is 2, but this tandem reads 1"},
		{"schema", "one", `tandem.schema is "one"`},
		{"emotions", "", "tandem.emotions"},
		{"emotions", "happy", "has 1 names"},
		{"emotions", "happy,happy", "each once"},
		{"emotions", "happy, sad", "without spaces"},
		{"genders", "female,,male", "tandem.genders"},
		{"sample_rate", "8000", "must be 16000"},
		{"window_seconds", "0", "from 0.1 to 30"},
		{"window_seconds", "NaN", "from 0.1 to 30"},
		{"window_seconds", "1e9", "from 0.1 to 30"},
		{"hop_seconds", "-1", "tandem.hop_seconds"},
		{"hop_seconds", "3", "longer than window_seconds"},
		{"video_frames", "0", "tandem.video_frames"},
		{"video_frames", "2.5", "whole number"},
		{"crop_size", "100000", "tandem.crop_size"},
		{"crop_margin", "inf", "tandem.crop_margin"},
		{"pixel_scale", "1", "tandem.pixel_scale"},
		{"pixel_scale", "1,1", "tandem.pixel_scale"},
		{"pixel_scale", "0,1,2", "tandem.pixel_scale"},
		{"audio_norm", "peak", "tandem.audio_norm"},
		{"audio_norm", "rms:0", "tandem.audio_norm"},
		{"audio_norm", "rms:", "tandem.audio_norm"},
		{"hears", "ears", `tandem.hears is "ears", want voice or any`},
		{"temperature.emotion", "0", "tandem.temperature.emotion"},
		{"temperature.gender", "-1", "tandem.temperature.gender"},
		{"temperature.emotion.audio", "0", "tandem.temperature.emotion.audio"},
		{"temperature.gender.video", "hot", "tandem.temperature.gender.video"},
		{"trained_on", `{"clips":"?"}`, "tandem.trained_on is not a JSON object"},
		{"senses", "smell", `tandem.senses is "smell"`},
		{"calibration", "[1]", "tandem.calibration is not a JSON object"},
		{"task_weights", "0.5,0.5", "tandem.task_weights"},
		{"task_weights", "emotion=1", "tandem.task_weights"},
		{"weighting", " ", "tandem.weighting is empty"},
		{"data", "ravdess", "tandem.data is not a JSON array"},
		{"metrics", "{", "tandem.metrics is not JSON"},
		{"created", "yesterday", "RFC 3339"},
		{"tandem_version", "", "tandem.tandem_version is empty"},
	} {
		m := infertest.Contract().Metadata()
		m["tandem."+c.key] = c.value
		_, err := infer.ParseContract(m)
		refused(t, err, c.want)
	}
	// All that is wrong is said at once, and what is not known is passed over.
	m := infertest.Contract().Metadata()
	m["tandem.from_the_future"] = "?"
	if _, err := infer.ParseContract(maps.Clone(m)); err != nil {
		t.Error(err)
	}
	m["tandem.crop_size"], m["tandem.created"] = "x", "x"
	_, err := infer.ParseContract(m)
	refused(t, err, "tandem.crop_size")
	refused(t, err, "tandem.created")
}

// keepOutside makes a tensor keep its data in another file.
func keepOutside(x *protos.TensorProto) {
	x.DataLocation = protos.TensorProto_EXTERNAL
	x.ExternalData = []*protos.StringStringEntryProto{{Key: "location", Value: "../secret"}}
}

// brokenModel is a change to a valid model for which it must be refused.
type brokenModel struct {
	name, want string
	change     func(*protos.ModelProto)
}

// brokenModels are one of each kind.
var brokenModels = []brokenModel{
	{"no graph", "empty graph", func(m *protos.ModelProto) { m.Graph = nil }},
	{"no metadata", "tandem.schema is missing", func(m *protos.ModelProto) { m.MetadataProps = nil }},
	{
		"key twice", `"tandem.created" stands twice`,
		func(m *protos.ModelProto) { m.MetadataProps = append(m.MetadataProps, m.MetadataProps[1]) },
	},
	{
		"external weights", `tensor "w_audio_emotion" keeps its data in another file`,
		func(m *protos.ModelProto) { keepOutside(m.Graph.Initializer[0]) },
	},
	{
		"external constant in a nested graph", `tensor "hidden" keeps its data in another file`,
		func(m *protos.ModelProto) {
			hidden := &protos.TensorProto{Name: "hidden"}
			keepOutside(hidden)
			m.Graph.Node[0].Attribute = append(m.Graph.Node[0].Attribute, &protos.AttributeProto{
				G: &protos.GraphProto{Node: []*protos.NodeProto{{Attribute: []*protos.AttributeProto{{T: hidden}}}}},
			})
		},
	},
	{"external location only", `keeps its data in another file`, func(m *protos.ModelProto) {
		keepOutside(m.Graph.Initializer[1])
		m.Graph.Initializer[1].DataLocation = protos.TensorProto_DEFAULT
	}},
	{
		"input missing", `input "video_mask" is missing`,
		func(m *protos.ModelProto) { m.Graph.Input = m.Graph.Input[:3] },
	},
	{"input unknown", `input "text" is not in the contract`, func(m *protos.ModelProto) {
		m.Graph.Input = append(m.Graph.Input, infertest.Value("text", protos.TensorProto_STRING))
	}},
	{
		"output missing", `output "gender" is missing`,
		func(m *protos.ModelProto) { m.Graph.Output = m.Graph.Output[:1] },
	},
	{
		"output unknown", `output "age" is not in the contract`,
		func(m *protos.ModelProto) { m.Graph.Output[1].Name = "age" },
	},
	{"audio length", `input "audio" has shape [B 100], must be [B 40960]`, func(m *protos.ModelProto) {
		m.Graph.Input[0] = infertest.Value("audio", protos.TensorProto_FLOAT, 100)
	}},
	{"audio type", `input "audio" has type DOUBLE, must be FLOAT`, func(m *protos.ModelProto) {
		m.Graph.Input[0] = infertest.Value("audio", protos.TensorProto_DOUBLE, 40960)
	}},
	{"video type", `input "video" has type INT64, must be UINT8 or FLOAT`, func(m *protos.ModelProto) {
		m.Graph.Input[1] = infertest.Value("video", protos.TensorProto_INT64, 8, 16, 16, 3)
	}},
	{"video channels first", `input "video" has shape [B 8 3 16 16]`, func(m *protos.ModelProto) {
		m.Graph.Input[1] = infertest.Value("video", protos.TensorProto_UINT8, 8, 3, 16, 16)
	}},
	{"video channels", `input "video" has shape [B 8 16 16 4]`, func(m *protos.ModelProto) {
		m.Graph.Input[1] = infertest.Value("video", protos.TensorProto_UINT8, 8, 16, 16, 4)
	}},
	{"audio mask", `input "audio_mask" has shape [B]`, func(m *protos.ModelProto) {
		m.Graph.Input[2] = infertest.Value("audio_mask", protos.TensorProto_FLOAT)
	}},
	{"video mask", `input "video_mask" has shape [B 9]`, func(m *protos.ModelProto) {
		m.Graph.Input[3] = infertest.Value("video_mask", protos.TensorProto_FLOAT, 9)
	}},
	{"covered", `input "audio_covered" has shape [B 2], must be [B 1]`, func(m *protos.ModelProto) {
		m.Graph.Input = append(m.Graph.Input, infertest.Value("audio_covered", protos.TensorProto_FLOAT, 2))
	}},
	{
		"emotions", `output "emotion" has shape [B 6], must be [B 7] (B dynamic) by tandem.emotions`,
		func(m *protos.ModelProto) {
			m.Graph.Output[0] = infertest.Value("emotion", protos.TensorProto_FLOAT, 6)
		},
	},
	{"genders", `output "gender" has shape [B 3]`, func(m *protos.ModelProto) {
		m.Graph.Output[1] = infertest.Value("gender", protos.TensorProto_FLOAT, 3)
	}},
	{"fixed batch", `input "audio" has shape [1 40960], must be [B 40960] (B dynamic)`, func(m *protos.ModelProto) {
		dims := m.Graph.Input[0].GetType().GetTensorType().GetShape().Dim
		dims[0].Value = &protos.TensorShapeProto_Dimension_DimValue{DimValue: 1}
	}},
	{"dynamic length", `input "audio" has shape [B ?]`, func(m *protos.ModelProto) {
		dims := m.Graph.Input[0].GetType().GetTensorType().GetShape().Dim
		dims[1].Value = nil
	}},
	{
		"no shape", `input "audio" has shape []`,
		func(m *protos.ModelProto) { m.Graph.Input[0].GetType().GetTensorType().Shape = nil },
	},
	{"fraction of a sample", "not a whole number of samples", func(m *protos.ModelProto) {
		for _, p := range m.MetadataProps {
			if p.GetKey() == "tandem.window_seconds" {
				p.Value = "2.56003"
			}
		}
	}},
}

func TestLoadModelRefuses(t *testing.T) {
	for _, c := range brokenModels {
		t.Run(c.name, func(t *testing.T) {
			m := infertest.Proto(infertest.Contract())
			c.change(m)
			b, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			_, err = infer.LoadModel(b)
			refused(t, err, c.want)
		})
	}

	_, err := infer.LoadModel(nil)
	refused(t, err, "the file is empty")
	_, err = infer.LoadModel([]byte("not a model at all, only some words"))
	refused(t, err, "not ONNX")
	_, err = infer.LoadModel(make([]byte, infer.MaxModelBytes+1))
	refused(t, err, "limit of 192 MB")
	whole := infertest.Model(infertest.Contract())
	_, err = infer.LoadModel(whole[:len(whole)/2])
	refused(t, err, "not ONNX")
}

// Weights listed among the inputs, as IR versions before 4 demand, are no inputs of the contract.
func TestLoadModelOldIR(t *testing.T) {
	m := infertest.Proto(infertest.Contract())
	for _, w := range m.Graph.Initializer {
		m.Graph.Input = append(m.Graph.Input, &protos.ValueInfoProto{Name: w.Name})
	}
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := infer.LoadModel(b); err != nil {
		t.Error(err)
	}
}

func FuzzLoadModel(f *testing.F) {
	c := infertest.Contract()
	c.Window, c.VideoFrames, c.CropSize = c.Hop, 1, 8
	m := infertest.Proto(c)
	for _, w := range m.Graph.Initializer {
		w.FloatData = w.FloatData[:1] // the parser does not read weights
	}
	whole, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{})
	f.Add([]byte("words"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := infer.LoadModel(b)
		if err != nil {
			if !errors.Is(err, infer.ErrContract) || len(err.Error()) > 20000 {
				t.Fatalf("error of %d bytes: %.300v", len(err.Error()), err)
			}
			return
		}
		again, err := infer.ParseContract(c.Metadata())
		if err != nil {
			t.Fatalf("an accepted contract is refused once written: %v", err)
		}
		again.Channels, again.FloatVideo = c.Channels, c.FloatVideo
		if !reflect.DeepEqual(again.Metadata(), c.Metadata()) {
			t.Fatalf("%+v became %+v", c, again)
		}
		if s := c.Spec(); s.AudioSamples() <= 0 || s.FaceTick() <= 0 || c.Channels != 1 && c.Channels != 3 {
			t.Fatalf("accepted a useless spec %+v", s)
		}
	})
}
