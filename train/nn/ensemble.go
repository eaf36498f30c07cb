package nn

import (
	"fmt"
	"math"
	"path"
	"reflect"
	"slices"
	"strings"
)

// sameSound is how far, in each tensor's own scale, the sound encoders of joined networks may be apart. One that was
// frozen goes through an ONNX file and back, which costs it some rounding.
const sameSound = 1e-4

// Ensemble puts networks side by side: each keeps its face encoders and what it makes of them over time and with the
// sound, all share one audio encoder, and the outputs are the mean of theirs, each counting by its number of face
// encoders. So it is an ensemble (Hansen & Salamon 1990) in one file, and where the crops of a window are alike, as
// those of a still, its logits are exactly that mean; otherwise attention over time is by the mean of their scores.
// Train the second from the first with the sound frozen, join both, and train the layers after the encoders a little.
//
// The networks must have the same labels, sizes (but for the number of face encoders and fuse_dim, which add up) and
// sound encoder.
func Ensemble(ins ...*Pretrained) (*Pretrained, error) {
	if len(ins) == 0 {
		return nil, fmt.Errorf("%w: none is given", ErrPretrained)
	}
	first := ins[0]
	if len(ins) == 1 {
		return first, nil
	}
	out := &Pretrained{
		Name: first.Name, SHA256: first.SHA256, Arch: first.Arch, Labels: first.Labels,
		Params: Weights{}, Trained: first.Trained,
	}
	for _, in := range ins[1:] {
		out.Trained = out.Trained.Union(in.Trained)
		out.Name += " + " + in.Name
		out.SHA256 += " + " + in.SHA256
		out.Arch.FaceNets += in.Arch.FaceNets
		out.Arch.FuseDim += in.Arch.FuseDim
		if err := first.checkCompatible(in); err != nil {
			return nil, fmt.Errorf("--init %s: %w: not to be joined with %s: %w", in.Name, ErrPretrained, first.Name,
				err)
		}
	}
	if err := out.Arch.Check(); err != nil {
		return nil, fmt.Errorf("--init %s: %w: %w", out.Name, ErrPretrained, err)
	}
	for _, p := range Parameters(out.Arch) {
		out.Params[p.Name] = Weight{p.Dims, make([]float32, Weight{Dims: p.Dims}.size())}
	}
	var nets, fused int // those of the networks before
	for _, in := range ins {
		out.take(in, nets, fused)
		nets += in.Arch.FaceNets
		fused += in.Arch.FuseDim
	}
	return out, nil
}

// checkCompatible returns why in can't be joined with first, nil if it can.
func (first *Pretrained) checkCompatible(in *Pretrained) error {
	a, b := first.Sizes(), in.Sizes()
	a.FaceNets, a.FuseDim = b.FaceNets, b.FuseDim
	if !reflect.DeepEqual(a, b) || first.Arch.Spec != in.Arch.Spec {
		return fmt.Errorf("its sizes are %+v, not %+v", b, a)
	}
	if !slices.Equal(first.Labels.Emotions, in.Labels.Emotions) ||
		!slices.Equal(first.Labels.Genders, in.Labels.Genders) {
		return fmt.Errorf("its labels are %v and %v, not %v and %v", in.Labels.Emotions, in.Labels.Genders,
			first.Labels.Emotions, first.Labels.Genders)
	}
	for _, p := range Parameters(first.Arch) {
		if PartOf(p.Name) != "sound" {
			continue
		}
		w := first.Params[p.Name]
		var apart, size float64
		for i, v := range w.Data {
			d := float64(v - in.Params[p.Name].Data[i])
			apart += d * d
			size += float64(v) * float64(v)
		}
		if math.Sqrt(apart) > sameSound*math.Sqrt(size) {
			return fmt.Errorf("its sound encoder is another (%s): train it from the first with --freeze sound", p.Name)
		}
	}
	return nil
}

// take copies in's parameters to where they stand in out, whose first nets face encoders and fused outputs of the layer
// "fuse" are of the networks before it.
func (out *Pretrained) take(in *Pretrained, nets, fused int) {
	dim := out.Arch.FaceDim
	faces, mine := out.Arch.FaceNets*dim, in.Arch.FaceNets*dim // features of a crop
	share := float32(in.Arch.FaceNets) / float32(out.Arch.FaceNets)
	at := nets * dim
	// what follows the faces in the input of "fuse": the sound and both masks
	sound := in.Arch.SoundDim + 2
	for _, p := range Parameters(in.Arch) { // a file's tensors hold constants too
		name, w := p.Name, in.Params[p.Name]
		// block copies rows [from, from+n) of w to row and column of out, times scale, and adds where there is
		// something.
		block := func(from, n, row, col int, scale float32) {
			to := out.Params[name]
			for i := range n {
				for k := range w.Dims[1] {
					to.Data[(row+i)*to.Dims[1]+col+k] += scale * w.Data[(from+i)*w.Dims[1]+k]
				}
			}
		}
		layer, kind := path.Dir(name), path.Base(name)
		switch {
		case PartOf(name) == "face":
			for k := range in.Arch.FaceNets {
				if rest, ok := strings.CutPrefix(name, faceNet(k)+"/"); ok {
					copy(out.Params[faceNet(nets+k)+"/"+rest].Data, w.Data)
				}
			}
		case PartOf(name) == "sound":
			if nets == 0 {
				copy(out.Params[name].Data, w.Data)
			}
		case layer == "video/step" && kind == "w":
			block(0, mine, at, at, 1)
			block(mine, mine, faces+at, at, 1) // what has changed since the previous crop
		case layer == "video/step":
			block(0, 1, 0, at, 1)
		case layer == "fuse" && kind == "w":
			block(0, mine, at, fused, 1)
			block(mine, sound, faces, fused, 1)
		case layer == "fuse":
			block(0, 1, 0, fused, 1)
		case kind == "b": // of the attention and of the output layers: they are means
			block(0, 1, 0, 0, share)
		case strings.HasPrefix(layer, "video/"):
			block(0, mine, at, 0, share)
		case strings.HasPrefix(layer, "fuse/"):
			block(0, in.Arch.FuseDim, fused, 0, share)
		default: // sound/emotion and sound/gender
			block(0, in.Arch.SoundDim, 0, 0, share)
		}
	}
}
