package infer_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"tandem/infer"
	"tandem/infer/infertest"
	"tandem/pipeline"
)

func TestSpeakerContractSurvivesAFile(t *testing.T) {
	want := infertest.SpeakerContract()
	got, err := infer.LoadSpeakerModel(infertest.SpeakerModel(want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestLoadSpeakerModelRefuses(t *testing.T) {
	meta := func(key, value string) func(*protos.ModelProto) {
		return func(m *protos.ModelProto) {
			for _, p := range m.MetadataProps {
				if p.Key == "tandem."+key {
					p.Value = value
				}
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*protos.ModelProto)
		want   string
	}{
		"another kind":    {meta("kind", "emotions"), "tandem.kind"},
		"a schema to be":  {meta("schema", "2"), "tandem.schema"},
		"no gain":         {meta("gain", "0"), "tandem.gain"},
		"no number":       {meta("bias", "NaN"), "tandem.bias"},
		"huge mouths":     {meta("mouth_size", "4096"), "tandem.mouth_size"},
		"rare mouths":     {meta("mouth_seconds", "0.5"), "tandem.mouth_seconds"},
		"part of samples": {meta("mouth_seconds", "0.06401"), "whole number of samples"},
		"other slots":     {meta("mouth_slots", "9"), `"mouths" has shape`},
		"data":            {meta("data", "{"), "tandem.data"},
		"metrics":         {meta("metrics", "{"), "tandem.metrics"},
		"created":         {meta("created", "today"), "tandem.created"},
		"no sound":        {func(m *protos.ModelProto) { m.Graph.Input = m.Graph.Input[:2] }, `"audio"`},
		"no answer":       {func(m *protos.ModelProto) { m.Graph.Output[0].Name = "x" }, `"x"`},
		"keys twice": {func(m *protos.ModelProto) {
			m.MetadataProps = append(m.MetadataProps, m.MetadataProps[0])
		}, "twice"},
		"no metadata": {func(m *protos.ModelProto) { m.MetadataProps = nil }, "--task speaker"},
	} {
		m := infertest.SpeakerProto(infertest.SpeakerContract())
		c.change(m)
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		_, err = infer.LoadSpeakerModel(b)
		if !errors.Is(err, infer.ErrContract) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := infer.LoadSpeakerModel(infertest.Model(infertest.Contract())); !errors.Is(err, infer.ErrContract) {
		t.Errorf("a model of emotions: %v", err)
	}
	_, err := infer.LoadModel(infertest.SpeakerModel(infertest.SpeakerContract()))
	if !errors.Is(err, infer.ErrContract) {
		t.Errorf("a speaker model in place of one of emotions: %v", err)
	}
}

func TestSpeaker(t *testing.T) {
	needRuntime(t)
	c := infertest.SpeakerContract()
	s, err := infer.NewSpeaker(infertest.SpeakerModel(c))
	if err != nil {
		t.Fatal(err)
	}
	lips := func(v byte) pipeline.Lips {
		l := pipeline.Lips{Pixels: make([]byte, 8*8*8), There: make([]bool, 8)}
		for i := range l.Pixels {
			l.Pixels[i] = v
		}
		for i := range l.There {
			l.There[i] = i != 3
		}
		return l
	}
	sound := make([]float32, c.AudioSamples())
	for i := range sound {
		sound[i] = 0.5
	}
	sound[0] = float32(math.NaN()) // counts as 0
	got, err := s.Speaking(t.Context(), sound, []pipeline.Lips{lips(10), lips(20)})
	if err != nil {
		t.Fatal(err)
	}
	for f, bright := range []float64{10, 20} {
		for k, v := range got[f] {
			want := 0.5*(bright+0.5) - 0.25
			if k == 3 {
				want = 0 // no mouth
			}
			if math.Abs(v-want) > 1e-3 {
				t.Errorf("face %d, slot %d: %v, want %v", f, k, v, want)
			}
		}
	}
	if got, err := s.Speaking(t.Context(), sound, nil); got != nil || err != nil {
		t.Errorf("nobody: %v, %v", got, err)
	}
	if _, err := s.Speaking(t.Context(), sound[1:], []pipeline.Lips{lips(1)}); err == nil {
		t.Error("too little sound passed")
	}
	if _, err := s.Speaking(t.Context(), sound, []pipeline.Lips{{}}); err == nil {
		t.Error("a face without slots passed")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Speaking(ended, sound, []pipeline.Lips{lips(1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Speaking(t.Context(), sound, []pipeline.Lips{lips(1)}); !errors.Is(err, infer.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// A model that keeps the contract and cannot run is refused when it is loaded.
func TestNewSpeakerRefusesWhatDoesNotRun(t *testing.T) {
	needRuntime(t)
	m := infertest.SpeakerProto(infertest.SpeakerContract())
	m.Graph.Node[0].OpType = "NoSuchOperator"
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := infer.NewSpeaker(b); !errors.Is(err, infer.ErrContract) {
		t.Error(err)
	}
}

func TestDefaultSpeakerModel(t *testing.T) {
	needRuntime(t)
	s, err := infer.NewSpeaker(infer.DefaultSpeakerModel())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if c := s.Contract(); len(c.Data) == 0 || string(c.Metrics) == "{}" {
		t.Errorf("the embedded speaker model does not say what it was trained on and how good it is: %+v", c)
	}
}

func FuzzLoadSpeakerModel(f *testing.F) {
	whole := infertest.SpeakerModel(infertest.SpeakerContract())
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{})
	f.Add([]byte("words"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := infer.LoadSpeakerModel(b)
		if err != nil {
			if !errors.Is(err, infer.ErrContract) || len(err.Error()) > 20000 {
				t.Fatalf("error of %d bytes: %.300v", len(err.Error()), err)
			}
			return
		}
		again, err := infer.ParseSpeakerContract(c.Metadata())
		if err != nil {
			t.Fatalf("an accepted contract is refused once written: %v", err)
		}
		if !reflect.DeepEqual(again.Metadata(), c.Metadata()) {
			t.Fatalf("%+v became %+v", c, again)
		}
		if err := c.Mouths.Validate(); err != nil || c.AudioSamples() <= 0 {
			t.Fatalf("accepted useless mouths %+v: %v", c.Mouths, err)
		}
	})
}
