package weighting

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/train/nn"
	"tandem/train/optim"
	"tandem/train/traintest"
)

// twoTasks are losses of parameters x [2], shared by two tasks, on which weightings are tried without a network:
// task i has a_i/2 |x - c_i|^2 + floor_i, and reports that.
type twoTasks struct {
	a, floor [2]float64
	c        [2][2]float64
	constant *[2]float64 // losses that x has no part in, instead
	batches  int
	rate     float64 // of the network's plain gradient descent
	ownRate  float64 // of Adam of the weighting's own variables
}

// run makes steps and gives x and the weights of each step.
func (p twoTasks) run(t *testing.T, w Method, steps int, start [2]float64) (x [2]float64, weights [][2]float64) {
	t.Helper()
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	store := model.NewStore()
	exec, err := model.NewExec(backend, store, func(root *model.Scope, in []*graph.Node) []*graph.Node {
		g := in[0].Graph()
		store.SetTraining(g, true)
		v := root.At("net").At("face").VariableWithValue("x",
			tensors.FromFlatDataAndDimensions([]float32{float32(start[0]), float32(start[1])}, 2))
		losses := func() []*graph.Node {
			var out []*graph.Node
			for i := range 2 {
				d := graph.Sub(v.NodeValue(g), graph.Const(g, []float32{float32(p.c[i][0]), float32(p.c[i][1])}))
				l := graph.AddScalar(graph.MulScalar(graph.ReduceAllSum(graph.Square(d)), p.a[i]/2), p.floor[i])
				if p.constant != nil {
					l = graph.AddScalar(graph.MulScalar(l, 0), p.constant[i])
				}
				out = append(out, l)
			}
			return out
		}
		tasks := &TaskLosses{
			GraphOps: &nn.GraphOps{Scope: root.At("loss"), Graph: g}, Losses: losses(), Classes: []int{7, 2},
			Draw: in[1], Batches: max(p.batches, 1),
			Gradients: func(l *graph.Node) []*graph.Node { return graph.Gradient(l, v.NodeValue(g)) },
			Shared:    []bool{true},
		}
		j := w.Joint(tasks)
		f, follows := w.(Follower)
		grads := j.Grads
		if grads == nil {
			grads = tasks.Gradients(j.Loss)
		}
		if own := optim.Trainable(root.At("loss"), g); !follows && len(own) > 0 {
			optim.Adam(root.At("loss"), graph.Gradient(j.Loss, own...), graph.Scalar(g, in[0].DType(), p.ownRate), 0)
		}
		v.SetNodeValue(graph.Sub(v.NodeValue(g), graph.Mul(grads[0], in[0])))
		if follows {
			f.Follow(tasks, j, losses)
		}
		return []*graph.Node{j.Weights}
	})
	if err != nil {
		t.Fatal(err)
	}
	for step := range steps {
		out, err := exec.Call(float32(p.rate), Draws(1, step))
		if err != nil {
			t.Fatal(err)
		}
		v := tensors.MustCopyFlatData[float32](out[0])
		weights = append(weights, [2]float64{float64(v[0]), float64(v[1])})
	}
	v := tensors.MustCopyFlatData[float32](store.GetVariable("/net/face/x").MustValue())
	return [2]float64{float64(v[0]), float64(v[1])}, weights
}

func parsed(t *testing.T, name string) Method {
	t.Helper()
	w, err := Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// everyWeighting are all methods, and static in its forms.
func everyWeighting() []string {
	return append([]string{"static:1,0", "static:0.7,0.3"}, Names...)
}

// What the reference derives of the paper's loss: with constant losses and Adam at 1e-4 the weight of the larger loss
// falls from .50 to .36 in 3000 steps, .06 in 15000 and .005 in 30000.
func TestSoftmaxCollapsesUnderConstantLosses(t *testing.T) { softmaxCollapses(t, 3000) }

func TestLongSoftmaxCollapsesUnderConstantLosses(t *testing.T) { softmaxCollapses(t, 30000) }

func softmaxCollapses(t *testing.T, steps int) {
	_, w := twoTasks{constant: &[2]float64{1.4, 0.1}, ownRate: 1e-4}.run(t, Softmax{}, steps, [2]float64{})
	for _, c := range []struct {
		step int
		want float64
	}{{3000, 0.36}, {15000, 0.06}, {30000, 0.005}} {
		if c.step <= steps {
			traintest.Near(t, fmt.Sprintf("weight after %d steps", c.step), w[c.step-1][0], c.want,
				max(0.15*c.want, 0.0025))
		}
	}
}

func TestFloorAndEntropyCureTheCollapse(t *testing.T) {
	p := twoTasks{constant: &[2]float64{1.4, 0.1}, ownRate: 1e-2}
	last := func(w Softmax, steps int) float64 {
		_, ws := p.run(t, w, steps, [2]float64{})
		return ws[len(ws)-1][0]
	}
	traintest.Near(t, "weight at a floor of 0.1", last(Softmax{Floor: 0.1}, 1500), 0.1, 3e-3)
	// The minimum of p.L + e sum p ln p is softmax(-L/e).
	for _, e := range []float64{0.5, 2} {
		traintest.Near(t, fmt.Sprintf("weight with entropy %g", e), last(Softmax{Entropy: e}, 3000),
			1/(1+math.Exp(1.3/e)), 2e-3)
	}
	// A temperature delays it: at T = 5, 500 steps come to what 100 come to without.
	traintest.Near(t, "weight at temperature 5", last(Softmax{Temperature: 5}, 500), last(Softmax{}, 100), 0.01)
	if w := last(Softmax{Temperature: 5}, 3000); w > 0.01 {
		t.Errorf("temperature alone keeps a weight of %.3f: it ought to collapse later", w)
	}
	a, b := math.Log(7)*math.Exp(-1.4/priorStrength), math.Log(2)*math.Exp(-0.1/priorStrength)
	_, ws := p.run(t, softmaxPrior{}, 2000, [2]float64{})
	traintest.Near(t, "softmax-prior", ws[len(ws)-1][0], a/(a+b), 2e-3)
}

// Kendall's weights come to rest where d/ds (exp(-s) L + s/2) = 0.
func TestUWComesToRest(t *testing.T) {
	_, w := twoTasks{constant: &[2]float64{1.4, 0.3}, ownRate: 0.02}.run(t, uw{}, 1500, [2]float64{})
	traintest.Near(t, "emotion", w[1499][0], 1/(2*1.4), 1e-3)
	traintest.Near(t, "gender", w[1499][1], 1/(2*0.3), 5e-3)
}

func TestClosedForms(t *testing.T) {
	p := twoTasks{constant: &[2]float64{1.4, 0.5}}
	_, w := p.run(t, parsed(t, "uw-so:2"), 1, [2]float64{})
	traintest.Near(t, "UW-SO", w[0][0], 1/(1+math.Exp((1/0.5-1/1.4)/2)), 1e-5)
	p.constant = &[2]float64{1.4, 0} // gender is not known
	_, w = p.run(t, parsed(t, "uw-so"), 1, [2]float64{})
	traintest.Near(t, "UW-SO of one known task", w[0][0], 1, 1e-6)
	_, w = p.run(t, parsed(t, "famo"), 1, [2]float64{})
	traintest.Near(t, "FAMO of one known task", w[0][0], 1, 1e-6)
	_, w = p.run(t, parsed(t, "static:3,1"), 1, [2]float64{})
	traintest.Near(t, "static", w[0][0], 0.75, 1e-6)
	_, w = p.run(t, rlw{}, 500, [2]float64{})
	mean := 0.0
	for i, v := range w {
		d := Draws(1, i)
		traintest.Near(t, "RLW", v[0], 1/(1+math.Exp(float64(d[1]-d[0]))), 1e-5)
		mean += v[0] / float64(len(w))
	}
	traintest.Near(t, "RLW's mean", mean, 0.5, 0.04) // 4 standard errors
}

// DWA by hand: the weights of an epoch are of the mean losses of the two before.
func TestDWAFollowsItsEquation(t *testing.T) {
	p := twoTasks{a: [2]float64{1, 1}, c: [2][2]float64{{1, 0}, {0, 3}}, batches: 3, rate: 0.1}
	_, w := p.run(t, parsed(t, "dwa"), 12, [2]float64{})
	x := [2]float64{}
	var means [][2]float64
	for epoch := range 4 {
		want, sum := [2]float64{0.5, 0.5}, [2]float64{}
		if epoch >= 2 {
			a := math.Exp(means[epoch-1][0] / means[epoch-2][0] / 2)
			b := math.Exp(means[epoch-1][1] / means[epoch-2][1] / 2)
			want = [2]float64{a / (a + b), b / (a + b)}
		}
		for i := range 3 {
			traintest.Near(t, fmt.Sprintf("epoch %d, step %d", epoch, i), w[3*epoch+i][0], want[0], 1e-5)
			var g [2]float64
			for k := range 2 {
				dx, dy := x[0]-p.c[k][0], x[1]-p.c[k][1]
				sum[k] += (dx*dx + dy*dy) / 2 / 3
				g[0] += want[k] * dx
				g[1] += want[k] * dy
			}
			x[0], x[1] = x[0]-0.1*g[0], x[1]-0.1*g[1]
		}
		means = append(means, sum)
	}
}

// One step of PCGrad and of CAGrad from the origin, where the gradients are g_1 = (1, 0) and g_2 = (-1, 1): they
// conflict.
func TestConflictingGradients(t *testing.T) {
	p := twoTasks{a: [2]float64{1, 1}, c: [2][2]float64{{-1, 0}, {1, -1}}, rate: 1}
	// By hand: g_1.g_2 = -1; g_1 + g_2/2 = (1/2, 1/2); g_2 + g_1 = (0, 1); half of their sum.
	x, w := p.run(t, pcGrad{}, 1, [2]float64{})
	traintest.Near(t, "PCGrad x", x[0], -0.25, 1e-6)
	traintest.Near(t, "PCGrad y", x[1], -0.75, 1e-6)
	traintest.Near(t, "PCGrad p_1", w[0][0], 1, 1e-6)
	traintest.Near(t, "PCGrad p_2", w[0][1], 0.75, 1e-6)
	// Without conflict it is the step of uniform weights.
	q := twoTasks{a: [2]float64{1, 2}, c: [2][2]float64{{-1, 0}, {-1, -1}}, rate: 1}
	x, _ = q.run(t, pcGrad{}, 1, [2]float64{})
	y, _ := q.run(t, static{0.5, 0.5}, 1, [2]float64{})
	traintest.Near(t, "PCGrad without conflict", x[0]-y[0]+x[1]-y[1], 0, 1e-6)

	// CAGrad against the definition: the best of a fine grid of directions within c|g_0| of g_0, by its worse task.
	const c = 0.4
	x, _ = p.run(t, parsed(t, "cagrad"), 1, [2]float64{})
	worse := func(d [2]float64) float64 { return min(d[0], d[1]-d[0]) } // of g_1.d and g_2.d
	best, at := math.Inf(-1), [2]float64{}
	for i := range 200000 {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / 200000)
		d := [2]float64{c * 0.5 * cos, 0.5 + c*0.5*sin} // g_0 = (0, 1/2)
		if v := worse(d); v > best {
			best, at = v, d
		}
	}
	traintest.Near(t, "CAGrad x", -x[0], at[0], 1e-3)
	traintest.Near(t, "CAGrad y", -x[1], at[1], 1e-3)
	traintest.Near(t, "CAGrad's worse task", worse([2]float64{-x[0], -x[1]}), best, 1e-5)
}

// The closed form of CAGrad's inner problem is the minimum on a grid, whatever the gradients.
func TestCAGradShareIsTheMinimum(t *testing.T) {
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []float64{0.1, 0.4, 0.9} {
		exec, err := model.NewExec(backend, model.NewStore(), func(_ *model.Scope, in []*graph.Node) []*graph.Node {
			w, k, n := cagradShare(in[0], in[1], in[2], c)
			return []*graph.Node{w, k, n}
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range [][3]float64{
			{1, -1, 2},
			{1, 0, 1},
			{4, 1.9, 1},
			{0.01, -0.2, 9},
			{9, -0.2, 0.01},
			{1, 0.5, 1},
			{1, -1, 1},
			{2, 1, 100},
			{1, 1, 1},
			{0, 0, 1},
		} {
			f := func(w float64) float64 {
				g0 := (v[0] + 2*v[1] + v[2]) / 4
				q := w*w*v[0] + 2*w*(1-w)*v[1] + (1-w)*(1-w)*v[2]
				return w*(v[0]+v[1])/2 + (1-w)*(v[1]+v[2])/2 + c*math.Sqrt(max(g0, 0))*math.Sqrt(max(q, 0))
			}
			least := math.Inf(1)
			for i := range 10001 {
				least = min(least, f(float64(i)/10000))
			}
			out, err := exec.Call(float32(v[0]), float32(v[1]), float32(v[2]))
			if err != nil {
				t.Fatal(err)
			}
			if w := float64(tensors.ToScalar[float32](out[0])); !(w >= 0 && w <= 1) ||
				f(w) > least+1e-4*(1+math.Abs(least)) {
				t.Errorf("c %g, gradients %v: w = %g gives %g, the minimum is %g", c, v, w, f(w), least)
			}
		}
	}
}

// GradNorm's first step by hand, and that it brings two gradients of different size to one scale.
func TestGradNormBalancesGradients(t *testing.T) {
	// Linear enough: the gradients stay near (1, 0) and (0, 10) since x barely moves, and the losses' pace is equal.
	p := twoTasks{a: [2]float64{1, 1}, c: [2][2]float64{{-1, 0}, {0, -10}}, rate: 1e-6}
	p.floor = [2]float64{50 * math.Log(7) / math.Log(2), 0}
	p.floor[0] -= 0.5
	_, w := p.run(t, parsed(t, "gradnorm"), 600, [2]float64{})
	traintest.Near(t, "at first", w[0][0], 0.5, 1e-6)
	traintest.Near(t, "ratio of w_1 g_1 to w_2 g_2", w[599][0]/(10*w[599][1]), 1, 0.1)
	for _, v := range w {
		traintest.Near(t, "sum", v[0]+v[1], 1, 1e-5)
	}
	// Adam's first step is its rate: the larger norm's weight goes down by it, the other up.
	traintest.Near(t, "after a step", w[1][0], 0.5+ownRate/2, 1e-4)
}

// FAMO's first two steps by hand.
func TestFAMOFollowsItsAlgorithm(t *testing.T) {
	p := twoTasks{a: [2]float64{1, 4}, c: [2][2]float64{{1, 0}, {0, 2}}, floor: [2]float64{0.1, 0.1}, rate: 0.05}
	_, w := p.run(t, famo{}, 2, [2]float64{})
	l := [2]float64{0.5 + 0.1, 8 + 0.1}
	p1 := (1 / l[0]) / (1/l[0] + 1/l[1])
	traintest.Near(t, "first weight", w[0][0], p1, 1e-5)
	x := [2]float64{0.05 * p1, 0.05 * (1 - p1) * 8}
	after := [2]float64{
		((x[0]-1)*(x[0]-1)+x[1]*x[1])/2 + 0.1,
		4*(x[0]*x[0]+(x[1]-2)*(x[1]-2))/2 + 0.1,
	}
	// Of the two the one that improved less gains a rate's worth of Adam's first step.
	gain := ownRate
	if math.Log(l[0]/after[0]) > math.Log(l[1]/after[1]) {
		gain = -ownRate
	}
	z := 1 / (1 + math.Exp(-2*gain))
	traintest.Near(t, "second weight", w[1][0], (z/after[0])/(z/after[0]+(1-z)/after[1]), 1e-4)
}

// On two quadratics with minima c_1 and c_2 the Pareto optima are the segment between them; every method must come to
// it, whichever end.
func TestEveryWeightingReachesTheParetoSet(t *testing.T) {
	p := twoTasks{
		a: [2]float64{1, 3}, c: [2][2]float64{{1, 0}, {0, 1}}, floor: [2]float64{0.2, 0.2}, batches: 10,
		rate: 0.05, ownRate: 1e-3,
	}
	for _, name := range everyWeighting() {
		t.Run(name, func(t *testing.T) {
			x, w := p.run(t, parsed(t, name), 600, [2]float64{2, 2})
			if off := math.Abs(x[0] + x[1] - 1); off > 0.02 || x[0] < -0.02 || x[1] < -0.02 {
				t.Errorf("it came to %v, not to the segment from (1, 0) to (0, 1)", x)
			}
			if name == "static:0.7,0.3" { // its optimum is the weighted mean
				traintest.Near(t, "x", x[0], 0.7/(0.7+0.9), 1e-3)
			}
			for _, v := range w {
				// CAGrad's grow where the gradients cancel, as they do at Pareto optima
				if !(v[0] >= 0 && v[1] >= 0 && v[0]+v[1] < 1000) {
					t.Fatalf("weights %v", v)
				}
			}
		})
	}
}

func TestGradientsOfJointLosses(t *testing.T) {
	for name, w := range map[string]Method{
		"softmax": Softmax{}, "with options": Softmax{Floor: 0.1, Temperature: 3, Entropy: 0.7},
		"softmax-prior": softmaxPrior{}, "static": static{0.7, 0.3}, "uw": uw{},
	} {
		t.Run(name, func(t *testing.T) {
			traintest.CheckGradients(t, func(net *model.Scope, in []*graph.Node) *graph.Node {
				o := &nn.GraphOps{Scope: net, Graph: in[0].Graph(), Seed: 3, Float64: true}
				target := o.Constant([]float32{1, 0, 0, 0.1, 0.8, 0.1, 0, 0, 1}, 3, 3)
				other := o.Constant([]float32{1, 0, 0, 1, 0.5, 0.5}, 3, 2)
				known := o.Constant([]float32{1, 0, 2}, 3)
				space := o.Constant([]float32{1, 1, 1, 1, 1, 1, 0, 0, 1}, 3, 3)
				both := o.Constant([]float32{1, 1, 1, 1, 1, 1}, 3, 2)
				e := MeanLoss(RowLosses(dense(o, in[0], "e", 3), target, space), known)
				g := MeanLoss(RowLosses(dense(o, in[0], "g", 2), other, both), o.Constant([]float32{1, 1, 1}, 3))
				return w.Joint(&TaskLosses{GraphOps: o, Losses: []*graph.Node{e, g}, Classes: []int{3, 2}}).Loss
			}, traintest.Wave(3, 4))
		})
	}
}

// dense is a layer of new parameters.
func dense(o *nn.GraphOps, x *graph.Node, name string, out int) *graph.Node {
	w := o.Param(name+"/w", nn.NormalInit(1), x.Shape().Dimensions[1], out)
	return graph.Add(graph.Dot(x, w).Product(), o.Param(name+"/b", nn.ConstInit(0), 1, out))
}

func TestParseWeighting(t *testing.T) {
	for in, want := range map[string]string{
		"softmax": "softmax", "softmax-prior": "softmax-prior", "static": "static", "static:1,1": "static",
		"static:3,1": "static:0.75,0.25", "static:1,0": "static:1,0",
		"uw": "uw", "uw-so": "uw-so", "uw-so:1": "uw-so", "uw-so:0.5": "uw-so:0.5", "dwa": "dwa", "dwa:3": "dwa:3",
		"rlw": "rlw", "famo": "famo",
		"gradnorm": "gradnorm", "gradnorm:0.12": "gradnorm:0.12", "pcgrad": "pcgrad", "cagrad": "cagrad",
		"cagrad:0.2": "cagrad:0.2",
		"":           "error", "Softmax": "error", "static:": "error", "static:1": "error", "static:-1,2": "error",
		"static:0,0": "error", "softmax:1": "softmax", "softmax:0.05": "softmax:0.05", "softmax:0": "error",
		"static:1,2,3": "error", "static:NaN,1": "error", "static:Inf,1": "error", "static:1,1x": "error",
		"uw:1": "error", "dwa:": "error", "dwa:0": "error", "dwa:-1": "error", "dwa:NaN": "error",
		"gradnorm:x": "error", "cagrad:1": "error", "pcgrad:2": "error",
	} {
		w, err := Parse(in)
		got := "error"
		if err == nil {
			got = w.Name()
		} else if !strings.Contains(err.Error(), "--weighting") {
			t.Errorf("ParseWeighting(%q): %v does not name the flag", in, err)
		}
		if got != want {
			t.Errorf("ParseWeighting(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
}

func FuzzParseWeighting(f *testing.F) {
	for _, s := range append(everyWeighting(), "dwa:2", "static:1e-300,0", "uw-so:NaN") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(w.Name())
		if err != nil || again.Name() != w.Name() {
			t.Errorf("%q is called %q, which reads as %v, %v", s, w.Name(), again, err)
		}
	})
}
