package train

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/sample"
	"tandem/train/weighting"
)

// tinyPaper is the paper's network in small, on windows of a second.
func tinyPaper(senses string) (Recipe, pipeline.Spec) {
	r := PaperRecipe()
	r.Arch.Width, r.Modal = 0.05, senses
	spec := nn.PaperSpec
	spec.Window, spec.VideoFrames, spec.CropSize = time.Second, 25, 32
	return r, spec
}

func (r Recipe) testArch(spec pipeline.Spec) nn.Arch {
	a := r.Arch
	a.Spec, a.Modal, a.Emotions, a.Genders = spec, r.Modal, len(r.Emotions), len(r.Genders)
	return a
}

// paperData is talking faces whose brightness and pitch tell the emotion, and half of which end early.
func paperData(spec pipeline.Spec, n int) *sample.Prepared {
	rng := rand.New(rand.NewPCG(7, 8))
	p := &sample.Prepared{Spec: spec}
	for i := range n {
		e, g := i%4, i%4/2
		s := sample.Sample{
			Clip: i, Audio: make([]int16, spec.AudioSamples()),
			Video: make([]byte, spec.VideoFrames*sample.CropBytes(spec)), VideoMask: make([]bool, spec.VideoFrames),
		}
		steps := spec.VideoFrames
		if i%2 == 1 {
			steps = spec.VideoFrames * 2 / 3
		}
		for k := range s.Audio[:steps*spec.AudioSamples()/spec.VideoFrames] {
			s.Audio[k] = int16(8000*math.Sin(float64(k)*(0.1+0.2*float64(e)+0.05*float64(g))) + 200*rng.NormFloat64())
		}
		for k := range s.Video[:steps*sample.CropBytes(spec)] {
			x := k / 3 % spec.CropSize / (spec.CropSize / 4)
			s.Video[k] = byte(30 + 60*g*(x%2) + rng.IntN(30))
			if k%3 == e {
				s.Video[k] += 100
			}
		}
		for t := range steps {
			s.VideoMask[t] = true
		}
		split := dataset.SplitTrain
		if i >= n*3/4 {
			split = dataset.SplitVal
		}
		p.Clips = append(p.Clips, dataset.Clip{Dataset: "synthetic", Emotion: e, Gender: g, Split: split, Video: "v"})
		p.Samples = append(p.Samples, s)
	}
	return p
}

func TestLongPaperTrainsInEachMode(t *testing.T) {
	needBackend(t)
	for _, senses := range []string{"audio", "video", "multi"} {
		t.Run(senses, func(t *testing.T) {
			recipe, spec := tinyPaper(senses)
			// So few units and steps want more of each step than the paper's recipe.
			recipe.Epochs, recipe.StepsPerEpoch, recipe.LearningRate, recipe.Weighting = 2, 30, 3e-3, "static"
			if senses == "multi" {
				recipe.LearningRate = 1e-3 // at 3e-3 its sound grows so loud that faces no longer count
			}
			recipe.Voices, recipe.Talking, recipe.Dropout = 6, 6, 0
			dir := t.TempDir()
			o := Options{
				Recipe: recipe, Out: filepath.Join(dir, "model.onnx"), Run: filepath.Join(dir, "run"),
				Version: "test",
			}
			o.Log, o.Progress = func(s string) { t.Log(s) }, func(Progress) {}
			r, err := trainOn(context.Background(), o.Train, paperData(spec, 16))
			if err != nil {
				t.Fatal(err)
			}
			rows := readLog(t, filepath.Join(o.Run, "log.csv"))
			first, last := number(t, rows, 1, "unweighted_sum"), number(t, rows, 2, "unweighted_sum")
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
			if c.Spec() != spec || len(c.Emotions) != 4 || r.Parameters == 0 {
				t.Errorf("contract %+v, %d parameters", c, r.Parameters)
			}
		})
	}
}

func TestPaperExportAgreesWithTheTrainedGraph(t *testing.T) { paperExportAgrees(t, "audio", "multi") }

func TestLongPaperExportAgreesWithTheTrainedGraph(t *testing.T) { paperExportAgrees(t, "video") }

func paperExportAgrees(t *testing.T, modes ...string) {
	needBackend(t)
	backend, err := openBackend()
	if err != nil {
		t.Fatal(err)
	}
	for _, senses := range modes {
		t.Run(senses, func(t *testing.T) {
			recipe, spec := tinyPaper(senses)
			arch := recipe.testArch(spec)
			net, err := newNetwork(arch, weighting.Softmax{}, recipe, backend)
			if err != nil {
				t.Fatal(err)
			}
			data := paperData(spec, 6)
			batches, err := newBatcher(recipe, arch, data)
			if err != nil {
				t.Fatal(err)
			}
			for step := range 3 { // so that neither parameters nor running statistics keep their first values
				b := batches.batch(step)
				b.rate = 0.003
				if _, err := net.train(b); err != nil {
					t.Fatal(err)
				}
			}
			var ws []*pipeline.Window
			for i := range data.Samples {
				ws = append(ws, data.Window(i))
			}
			ws[2].VideoMask[20] = false
			clear(ws[2].Video[20*sample.CropBytes(spec) : 21*sample.CropBytes(spec)]) // as the contract has it
			ws[4].AudioPresent = false
			clear(ws[4].Audio)
			trained, err := net.logits(ws)
			if err != nil {
				t.Fatal(err)
			}
			file, err := nn.Export(arch, net.weights(),
				(&Options{Recipe: recipe, Version: "test"}).contract(dataOf(t, data), recipe.Labels(),
					weighting.Softmax{}))
			if err != nil {
				t.Fatal(err)
			}
			exported := recognize(t, file, ws)
			worst, spread := 0.0, 0.0
			for i := range ws {
				for k, p := range append(softmax(trained[i][:4]), softmax(trained[i][4:])...) {
					worst = math.Max(worst, math.Abs(float64(p-append(append([]float32{}, exported[i].Emotion...),
						exported[i].Gender...)[k])))
				}
				if data.Samples[i].VideoMask[24] && i != 4 { // whole windows with both senses
					spread = math.Max(spread, math.Abs(float64(trained[i][0]-trained[0][0])))
				}
			}
			t.Logf("largest difference %.2g", worst)
			if worst > 1e-4 || spread < 1e-3 {
				t.Errorf("the exported file differs from the trained network by %.2g, want at most 1e-4; windows "+
					"differ by %.2g", worst, spread)
			}
		})
	}
}

// The recipe makes steps of one utterance, whatever mode reads them.
func TestPaperBatchIsOneUtterance(t *testing.T) {
	for _, senses := range []string{"audio", "video", "multi"} {
		recipe, spec := tinyPaper(senses)
		batches, err := newBatcher(recipe, recipe.testArch(spec), paperData(spec, 6))
		if err != nil {
			t.Fatal(err)
		}
		b := batches.batch(0)
		if len(b.cropIndex) != 1 || b.samples != 1 || (b.audioIndex[0] >= 0) != (senses != "video") ||
			anyCrop(b.cropIndex[0]) != (senses != "audio") {
			t.Errorf("%s: %d rows of %d samples, sound %d, faces %v", senses, len(b.cropIndex), b.samples,
				b.audioIndex[0],
				b.cropIndex[0])
		}
	}
}
