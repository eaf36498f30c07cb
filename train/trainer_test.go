package train

import (
	"context"
	"encoding/csv"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tandem/infer"
	"tandem/pipeline"
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

// split marks every fourth clip as validation.
func split(p *Prepared) *Prepared {
	for i := range p.Clips {
		p.Clips[i].Split = SplitTrain
		if i%4 == 0 {
			p.Clips[i].Split = SplitVal
		}
	}
	return p
}

func TestTrainingLearnsAndExports(t *testing.T) {
	needBackend(t)
	data := split(synthetic(DefaultSpec, 60, 24, 12))
	dir := t.TempDir()
	o := Options{Recipe: tinyRecipe(), Out: filepath.Join(dir, "model.onnx"), Run: filepath.Join(dir, "run"), Version: "test"}
	o.Recipe.Epochs, o.Recipe.StepsPerEpoch, o.Recipe.LearningRate = 3, 40, 0.004
	o.Log, o.Progress = func(s string) { t.Log(s) }, func(Progress) {}
	r, err := trainOn(context.Background(), o.train, data)
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
	if c.Spec() != DefaultSpec || c.Weighting != "softmax-prior" || r.Best < 1 {
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
	for name, recipe := range map[string]Recipe{"tiny": tinyRecipe(), "two face encoders": two, "default": DefaultRecipe()} {
		t.Run(name, func(t *testing.T) {
			recipe.EMA = 0 // the averages would be exported, the graph has the parameters
			arch := recipe.Arch
			arch.Spec, arch.Emotions, arch.Genders = DefaultSpec, 7, 2
			net, err := newNetwork(arch, softmaxWeighting{}, recipe, backend)
			if err != nil {
				t.Fatal(err)
			}
			data := synthetic(DefaultSpec, 12, 6, 6)
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
			}
			trained, err := net.logits(ws)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Recipe: recipe, Version: "test"}
			model, err := export(arch, net.weights(), o.contract(dataOf(t, data), testLabels, softmaxWeighting{}))
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
	arch.Spec, arch.Emotions, arch.Genders = DefaultSpec, 7, 2
	net, err := newNetwork(arch, softmaxWeighting{}, recipe, backend)
	if err != nil {
		t.Fatal(err)
	}
	batches, err := newBatcher(recipe, arch, synthetic(DefaultSpec, 12, 6, 6))
	if err != nil {
		t.Fatal(err)
	}
	b := batches.batch(0)
	b.sounds[5] = float32(math.NaN())
	b.paths[0] = "culprit.jpg"
	if _, err := net.train(b); !errors.Is(err, errDiverged) || !strings.Contains(err.Error(), "culprit.jpg") {
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
	clips := []Clip{
		{ID: "a", Dataset: "m", Speaker: "anna", Split: SplitTrain, Emotion: 1}, {ID: "b", Dataset: "m", Speaker: "anna", Split: SplitVal, Emotion: 1},
		{ID: "c", Dataset: "m", Speaker: "ben", Split: SplitTrain, Emotion: 2, Gender: 1},
	}
	data, err := NewData(t.Context(), &Prepared{Clips: clips}, ByClip)
	if err != nil {
		t.Fatal(err)
	}
	c := (&Options{Recipe: DefaultRecipe()}).contract(data, DefaultLabels(), softmaxWeighting{})
	if d := c.Data[0]; d.SharedSpeakers != 1 || d.SplitBy != ByClip {
		t.Errorf("contract %+v", d)
	}
}
