package nn

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/traintest"
)

// smallSpeaker is a network that pure Go differentiates in a moment.
var smallSpeaker = SpeakerArch{
	Mouths:    pipeline.MouthSpec{Every: 64 * time.Millisecond, Size: 8, Margin: 1.6, Slots: 4},
	LipWidths: []int{3, 4, 4}, SoundWidths: []int{3, 4}, Hidden: 5, Blocks: 1, Dim: 3, MelBands: 8,
}

func TestGradientsOfTheSpeakerNetwork(t *testing.T) {
	a := smallSpeaker
	t.Run("lips", func(t *testing.T) {
		checkGradients(t, func(o *GraphOps, in []*graph.Node) *graph.Node {
			there := o.Constant([]float32{1, 1, 0, 1, 1, 1, 1, 1}, 2, 4)
			return score(o.EncodeLips(a, graph.AddScalar(graph.MulScalar(in[0], 60), 128), there))
		}, traintest.Wave(2, 4, 8, 8))
	})
	t.Run("voice", func(t *testing.T) {
		checkGradients(t, func(o *GraphOps, in []*graph.Node) *graph.Node {
			return score(o.EncodeVoice(a, in[0]))
		}, traintest.Wave(2, a.AudioSamples()))
	})
}

// The exported file gives what the graph gives that is trained, for several faces and one voice, with mouths missing.
func TestExportOfTheSpeakerNetworkAgrees(t *testing.T) {
	if err := infer.Init(); err != nil {
		t.Skip(err)
	}
	a := smallSpeaker
	a.Mouths.Size, a.LipWidths, a.Mouths.Slots = 16, []int{4, 6, 8}, 8
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	const faces = 3
	pixels, there := make([]byte, faces*8*16*16), make([]float32, faces*8)
	for i := range pixels {
		pixels[i] = byte(i * i % 251)
	}
	sound := make([]float32, a.AudioSamples())
	for i, v := range tensors.MustCopyFlatData[float64](traintest.Wave(len(sound))) {
		sound[i] = 0.5 * float32(v)
	}
	lips := make([]pipeline.Lips, faces)
	for f := range lips {
		lips[f] = pipeline.Lips{Pixels: pixels[f*2048 : (f+1)*2048], There: make([]bool, 8)}
		for k := range 8 {
			if lips[f].There[k] = (f+k)%5 != 0; lips[f].There[k] {
				there[f*8+k] = 1
			}
		}
	}
	store := model.NewStore()
	exec, err := model.NewExec(backend, store, func(root *model.Scope, in []*graph.Node) *graph.Node {
		o := &GraphOps{Scope: root.At("net"), Graph: in[0].Graph(), Seed: 5}
		return speaking(o, a, o.EncodeLips(a, in[0], in[1]), o.EncodeVoice(a, in[2]))
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(pixels, faces, 8, 16, 16),
		tensors.FromFlatDataAndDimensions(there, faces, 8), tensors.FromFlatDataAndDimensions(sound, 1, len(sound)))
	if err != nil {
		t.Fatal(err)
	}
	want := tensors.MustCopyFlatData[float32](out[0])
	w := Weights{}
	for v := range store.RootScope().At("net").IterVariables() {
		value := v.MustValue()
		w[v.Path()[len("/net/"):]] = Weight{value.Shape().Dimensions, tensors.MustCopyFlatData[float32](value)}
	}
	c := infer.SpeakerContract{Gain: 2, Bias: 0.5, Metrics: []byte("{}"), TandemVersion: "test"}
	file, err := ExportSpeaker(a, w, c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := infer.NewSpeaker(file)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Speaking(t.Context(), sound, lips)
	if err != nil {
		t.Fatal(err)
	}
	differ := false
	for f := range got {
		for k, v := range got[f] {
			expect := 2*float64(want[f*8+k]) + 0.5
			if !lips[f].There[k] {
				expect = 0
			}
			if math.Abs(v-expect) > 1e-3 {
				t.Errorf("face %d, slot %d: %v, the graph gives %v", f, k, v, expect)
			}
			differ = differ || math.Abs(v-got[0][0]) > 1e-3
		}
	}
	if !differ {
		t.Error("all answers are one")
	}
}

func TestExportSpeakerNeedsEachWeight(t *testing.T) {
	c := infer.SpeakerContract{Gain: 2, Bias: 0.5, Metrics: []byte("{}"), TandemVersion: "test"}
	if _, err := ExportSpeaker(smallSpeaker, Weights{}, c); err == nil || !strings.Contains(err.Error(), "lips/0/") {
		t.Errorf("without weights: %v", err)
	}
}

func TestSpeakerArchRefuses(t *testing.T) {
	for want, change := range map[string]func(*SpeakerArch){
		"multiple of 8": func(a *SpeakerArch) { a.Mouths.Size = 20 },
		"samples":       func(a *SpeakerArch) { a.Mouths.Every = 40 * time.Millisecond },
		"lip_widths":    func(a *SpeakerArch) { a.LipWidths = []int{8} },
		"width":         func(a *SpeakerArch) { a.Dim = 0 },
		"mel_bands":     func(a *SpeakerArch) { a.MelBands = 9 },
		"mouths at":     func(a *SpeakerArch) { a.Mouths.Slots = 0 },
	} {
		a := smallSpeaker
		change(&a)
		if err := a.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
