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

	"tandem/pipeline"
	"tandem/train/traintest"
)

// tinyPaperArch is the paper's network in small, on windows of a second.
func tinyPaperArch(senses string) Arch {
	a := Arch{Kind: KindPaper, Width: 0.05, Modal: senses, Spec: PaperSpec, Emotions: 4, Genders: 2}
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
		if err := arch.Check(); says == "" && err != nil ||
			says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
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
		o := &GraphOps{Scope: root.At("net"), Graph: in[0].Graph(), Seed: 3}
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
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(x, 1, 4, d),
			tensors.FromFlatDataAndDimensions(mask, 1, 4))
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
func TestConvOfALongKernel(t *testing.T) {
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	const b, n, in, out, taps, block = 2, 24, 2, 3, 12, 3
	store := model.NewStore()
	exec, err := model.NewExec(backend, store, func(root *model.Scope, x []*graph.Node) *graph.Node {
		return longConv(ops[*graph.Node](&GraphOps{Scope: root.At("net"), Graph: x[0].Graph(), Seed: 3, Float64: true}),
			x[0], "c", out, taps, block)
	})
	if err != nil {
		t.Fatal(err)
	}
	x := traintest.Wave(b, n, in)
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
			return sameTaps(ops[*graph.Node](&GraphOps{Scope: root, Graph: x[0].Graph()}), x[0], taps)
		})
		if err != nil {
			t.Fatal(err)
		}
		const n = 10
		x := traintest.Wave(2, n)
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
	image := func(f func(o *GraphOps, x *graph.Node) *graph.Node) func(*testing.T) {
		return func(t *testing.T) {
			checkGradients(t, func(o *GraphOps, in []*graph.Node) *graph.Node {
				return score(f(o, o.conv(in[0], "before", 3, 1))) // makes the gradient reach the layer's input
			}, traintest.Wave(3, 4, 8, 2))
		}
	}
	t.Run("1x1", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.convNorm(x, "c", 1, 1, 4) }))
	t.Run("1x1 stride 2", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.convNorm(x, "c", 1, 2, 4) }))
	t.Run("3x3", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.convNorm(x, "c", 3, 1, 4) }))
	t.Run("3x3 stride 2", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.convNorm(x, "c", 3, 2, 4) }))
	t.Run("7x7 stride 2", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.convNorm(x, "c", 7, 2, 4) }))
	t.Run("batch normalization", image(func(o *GraphOps, x *graph.Node) *graph.Node {
		y, _, _ := batchNorm(graph.Reshape(x, 96, 3),
			o.Constant(append(make([]float32, 32), repeated(1, 64)...), 1, 96))
		return graph.Slice(y, graph.AxisRange(32, 96))
	}))
	t.Run("pool", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.pool(graph.Exp(x)) }))
	t.Run("average", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.average(x) }))
	t.Run("bottleneck", image(func(o *GraphOps, x *graph.Node) *graph.Node {
		return bottleneck(ops[*graph.Node](o), x, "b", 2, 2)
	}))
	t.Run("largest", image(func(o *GraphOps, x *graph.Node) *graph.Node { return largest(ops[*graph.Node](o), x, 2) }))
	t.Run("transpose", image(func(o *GraphOps, x *graph.Node) *graph.Node { return o.transpose(x, 0, 3, 1, 2) }))
	sound := func(f func(o *GraphOps, x *graph.Node) *graph.Node) func(*testing.T) {
		return func(t *testing.T) {
			checkGradients(t, func(o *GraphOps, in []*graph.Node) *graph.Node {
				x := o.reshape(dense(ops[*graph.Node](o), o.reshape(in[0], -1, 3), "before", 2), 2, 12, 2)
				return score(f(o, x))
			}, traintest.Wave(2, 12, 3))
		}
	}
	t.Run("long convolution", sound(func(o *GraphOps, x *graph.Node) *graph.Node {
		return longConv(ops[*graph.Node](o), x, "c", 3, 8, 2)
	}))
	t.Run("taps", sound(func(o *GraphOps, x *graph.Node) *graph.Node {
		return sameTaps(ops[*graph.Node](o), o.reshape(x, 2, 24), 6)
	}))
	t.Run("lstm", sound(func(o *GraphOps, x *graph.Node) *graph.Node { return o.lstm(x, "lstm", 3) }))
	t.Run("batch products", sound(func(o *GraphOps, x *graph.Node) *graph.Node {
		return o.batchMatmul(x, o.Param("w", NormalInit(1), 2, 2, 5))
	}))
	t.Run("fusion", func(t *testing.T) {
		arch := tinyPaperArch("multi")
		arch.Spec.VideoFrames = 4
		checkGradients(t, func(o *GraphOps, in []*graph.Node) *graph.Node {
			sound := o.concat(1, in[1], o.Constant([]float32{1, 1, 0, 0, 1, 1, 1, 0}, 2, 4))
			e, g := paperFuse(ops[*graph.Node](o), arch, in[0], o.Constant([]float32{1, 0, 0, 0, 1, 1, 1, 1}, 2, 4),
				sound, o.Constant([]float32{1, 0}, 2, 1))
			return graph.Add(score(e), score(g))
		}, traintest.Wave(2, 4, arch.paperFaceFeatures()), traintest.Wave(2, arch.paperAudioFeatures()))
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
		y, mean, variance := batchNorm(in[0],
			graph.OnesLike(graph.Reshape(graph.Slice(in[0], graph.AxisRange(), graph.AxisRange(0, 1)), 1, -1)))
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
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(x, 4, 1),
			tensors.FromFlatDataAndDimensions([]float64{c.mean}, 1, 1),
			tensors.FromFlatDataAndDimensions([]float64{c.variance}, 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		got := tensors.MustCopyFlatData[float64](out[0])[3]
		if most := renormR*(6-3)/math.Sqrt(3.5) + renormD; got > most+1e-3 ||
			!math.IsInf(c.at, 1) && math.Abs(got-c.at) > 1e-4 {
			t.Errorf("mean %g, variance %g: %g, want %g and at most %g", c.mean, c.variance, got, c.at, most)
		}
	}
}
