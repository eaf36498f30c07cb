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

	"tandem/train/nn"
	"tandem/train/optim"
	"tandem/train/weighting"
)

// network is the network in training: its variables, those of the optimizer and the weighting, and the compiled step.
// The store owns all variables' tensors; batches are copied into tensors that last as long as their step.
type network struct {
	arch      nn.Arch
	weighting weighting.Method
	optimizer optim.Optimizer
	recipe    Recipe
	backend   compute.Backend
	store     *model.Store
	step      *model.Exec
	gather    *model.Exec // of a step's batches but the last: their gradients are added up
}

// The scopes of the store for the network's parameters and for the weighting's.
const (
	netScope  = "net"
	lossScope = "loss"
)

// newNetwork makes a network without parameters: the first step draws them, unless begin or a checkpoint gives them
// before.
func newNetwork(arch nn.Arch, weighting weighting.Method, recipe Recipe, backend compute.Backend) (*network, error) {
	if err := arch.Check(); err != nil {
		return nil, err
	}
	optimizer, err := optim.New(recipe.Optimizer)
	if err != nil {
		return nil, err
	}
	n := &network{
		arch: arch, weighting: weighting, optimizer: optimizer, recipe: recipe, backend: backend,
		store: model.NewStore(),
	}
	for i, exec := range []**model.Exec{&n.gather, &n.step} {
		if *exec, err = model.NewExec(backend, n.store, func(root *model.Scope, in []*graph.Node) []*graph.Node {
			return n.stepGraph(root, in, i == 1)
		}); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// stepResult holds the values that a step returns, of the network before its update.
type stepResult struct {
	Joint, Emotion, Gender float64 // losses in nats
	Weights                [2]float64
	GradNorm               float64
	Sets                   map[string]setLoss // by data set
}

// stepGraph is one step of training: forward, joint loss, gradients, and, with the last batch of a step, their update.
// in is that of network.inputs.
func (n *network) stepGraph(root *model.Scope, in []*graph.Node, last bool) []*graph.Node {
	g := in[0].Graph()
	n.store.SetTraining(g, true)
	media, rest := in[:mediaInputs], in[mediaInputs:]
	emotion, gender, emotionWeight, genderWeight := rest[0], rest[1], rest[2], rest[3]
	rate, draw, emotionSpace, genderSpace := rest[4], rest[5], rest[6], rest[7]
	keepMasks := map[string]*graph.Node{}
	for i, d := range nn.DropoutLayers(n.arch) {
		keepMasks[d.Name] = rest[8+i]
	}
	net := root.At(netScope)
	o := &nn.GraphOps{Scope: net, Graph: g, Seed: n.recipe.Seed, KeepMasks: keepMasks}
	var rows []*graph.Node // the losses of each row, by task
	run := func() []*graph.Node {
		logits := n.forward(o, media)
		rows = []*graph.Node{
			weighting.RowLosses(logits[0], emotion, emotionSpace), weighting.RowLosses(logits[1], gender, genderSpace),
		}
		return []*graph.Node{
			weighting.MeanLoss(rows[0], emotionWeight), weighting.MeanLoss(rows[1], genderWeight),
		}
	}
	losses := run()
	rowLosses := rows // of the network before its update
	n.freeze(net)
	netVars := optim.Trainable(net, g)
	tasks := &weighting.TaskLosses{
		GraphOps: &nn.GraphOps{Scope: root.At(lossScope), Graph: g}, Losses: losses,
		Classes: []int{n.arch.Emotions, n.arch.Genders}, Draw: draw,
		Batches:   n.recipe.StepsPerEpoch * n.recipe.Accumulate,
		Gradients: func(loss *graph.Node) []*graph.Node { return graph.Gradient(loss, netVars...) },
		Shared:    sharedOf(net, g),
	}
	joint := n.weighting.Joint(tasks)
	follow, follows := n.weighting.(weighting.Follower)

	netGrads, lossGrads := joint.Grads, []*graph.Node(nil)
	if netGrads == nil {
		lossVars := optim.Trainable(root.At(lossScope), g)
		if follows { // it moves them itself
			lossVars = nil
		}
		grads := graph.Gradient(joint.Loss, append(slices.Clone(netVars), lossVars...)...)
		netGrads, lossGrads = grads[:len(netVars)], grads[len(netVars):]
	}
	var norm *graph.Node
	if last {
		norm = n.update(root, netGrads, lossGrads, rate)
		if follows {
			follow.Follow(tasks, joint, run) // the variables have their new values now
		}
	} else {
		norm = optim.Norm(optim.Accumulate(root, net, netGrads, n.recipe.Accumulate, false), 0)
		optim.Accumulate(root, root.At(lossScope), lossGrads, n.recipe.Accumulate, false)
	}
	return []*graph.Node{joint.Loss, losses[0], losses[1], joint.Weights, norm, rowLosses[0], rowLosses[1]}
}

// update ends a step: the gradients of network and weighting, of all its batches, change their parameters. It returns
// the norm of the network's gradient before clipping.
func (n *network) update(root *model.Scope, netGrads, lossGrads []*graph.Node, rate *graph.Node) *graph.Node {
	r := n.recipe
	net, loss := root.At(netScope), root.At(lossScope)
	netGrads = optim.Accumulate(root, net, netGrads, r.Accumulate, true)
	lossGrads = optim.Accumulate(root, loss, lossGrads, r.Accumulate, true)
	norm := optim.Norm(netGrads, 1e-12)
	optim.Clip(netGrads, norm, r.Clip)
	n.optimizer.Update(optim.Step{
		Root: root, Params: net, Grads: netGrads, Rate: rate, Decay: r.WeightDecay, IsHead: nn.IsHead,
	})
	// The task weights are a scope of their own: neither weight decay nor clipping may touch the paper's loss.
	if paced, ok := n.weighting.(weighting.Paced); ok {
		rate = graph.MulScalar(rate, paced.RatePart())
	}
	optim.Adam(loss, lossGrads, rate, 0)
	if r.EMA > 0 {
		optim.Average(root, net, rate.Graph(), r.EMA)
	}
	return norm
}

// sharedOf reports which of the trainable parameters both tasks have: all but the heads.
func sharedOf(net *model.Scope, g *graph.Graph) (is []bool) {
	for _, v := range optim.TrainableVars(net, g) {
		is = append(is, !nn.IsHead(v))
	}
	return is
}

// mediaInputs is how many of a step's inputs forward reads.
const mediaInputs = 5

// forward encodes crops and audio, reads the rows from them, and returns the logits of both tasks, [R, E] and [R, G].
// media are the crops [F, S, S, C], the audio [A, samples], the share of each of its windows that is covered [A, 1],
// and cropIndex [R, T] and audioIndex [R, 1], indices as floats (-1: not there); they become one-hot products, whose
// gradient is again a product.
func (n *network) forward(o *nn.GraphOps, media []*graph.Node) []*graph.Node {
	crops, audio, covered, cropIndex, audioIndex := media[0], media[1], media[2], media[3], media[4]
	rows, t := cropIndex.Shape().Dimensions[0], cropIndex.Shape().Dimensions[1]
	pickCrops, videoMask := oneHot(cropIndex, crops.Shape().Dimensions[0])
	pickAudio, audioMask := oneHot(audioIndex, audio.Shape().Dimensions[0])
	var faces, sounds *graph.Node // features
	if n.arch.UsesVideo() {
		if o.KeepMasks != nil {
			o.CropMask = used(pickCrops)
		}
		faces = graph.Dot(pickCrops, o.EncodeFaces(n.arch, crops)).Product()
		faces = graph.Reshape(faces, rows, t, n.arch.FaceFeatures())
	}
	if n.arch.UsesAudio() {
		sounds = graph.Dot(pickAudio, o.EncodeAudio(n.arch, audio, covered)).Product()
	}
	emotion, gender := o.Fuse(n.arch, faces, videoMask, sounds, audioMask)
	return []*graph.Node{emotion, gender}
}

// oneHot returns the matrix [size of index, count] whose product takes rows by their index, and, in the shape of index,
// 1 for the indices that are there and 0 for those below 0.
func oneHot(index *graph.Node, count int) (matrix, mask *graph.Node) {
	flat := graph.Reshape(index, -1, 1)
	iota := graph.Iota(index.Graph(), shapes.Make(dtypes.Float32, flat.Shape().Dimensions[0], count), 1)
	iota = graph.ConvertDType(iota, flat.DType())
	equal := graph.Equal(iota, graph.BroadcastToDims(flat, iota.Shape().Dimensions...))
	there := graph.GreaterOrEqual(index, graph.ZerosLike(index))
	return graph.ConvertDType(equal, flat.DType()), graph.ConvertDType(there, flat.DType())
}

// used returns 1 for each of the n rows that a one-hot matrix [K, n] takes, else 0, [n, 1].
func used(oneHot *graph.Node) *graph.Node {
	return graph.StopGradient(graph.Reshape(graph.ReduceMax(oneHot, 0), -1, 1))
}

// inputs returns a batch as tensors, in the order of stepGraph; the caller owns them.
func (n *network) inputs(b *batch) []*tensors.Tensor {
	s, a := n.arch.Spec, n.arch
	count := b.counts(s)
	cropIndex := make([]float32, 0, count.Rows*s.VideoFrames)
	audioIndex := make([]float32, 0, count.Rows)
	emotion := make([]float32, 0, count.Rows*a.Emotions)
	gender := make([]float32, 0, count.Rows*a.Genders)
	emotionSpace, genderSpace := make([]float32, 0, cap(emotion)), make([]float32, 0, cap(gender))
	for r := range b.cropIndex {
		for _, i := range b.cropIndex[r] {
			cropIndex = append(cropIndex, float32(i))
		}
		audioIndex = append(audioIndex, float32(b.audioIndex[r]))
		emotion, emotionSpace = append(emotion, b.emotion[r]...), append(emotionSpace, b.emotionSpace[r]...)
		gender, genderSpace = append(gender, b.gender[r]...), append(genderSpace, b.genderSpace[r]...)
	}
	draw := b.draw
	if draw == nil {
		draw = make([]float32, 2)
	}
	in := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(b.crops, count.Crops, s.CropSize, s.CropSize, s.Channels),
		tensors.FromFlatDataAndDimensions(b.audio, count.Windows, s.AudioSamples()),
		tensors.FromFlatDataAndDimensions(b.covered, count.Windows, 1),
		tensors.FromFlatDataAndDimensions(cropIndex, count.Rows, s.VideoFrames),
		tensors.FromFlatDataAndDimensions(audioIndex, count.Rows, 1),
		tensors.FromFlatDataAndDimensions(emotion, count.Rows, a.Emotions),
		tensors.FromFlatDataAndDimensions(gender, count.Rows, a.Genders),
		tensors.FromFlatDataAndDimensions(b.emotionWeight, count.Rows),
		tensors.FromFlatDataAndDimensions(b.genderWeight, count.Rows),
		tensors.FromScalar(b.rate),
		tensors.FromFlatDataAndDimensions(draw, 2),
		tensors.FromFlatDataAndDimensions(emotionSpace, count.Rows, a.Emotions),
		tensors.FromFlatDataAndDimensions(genderSpace, count.Rows, a.Genders),
	}
	for _, d := range nn.DropoutLayers(a) {
		in = append(in, tensors.FromFlatDataAndDimensions(b.keepMasks[d.Name], d.Rows(count), d.Width))
	}
	return in
}

// ErrDiverged is returned where a loss, a gradient or a parameter is no finite number.
var ErrDiverged = errors.New("the loss is not a number")

// trainAll runs a step of several batches and returns the mean of their results.
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
		sums.add(r)
		mean.GradNorm = r.GradNorm // the last one's is that of all
	}
	norm := mean.GradNorm
	mean = sums.mean()
	mean.GradNorm = norm
	return mean, nil
}

// run runs a batch through the graph of exec. GoMLX panics while it builds a graph; that comes back as an error.
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
	r.Sets = b.setLosses(tensors.MustCopyFlatData[float32](out[5]), tensors.MustCopyFlatData[float32](out[6]))
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

// weights returns a copy of the network's parameters, or of their averages where there are any.
func (n *network) weights() nn.Weights {
	w := nn.Weights{}
	for v := range n.store.RootScope().At(netScope).IterVariables() {
		if optim.IsState(v.Path()) {
			continue
		}
		now := v
		if a := optim.Averaged(n.store, v); a != nil && n.recipe.EMA > 0 {
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

// freeze keeps the optimizer from the parameters of the recipe's frozen parts.
func (n *network) freeze(net *model.Scope) {
	if len(n.recipe.Freeze) == 0 {
		return
	}
	for v := range net.IterVariables() {
		if !optim.IsState(v.Path()) &&
			slices.Contains(n.recipe.Freeze, nn.PartOf(strings.TrimPrefix(v.Path(), "/net/"))) {
			v.SetTrainable(false)
		}
	}
}
