package train

import (
	"context"
	"encoding/csv"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/sample"
	"tandem/train/sample/sampletest"
	"tandem/train/weighting"
)

// tinyRecipe is the default's shape in small, so that a test takes seconds.
func tinyRecipe() Recipe {
	r := DefaultRecipe()
	r.Arch.FaceWidths, r.Arch.FaceDim = []int{8, 12, 16, 16}, 16
	r.Arch.SoundWidths, r.Arch.SoundDim, r.Arch.FuseDim, r.Arch.MelBands = []int{8, 12, 16}, 16, 16, 32
	r.Epochs, r.StepsPerEpoch, r.WarmupSteps = 2, 15, 5
	r.Stills, r.Voices, r.Talking, r.Pairs = 8, 4, 2, 2
	return r
}

func needBackend(t testing.TB) {
	t.Helper()
	if _, err := openBackend(); err != nil {
		t.Skip("no ONNX Runtime here: ", err)
	}
}

func TestTrainingLearnsAndExports(t *testing.T) {
	needBackend(t)
	data := sampletest.Split(sampletest.Synthetic(nn.DefaultSpec, 60, 24, 12))
	dir := t.TempDir()
	o := Options{
		Recipe: tinyRecipe(), Out: filepath.Join(dir, "model.onnx"), Run: filepath.Join(dir, "run"),
		Version: "test",
	}
	o.Recipe.Epochs, o.Recipe.StepsPerEpoch, o.Recipe.LearningRate = 3, 40, 0.004
	o.Log, o.Progress = func(s string) { t.Log(s) }, func(Progress) {}
	r, err := trainOn(context.Background(), o.Train, data)
	if err != nil {
		t.Fatal(err)
	}
	rows := readLog(t, filepath.Join(o.Run, "log.csv"))
	if len(rows) != 1+3 {
		t.Fatalf("log has %d rows, want a header and 3 epochs", len(rows))
	}
	for _, want := range []string{"emotion", "gender", "unweighted_sum", "weight_emotion", "weight_gender"} {
		if !strings.Contains(strings.Join(rows[0], ","), want) {
			t.Errorf("log lacks column %s: %v", want, rows[0])
		}
	}
	first, last := number(t, rows, 1, "unweighted_sum"), number(t, rows, 3, "unweighted_sum")
	if !(last < first-0.1) {
		t.Errorf("unweighted loss went from %.3f to %.3f: nothing was learned", first, last)
	}
	b, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	c, err := infer.LoadModel(b)
	if err != nil {
		t.Fatal(err)
	}
	if c.Spec() != nn.DefaultSpec || c.Weighting != "softmax-prior" || r.Best < 1 {
		t.Errorf("contract %+v, best epoch %d", c, r.Best)
	}
	rec, err := infer.NewRecognizer(b, infer.Options{Int8: true})
	if err != nil {
		t.Fatalf("in 8 bits: %v", err)
	}
	rec.Close()
}

func TestExportAgreesWithTheTrainedGraph(t *testing.T) {
	needBackend(t)
	backend, err := openBackend()
	if err != nil {
		t.Fatal(err)
	}
	two := tinyRecipe()
	two.Arch.FaceNets = 2
	for name, recipe := range map[string]Recipe{
		"tiny": tinyRecipe(), "two face encoders": two,
		"default": DefaultRecipe(),
	} {
		t.Run(name, func(t *testing.T) {
			recipe.EMA = 0 // the averages would be exported, the graph has the parameters
			arch := recipe.Arch
			arch.Spec, arch.Emotions, arch.Genders = nn.DefaultSpec, 7, 2
			net, err := newNetwork(arch, weighting.Softmax{}, recipe, backend)
			if err != nil {
				t.Fatal(err)
			}
			data := sampletest.Synthetic(nn.DefaultSpec, 12, 6, 6)
			batches, err := newBatcher(recipe, arch, data)
			if err != nil {
				t.Fatal(err)
			}
			for step := range 3 { // so that no parameter keeps its first value
				if _, err := net.train(batches.batch(100 + step)); err != nil {
					t.Fatal(err)
				}
			}
			// Windows of every kind: both senses, either, a face in some frames only.
			var ws []*pipeline.Window
			for i := range data.Samples {
				ws = append(ws, data.Window(i))
			}
			for i, w := range ws {
				if i%2 == 0 {
					w.VideoMask[i%8] = false
				}
				if i%3 == 0 { // it begins empty, for a part that ends within a step of the network
					w.Covered = w.End * time.Duration(3+i) / 41
					clear(w.Audio[:len(w.Audio)-int(w.Covered*capture.SampleRate/time.Second)])
				}
			}
			trained, err := net.logits(ws)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Recipe: recipe, Version: "test"}
			model, err := nn.Export(arch, net.weights(),
				o.contract(dataOf(t, data), sampletest.Labels, weighting.Softmax{}))
			if err != nil {
				t.Fatal(err)
			}
			exported := recognize(t, model, ws)
			worst := 0.0
			for i := range ws {
				for k, p := range exported[i].Emotion {
					worst = math.Max(worst, math.Abs(float64(p-softmax(trained[i][:7])[k])))
				}
				for k, p := range exported[i].Gender {
					worst = math.Max(worst, math.Abs(float64(p-softmax(trained[i][7:])[k])))
				}
			}
			t.Logf("largest difference %.2g", worst)
			if worst > 1e-4 {
				t.Errorf("the exported file differs from the trained network by %.2g, want at most 1e-4", worst)
			}
		})
	}
}

func softmax(x []float32) []float32 {
	out := make([]float32, len(x))
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v))
	}
	for i, v := range x {
		out[i] = float32(math.Exp(float64(v)) / sum)
	}
	return out
}

func TestNaNStopsAndNamesTheBatch(t *testing.T) {
	needBackend(t)
	backend, err := openBackend()
	if err != nil {
		t.Fatal(err)
	}
	recipe := tinyRecipe()
	arch := recipe.Arch
	arch.Spec, arch.Emotions, arch.Genders = nn.DefaultSpec, 7, 2
	net, err := newNetwork(arch, weighting.Softmax{}, recipe, backend)
	if err != nil {
		t.Fatal(err)
	}
	batches, err := newBatcher(recipe, arch, sampletest.Synthetic(nn.DefaultSpec, 12, 6, 6))
	if err != nil {
		t.Fatal(err)
	}
	b := batches.batch(0)
	b.audio[5] = float32(math.NaN())
	b.paths[0] = "culprit.jpg"
	if _, err := net.train(b); !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "culprit.jpg") {
		t.Errorf("got %v, want errDiverged with the batch's files", err)
	}
}

func readLog(t testing.TB, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func indexOf(t testing.TB, header []string, name string) int {
	t.Helper()
	for i, h := range header {
		if h == name {
			return i
		}
	}
	t.Fatalf("no column %s in %v", name, header)
	return 0
}

func number(t testing.TB, rows [][]string, row int, name string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(rows[row][indexOf(t, rows[0], name)], 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestContractTellsOfSharedSpeakers(t *testing.T) {
	clips := []dataset.Clip{
		{ID: "a", Dataset: "m", Speaker: "anna", Split: dataset.SplitTrain, Emotion: 1},
		{ID: "b", Dataset: "m", Speaker: "anna", Split: dataset.SplitVal, Emotion: 1},
		{ID: "c", Dataset: "m", Speaker: "ben", Split: dataset.SplitTrain, Emotion: 2, Gender: 1},
	}
	data, err := NewData(t.Context(), &sample.Prepared{Clips: clips}, dataset.ByClip)
	if err != nil {
		t.Fatal(err)
	}
	c := (&Options{Recipe: DefaultRecipe()}).contract(data, dataset.DefaultLabels(), weighting.Softmax{})
	if d := c.Data[0]; d.SharedSpeakers != 1 || d.SplitBy != dataset.ByClip {
		t.Errorf("contract %+v", d)
	}
}

// TestTasksThatCannotBeTaught: what training lacks is an error or a warning, and which.
func TestTasksThatCannotBeTaught(t *testing.T) {
	labels := dataset.DefaultLabels()
	clip := func(emotion, gender int, split string) dataset.Clip {
		return dataset.Clip{Emotion: emotion, Gender: gender, Split: split}
	}
	all := func(split string) (clips []dataset.Clip) {
		for e := range labels.Emotions {
			clips = append(clips, clip(e, e%2, split))
		}
		return clips
	}
	without := func(clips []dataset.Clip, emotion, gender bool) []dataset.Clip {
		clips = slices.Clone(clips)
		for i := range clips {
			if emotion {
				clips[i].Emotion = -1
			}
			if gender {
				clips[i].Gender = -1
			}
		}
		return clips
	}
	whole := slices.Concat(all(dataset.SplitTrain), all(dataset.SplitVal))
	for name, tc := range map[string]struct {
		clips      []dataset.Clip
		weighting  string
		modal      string
		err, warns string
	}{
		"all there": {whole, "softmax", "multi", "", ""},
		"no emotion": {
			without(whole, true, false), "softmax", "multi",
			"no clip of the training split has a known emotion", "",
		},
		"no gender":        {without(whole, false, true), "softmax", "multi", "--weighting static:1,0", ""},
		"emotion alone":    {without(whole, false, true), "static:1,0", "multi", "", ""},
		"emotion with all": {without(whole, false, true), "static:2,0.0", "multi", "", ""},
		"both given":       {without(whole, false, true), "static:1,0.5", "multi", "known gender", ""},
		"one gender": {
			append([]dataset.Clip{clip(0, 0, dataset.SplitTrain)}, without(whole, false, true)...),
			"softmax", "multi", "the others are not there: male", "",
		},
		"no surprise": {
			slices.Concat(all(dataset.SplitTrain)[:6], all(dataset.SplitVal)), "softmax", "multi", "",
			"surprised",
		},
		"no validation": {
			slices.Concat(all(dataset.SplitTrain), without(all(dataset.SplitVal), true, false)),
			"softmax", "multi", "", "no clip of the validation split has a known emotion",
		},
		"no validation rows": {all(dataset.SplitTrain), "softmax", "multi", "no clip is of the split val", ""},
		"another sense":      {whole, "softmax", "video", "a sense that is trained", ""},
		"only in training":   {all(dataset.SplitVal), "softmax", "multi", "no clip is of the split train", ""},
	} {
		p := &sample.Prepared{Clips: tc.clips}
		for i := range tc.clips {
			p.Samples = append(p.Samples, sample.Sample{Clip: i, Audio: make([]int16, 1)})
		}
		warnings, err := CheckTasks(p, Recipe{Weighting: tc.weighting, Modal: tc.modal}, labels)
		if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: error %v", name, err)
		}
		if got := strings.Join(warnings, "\n"); !strings.Contains(got, tc.warns) || tc.warns == "" && got != "" {
			t.Errorf("%s: warnings %q", name, got)
		}
	}
}

// Fingerprinting data ends, with the cause, when its context does.
func TestNewDataEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	if _, err := NewData(ctx, sampletest.Synthetic(nn.DefaultSpec, 2, 1, 0), ""); !errors.Is(err, stopped) {
		t.Errorf("%v, want the context's cause", err)
	}
}
