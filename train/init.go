package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	onnx "github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"google.golang.org/protobuf/proto"

	"tandem/infer"
	"tandem/pipeline"
)

// Init is a trained network from which another training begins.
type Init struct {
	Name   string
	SHA256 string // of its file, in hex
	Arch   Arch
	Labels pipeline.Labels
	params weights
}

// ErrInit is why a file can't begin a training.
var ErrInit = errors.New("not a network to begin with")

// ReadInit reads a model (ONNX) that tandem train has written, or a checkpoint of a run.
//
// A model has weight standardization folded into its convolutions. That loses nothing that matters: standardizing a
// standardized filter gives it back but for its size, and the size is what the gain is for. A network that begins with a model
// answers as the model does, to rounding; what is lost is the optimizer's memory, which a fine-tuning begins anew anyway.
func ReadInit(name string, b []byte) (*Init, error) {
	var m onnx.ModelProto
	err := proto.Unmarshal(b, &m)
	in := &Init{}
	if err == nil {
		if isCheckpoint(&m) {
			in, err = fromCheckpoint(b)
		} else {
			in, err = FromModel(b, &m)
		}
	}
	if err == nil {
		err = in.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("--init %s: %w: %w", name, ErrInit, err)
	}
	sum := sha256.Sum256(b)
	in.Name, in.SHA256 = name, hex.EncodeToString(sum[:])
	return in, nil
}

func isCheckpoint(m *onnx.ModelProto) bool {
	return slices.ContainsFunc(m.MetadataProps, func(p *onnx.StringStringEntryProto) bool { return p.Key == checkpointKey+"network" })
}

// Sizes are the architecture as a recipe holds it.
func (in *Init) Sizes() Arch {
	a := in.Arch
	a.Spec, a.Emotions, a.Genders = pipeline.Spec{}, 0, 0
	return a
}

// Check refuses parameters that are not those of the architecture.
func (in *Init) Check() error {
	if in.Arch.Kind == KindPaper {
		return errors.New("it is the paper's network, which --init does not read yet")
	}
	if err := in.Arch.check(); err != nil {
		return err
	}
	l := layoutOf(in.Arch)
	for _, name := range l.names {
		w, ok := in.params[name]
		if !ok {
			return fmt.Errorf("it has no parameter %s of tandem's network", name)
		}
		if n := w.size(); !slices.Equal(w.dims, l.shapes[name]) || n != len(w.data) {
			return fmt.Errorf("its parameter %s has the shape %v and %d numbers, not the shape %v", name, w.dims, len(w.data), l.shapes[name])
		}
	}
	return nil
}

// size is how many numbers the shape holds, -1 where it is no shape.
func (w weight) size() int {
	n := 1
	for _, d := range w.dims {
		if d < 1 || n > math.MaxInt32/d {
			return -1
		}
		n *= d
	}
	return n
}

// fromCheckpoint reads the network of a run's checkpoint: its averaged parameters where it has them.
func fromCheckpoint(b []byte) (*Init, error) {
	c, err := parseCheckpoint(b)
	if err != nil {
		return nil, err
	}
	var n networkName
	if err := json.Unmarshal([]byte(c.Network), &n); err != nil {
		return nil, fmt.Errorf("what it says of its network: %w", err)
	}
	in := &Init{Arch: n.Arch, Labels: n.Labels, params: weights{}}
	in.Arch.Spec, in.Arch.Emotions, in.Arch.Genders = n.Spec, len(n.Labels.Emotions), len(n.Labels.Genders)
	in.Arch.FaceNets = max(1, in.Arch.FaceNets) // older checkpoints don't name it
	averages := map[string]variable{}
	for _, v := range c.vars {
		if name, ok := strings.CutPrefix(v.path, "/"+emaScope+"/net."); ok {
			averages[name] = v
		}
	}
	for _, v := range c.vars {
		name, ok := strings.CutPrefix(v.path, "/net/")
		if !ok || ofOptimizer(v.path) || v.shape.DType != dtypes.Float32 {
			continue
		}
		if a, ok := averages[strings.ReplaceAll(name, "/", ".")]; ok {
			v = a
		}
		in.params[name] = weight{v.shape.Dimensions, floatsOf(v.data)}
	}
	return in, nil
}

// FromModel reads the network of a model that tandem train has written; b is the file and m what it holds.
func FromModel(b []byte, m *onnx.ModelProto) (*Init, error) {
	contract, err := infer.LoadModel(b)
	if err != nil {
		return nil, err
	}
	in := &Init{Labels: contract.Labels(), params: weights{}}
	folded := weights{}
	for _, p := range m.GetGraph().GetInitializer() {
		if p.DataType != int32(onnx.TensorProto_FLOAT) {
			continue
		}
		w := weight{data: floatsOf(p.RawData)}
		for _, d := range p.Dims {
			w.dims = append(w.dims, int(d))
		}
		if w.size() != len(w.data) {
			return nil, fmt.Errorf("the tensor %s has %d numbers, not the %d of its shape", p.Name, len(w.data), w.size())
		}
		switch name, isConv := strings.CutSuffix(p.Name, "/folded"); {
		case isConv && len(w.dims) == 4:
			folded[name] = w
		case strings.HasSuffix(p.Name, "/b") && len(w.dims) == 1:
			in.params[p.Name] = weight{[]int{1, w.dims[0]}, w.data} // a convolution's
		default:
			in.params[p.Name] = w
		}
	}
	if in.Arch, err = archOf(in.params, folded); err != nil {
		return nil, err
	}
	if in.Arch.Kind == KindPaper {
		return in, nil // Check refuses it
	}
	in.Arch.Spec, in.Arch.Emotions, in.Arch.Genders = contract.Spec(), len(in.Labels.Emotions), len(in.Labels.Genders)
	if err := in.Arch.check(); err != nil {
		return nil, err
	}
	l := layoutOf(in.Arch)
	for name, w := range folded {
		scale, ok := l.scales[name]
		if !ok {
			return nil, fmt.Errorf("tandem's network has no layer %s", name)
		}
		in.params[name+"/w"], in.params[name+"/gain"] = unfold(w, scale)
	}
	return in, nil
}

// unfold makes of a folded convolution's weight [out, in, side, side] a weight [taps*in, out] and a gain [1, out] that fold to it.
func unfold(f weight, scale float64) (w, gain weight) {
	out, in, taps := f.dims[0], f.dims[1], f.dims[2]*f.dims[3]
	fan := taps * in
	w = weight{[]int{fan, out}, make([]float32, fan*out)}
	gain = weight{[]int{1, out}, make([]float32, out)}
	for k := range out {
		var sum, squares float64
		for i := range fan {
			v := f.data[(k*in+i%in)*taps+i/in]
			w.data[i*out+k] = v
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
		mean := sum / float64(fan)
		variance := squares/float64(fan) - mean*mean
		gain.data[k] = float32(math.Sqrt((variance+weightEps)*float64(fan)) / scale)
	}
	return w, gain
}

// archOf reads an architecture off its tensors.
func archOf(params, folded weights) (a Arch, err error) {
	if _, ok := params["lstm/1/bias"]; ok {
		return Arch{Kind: KindPaper}, nil
	}
	a.Kind, a.Width = KindTandem, 1
	last := func(from weights, name string, axis int) int {
		w, ok := from[name]
		if !ok || len(w.dims) <= axis {
			err = errors.Join(err, fmt.Errorf("it has no tensor %s of tandem's network", name))
			return 0
		}
		return w.dims[axis]
	}
	for i := range 4 {
		a.FaceWidths = append(a.FaceWidths, last(folded, fmt.Sprintf("face/%d", i), 0))
	}
	for i := range 3 {
		a.SoundWidths = append(a.SoundWidths, last(folded, fmt.Sprintf("sound/%d", i), 0))
	}
	for a.FaceNets = 1; folded[faceNet(a.FaceNets)+"/0"].dims != nil; a.FaceNets++ {
	}
	a.FaceDim, a.SoundDim = last(params, "face/out/w", 1), last(params, "sound/out/w", 1)
	a.FuseDim, a.MelBands = last(params, "fuse/w", 1), last(params, "sound/mel", 1)
	return a, err
}

// layout is a reading of the network that notes its parameters, in order, and the scales of its convolutions.
type layout struct {
	*onnxOps
	names  []string
	inits  map[string]initializer
	shapes map[string][]int
	scales map[string]float64
}

func layoutOf(a Arch) *layout {
	l := &layout{onnxOps: newOnnxOps(nil), inits: map[string]initializer{}, shapes: map[string][]int{}, scales: map[string]float64{}}
	s := a.Spec
	in := func(dims ...int) onnxValue { return onnxValue{dims: append([]int{-1}, dims...)} }
	faces := l.reshape(faceEncoders[onnxValue](l, a, in(s.CropSize, s.CropSize, s.Channels)), -1, s.VideoFrames, a.faceFeatures())
	fuse[onnxValue](l, a, faces, in(s.VideoFrames), soundEncoder[onnxValue](l, a, in(s.AudioSamples())), in(1))
	return l
}

func (l *layout) note(name string, init initializer, dims ...int) {
	l.names, l.inits[name], l.shapes[name] = append(l.names, name), init, dims
}

func (l *layout) param(name string, init initializer, dims ...int) onnxValue {
	l.note(name, init, dims...)
	return onnxValue{dims: dims}
}

func (l *layout) filter(x onnxValue, name string, side, stride, out int, scale float64) onnxValue {
	taps := side * side
	fan := taps * x.dims[3]
	l.scales[name] = scale
	l.note(name+"/w", normalInit(1/math.Sqrt(float64(fan))), fan, out)
	l.note(name+"/gain", constInit(1), 1, out)
	l.note(name+"/b", constInit(0), 1, out)
	d := x.dims
	return onnxValue{dims: []int{d[0], d[1] / stride, d[2] / stride, out}, image: true}
}

func (l *layout) conv(x onnxValue, name string, out int, scale float64) onnxValue {
	return l.filter(x, name, 3, 1, out, scale)
}

func (l *layout) merge(x onnxValue, name string, out int, scale float64) onnxValue {
	return l.filter(x, name, 2, 2, out, scale)
}

// begin gives a network that has no parameters yet those of in. The outputs of labels that both know are taken over too; those of
// others begin as in a new network. It returns what there is to say about that.
func (n *network) begin(in *Init, labels pipeline.Labels) (notes []string, err error) {
	l := layoutOf(n.arch)
	for _, name := range l.names {
		dims := l.shapes[name]
		old := in.params[name]
		values := slices.Clone(old.data)
		if was, is := headLabels(name, in.Labels), headLabels(name, labels); is != nil {
			values = slices.Clone(l.inits[name].values(name, n.recipe.Seed, dims))
			for k, label := range is {
				j := slices.Index(was, label)
				for i := 0; j >= 0 && i < dims[0]; i++ {
					values[i*dims[1]+k] = old.data[i*old.dims[1]+j]
				}
			}
		} else if !slices.Equal(old.dims, dims) {
			return nil, fmt.Errorf("--init %s: %w: its parameter %s has the shape %v, but the network of this run %v", in.Name, ErrInit, name, old.dims, dims)
		}
		if _, err := n.store.CreateVariable("/net/"+name, tensors.FromFlatDataAndDimensions(values, dims...)); err != nil {
			return nil, fmt.Errorf("--init %s: %w", in.Name, err)
		}
	}
	for _, task := range []struct {
		name    string
		was, is []string
	}{{"emotion", in.Labels.Emotions, labels.Emotions}, {"gender", in.Labels.Genders, labels.Genders}} {
		var kept, fresh []string
		for _, label := range task.is {
			if slices.Contains(task.was, label) {
				kept = append(kept, label)
			} else {
				fresh = append(fresh, label)
			}
		}
		if len(fresh) > 0 {
			note := fmt.Sprintf("%s: the outputs of %s are new", task.name, strings.Join(fresh, ", "))
			if len(kept) > 0 {
				note += fmt.Sprintf(", those of %s are the model's", strings.Join(kept, ", "))
			}
			notes = append(notes, note)
		}
	}
	return notes, nil
}

// headLabels are the labels of the output layer that a parameter belongs to, nil if it belongs to none.
func headLabels(name string, labels pipeline.Labels) []string {
	switch partOf(name) {
	case "emotion":
		return labels.Emotions
	case "gender":
		return labels.Genders
	}
	return nil
}

func floatsOf(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

// ofOptimizer is whether a variable under "/net" is the optimizer's and no parameter.
func ofOptimizer(path string) bool {
	return strings.HasPrefix(path, "/net/"+optimizer.Scope) || strings.HasPrefix(path, "/net/"+optimizer.AdamDefaultScope)
}
