package infer

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"tandem/pipeline"
)

// sileroModel returns the pinned network.
func sileroModel(tb testing.TB) []byte {
	tb.Helper()
	if err := Init(); err != nil {
		tb.Skip(err)
	}
	model, err := readAsset(sileroFile, ErrNoVoiceDetector)
	if err != nil {
		tb.Skip(err)
	}
	return model
}

// A file that is no Silero VAD is refused by one error, which says what to do.
func TestSileroRefuses(t *testing.T) {
	model := sileroModel(t)
	changed := func(change func(g *protos.GraphProto)) []byte {
		var m protos.ModelProto
		if err := proto.Unmarshal(model, &m); err != nil {
			t.Fatal(err)
		}
		change(m.Graph)
		b, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	front, err := readAsset("face_detection_front_128x128_barracuda.onnx", ErrNoDetector)
	if err != nil {
		t.Skip(err)
	}
	retype := func(v *protos.ValueInfoProto) {
		v.Type.GetTensorType().ElemType = int32(protos.TensorProto_FLOAT)
	}
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"no ONNX":          []byte("<html>not found</html>"),
		"a part of it":     model[:len(model)/2],
		"another network":  front,
		"another input":    changed(func(g *protos.GraphProto) { g.Input[0].Name = "sound" }),
		"an input less":    changed(func(g *protos.GraphProto) { g.Input = g.Input[:2] }),
		"an output more":   changed(func(g *protos.GraphProto) { g.Output = append(g.Output, g.Input[0]) }),
		"another type":     changed(func(g *protos.GraphProto) { retype(g.Input[2]) }),
		"another rank":     changed(func(g *protos.GraphProto) { g.Input[1].Type.GetTensorType().Shape = nil }),
		"no nodes":         changed(func(g *protos.GraphProto) { g.Node = nil }),
		"no graph":         {},
		"outputs switched": changed(func(g *protos.GraphProto) { slices.Reverse(g.Output) }),
	} {
		s, err := newSilero(b)
		if s != nil || err == nil || !strings.Contains(err.Error(), "make assets") ||
			!strings.Contains(err.Error(), sileroFile) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func TestSileroMissing(t *testing.T) {
	sileroModel(t)
	library, err := FindRuntime()
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(library, filepath.Join(dir, filepath.Base(library))); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TANDEM_ORT", dir)
	if _, err := NewSilero(); !errors.Is(err, ErrNoVoiceDetector) || !strings.Contains(err.Error(), "make assets") {
		t.Errorf("error %v", err)
	}
}

// Whatever samples come, the answer is a probability, and what comes after them is heard.
func TestSileroTakesAnySamples(t *testing.T) {
	s, err := newSilero(sileroModel(t))
	if err != nil {
		t.Fatal(err)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	r := rand.New(rand.NewPCG(1, 2))
	v := s.NewVoiceStream()
	piece := make([]float32, pipeline.VoicePiece)
	for _, values := range [][]float32{{nan}, {inf, -inf}, {math.MaxFloat32, -1}, {nan, 0.5, inf, 1e-45}, {0}} {
		for range 20 {
			for i := range piece {
				piece[i] = values[r.IntN(len(values))]
			}
			if p, err := v.Voice(t.Context(), piece); err != nil || !(p >= 0 && p <= 1) {
				t.Fatalf("%v: %v, %v", values, p, err)
			}
		}
	}
	if _, err := v.Voice(t.Context(), piece[1:]); err == nil {
		t.Error("a piece that is too short is taken")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := v.Voice(t.Context(), piece); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
