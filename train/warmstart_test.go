package train

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	onnx "github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/nn"
	"tandem/train/sample/sampletest"
	"tandem/train/traintest"
	"tandem/train/weighting"
)

// freshModel is a model of new weights, for what needs no training.
func freshModel(t testing.TB, arch nn.Arch, labels pipeline.Labels) []byte {
	t.Helper()
	arch.Spec, arch.Emotions, arch.Genders = nn.DefaultSpec, len(labels.Emotions), len(labels.Genders)
	w := nn.Weights{}
	for _, p := range nn.Parameters(arch) {
		w[p.Name] = nn.Weight{Dims: p.Dims, Data: p.Initial(5)}
	}
	return modelOf(t, arch, w, labels)
}

// modelOf is the exported file of a network.
func modelOf(t testing.TB, arch nn.Arch, w nn.Weights, labels pipeline.Labels) []byte {
	t.Helper()
	o := Options{Version: "test"}
	b, err := nn.Export(arch, w, o.contract(&Data{}, labels, weighting.Softmax{}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustRead(t *testing.T, name string, model []byte) *nn.Pretrained {
	t.Helper()
	in, err := ReadPretrained(name, model)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// recognize returns the predictions of a model for windows, through ONNX Runtime.
func recognize(t *testing.T, model []byte, ws []*pipeline.Window) []pipeline.Prediction {
	t.Helper()
	rec, err := infer.NewRecognizer(model, infer.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	out, err := rec.Recognize(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// says returns the predictions of a model for some windows of every kind, one after the other.
func says(t *testing.T, model []byte) (all []float32) {
	t.Helper()
	data := sampletest.Synthetic(nn.DefaultSpec, 3, 3, 3)
	var ws []*pipeline.Window
	for i := range data.Samples {
		ws = append(ws, data.Window(i))
	}
	for _, p := range recognize(t, model, ws) {
		all = append(append(all, p.Emotion...), p.Gender...)
	}
	return all
}

// again is the model that a network which begins with in exports before any step.
func again(t *testing.T, in *nn.Pretrained, labels pipeline.Labels) []byte {
	t.Helper()
	backend, err := openBackend()
	if err != nil {
		t.Fatal(err)
	}
	recipe := DefaultRecipe()
	recipe.Arch = in.Sizes()
	arch := recipe.Arch
	arch.Spec, arch.Emotions, arch.Genders = nn.DefaultSpec, len(labels.Emotions), len(labels.Genders)
	n, err := newNetwork(arch, weighting.Softmax{}, recipe, backend)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.begin(in, labels); err != nil {
		t.Fatal(err)
	}
	return modelOf(t, arch, n.weights(), labels)
}

func worst(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range a {
		d = max(d, math.Abs(float64(a[i]-b[i])))
	}
	return d
}

// withoutTemperatures is a model's bytes with temperatures of 1, which a new training begins with.
func withoutTemperatures(t *testing.T, b []byte) []byte {
	t.Helper()
	c, err := infer.LoadModel(b)
	if err != nil {
		t.Fatal(err)
	}
	c.EmotionTemperature, c.GenderTemperature = 1, 1
	c.EmotionAlone, c.GenderAlone = infer.ModalityTemperatures{}, infer.ModalityTemperatures{}
	if b, err = nn.WithContract(b, c); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestInitFromAModelAnswersAsTheModel(t *testing.T) {
	needBackend(t)
	for name, model := range map[string][]byte{
		"tiny":     freshModel(t, tinyRecipe().Arch, sampletest.Labels),
		"embedded": infer.DefaultModel(),
	} {
		in := mustRead(t, name, model)
		if want := map[string]nn.Arch{
			"tiny":     tinyRecipe().Arch,
			"embedded": DefaultRecipe().Arch,
		}[name]; name == "tiny" && !reflect.DeepEqual(in.Sizes(), want) {
			t.Errorf("%s: sizes %+v, want %+v", name, in.Sizes(), want)
		}
		d := worst(says(t, withoutTemperatures(t, model)), says(t, again(t, in, in.Labels)))
		t.Logf("%s: largest difference %.2g", name, d)
		if d > 1e-5 {
			t.Errorf("%s: a network that begins with the model answers otherwise, by %g", name, d)
		}
	}
}

func TestInitTakesOverTheLabelsThatBothKnow(t *testing.T) {
	needBackend(t)
	in := mustRead(t, "tiny", freshModel(t, tinyRecipe().Arch, sampletest.Labels))
	labels := pipeline.Labels{Emotions: []string{"bored", "sad", "happy"}, Genders: []string{"male", "female"}}
	was, is := says(t, again(t, in, sampletest.Labels)), says(t, again(t, in, labels))
	for i := range len(was) / 9 {
		w, s := was[9*i:9*i+9], is[5*i:5*i+5]
		// The odds of two labels depend on their outputs alone; genders are the same two in another order.
		traintest.Near(t, "odds of sad and happy", float64(s[1]/s[2]), float64(w[2]/w[1]), 1e-4)
		traintest.Near(t, "probability of male", float64(s[3]), float64(w[8]), 1e-5)
	}
}

// checkBegins holds that the checkpoint of a run begins a training as its model does: with the averages.
func checkBegins(t *testing.T, o Options, begin *nn.Pretrained) {
	t.Helper()
	model, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	want, got := says(t, withoutTemperatures(t, model)), says(t, again(t, begin, begin.Labels))
	if d := worst(want, got); d > 1e-5 {
		t.Errorf("a network that begins with the checkpoint answers otherwise than the model, by %g", d)
	}
}

// trainedOnce makes a short run with averages and reads its last checkpoint.
func trainedOnce(t *testing.T) (Options, *nn.Pretrained) {
	t.Helper()
	o, data := quickRun(t.TempDir())
	o.Recipe.EMA = 0.9
	if _, err := trainOn(t.Context(), o.Train, data); err != nil {
		t.Fatal(err)
	}
	return o, lastCheckpoint(t, o)
}

// lastCheckpoint reads the last checkpoint of a run.
func lastCheckpoint(t *testing.T, o Options) *nn.Pretrained {
	t.Helper()
	path, err := LastCheckpoint(o.Run)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return mustRead(t, path, b)
}

// Fine-tuned with other labels, and with all frozen but the temporal part and the emotion's outputs.
func TestFineTuning(t *testing.T) {
	needBackend(t)
	first, begin := trainedOnce(t)
	checkBegins(t, first, begin)
	tuned, data := quickRun(t.TempDir())
	tuned.Init = begin
	tuned.Recipe.Emotions = []string{"neutral", "happy", "sad", "angry", "fearful", "disgusted", "bored"}
	tuned.Recipe.Freeze = []string{"face", "sound", "fusion", "gender"}
	log := ""
	tuned.Log = func(s string) { log += s + "\n" }
	if _, err := trainOn(t.Context(), tuned.Train, data); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log, "emotion: the outputs of bored are new, those of neutral,") {
		t.Errorf("the log does not tell which outputs are new:\n%s", log)
	}
	after := lastCheckpoint(t, tuned)
	if !slices.Equal(after.Labels.Emotions, tuned.Recipe.Emotions) {
		t.Errorf("labels %v", after.Labels)
	}
	moved := map[string]int{}
	for name, w := range after.Params {
		same := slices.Equal(w.Data, begin.Params[name].Data)
		if !same {
			moved[nn.PartOf(name)]++
		}
		if frozen := slices.Contains(tuned.Recipe.Freeze, nn.PartOf(name)); frozen && !same {
			t.Errorf("%s is frozen and changed", name)
		}
	}
	if moved["temporal"] == 0 || moved["emotion"] == 0 {
		t.Errorf("what is not frozen did not change: %v", moved)
	}
	if a, err := tuned.readAbout(); err != nil || a.Init == nil || a.Init.SHA256 != begin.SHA256 {
		t.Errorf("run.json does not tell what it began with: %+v, %v", a.Init, err)
	}
	resumeTuned(t, tuned)
}

// resumeTuned holds that a fine-tuning resumes as any other run, without the model; but not where there is no
// checkpoint to resume from.
func resumeTuned(t *testing.T, tuned Options) {
	t.Helper()
	resumed, data := quickRun(t.TempDir())
	resumed.Init, resumed.Recipe = tuned.Init, tuned.Recipe
	interrupt(t, &resumed, data, 8)
	resumed.Init = nil
	if _, err := trainOn(t.Context(), resumed.Train, data); err != nil {
		t.Fatal(err)
	}
	sameOutcome(t, tuned, resumed)
	if err := os.RemoveAll(filepath.Join(resumed.Run, checkpointsDir)); err != nil {
		t.Fatal(err)
	}
	if _, err := trainOn(t.Context(), resumed.Train, data); err == nil || !strings.Contains(err.Error(), "--init") {
		t.Errorf("resumed without a checkpoint and without --init: %v", err)
	}
	// A network of other sizes.
	resumed.Init, resumed.Resume = tuned.Init, false
	resumed.Run = t.TempDir()
	resumed.Recipe.Arch.FuseDim += 8
	if _, err := trainOn(t.Context(), resumed.Train, data); !errors.Is(err, nn.ErrPretrained) ||
		!strings.Contains(err.Error(), "fuse/w") {
		t.Errorf("other sizes: %v, want ErrPretrained", err)
	}
}

func TestReadInitRefusesWhatIsNoNetwork(t *testing.T) {
	good := freshModel(t, tinyRecipe().Arch, sampletest.Labels)
	change := func(f func(g *onnx.GraphProto)) []byte {
		var m onnx.ModelProto
		if err := proto.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		f(m.Graph)
		b, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	named := func(name string, f func(p *onnx.TensorProto)) []byte {
		return change(func(g *onnx.GraphProto) {
			for _, p := range g.Initializer {
				if p.Name == name {
					f(p)
				}
			}
		})
	}
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"nothing":        {nil, "empty"},
		"text":           {[]byte("this is no model"), ""},
		"half":           {good[:len(good)/2], ""},
		"another tensor": {named("fuse/w", func(p *onnx.TensorProto) { p.Name = "fusion/w" }), "fuse/w"},
		"another shape": {named("sound/out/w",
			func(p *onnx.TensorProto) { p.Dims[0], p.Dims[1] = p.Dims[1]*p.Dims[0], 1 }), "sound"},
		"numbers missing": {named("fuse/w", func(p *onnx.TensorProto) { p.RawData = p.RawData[4:] }), "fuse/w"},
		"no numbers": {named("face/0/folded",
			func(p *onnx.TensorProto) { p.Dims, p.RawData = []int64{1 << 40, 0, 3, 3}, nil }), "face/0"},
	} {
		if _, err := ReadPretrained("m.onnx", c.file); !errors.Is(err, nn.ErrPretrained) ||
			!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "m.onnx") {
			t.Errorf("%s: %v, want ErrPretrained that names %q", name, err, c.says)
		}
	}
}

func FuzzReadInit(f *testing.F) {
	a := tinyRecipe().Arch
	a.FaceWidths, a.FaceDim, a.SoundWidths, a.SoundDim, a.FuseDim, a.MelBands = []int{1, 1, 1, 1}, 1, []int{1, 1, 1}, 1,
		1, 8
	b := freshModel(f, a, sampletest.Labels)
	// Most of a model is the Fourier basis, which says nothing of the network.
	var m onnx.ModelProto
	if err := proto.Unmarshal(b, &m); err != nil {
		f.Fatal(err)
	}
	for _, p := range m.Graph.Initializer {
		if len(p.RawData) > 1<<18 {
			p.Dims, p.RawData = []int64{1}, p.RawData[:4]
		}
	}
	small, err := proto.Marshal(&m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(small)
	f.Add(bytes.Clone(small[:len(small)/3]))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := ReadPretrained("fuzz", b)
		if err != nil {
			if !errors.Is(err, nn.ErrPretrained) {
				t.Errorf("%v does not wrap ErrPretrained", err)
			}
			return
		}
		if err := in.Check(); err != nil {
			t.Errorf("what was read is no network: %v", err)
		}
	})
}

// textured returns a crop that is not all alike.
func textured(size, channels int) []byte {
	crop := make([]byte, size*size*channels)
	for i := range crop {
		crop[i] = byte(i * i % 251)
	}
	return crop
}
