package train

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/infer"
	"tandem/pipeline"
)

// tinyPaper is the paper's network in small, on windows of a second.
func tinyPaper(senses string) (Recipe, pipeline.Spec) {
	r := PaperRecipe()
	r.Arch.Width, r.Modal = 0.05, senses
	spec := PaperSpec
	spec.Window, spec.VideoFrames, spec.CropSize = time.Second, 25, 32
	return r, spec
}

func (r Recipe) testArch(spec pipeline.Spec) Arch {
	a := r.Arch
	a.Spec, a.Senses, a.Emotions, a.Genders = spec, r.Modal, len(r.Emotions), len(r.Genders)
	return a
}

// paperData is talking faces whose brightness and pitch tell the emotion, and half of which end early.
func paperData(spec pipeline.Spec, n int) *Prepared {
	rng := rand.New(rand.NewPCG(7, 8))
	p := &Prepared{Spec: spec}
	for i := range n {
		e, g := i%4, i%4/2
		s := Sample{Clip: i, Audio: make([]int16, spec.AudioSamples()), Video: make([]byte, spec.VideoFrames*cropBytes(spec)), VideoMask: make([]bool, spec.VideoFrames)}
		steps := spec.VideoFrames
		if i%2 == 1 {
			steps = spec.VideoFrames * 2 / 3
		}
		for k := range s.Audio[:steps*paperStep] {
			s.Audio[k] = int16(8000*math.Sin(float64(k)*(0.1+0.2*float64(e)+0.05*float64(g))) + 200*rng.NormFloat64())
		}
		for k := range s.Video[:steps*cropBytes(spec)] {
			x := k / 3 % spec.CropSize / (spec.CropSize / 4)
			s.Video[k] = byte(30 + 60*g*(x%2) + rng.IntN(30))
			if k%3 == e {
				s.Video[k] += 100
			}
		}
		for t := range steps {
			s.VideoMask[t] = true
		}
		split := SplitTrain
		if i >= n*3/4 {
			split = SplitVal
		}
		p.Clips = append(p.Clips, Clip{Dataset: "synthetic", Emotion: e, Gender: g, Split: split, Video: "v"})
		p.Samples = append(p.Samples, s)
	}
	return p
}

func TestPaperTrainsInEachMode(t *testing.T) {
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
			o := Options{Recipe: recipe, Out: filepath.Join(dir, "model.onnx"), Run: filepath.Join(dir, "run"), Version: "test"}
			o.Log, o.Progress = func(s string) { t.Log(s) }, func(Progress) {}
			r, err := trainOn(context.Background(), o.train, paperData(spec, 16))
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

func TestPaperExportAgreesWithTheTrainedGraph(t *testing.T) {
	needBackend(t)
	backend, err := openBackend()
	if err != nil {
		t.Fatal(err)
	}
	for _, senses := range []string{"audio", "video", "multi"} {
		t.Run(senses, func(t *testing.T) {
			recipe, spec := tinyPaper(senses)
			arch := recipe.testArch(spec)
			net, err := newNetwork(arch, softmaxWeighting{}, recipe, backend)
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
				b.lr = 0.003
				if _, err := net.train(b); err != nil {
					t.Fatal(err)
				}
			}
			var ws []*pipeline.Window
			for i := range data.Samples {
				ws = append(ws, data.Window(i))
			}
			ws[2].VideoMask[20] = false
			clear(ws[2].Video[20*cropBytes(spec) : 21*cropBytes(spec)]) // as the contract has it
			ws[4].AudioPresent = false
			clear(ws[4].Audio)
			trained, err := net.logits(ws)
			if err != nil {
				t.Fatal(err)
			}
			file, err := export(arch, net.weights(), (&Options{Recipe: recipe, Version: "test"}).contract(dataOf(t, data), recipe.Labels(), softmaxWeighting{}))
			if err != nil {
				t.Fatal(err)
			}
			exported := recognize(t, file, ws)
			worst, spread := 0.0, 0.0
			for i := range ws {
				for k, p := range append(softmax(trained[i][:4]), softmax(trained[i][4:])...) {
					worst = math.Max(worst, math.Abs(float64(p-append(append([]float32{}, exported[i].Emotion...), exported[i].Gender...)[k])))
				}
				if data.Samples[i].VideoMask[24] && i != 4 { // whole windows with both senses
					spread = math.Max(spread, math.Abs(float64(trained[i][0]-trained[0][0])))
				}
			}
			t.Logf("largest difference %.2g", worst)
			if worst > 1e-4 || spread < 1e-3 {
				t.Errorf("the exported file differs from the trained network by %.2g, want at most 1e-4; windows differ by %.2g", worst, spread)
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
		if len(b.pick) != 1 || b.samples != 1 || (b.hear[0] >= 0) != (senses != "video") || anySeen(b.pick[0]) != (senses != "audio") {
			t.Errorf("%s: %d rows of %d samples, sound %d, faces %v", senses, len(b.pick), b.samples, b.hear[0], b.pick[0])
		}
	}
}

// tinyPaperArch is the paper's network in small, on windows of a second.
func tinyPaperArch(senses string) Arch {
	a := Arch{Kind: KindPaper, Width: 0.05, Senses: senses, Spec: PaperSpec, Emotions: 4, Genders: 2}
	a.Spec.Window, a.Spec.VideoFrames, a.Spec.CropSize = time.Second, 25, 32
	return a
}

func TestPaperRefusesOtherWindows(t *testing.T) {
	for says, change := range map[string]func(s *pipeline.Spec){
		"a crop for each 640 samples": func(s *pipeline.Spec) { s.VideoFrames = 24 },
		"at least 4000":               func(s *pipeline.Spec) { s.Window, s.VideoFrames = 200*time.Millisecond, 5 },
		"multiple of 32":              func(s *pipeline.Spec) { s.CropSize = 100 },
		"":                            func(*pipeline.Spec) {},
	} {
		arch := tinyPaperArch("multi")
		change(&arch.Spec)
		if err := arch.check(); says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%+v: %v, want an error that says %q", arch.Spec, err, says)
		}
	}
}

// What follows the last step that is there changes nothing.
func TestPaperReadsTheLastValidStep(t *testing.T) {
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	arch := tinyPaperArch("video")
	arch.Spec.VideoFrames = 4
	exec, err := model.NewExec(backend, model.NewStore(), func(root *model.Scope, in []*graph.Node) *graph.Node {
		o := &graphOps{scope: root.At("net"), graph: in[0].Graph(), seed: 3}
		e, g := paperFuse(ops[*graph.Node](o), arch, in[0], in[1], nil, nil)
		return graph.Concatenate([]*graph.Node{e, g}, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	d := arch.paperFaceFeatures()
	run := func(garbage float32, mask ...float32) []float32 {
		x := make([]float32, 4*d)
		for i := range x {
			x[i] = float32(math.Sin(float64(i)))
			if i >= 2*d {
				x[i] = garbage
			}
		}
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(x, 1, 4, d), tensors.FromFlatDataAndDimensions(mask, 1, 4))
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](out[0])
	}
	short, same, long := run(1, 1, 1, 0, 0), run(9, 1, 1, 0, 0), run(1, 1, 1, 1, 0)
	for i := range short {
		if short[i] != same[i] {
			t.Errorf("logit %d: %g, and %g with other padding", i, short[i], same[i])
		}
	}
	if short[0] == long[0] {
		t.Error("a third step changes nothing")
	}
}

// longConv is a convolution.
func TestLongConv(t *testing.T) {
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	const b, n, in, out, taps, block = 2, 24, 2, 3, 12, 3
	store := model.NewStore()
	exec, err := model.NewExec(backend, store, func(root *model.Scope, x []*graph.Node) *graph.Node {
		return longConv(ops[*graph.Node](&graphOps{scope: root.At("net"), graph: x[0].Graph(), seed: 3, wide: true}), x[0], "c", out, taps, block)
	})
	if err != nil {
		t.Fatal(err)
	}
	x := wave(b, n, in)
	y, err := exec.Call(x)
	if err != nil {
		t.Fatal(err)
	}
	got, sound := tensors.MustCopyFlatData[float64](y[0]), tensors.MustCopyFlatData[float64](x)
	w := tensors.MustCopyFlatData[float32](store.GetVariable("/net/c/w").MustValue())
	for i := range b {
		for o := range out {
			for at := range n {
				want := 0.0
				for c := range in {
					for j := range taps {
						if k := at + j - taps/2; k >= 0 && k < n {
							want += sound[(i*n+k)*in+c] * float64(w[(c*out+o)*taps+j])
						}
					}
				}
				if v := got[(i*out+o)*n+at]; math.Abs(v-want) > 1e-6 {
					t.Fatalf("row %d, filter %d, at %d: %g, want %g", i, o, at, v, want)
				}
			}
		}
	}
}

func TestSameTaps(t *testing.T) {
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	for _, taps := range []int{1, 2, 6, 8} {
		exec, err := model.NewExec(backend, model.NewStore(), func(root *model.Scope, x []*graph.Node) *graph.Node {
			return sameTaps(ops[*graph.Node](&graphOps{scope: root, graph: x[0].Graph()}), x[0], taps)
		})
		if err != nil {
			t.Fatal(err)
		}
		const n = 10
		x := wave(2, n)
		y, err := exec.Call(x)
		if err != nil {
			t.Fatal(err)
		}
		got, in := tensors.MustCopyFlatData[float64](y[0]), tensors.MustCopyFlatData[float64](x)
		for i, v := range got {
			row, j := i/taps, i%taps
			want := 0.0
			if at := row%n + j - taps/2; at >= 0 && at < n {
				want = in[row/n*n+at]
			}
			if v != want {
				t.Fatalf("%d taps: row %d tap %d is %g, want %g", taps, row, j, v, want)
			}
		}
	}
}

func TestGradientsOfPaperLayers(t *testing.T) {
	image := func(f func(o *graphOps, x *graph.Node) *graph.Node) func(*testing.T) {
		return func(t *testing.T) {
			checkGradients(t, func(o *graphOps, in []*graph.Node) *graph.Node {
				return score(f(o, o.conv(in[0], "before", 3, 1))) // makes the gradient reach the layer's input
			}, wave(3, 4, 8, 2))
		}
	}
	t.Run("1x1", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.convNorm(x, "c", 1, 1, 4) }))
	t.Run("1x1 stride 2", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.convNorm(x, "c", 1, 2, 4) }))
	t.Run("3x3", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.convNorm(x, "c", 3, 1, 4) }))
	t.Run("3x3 stride 2", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.convNorm(x, "c", 3, 2, 4) }))
	t.Run("7x7 stride 2", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.convNorm(x, "c", 7, 2, 4) }))
	t.Run("batch normalization", image(func(o *graphOps, x *graph.Node) *graph.Node {
		y, _, _ := batchNorm(graph.Reshape(x, 96, 3), o.constant(append(make([]float32, 32), repeated(1, 64)...), 1, 96))
		return graph.Slice(y, graph.AxisRange(32, 96))
	}))
	t.Run("pool", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.pool(graph.Exp(x)) }))
	t.Run("average", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.average(x) }))
	t.Run("bottleneck", image(func(o *graphOps, x *graph.Node) *graph.Node {
		return bottleneck(ops[*graph.Node](o), x, "b", 2, 2)
	}))
	t.Run("largest", image(func(o *graphOps, x *graph.Node) *graph.Node { return largest(ops[*graph.Node](o), x, 2) }))
	t.Run("transpose", image(func(o *graphOps, x *graph.Node) *graph.Node { return o.transpose(x, 0, 3, 1, 2) }))
	sound := func(f func(o *graphOps, x *graph.Node) *graph.Node) func(*testing.T) {
		return func(t *testing.T) {
			checkGradients(t, func(o *graphOps, in []*graph.Node) *graph.Node {
				x := o.reshape(dense(ops[*graph.Node](o), o.reshape(in[0], -1, 3), "before", 2), 2, 12, 2)
				return score(f(o, x))
			}, wave(2, 12, 3))
		}
	}
	t.Run("long convolution", sound(func(o *graphOps, x *graph.Node) *graph.Node {
		return longConv(ops[*graph.Node](o), x, "c", 3, 8, 2)
	}))
	t.Run("taps", sound(func(o *graphOps, x *graph.Node) *graph.Node {
		return sameTaps(ops[*graph.Node](o), o.reshape(x, 2, 24), 6)
	}))
	t.Run("lstm", sound(func(o *graphOps, x *graph.Node) *graph.Node { return o.lstm(x, "lstm", 3) }))
	t.Run("batch products", sound(func(o *graphOps, x *graph.Node) *graph.Node {
		return o.batchMatmul(x, o.param("w", normalInit(1), 2, 2, 5))
	}))
	t.Run("fusion", func(t *testing.T) {
		arch := tinyPaperArch("multi")
		arch.Spec.VideoFrames = 4
		checkGradients(t, func(o *graphOps, in []*graph.Node) *graph.Node {
			sound := o.concat(1, in[1], o.constant([]float32{1, 1, 0, 0, 1, 1, 1, 0}, 2, 4))
			e, g := paperFuse(ops[*graph.Node](o), arch, in[0], o.constant([]float32{1, 0, 0, 0, 1, 1, 1, 1}, 2, 4), sound, o.constant([]float32{1, 0}, 2, 1))
			return graph.Add(score(e), score(g))
		}, wave(2, 4, arch.paperFaceFeatures()), wave(2, arch.paperSoundFeatures()))
	})
}

func repeated(v float32, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = v
	}
	return x
}

// Within its limits batch renormalization gives what the running statistics give.
func TestRenorm(t *testing.T) {
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	exec, err := model.NewExec(backend, model.NewStore(), func(_ *model.Scope, in []*graph.Node) []*graph.Node {
		y, mean, variance := batchNorm(in[0], graph.OnesLike(graph.Reshape(graph.Slice(in[0], graph.AxisRange(), graph.AxisRange(0, 1)), 1, -1)))
		return []*graph.Node{renorm(y, mean, variance, in[1], in[2]), mean}
	})
	if err != nil {
		t.Fatal(err)
	}
	x := []float64{1, 2, 3, 6}
	for _, c := range []struct{ mean, variance, at float64 }{
		{1, 4, (6 - 1) / 2.0},  // in the limits
		{-100, 4, math.Inf(1)}, // the mean is not
		{3, 1e-3, math.Inf(1)}, // the variance is not
	} {
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(x, 4, 1), tensors.FromFlatDataAndDimensions([]float64{c.mean}, 1, 1), tensors.FromFlatDataAndDimensions([]float64{c.variance}, 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		got := tensors.MustCopyFlatData[float64](out[0])[3]
		if most := renormR*(6-3)/math.Sqrt(3.5) + renormD; got > most+1e-3 || !math.IsInf(c.at, 1) && math.Abs(got-c.at) > 1e-4 {
			t.Errorf("mean %g, variance %g: %g, want %g and at most %g", c.mean, c.variance, got, c.at, most)
		}
	}
}
