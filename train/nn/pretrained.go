package nn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	onnx "github.com/gomlx/compute-onnx/support/protos"

	"tandem/infer"
	"tandem/pipeline"
)

// Pretrained is a trained network from which another training begins.
type Pretrained struct {
	Name   string
	SHA256 string // of its file, in hex
	Arch   Arch
	Labels pipeline.Labels
	Params Weights
}

// ErrPretrained is why a file can't begin a training.
var ErrPretrained = errors.New("not a network to begin with")

// Sizes are the architecture as a recipe holds it.
func (in *Pretrained) Sizes() Arch {
	a := in.Arch
	a.Spec, a.Emotions, a.Genders = pipeline.Spec{}, 0, 0
	return a
}

// Check refuses parameters that are not those of the architecture.
func (in *Pretrained) Check() error {
	if in.Arch.Kind == KindPaper {
		return errors.New("it is the paper's network, which --init does not read yet")
	}
	if err := in.Arch.Check(); err != nil {
		return err
	}
	l := LayoutOf(in.Arch)
	for _, name := range l.Names {
		w, ok := in.Params[name]
		if !ok {
			return fmt.Errorf("it has no parameter %s of tandem's network", name)
		}
		if n := w.size(); !slices.Equal(w.Dims, l.Shapes[name]) || n != len(w.Data) {
			return fmt.Errorf("its parameter %s has the shape %v and %d numbers, not the shape %v", name, w.Dims,
				len(w.Data), l.Shapes[name])
		}
	}
	return nil
}

// size is how many numbers the shape holds, -1 where it is no shape.
func (w Weight) size() int {
	n := 1
	for _, d := range w.Dims {
		if d < 1 || n > math.MaxInt32/d {
			return -1
		}
		n *= d
	}
	return n
}

// FromModel reads the network of a model that tandem train has written; b is the file and m what it holds.
func FromModel(b []byte, m *onnx.ModelProto) (*Pretrained, error) {
	contract, err := infer.LoadModel(b)
	if err != nil {
		return nil, err
	}
	in := &Pretrained{Labels: contract.Labels(), Params: Weights{}}
	folded := Weights{}
	for _, p := range m.GetGraph().GetInitializer() {
		if p.DataType != int32(onnx.TensorProto_FLOAT) {
			continue
		}
		w := Weight{Data: FloatsOf(p.RawData)}
		for _, d := range p.Dims {
			w.Dims = append(w.Dims, int(d))
		}
		if w.size() != len(w.Data) {
			return nil, fmt.Errorf("the tensor %s has %d numbers, not the %d of its shape", p.Name, len(w.Data),
				w.size())
		}
		switch name, isConv := strings.CutSuffix(p.Name, "/folded"); {
		case isConv && len(w.Dims) == 4:
			folded[name] = w
		case strings.HasSuffix(p.Name, "/b") && len(w.Dims) == 1:
			in.Params[p.Name] = Weight{[]int{1, w.Dims[0]}, w.Data} // a convolution's
		default:
			in.Params[p.Name] = w
		}
	}
	if in.Arch, err = archOf(in.Params, folded); err != nil {
		return nil, err
	}
	if in.Arch.Kind == KindPaper {
		return in, nil // Check refuses it
	}
	in.Arch.Spec, in.Arch.Emotions, in.Arch.Genders = contract.Spec(), len(in.Labels.Emotions), len(in.Labels.Genders)
	if err := in.Arch.Check(); err != nil {
		return nil, err
	}
	l := LayoutOf(in.Arch)
	for name, w := range folded {
		scale, ok := l.scales[name]
		if !ok {
			return nil, fmt.Errorf("tandem's network has no layer %s", name)
		}
		in.Params[name+"/w"], in.Params[name+"/gain"] = unfold(w, scale)
	}
	return in, nil
}

// unfold makes of a folded convolution's weight [out, in, side, side] a weight [taps*in, out] and a gain [1, out] that
// fold to it.
func unfold(f Weight, scale float64) (w, gain Weight) {
	out, in, taps := f.Dims[0], f.Dims[1], f.Dims[2]*f.Dims[3]
	fan := taps * in
	w = Weight{[]int{fan, out}, make([]float32, fan*out)}
	gain = Weight{[]int{1, out}, make([]float32, out)}
	for k := range out {
		var sum, squares float64
		for i := range fan {
			v := f.Data[(k*in+i%in)*taps+i/in]
			w.Data[i*out+k] = v
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
		mean := sum / float64(fan)
		variance := squares/float64(fan) - mean*mean
		gain.Data[k] = float32(math.Sqrt((variance+weightEps)*float64(fan)) / scale)
	}
	return w, gain
}

// archOf reads an architecture off its tensors.
func archOf(params, folded Weights) (a Arch, err error) {
	if _, ok := params["lstm/1/bias"]; ok {
		return Arch{Kind: KindPaper}, nil
	}
	a.Kind, a.Width = KindTandem, 1
	last := func(from Weights, name string, axis int) int {
		w, ok := from[name]
		if !ok || len(w.Dims) <= axis {
			err = errors.Join(err, fmt.Errorf("it has no tensor %s of tandem's network", name))
			return 0
		}
		return w.Dims[axis]
	}
	for i := range 4 {
		a.FaceWidths = append(a.FaceWidths, last(folded, fmt.Sprintf("face/%d", i), 0))
	}
	for i := range 3 {
		a.SoundWidths = append(a.SoundWidths, last(folded, fmt.Sprintf("sound/%d", i), 0))
	}
	for a.FaceNets = 1; folded[faceNet(a.FaceNets)+"/0"].Dims != nil; a.FaceNets++ {
	}
	a.FaceDim, a.SoundDim = last(params, "face/out/w", 1), last(params, "sound/out/w", 1)
	a.FuseDim, a.MelBands = last(params, "fuse/w", 1), last(params, "sound/mel", 1)
	return a, err
}

// layout is a reading of the network that notes its parameters, in order, and the scales of its convolutions.
type layout struct {
	*OnnxOps
	Names  []string
	Inits  map[string]initializer
	Shapes map[string][]int
	scales map[string]float64
}

func LayoutOf(a Arch) *layout {
	l := &layout{
		OnnxOps: NewOnnxOps(nil), Inits: map[string]initializer{}, Shapes: map[string][]int{},
		scales: map[string]float64{},
	}
	s := a.Spec
	in := func(dims ...int) OnnxValue { return OnnxValue{Dims: append([]int{-1}, dims...)} }
	faces := l.reshape(FaceEncoders[OnnxValue](l, a, in(s.CropSize, s.CropSize, s.Channels)), -1, s.VideoFrames,
		a.FaceFeatures())
	fuse[OnnxValue](l, a, faces, in(s.VideoFrames), SoundEncoder[OnnxValue](l, a, in(s.AudioSamples())), in(1))
	return l
}

func (l *layout) note(name string, init initializer, dims ...int) {
	l.Names, l.Inits[name], l.Shapes[name] = append(l.Names, name), init, dims
}

func (l *layout) Param(name string, init initializer, dims ...int) OnnxValue {
	l.note(name, init, dims...)
	return OnnxValue{Dims: dims}
}

func (l *layout) filter(x OnnxValue, name string, side, stride, out int, scale float64) OnnxValue {
	taps := side * side
	fan := taps * x.Dims[3]
	l.scales[name] = scale
	l.note(name+"/w", normalInit(1/math.Sqrt(float64(fan))), fan, out)
	l.note(name+"/gain", ConstInit(1), 1, out)
	l.note(name+"/b", ConstInit(0), 1, out)
	d := x.Dims
	return OnnxValue{Dims: []int{d[0], d[1] / stride, d[2] / stride, out}, image: true}
}

func (l *layout) conv(x OnnxValue, name string, out int, scale float64) OnnxValue {
	return l.filter(x, name, 3, 1, out, scale)
}

func (l *layout) merge(x OnnxValue, name string, out int, scale float64) OnnxValue {
	return l.filter(x, name, 2, 2, out, scale)
}

func FloatsOf(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}
