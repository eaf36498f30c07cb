package infer_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
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

// talkers are two faces with moving mouths, each with a cache, and a sound.
func talkers(c infer.SpeakerContract) (sound []float32, faces []pipeline.Lips) {
	m := c.Mouths
	sound = make([]float32, c.AudioSamples())
	for i := range sound {
		sound[i] = 0.3 * float32(math.Sin(float64(i)*0.2)*math.Sin(float64(i)*0.0007))
	}
	for f := range 2 {
		lips := pipeline.Lips{Pixels: make([]byte, m.Slots*m.Size*m.Size), There: make([]bool, m.Slots)}
		for i := range lips.Pixels {
			slot, y, x := i/(m.Size*m.Size), i/m.Size%m.Size, i%m.Size
			opened := 8 * math.Abs(math.Sin(float64(slot)*(0.4+0.3*float64(f))))
			lips.Pixels[i] = byte(60 + 2*x)
			if math.Hypot(float64(x-m.Size/2)/2, float64(y-m.Size/2)) > opened {
				lips.Pixels[i] += 100
			}
		}
		for k := range lips.There {
			lips.There[k] = f == 0 || k%9 != 4
			lips.Caches = append(lips.Caches, new(pipeline.FeatureCache))
		}
		faces = append(faces, lips)
	}
	return sound, faces
}

// A mouth is read once for all windows in which it stands, and again when its face's light has changed.
func TestSpeakerRemembersMouths(t *testing.T) {
	needRuntime(t)
	s, err := infer.NewSpeaker(infer.DefaultSpeakerModel())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sound, faces := talkers(s.Contract())
	ask := func(remember bool) [][]float64 {
		fs := slices.Clone(faces)
		if !remember {
			for i := range fs {
				fs[i].Caches = nil
			}
		}
		odds, err := s.Speaking(t.Context(), sound, fs)
		if err != nil {
			t.Fatal(err)
		}
		return odds
	}
	off := func(a, b [][]float64) (most float64) {
		for f := range a {
			for k := range a[f] {
				most = max(most, math.Abs(a[f][k]-b[f][k]))
			}
		}
		return most
	}
	want := ask(false)
	for range 2 {
		if d := off(ask(true), want); d > 1e-4 {
			t.Errorf("with caches it is off by %v", d)
		}
	}
	// Upside down, the mouths have the same light: what is remembered is used.
	for _, f := range faces {
		for mouth := range slices.Chunk(f.Pixels, len(f.Pixels)/len(f.There)) {
			slices.Reverse(mouth)
		}
	}
	if d := off(ask(false), want); d < 0.01 {
		t.Errorf("other mouths give the same answers, to %v", d)
	}
	if d := off(ask(true), want); d > 1e-4 {
		t.Errorf("mouths that are remembered were read again: off by %v", d)
	}
	// Half the contrast: all are read again.
	for _, f := range faces {
		for i := range f.Pixels {
			f.Pixels[i] /= 2
		}
	}
	if d := off(ask(true), ask(false)); d > 1e-4 {
		t.Errorf("in another light what is remembered is used: off by %v", d)
	}
}

// A model whose lip_features is not what its contract tells is refused, or windows with and without caches would
// differ.
func TestSpeakerRefusesToBeCut(t *testing.T) {
	needRuntime(t)
	for want, bend := range map[string]func(g *protos.GraphProto, pairs, features *protos.NodeProto){
		`"lip_features" depends on input "audio"`: func(g *protos.GraphProto, _, features *protos.NodeProto) {
			g.Node = append([]*protos.NodeProto{
				{OpType: "ReduceMean", Input: []string{"audio"}, Output: []string{"loudness"}},
			}, g.Node...)
			features.OpType, features.Input = "Add", append(features.Input, "loudness")
		},
		`the output depends on input "mouths" by other ways`: func(g *protos.GraphProto, _, _ *protos.NodeProto) {
			last := g.Node[len(g.Node)-1]
			g.Node = append(g.Node[:len(g.Node)-1:len(g.Node)-1],
				&protos.NodeProto{
					OpType: "Cast", Input: []string{"mouths"}, Output: []string{"pixels"},
					Attribute: []*protos.AttributeProto{{Name: "to", Type: protos.AttributeProto_INT, I: 1}},
				},
				&protos.NodeProto{OpType: "ReduceMean", Input: []string{"pixels"}, Output: []string{"brightness"}},
				last)
			g.Node = append(g.Node, &protos.NodeProto{
				OpType: "Add", Input: []string{"answer", "brightness"},
				Output: []string{last.Output[0]},
			})
			last.Output = []string{"answer"}
		},
		`"lip_features" is not of each mouth`: func(_ *protos.GraphProto, pairs, _ *protos.NodeProto) {
			pairs.OpType, pairs.Input = "Add", []string{pairs.Input[0], pairs.Input[0]}
		},
	} {
		var m protos.ModelProto
		if err := proto.Unmarshal(infer.DefaultSpeakerModel(), &m); err != nil {
			t.Fatal(err)
		}
		find := func(name string) *protos.NodeProto {
			return m.Graph.Node[slices.IndexFunc(m.Graph.Node,
				func(n *protos.NodeProto) bool { return slices.Contains(n.Output, name) })]
		}
		bend(m.Graph, find("lip_pairs"), find("lip_features"))
		b, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := infer.NewSpeaker(b); !errors.Is(err, infer.ErrContract) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
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
