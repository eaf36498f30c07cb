package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	onnx "github.com/gomlx/compute-onnx/support/protos"

	"tandem/infer"
	"tandem/pipeline"
)

// Pretrained is a trained network from which another training begins. It owns its parameters; who begins with them
// copies them.
type Pretrained struct {
	Name   string
	SHA256 string // of its file, in hex
	Arch   Arch   // with its spec and its counts of labels
	Labels pipeline.Labels
	Params Weights
	// Trained tells the clips and speakers it has learned from; nil where its file does not.
	Trained *infer.Trained
}

// ErrPretrained is wrapped by every error about a file, or several together, with which no training can begin.
var ErrPretrained = errors.New("not a network to begin with")

// Sizes returns the architecture as a recipe holds it: without what follows from the data and the labels.
func (in *Pretrained) Sizes() Arch {
	a := in.Arch
	a.Spec, a.Emotions, a.Genders = pipeline.Spec{}, 0, 0
	return a
}

// Check returns an error if the parameters are not those of the architecture, or it is one that no training begins
// with.
func (in *Pretrained) Check() error {
	if in.Arch.Kind == KindPaper {
		return errors.New("it is the paper's network, which --init does not read yet")
	}
	if err := in.Arch.Check(); err != nil {
		return err
	}
	for _, p := range Parameters(in.Arch) {
		w, ok := in.Params[p.Name]
		if !ok {
			return fmt.Errorf("it has no parameter %s of tandem's network", p.Name)
		}
		if n := w.size(); !slices.Equal(w.Dims, p.Dims) || n != len(w.Data) {
			return fmt.Errorf("its parameter %s has the shape %v and %d numbers, not the shape %v",
				p.Name, w.Dims, len(w.Data), p.Dims)
		}
	}
	return nil
}

// FromModel reads the network of a model that tandem train has written; b is the file and m its contents. The result
// is not checked yet. Weight standardization stays folded into the convolutions: their gains are chosen so that
// standardizing gives the same filters.
func FromModel(b []byte, m *onnx.ModelProto) (*Pretrained, error) {
	contract, err := infer.LoadModel(b)
	if err != nil {
		return nil, err
	}
	in := &Pretrained{Labels: contract.Labels(), Params: Weights{}, Trained: contract.Trained}
	folded := Weights{}
	for _, p := range m.GetGraph().GetInitializer() {
		if p.DataType != int32(onnx.TensorProto_FLOAT) {
			continue
		}
		w := Weight{Data: Float32s(p.RawData)}
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
	l := layoutOf(in.Arch)
	for name, w := range folded {
		scale, ok := l.scales[name]
		if !ok {
			return nil, fmt.Errorf("tandem's network has no layer %s", name)
		}
		in.Params[name+"/w"], in.Params[name+"/gain"] = unfold(w, scale)
	}
	return in, nil
}

// unfold turns a folded convolution's weight [out, in, side, side] into a weight [taps*in, out] and a gain [1, out]
// that fold to it.
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

// archOf returns the architecture that tensors are of, by their names and shapes.
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
	// residuals counts the residual layers of a stage, by their letters.
	residuals := func(stage string) (n int) {
		for folded[stage+string(rune('a'+n))].Dims != nil {
			n++
		}
		return n
	}
	if stem := folded["face/stem"]; len(stem.Dims) > 0 {
		a.FaceStem = stem.Dims[0]
	}
	for i := range faceStages {
		at := fmt.Sprintf("face/%d", i)
		a.FaceWidths, a.FaceBlocks = append(a.FaceWidths, last(folded, at, 0)), append(a.FaceBlocks, residuals(at))
	}
	for i := range soundStages {
		at := fmt.Sprintf("sound/%d", i)
		a.SoundWidths, a.SoundBlocks = append(a.SoundWidths, last(folded, at, 0)), append(a.SoundBlocks, residuals(at))
	}
	_, a.Gated = params["fuse/gate/w"]
	for a.FaceNets = 1; folded[faceNet(a.FaceNets)+"/0"].Dims != nil; a.FaceNets++ {
	}
	a.FaceDim, a.SoundDim = last(params, "face/out/w", 1), last(params, "sound/out/w", 1)
	a.FuseDim, a.MelBands = last(params, "fuse/w", 1), last(params, "sound/mel", 1)
	return a, err
}
