package train

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/pipeline"
	"tandem/train/nn"
	"tandem/train/sample/sampletest"
	"tandem/train/traintest"
)

// otherFaces is a model as freshModel makes them, with the sound encoder of in and all else of another seed.
func otherFaces(t *testing.T, in *nn.Pretrained, seed uint64) []byte {
	t.Helper()
	w := nn.Weights{}
	for _, p := range nn.Parameters(in.Arch) {
		if w[p.Name] = in.Params[p.Name]; nn.PartOf(p.Name) != "sound" {
			values := p.Initial(seed)
			w[p.Name] = nn.Weight{Dims: p.Dims, Data: values}
			for i := range values { // heads and biases too are to say something
				values[i] += float32(math.Sin(float64(uint64(i)*seed))) * 0.05
			}
		}
	}
	return modelOf(t, in.Arch, w, in.Labels)
}

// TestJoinedNetworksAnswerAsTheirMean: the logits of a still, of a voice, and of both are the means of the members',
// each counting by its face encoders, also when one of them is a joined network itself.
func TestJoinedNetworksAnswerAsTheirMean(t *testing.T) {
	needBackend(t)
	a := mustRead(t, "a", freshModel(t, tinyRecipe().Arch, sampletest.Labels))
	b := mustRead(t, "b", otherFaces(t, a, 7))
	c := mustRead(t, "c", otherFaces(t, a, 8))
	ab, err := nn.Ensemble(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if ab.Arch.FaceNets != 2 || ab.Arch.FuseDim != 2*a.Arch.FuseDim || ab.Name != "a + b" {
		t.Errorf("joined: %d face encoders, fuse_dim %d, name %q", ab.Arch.FaceNets, ab.Arch.FuseDim, ab.Name)
	}
	two := again(t, ab, sampletest.Labels)
	joined := mustRead(t, "two", two) // through a file, whose tensors tell the number of face encoders
	three, err := nn.Ensemble(joined, c)
	if err != nil {
		t.Fatal(err)
	}
	spec := nn.DefaultSpec
	var ws []*pipeline.Window
	for k, present := range [][2]bool{{true, true}, {true, false}, {false, true}} {
		w := &pipeline.Window{
			Audio:        make([]float32, spec.AudioSamples()),
			Video:        make([]byte, spec.VideoFrames*spec.CropSize*spec.CropSize),
			AudioPresent: present[0], VideoMask: make([]bool, spec.VideoFrames),
		}
		for i := range w.Audio {
			w.Audio[i] = float32(math.Sin(float64(i) * (0.05 + 0.01*float64(k))))
		}
		crop := textured(spec.CropSize, 1)
		for i := range w.VideoMask {
			w.VideoMask[i] = present[1]
			copy(w.Video[i*len(crop):], crop)
		}
		ws = append(ws, w)
	}
	logits := func(model []byte) (all [][]float64) {
		for _, p := range recognize(t, withoutTemperatures(t, model), ws) {
			for _, task := range [][]float32{p.Emotion, p.Gender} { // up to a constant a task
				var row []float64
				for _, v := range task {
					row = append(row, math.Log(float64(v))-math.Log(float64(task[0])))
				}
				all = append(all, row)
			}
		}
		return all
	}
	la, lb, lc := logits(again(t, a, sampletest.Labels)), logits(again(t, b, sampletest.Labels)),
		logits(again(t, c, sampletest.Labels))
	l2, l3 := logits(two), logits(again(t, three, sampletest.Labels))
	apart := 0.0
	for i := range la {
		for k := range la[i] {
			traintest.Near(t, "two", l2[i][k], (la[i][k]+lb[i][k])/2, 1e-4)
			traintest.Near(t, "three", l3[i][k], (la[i][k]+lb[i][k]+lc[i][k])/3, 1e-4)
			apart = max(apart, math.Abs(la[i][k]-lb[i][k]))
		}
	}
	if apart < 0.01 {
		t.Errorf("the members differ by %g only: the test says nothing", apart)
	}
}

// TestTrainingGoesOnFromJoinedNetworks: one is trained from the other with the sound frozen, then both are joined and
// what follows the encoders is fitted.
func TestTrainingGoesOnFromJoinedNetworks(t *testing.T) {
	needBackend(t)
	run := func(in *nn.Pretrained, freeze ...string) (Options, *nn.Pretrained) {
		t.Helper()
		o, data := quickRun(t.TempDir())
		o.Init, o.Recipe.Freeze = in, freeze
		if in != nil {
			o.Recipe.Arch = in.Sizes()
			o.Recipe.Seed = 2
		}
		if _, err := trainOn(t.Context(), o.Train, data); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(o.Out)
		if err != nil {
			t.Fatal(err)
		}
		return o, mustRead(t, filepath.Base(o.Out), b)
	}
	_, one := run(nil)
	_, two := run(one, "sound")
	both, err := nn.Ensemble(one, two)
	if err != nil {
		t.Fatal(err)
	}
	o, fitted := run(both, "sound", "face")
	if fitted.Arch.FaceNets != 2 {
		t.Fatalf("%d face encoders, want 2", fitted.Arch.FaceNets)
	}
	if a, err := o.readAbout(); err != nil || a.Init == nil || a.Init.Name != "m.onnx + m.onnx" ||
		a.Init.SHA256 != one.SHA256+" + "+two.SHA256 {
		t.Errorf("run.json does not tell what it began with: %+v, %v", a.Init, err)
	}
	moved := map[string]int{}
	for _, p := range nn.Parameters(fitted.Arch) {
		// Convolutions go through the file, which costs them some rounding.
		if worst(fitted.Params[p.Name].Data, both.Params[p.Name].Data) > 1e-5 {
			moved[nn.PartOf(p.Name)]++
		}
	}
	if moved["face"]+moved["sound"] > 0 || moved["temporal"] == 0 || moved["fusion"] == 0 || moved["emotion"] == 0 {
		t.Errorf("parameters that changed, by part: %v; want none of face and sound, which are frozen, and some of "+
			"the others", moved)
	}
	if worst(both.Params["face/0/w"].Data, both.Params["face2/0/w"].Data) < 1e-4 {
		t.Error("both face encoders are the same")
	}
}

func TestJoinRefusesNetworksThatDontFit(t *testing.T) {
	a := mustRead(t, "a", freshModel(t, tinyRecipe().Arch, sampletest.Labels))
	wide := tinyRecipe().Arch
	wide.FaceWidths = []int{8, 12, 16, 24}
	deaf := mustRead(t, "other sound", otherFaces(t, a, 7))
	deaf.Params["sound/out/w"] = nn.Weight{
		Dims: deaf.Params["sound/out/w"].Dims,
		Data: slices.Clone(deaf.Params["sound/out/w"].Data),
	}
	deaf.Params["sound/out/w"].Data[3] += 1
	many := make([]*nn.Pretrained, 9)
	for i := range many {
		many[i] = a
	}
	for says, ins := range map[string][]*nn.Pretrained{
		"sizes": {a, mustRead(t, "wide", freshModel(t, wide, sampletest.Labels))},
		"labels": {a, mustRead(t, "labels",
			freshModel(t, tinyRecipe().Arch, pipeline.Labels{
				Emotions: []string{"bored", "sad"},
				Genders:  sampletest.Labels.Genders,
			}))},
		"--freeze sound":           {a, deaf},
		"face_nets 9: want 1 to 8": many,
		"none is given":            nil,
	} {
		if _, err := nn.Ensemble(ins...); !errors.Is(err, nn.ErrPretrained) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want ErrPretrained that says %q", err, says)
		}
	}
	if one, err := nn.Ensemble(a); one != a || err != nil {
		t.Errorf("one network alone: %v, %v", one, err)
	}
}
