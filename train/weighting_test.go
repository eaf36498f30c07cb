package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
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
func (p twoTasks) run(t *testing.T, w Weighting, steps int, start [2]float64) (x [2]float64, weights [][2]float64) {
	t.Helper()
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	store := model.NewStore()
	exec, err := model.NewExec(backend, store, func(root *model.Scope, in []*graph.Node) []*graph.Node {
		g := in[0].Graph()
		store.SetTraining(g, true)
		v := root.At("net").At("face").VariableWithValue("x", tensors.FromFlatDataAndDimensions([]float32{float32(start[0]), float32(start[1])}, 2))
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
		tasks := &taskLosses{
			graphOps: &graphOps{scope: root.At("loss"), graph: g}, losses: losses(), classes: []int{7, 2}, draw: in[1], batches: max(p.batches, 1),
			gradients: func(l *graph.Node) []*graph.Node { return graph.Gradient(l, v.NodeValue(g)) },
			shared:    []bool{true},
		}
		j := w.joint(tasks)
		f, follows := w.(follower)
		grads := j.grads
		if grads == nil {
			grads = tasks.gradients(j.loss)
		}
		if own := trainable(root.At("loss"), g); !follows && len(own) > 0 {
			adam(root.At("loss"), graph.Gradient(j.loss, own...), graph.Scalar(g, in[0].DType(), p.ownRate), 0)
		}
		v.SetNodeValue(graph.Sub(v.NodeValue(g), graph.Mul(grads[0], in[0])))
		if follows {
			f.follow(tasks, j, losses)
		}
		return []*graph.Node{j.weights}
	})
	if err != nil {
		t.Fatal(err)
	}
	for step := range steps {
		out, err := exec.Call(float32(p.rate), draws(1, step))
		if err != nil {
			t.Fatal(err)
		}
		v := tensors.MustCopyFlatData[float32](out[0])
		weights = append(weights, [2]float64{float64(v[0]), float64(v[1])})
	}
	v := tensors.MustCopyFlatData[float32](store.GetVariable("/net/face/x").MustValue())
	return [2]float64{float64(v[0]), float64(v[1])}, weights
}

func parsed(t *testing.T, name string) Weighting {
	t.Helper()
	w, err := ParseWeighting(name)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// everyWeighting are all methods, and static in its forms.
func everyWeighting() []string {
	return append([]string{"static:1,0", "static:0.7,0.3"}, Weightings...)
}

// What the reference derives of the paper's loss: with constant losses and Adam at 1e-4 the weight of the larger loss falls from
// .50 to .36 in 3000 steps, .06 in 15000 and .005 in 30000.
func TestSoftmaxCollapsesUnderConstantLosses(t *testing.T) {
	steps := 30000
	if testing.Short() {
		steps = 3000
	}
	_, w := twoTasks{constant: &[2]float64{1.4, 0.1}, ownRate: 1e-4}.run(t, softmaxWeighting{}, steps, [2]float64{})
	for _, c := range []struct {
		step int
		want float64
	}{{3000, 0.36}, {15000, 0.06}, {30000, 0.005}} {
		if c.step <= steps {
			near64(t, fmt.Sprintf("weight after %d steps", c.step), w[c.step-1][0], c.want, max(0.15*c.want, 0.0025))
		}
	}
}

func TestFloorAndEntropyCureTheCollapse(t *testing.T) {
	p := twoTasks{constant: &[2]float64{1.4, 0.1}, ownRate: 1e-2}
	last := func(w softmaxWeighting, steps int) float64 {
		_, ws := p.run(t, w, steps, [2]float64{})
		return ws[len(ws)-1][0]
	}
	near64(t, "weight at a floor of 0.1", last(softmaxWeighting{floor: 0.1}, 1500), 0.1, 3e-3)
	// The minimum of p.L + e sum p ln p is softmax(-L/e).
	for _, e := range []float64{0.5, 2} {
		near64(t, fmt.Sprintf("weight with entropy %g", e), last(softmaxWeighting{entropy: e}, 3000), 1/(1+math.Exp(1.3/e)), 2e-3)
	}
	// A temperature delays it: at T = 5, 500 steps are what 100 are without.
	near64(t, "weight at temperature 5", last(softmaxWeighting{temperature: 5}, 500), last(softmaxWeighting{}, 100), 0.01)
	if w := last(softmaxWeighting{temperature: 5}, 3000); w > 0.01 {
		t.Errorf("temperature alone keeps a weight of %.3f: it ought to collapse later", w)
	}
	a, b := math.Log(7)*math.Exp(-1.4/priorStrength), math.Log(2)*math.Exp(-0.1/priorStrength)
	_, ws := p.run(t, priorWeighting{}, 2000, [2]float64{})
	near64(t, "softmax-prior", ws[len(ws)-1][0], a/(a+b), 2e-3)
}

// Kendall's weights come to rest where d/ds (exp(-s) L + s/2) = 0.
func TestUWComesToRest(t *testing.T) {
	_, w := twoTasks{constant: &[2]float64{1.4, 0.3}, ownRate: 0.02}.run(t, uwWeighting{}, 1500, [2]float64{})
	near64(t, "emotion", w[1499][0], 1/(2*1.4), 1e-3)
	near64(t, "gender", w[1499][1], 1/(2*0.3), 5e-3)
}

func TestClosedForms(t *testing.T) {
	p := twoTasks{constant: &[2]float64{1.4, 0.5}}
	_, w := p.run(t, parsed(t, "uw-so:2"), 1, [2]float64{})
	near64(t, "UW-SO", w[0][0], 1/(1+math.Exp((1/0.5-1/1.4)/2)), 1e-5)
	p.constant = &[2]float64{1.4, 0} // gender is not known
	_, w = p.run(t, parsed(t, "uw-so"), 1, [2]float64{})
	near64(t, "UW-SO of one known task", w[0][0], 1, 1e-6)
	_, w = p.run(t, parsed(t, "famo"), 1, [2]float64{})
	near64(t, "FAMO of one known task", w[0][0], 1, 1e-6)
	_, w = p.run(t, parsed(t, "static:3,1"), 1, [2]float64{})
	near64(t, "static", w[0][0], 0.75, 1e-6)
	_, w = p.run(t, rlwWeighting{}, 500, [2]float64{})
	mean := 0.0
	for i, v := range w {
		d := draws(1, i)
		near64(t, "RLW", v[0], 1/(1+math.Exp(float64(d[1]-d[0]))), 1e-5)
		mean += v[0] / float64(len(w))
	}
	near64(t, "RLW's mean", mean, 0.5, 0.04) // 4 standard errors
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
			near64(t, fmt.Sprintf("epoch %d, step %d", epoch, i), w[3*epoch+i][0], want[0], 1e-5)
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

// One step of PCGrad and of CAGrad from the origin, where the gradients are g_1 = (1, 0) and g_2 = (-1, 1): they conflict.
func TestConflictingGradients(t *testing.T) {
	p := twoTasks{a: [2]float64{1, 1}, c: [2][2]float64{{-1, 0}, {1, -1}}, rate: 1}
	// By hand: g_1.g_2 = -1; g_1 + g_2/2 = (1/2, 1/2); g_2 + g_1 = (0, 1); half of their sum.
	x, w := p.run(t, pcgradWeighting{}, 1, [2]float64{})
	near64(t, "PCGrad x", x[0], -0.25, 1e-6)
	near64(t, "PCGrad y", x[1], -0.75, 1e-6)
	near64(t, "PCGrad p_1", w[0][0], 1, 1e-6)
	near64(t, "PCGrad p_2", w[0][1], 0.75, 1e-6)
	// Without conflict it is the step of uniform weights.
	q := twoTasks{a: [2]float64{1, 2}, c: [2][2]float64{{-1, 0}, {-1, -1}}, rate: 1}
	x, _ = q.run(t, pcgradWeighting{}, 1, [2]float64{})
	y, _ := q.run(t, staticWeighting{0.5, 0.5}, 1, [2]float64{})
	near64(t, "PCGrad without conflict", x[0]-y[0]+x[1]-y[1], 0, 1e-6)

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
	near64(t, "CAGrad x", -x[0], at[0], 1e-3)
	near64(t, "CAGrad y", -x[1], at[1], 1e-3)
	near64(t, "CAGrad's worse task", worse([2]float64{-x[0], -x[1]}), best, 1e-5)
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
		for _, v := range [][3]float64{{1, -1, 2}, {1, 0, 1}, {4, 1.9, 1}, {0.01, -0.2, 9}, {9, -0.2, 0.01}, {1, 0.5, 1}, {1, -1, 1}, {2, 1, 100}, {1, 1, 1}, {0, 0, 1}} {
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
			if w := float64(tensors.ToScalar[float32](out[0])); !(w >= 0 && w <= 1) || f(w) > least+1e-4*(1+math.Abs(least)) {
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
	near64(t, "at first", w[0][0], 0.5, 1e-6)
	near64(t, "ratio of w_1 g_1 to w_2 g_2", w[599][0]/(10*w[599][1]), 1, 0.1)
	for _, v := range w {
		near64(t, "sum", v[0]+v[1], 1, 1e-5)
	}
	// Adam's first step is its rate: the larger norm's weight goes down by it, the other up.
	near64(t, "after a step", w[1][0], 0.5+ownRate/2, 1e-4)
}

// FAMO's first two steps by hand.
func TestFAMOFollowsItsAlgorithm(t *testing.T) {
	p := twoTasks{a: [2]float64{1, 4}, c: [2][2]float64{{1, 0}, {0, 2}}, floor: [2]float64{0.1, 0.1}, rate: 0.05}
	_, w := p.run(t, famoWeighting{}, 2, [2]float64{})
	l := [2]float64{0.5 + 0.1, 8 + 0.1}
	p1 := (1 / l[0]) / (1/l[0] + 1/l[1])
	near64(t, "first weight", w[0][0], p1, 1e-5)
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
	near64(t, "second weight", w[1][0], (z/after[0])/(z/after[0]+(1-z)/after[1]), 1e-4)
}

// On two quadratics with minima c_1 and c_2 the Pareto optima are the segment between them; every method must come to it, whichever end.
func TestEveryWeightingReachesTheParetoSet(t *testing.T) {
	p := twoTasks{a: [2]float64{1, 3}, c: [2][2]float64{{1, 0}, {0, 1}}, floor: [2]float64{0.2, 0.2}, batches: 10, rate: 0.05, ownRate: 1e-3}
	for _, name := range everyWeighting() {
		t.Run(name, func(t *testing.T) {
			x, w := p.run(t, parsed(t, name), 600, [2]float64{2, 2})
			if off := math.Abs(x[0] + x[1] - 1); off > 0.02 || x[0] < -0.02 || x[1] < -0.02 {
				t.Errorf("it came to %v, not to the segment from (1, 0) to (0, 1)", x)
			}
			if name == "static:0.7,0.3" { // its optimum is the weighted mean
				near64(t, "x", x[0], 0.7/(0.7+0.9), 1e-3)
			}
			for _, v := range w {
				if !(v[0] >= 0 && v[1] >= 0 && v[0]+v[1] < 1000) { // CAGrad's grow where the gradients cancel, which is what Pareto optima are
					t.Fatalf("weights %v", v)
				}
			}
		})
	}
}

func TestGradientsOfJointLosses(t *testing.T) {
	for name, w := range map[string]Weighting{
		"softmax": softmaxWeighting{}, "with options": softmaxWeighting{0.1, 3, 0.7}, "softmax-prior": priorWeighting{},
		"static": staticWeighting{0.7, 0.3}, "uw": uwWeighting{},
	} {
		t.Run(name, func(t *testing.T) {
			CheckGradients(t, func(net *model.Scope, in []*graph.Node) *graph.Node {
				o := &graphOps{scope: net, graph: in[0].Graph(), seed: 3, wide: true}
				target := o.constant([]float32{1, 0, 0, 0.1, 0.8, 0.1, 0, 0, 1}, 3, 3)
				other := o.constant([]float32{1, 0, 0, 1, 0.5, 0.5}, 3, 2)
				known := o.constant([]float32{1, 0, 2}, 3)
				e := crossEntropy(dense(ops[*graph.Node](o), in[0], "e", 3), target, known)
				g := crossEntropy(dense(ops[*graph.Node](o), in[0], "g", 2), other, o.constant([]float32{1, 1, 1}, 3))
				return w.joint(&taskLosses{graphOps: o, losses: []*graph.Node{e, g}, classes: []int{3, 2}}).loss
			}, wave(3, 4))
		})
	}
}

// Every method trains the network, logs weights that are numbers, and goes on after an interruption bit for bit. DWA has two epochs
// behind it in the third.
func TestEveryWeightingTrainsAndResumes(t *testing.T) {
	needBackend(t)
	names := everyWeighting()
	if testing.Short() {
		names = []string{"famo", "cagrad"}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			short := func(dir string) (Options, *Prepared) {
				o, data := quickRun(dir)
				o.Recipe.Weighting, o.Recipe.Epochs, o.Recipe.StepsPerEpoch, o.Recipe.Accumulate = name, 3, 2, 2
				return o, data
			}
			whole, data := short(t.TempDir())
			if _, err := trainOn(t.Context(), whole.train, data); err != nil {
				t.Fatal(err)
			}
			stopped, _ := short(t.TempDir())
			ctx, cancel := context.WithCancel(t.Context())
			stopped.Progress = func(p Progress) {
				if p.Stage == "train" && p.Done == 3 {
					cancel()
				}
			}
			if _, err := trainOn(ctx, stopped.train, data); !errors.Is(err, context.Canceled) {
				t.Fatalf("interrupted run ended with %v", err)
			}
			stopped.Resume, stopped.Progress = true, func(Progress) {}
			if _, err := trainOn(t.Context(), stopped.train, data); err != nil {
				t.Fatal(err)
			}
			sameOutcome(t, whole, stopped)
			rows := readLog(t, whole.Run+"/log.csv")
			for i := 1; i < len(rows); i++ {
				e, g := number(t, rows, i, "weight_emotion"), number(t, rows, i, "weight_gender")
				if !(e >= 0 && g >= 0 && e+g > 0 && e+g < 100) {
					t.Errorf("epoch %d: weights %g and %g", i, e, g)
				}
				near64(t, "unweighted sum", number(t, rows, i, "unweighted_sum"), number(t, rows, i, "emotion")+number(t, rows, i, "gender"), 1e-4)
			}
		})
	}
}

func TestParseWeighting(t *testing.T) {
	for in, want := range map[string]string{
		"softmax": "softmax", "softmax-prior": "softmax-prior", "static": "static", "static:1,1": "static", "static:3,1": "static:0.75,0.25", "static:1,0": "static:1,0",
		"uw": "uw", "uw-so": "uw-so", "uw-so:1": "uw-so", "uw-so:0.5": "uw-so:0.5", "dwa": "dwa", "dwa:3": "dwa:3", "rlw": "rlw", "famo": "famo",
		"gradnorm": "gradnorm", "gradnorm:0.12": "gradnorm:0.12", "pcgrad": "pcgrad", "cagrad": "cagrad", "cagrad:0.2": "cagrad:0.2",
		"": "error", "Softmax": "error", "static:": "error", "static:1": "error", "static:-1,2": "error", "static:0,0": "error", "softmax:1": "error",
		"static:1,2,3": "error", "static:NaN,1": "error", "static:Inf,1": "error", "static:1,1x": "error",
		"uw:1": "error", "dwa:": "error", "dwa:0": "error", "dwa:-1": "error", "dwa:NaN": "error", "gradnorm:x": "error", "cagrad:1": "error", "pcgrad:2": "error",
	} {
		w, err := ParseWeighting(in)
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

func TestWeightOptions(t *testing.T) {
	for in, want := range map[string]string{
		`{"weighting":"softmax","weight_floor":0.1,"weight_temperature":2,"weight_entropy":0.5}`: "",
		`{"weighting":"softmax","weight_floor":0.5}`:                                             "weight_floor",
		`{"weighting":"softmax","weight_temperature":0}`:                                         "weight_temperature",
		`{"weighting":"softmax","weight_entropy":-1}`:                                            "weight_entropy",
		`{"weighting":"uw","weight_floor":0.1}`:                                                  "softmax alone",
	} {
		r, err := ParseRecipe([]byte(in))
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want an error about %s", in, err, want)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		if w, err := r.weighting(); err != nil || w != (softmaxWeighting{0.1, 2, 0.5}) || w.Name() != "softmax floor=0.1 temperature=2 entropy=0.5" {
			t.Errorf("%s: %v, %v", in, w, err)
		}
	}
}

func FuzzParseWeighting(f *testing.F) {
	for _, s := range append(everyWeighting(), "dwa:2", "static:1e-300,0", "uw-so:NaN") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, err := ParseWeighting(s)
		if err != nil {
			return
		}
		again, err := ParseWeighting(w.Name())
		if err != nil || again.Name() != w.Name() {
			t.Errorf("%q is called %q, which reads as %v, %v", s, w.Name(), again, err)
		}
	})
}

// BenchmarkWeightings times a step of each method beside one of static, in turns, with the default recipe's batch.
func BenchmarkWeightings(b *testing.B) {
	for _, name := range Weightings {
		if name == "static" {
			continue
		}
		b.Run(name, func(b *testing.B) {
			reference, in := benchWeighting(b, "static")
			n, _ := benchWeighting(b, name)
			step(b, reference, in)
			step(b, n, in)
			var of, to []float64
			for b.Loop() {
				to = append(to, step(b, reference, in).Seconds())
				of = append(of, step(b, n, in).Seconds())
			}
			b.ReportMetric(1000*median(of), "ms/step")
			b.ReportMetric(median(of)/median(to), "of-static")
		})
	}
}

func benchWeighting(b *testing.B, name string) (*network, *batch) {
	b.Helper()
	w, err := ParseWeighting(name)
	if err != nil {
		b.Fatal(err)
	}
	return benchNetworkOf(b, DefaultRecipe(), w)
}
