package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/pipeline"
	"tandem/train/nn"
	"tandem/train/optim"
	"tandem/train/weighting"
)

// network is the trained state: the variables, the optimizer's moments, and the compiled step.
type network struct {
	arch      nn.Arch
	weighting weighting.Method
	recipe    Recipe
	backend   compute.Backend
	store     *model.Store
	step      *model.Exec
	gather    *model.Exec // of a step's batches but the last: their gradients are added up
}

func newNetwork(arch nn.Arch, weighting weighting.Method, recipe Recipe, backend compute.Backend) (*network, error) {
	if err := arch.Check(); err != nil {
		return nil, err
	}
	n := &network{arch: arch, weighting: weighting, recipe: recipe, backend: backend, store: model.NewStore()}
	var err error
	for i, exec := range []**model.Exec{&n.gather, &n.step} {
		if *exec, err = model.NewExec(backend, n.store, func(root *model.Scope, in []*graph.Node) []*graph.Node {
			return n.stepGraph(root, in, i == 1)
		}); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// batch is what one step reads. Rows pick their senses from the encoded faces and sounds, so that a face or a voice
// is encoded once however many rows use it.
type batch struct {
	crops  []uint8   // [F, S, S, C]
	sounds []float32 // [A, samples]
	// pick[r][t] is the face of row r at frame t, or -1; hear[r] is its sound, or -1.
	pick          [][]int
	hear          []int
	emotion       [][]float32 // [R][E] targets, smoothed
	gender        [][]float32 // [R][G]
	emotionWeight []float32   // [R], 0 where unknown
	genderWeight  []float32
	drop          map[string][]float32 // dropout's keep masks
	draw          []float32            // standard normal, one a task, see rlwWeighting; nil: zeros
	lr            float32
	samples       int      // stills, voices and talking faces
	paths         []string // of what is in the batch, for errors
}

// stepResult is what one step reports, before its update.
type stepResult struct {
	Joint, Emotion, Gender float64 // losses in nats
	Weights                [2]float64
	GradNorm               float64
}

// stepGraph is one step of training: forward, joint loss, gradients, and, with the last batch of a step, their update.
func (n *network) stepGraph(root *model.Scope, in []*graph.Node, last bool) []*graph.Node {
	g := in[0].Graph()
	n.store.SetTraining(g, true)
	crops, sounds, pick, hear, emotion, gender, ew, gw, lr, draw := in[0], in[1], in[2], in[3], in[4], in[5], in[6],
		in[7], in[8], in[9]
	drop := map[string]*graph.Node{}
	for i, d := range nn.DropoutLayers(n.arch) {
		drop[d.Name] = in[10+i]
	}
	o := &nn.GraphOps{Scope: root.At("net"), Graph: g, Seed: n.recipe.Seed, Drop: drop}
	run := func() []*graph.Node {
		logits := n.forward(o, crops, sounds, pick, hear)
		return []*graph.Node{
			weighting.CrossEntropy(logits[0], emotion, ew),
			weighting.CrossEntropy(logits[1], gender, gw),
		}
	}
	losses := run()
	n.freeze(root.At("net"))
	netVars := optim.Trainable(root.At("net"), g)
	tasks := &weighting.TaskLosses{
		GraphOps: &nn.GraphOps{Scope: root.At("loss"), Graph: g}, Losses: losses,
		Classes: []int{n.arch.Emotions, n.arch.Genders},
		Draw:    draw, Batches: n.recipe.StepsPerEpoch * n.recipe.Accumulate,
		Gradients: func(loss *graph.Node) []*graph.Node { return graph.Gradient(loss, netVars...) },
		Shared:    sharedOf(root.At("net"), g),
	}
	joint := n.weighting.Joint(tasks)
	follow, follows := n.weighting.(weighting.Follower)

	netGrads, lossGrads := joint.Grads, []*graph.Node(nil)
	if netGrads == nil {
		lossVars := optim.Trainable(root.At("loss"), g)
		if follows { // it moves them itself
			lossVars = nil
		}
		grads := graph.Gradient(joint.Loss, append(slices.Clone(netVars), lossVars...)...)
		netGrads, lossGrads = grads[:len(netVars)], grads[len(netVars):]
	}
	var norm *graph.Node
	if last {
		norm = n.update(root, netGrads, lossGrads, lr)
		if follows {
			follow.Follow(tasks, joint, run) // the variables have their new values now
		}
	} else {
		norm = graph.Sqrt(optim.SumSquares(n.accumulated(root.At("net"), netGrads, false)))
		n.accumulated(root.At("loss"), lossGrads, false)
	}
	return []*graph.Node{joint.Loss, losses[0], losses[1], joint.Weights, norm}
}

// sharedOf tells which of the trainable parameters both tasks have: all but the heads.
func sharedOf(net *model.Scope, g *graph.Graph) (is []bool) {
	for _, v := range optim.TrainableVars(net, g) {
		is = append(is, !nn.IsHead(v))
	}
	return is
}

// forward encodes faces and sounds and reads the rows from them. pick is [R, T] and hear [R, 1], indices as floats
// (-1: not there); they become one-hot products, whose gradient is again a product.
func (n *network) forward(o *nn.GraphOps, crops, sounds, pick, hear *graph.Node) []*graph.Node {
	g := crops.Graph()
	rows, t := pick.Shape().Dimensions[0], pick.Shape().Dimensions[1]
	// choose gives a product that takes rows by their index, and which of the indices there are.
	choose := func(index *graph.Node, count int) (oneHot, mask *graph.Node) {
		flat := graph.Reshape(index, -1, 1)
		iota := graph.ConvertDType(graph.Iota(g, shapes.Make(dtypes.Float32, flat.Shape().Dimensions[0], count), 1),
			flat.DType())
		oneHot = graph.ConvertDType(graph.Equal(iota, graph.BroadcastToDims(flat, iota.Shape().Dimensions...)),
			flat.DType())
		return oneHot, graph.ConvertDType(graph.GreaterOrEqual(index, graph.ZerosLike(index)), flat.DType())
	}
	seeing, videoMask := choose(pick, crops.Shape().Dimensions[0])
	hearing, audioMask := choose(hear, sounds.Shape().Dimensions[0])
	var faces, heard *graph.Node
	if n.arch.Sees() {
		if o.Drop != nil {
			o.Seen = nn.Used(seeing)
		}
		faces = graph.Dot(seeing, nn.EncodeFaces(o, n.arch, crops)).Product()
		faces = graph.Reshape(faces, rows, t, n.arch.FaceFeatures())
	}
	if n.arch.Hears() {
		heard = graph.Dot(hearing, nn.EncodeSound(o, n.arch, sounds)).Product()
	}
	emotion, gender := nn.FuseSenses(o, n.arch, faces, videoMask, heard, audioMask)
	return []*graph.Node{emotion, gender}
}

// inputs are the batch as tensors, in the order of stepGraph.
func (n *network) inputs(b *batch) []*tensors.Tensor {
	s := n.arch.Spec
	rows, t := len(b.pick), s.VideoFrames
	pick := make([]float32, 0, rows*t)
	hear := make([]float32, 0, rows)
	emotion := make([]float32, 0, rows*n.arch.Emotions)
	gender := make([]float32, 0, rows*n.arch.Genders)
	for r := range b.pick {
		for _, i := range b.pick[r] {
			pick = append(pick, float32(i))
		}
		hear = append(hear, float32(b.hear[r]))
		emotion = append(emotion, b.emotion[r]...)
		gender = append(gender, b.gender[r]...)
	}
	draw := b.draw
	if draw == nil {
		draw = make([]float32, 2)
	}
	in := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(b.crops, b.faces(s), s.CropSize, s.CropSize, s.Channels),
		tensors.FromFlatDataAndDimensions(b.sounds, b.voices(s), s.AudioSamples()),
		tensors.FromFlatDataAndDimensions(pick, rows, t),
		tensors.FromFlatDataAndDimensions(hear, rows, 1),
		tensors.FromFlatDataAndDimensions(emotion, rows, n.arch.Emotions),
		tensors.FromFlatDataAndDimensions(gender, rows, n.arch.Genders),
		tensors.FromFlatDataAndDimensions(b.emotionWeight, rows),
		tensors.FromFlatDataAndDimensions(b.genderWeight, rows),
		tensors.FromScalar(b.lr),
		tensors.FromFlatDataAndDimensions(draw, 2),
	}
	for _, d := range nn.DropoutLayers(n.arch) {
		in = append(in, tensors.FromFlatDataAndDimensions(b.drop[d.Name], d.Rows(b.counts(n.arch.Spec)), d.Width))
	}
	return in
}

// ErrDiverged is a loss that is not a number.
var ErrDiverged = errors.New("the loss is not a number")

// train runs a step of one batch.
func (n *network) train(b *batch) (stepResult, error) { return n.run(n.step, b) }

// trainAll runs a step of several batches; what it reports is their mean.
func (n *network) trainAll(batches []*batch) (mean stepResult, err error) {
	var sums epochSums
	for i, b := range batches {
		exec := n.gather
		if i == len(batches)-1 {
			exec = n.step
		}
		r, err := n.run(exec, b)
		if err != nil {
			return r, err
		}
		sums.Add(r)
		mean.GradNorm = r.GradNorm // the last one's is that of all
	}
	norm := mean.GradNorm
	mean = sums.mean()
	mean.GradNorm = norm
	return mean, nil
}

// run runs a batch. GoMLX panics while it builds a graph; that comes back as an error.
func (n *network) run(exec *model.Exec, b *batch) (r stepResult, err error) {
	in := n.inputs(b)
	defer func() {
		// Without this each step keeps its inputs: about 0.8 MB.
		for _, t := range in {
			t.FinalizeAll()
		}
	}()
	args := make([]any, len(in))
	for i, t := range in {
		args[i] = t
	}
	out, err := exec.Call(args...)
	if err != nil {
		return r, fmt.Errorf("training step: %w", err)
	}
	r.Joint, r.Emotion, r.Gender = scalar(out[0]), scalar(out[1]), scalar(out[2])
	w := tensors.MustCopyFlatData[float32](out[3])
	r.Weights = [2]float64{float64(w[0]), float64(w[1])}
	r.GradNorm = scalar(out[4])
	for _, t := range out {
		t.FinalizeAll()
	}
	if math.IsNaN(r.Joint+r.GradNorm) || math.IsInf(r.Joint+r.GradNorm, 0) {
		return r, fmt.Errorf("%w; the batch holds %s", ErrDiverged,
			strings.Join(slices.Compact(slices.Sorted(slices.Values(b.paths))), ", "))
	}
	return r, nil
}

func scalar(t *tensors.Tensor) float64 { return float64(tensors.ToScalar[float32](t)) }

// weights copies the network's parameters, or their averages where there are any.
func (n *network) weights() nn.Weights {
	w := nn.Weights{}
	for v := range n.store.RootScope().At("net").IterVariables() {
		if optim.IsOptimizerState(v.Path()) {
			continue
		}
		now := v
		if a := n.averaged(v); a != nil {
			now = a
		}
		value := now.MustValue()
		w[v.Path()[len("/net/"):]] = nn.Weight{
			Dims: value.Shape().Dimensions,
			Data: tensors.MustCopyFlatData[float32](value),
		}
	}
	return w
}

// logits runs the trained graph as it stands, without dropout, on windows: [window][emotions..., genders...]. Only
// tests use it: everything else runs the exported file.
func (n *network) logits(ws []*pipeline.Window) ([][]float32, error) {
	s := n.arch.Spec
	var crops []uint8
	var sounds, pick, hear []float32
	for i, w := range ws {
		crops, sounds = append(crops, w.Video...), append(sounds, w.Audio...)
		for t, seen := range w.VideoMask {
			if seen {
				pick = append(pick, float32(i*s.VideoFrames+t))
			} else {
				pick = append(pick, -1)
			}
		}
		if w.AudioPresent {
			hear = append(hear, float32(i))
		} else {
			hear = append(hear, -1)
		}
	}
	exec, err := model.NewExec(n.backend, n.store, func(root *model.Scope, in []*graph.Node) []*graph.Node {
		o := &nn.GraphOps{Scope: root.At("net"), Graph: in[0].Graph(), Seed: n.recipe.Seed}
		return []*graph.Node{graph.Concatenate(n.forward(o, in[0], in[1], in[2], in[3]), 1)}
	})
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	out, err := exec.Call(
		tensors.FromFlatDataAndDimensions(crops, len(ws)*s.VideoFrames, s.CropSize, s.CropSize, s.Channels),
		tensors.FromFlatDataAndDimensions(sounds, len(ws), s.AudioSamples()),
		tensors.FromFlatDataAndDimensions(pick, len(ws), s.VideoFrames),
		tensors.FromFlatDataAndDimensions(hear, len(ws), 1))
	if err != nil {
		return nil, err
	}
	flat := tensors.MustCopyFlatData[float32](out[0])
	rows := make([][]float32, len(ws))
	for i := range rows {
		rows[i] = flat[i*len(flat)/len(ws) : (i+1)*len(flat)/len(ws)]
	}
	return rows, nil
}

// freeze keeps the optimizer from the parameters of the recipe's frozen parts.
func (n *network) freeze(net *model.Scope) {
	if len(n.recipe.Freeze) == 0 {
		return
	}
	for v := range net.IterVariables() {
		if !optim.IsOptimizerState(v.Path()) &&
			slices.Contains(n.recipe.Freeze, nn.PartOf(strings.TrimPrefix(v.Path(), "/net/"))) {
			v.SetTrainable(false)
		}
	}
}
