package nn

import (
	"fmt"
	"math"
	"time"

	"tandem/pipeline"
)

// The architectures that a recipe may name.
const (
	KindTandem = "tandem" // the default model's, net.go
	KindPaper  = "paper"  // that of Chae et al. 2018, arXiv 1809.00758
)

// PaperSpec is how windows are cut for the paper's network: 6 s of sound and of colour crops at 25 a second. It says
// nothing of a hop; with one of a second, an utterance of up to 7 s gives its first 6 s alone, as in the paper.
var PaperSpec = pipeline.Spec{
	Window: 6 * time.Second, Hop: time.Second,
	VideoFrames: 150, CropSize: 96, Channels: 3, CropMargin: 2.6,
}

// The sizes of the published network at width 1. docs/paper.md lists it beside ours.
const (
	paperStep        = 640 // samples a step of the LSTM: one frame at 25 a second
	paperFilters     = 40  // of both convolutions of sound
	paperFirstTaps   = 80
	paperSecondTaps  = 4000
	paperGroup       = 10 // filters of which the second max-pool keeps the largest
	paperBlock       = 250
	paperHidden      = 256
	paperFaceFilters = 64
)

// paperStages are the bottleneck blocks of each stage of ResNet-50 (He et al. 2015, arXiv 1512.03385, table 1).
var paperStages = []int{3, 4, 6, 3}

func (a Arch) checkPaper() error {
	s := a.Spec
	switch {
	case s.AudioSamples() != paperStep*s.VideoFrames:
		return fmt.Errorf("window of %v with %d crops: the paper's network reads a crop for each %d samples", s.Window,
			s.VideoFrames, paperStep)
	case s.AudioSamples()%(2*paperBlock) != 0 || s.AudioSamples() < paperSecondTaps:
		return fmt.Errorf("window of %v: its %d samples must be a multiple of %d and at least %d", s.Window,
			s.AudioSamples(), 2*paperBlock, paperSecondTaps)
	case s.CropSize%32 != 0 || s.CropSize < 32:
		return fmt.Errorf("crop size %d: must be a multiple of 32", s.CropSize)
	}
	return nil
}

// scaled is n at the recipe's width, in multiples of step.
func (a Arch) scaled(n, step int) int {
	return max(1, int(math.Round(a.Width*float64(n)/float64(step)))) * step
}

// UsesVideo reports whether the network reads faces at all: the paper has a network for each of its modes.
func (a Arch) UsesVideo() bool { return a.Kind != KindPaper || a.Modal != "audio" }

// UsesAudio reports whether the network reads audio at all.
func (a Arch) UsesAudio() bool { return a.Kind != KindPaper || a.Modal != "video" }

// paperAudio reads windows of audio [B, samples] and returns [B, T*F + T]: F features of each of T steps, and 1
// for each step with audio in it, else 0. The convolutions run over the whole window, not over each step.
func paperAudio[V any](o ops[V], a Arch, audio V) V {
	n, t, c := a.Spec.AudioSamples(), a.Spec.VideoFrames, a.scaled(paperFilters, paperGroup)
	x := sameTaps(o, leveled(o, audio), paperFirstTaps)
	w := o.Param("sound/1/w", NormalInit(1/math.Sqrt(paperFirstTaps)), paperFirstTaps, c)
	x = o.add(o.matmul(x, w), o.Param("sound/1/b", ConstInit(0), 1, c))
	x = o.reshape(largest(o, o.reshape(x, -1, n/2, 2, c), 2), -1, n/2, c)
	x = longConv(o, x, "sound/2", c, paperSecondTaps, paperBlock)
	x = largest(o, o.reshape(x, -1, c/paperGroup, paperGroup, n/2), 2)
	x = o.transpose(o.reshape(x, -1, c/paperGroup, t, paperStep/2), 0, 2, 3, 1)
	x = o.reshape(x, -1, a.paperAudioFeatures())
	hasAudio := o.reshape(o.sum(o.reshape(o.abs(audio), -1, t, paperStep), 2), -1, t)
	return o.concat(1, x, positive(o, o.mulScalar(hasAudio, 1<<15)))
}

// paperAudioFeatures returns T*F of paperAudio.
func (a Arch) paperAudioFeatures() int {
	return a.Spec.VideoFrames * paperStep / 2 * a.scaled(paperFilters, paperGroup) / paperGroup
}

// positive returns 1 where x is at least 1 and 0 where it is 0.
func positive[V any](o ops[V], x V) V {
	return o.sub(o.addScalar(o.mulScalar(x, 0), 1), o.relu(o.addScalar(o.mulScalar(x, -1), 1)))
}

// largest is a max-pool over the whole of an axis, which stays, as 1.
func largest[V any](o ops[V], x V, axis int) V {
	y := o.slice(x, axis, 0, 1)
	for i := 1; i < o.dims(x)[axis]; i++ {
		y = o.maximum(y, o.slice(x, axis, i, i+1))
	}
	return y
}

// zerosBeside surrounds x [B, N, ...] with zeros along its second axis, no more than N on a side.
func zerosBeside[V any](o ops[V], x V, before, after int) V {
	return o.concat(1, o.mulScalar(o.slice(x, 1, 0, before), 0), x, o.mulScalar(o.slice(x, 1, 0, after), 0))
}

// sameTaps returns the samples of x [B, N] under a convolution with "same" padding, [B*N, taps]: taps/2 before each and
// the rest from it on. Stretches are put together from stretches of half the length, which takes far fewer pieces than
// a slice a tap.
func sameTaps[V any](o ops[V], x V, taps int) V {
	long := o.dims(x)[1] + taps - 1
	y := o.reshape(zerosBeside(o, x, taps/2, taps-1-taps/2), -1, long, 1)
	run := 1
	for taps%(2*run) == 0 {
		long -= run
		y = o.concat(2, o.slice(y, 1, 0, long), o.slice(y, 1, run, run+long))
		run *= 2
	}
	pieces := make([]V, taps/run)
	n := o.dims(x)[1]
	for i := range pieces {
		pieces[i] = o.slice(y, 1, i*run, i*run+n)
	}
	return o.reshape(o.concat(2, pieces...), -1, taps)
}

// longConv is a convolution of x [B, N, in] with kernels of very many taps and "same" padding (taps/2 before, taps/2-1
// after), [B, out, N]. Audio and kernels are cut into blocks, and those are multiplied as spectra
// (overlap-save with a partitioned kernel, Stockham 1966): 4000 taps cost a thirtieth of what they do one by one.
// Fourier transforms are products with their basis, so that the gradient is made of products too. N and taps/2 are
// multiples of block.
func longConv[V any](o ops[V], x V, name string, out, taps, block int) V {
	n, in := o.dims(x)[1], o.dims(x)[2]
	parts, blocks, bins := taps/block, n/block, block+1
	basis := o.Constant(blockBasis(block), 2*block, 2*bins)

	// The kernels' spectra, conjugated, as real matrices: (part, channel, re or im) by (re or im, filter).
	w := o.Param(name+"/w", NormalInit(1/math.Sqrt(float64(in*taps))), in*out*parts, block)
	k := o.matmul(w, o.slice(basis, 0, 0, block))
	k = o.transpose(o.reshape(k, in, out, parts, 2, bins), 4, 2, 0, 3, 1)
	re, im := o.slice(k, 3, 0, 1), o.slice(k, 3, 1, 2)
	k = o.concat(3, o.concat(4, re, o.mulScalar(im, -1)), o.concat(4, im, re))
	k = o.reshape(k, bins, parts*in*2, 2*out)

	// The sound's spectra, of two blocks at each block, and beside each those of the parts-1 blocks that follow.
	x = o.reshape(o.transpose(zerosBeside(o, x, taps/2, taps/2), 0, 2, 1), -1, blocks+parts, block)
	x = o.concat(2, o.slice(x, 1, 0, blocks+parts-1), o.slice(x, 1, 1, blocks+parts))
	x = o.matmul(o.reshape(x, -1, 2*block), basis)
	x = o.transpose(o.reshape(x, -1, in, blocks+parts-1, 2, bins), 4, 0, 2, 1, 3)
	beside := make([]V, parts)
	for i := range beside {
		beside[i] = o.slice(x, 2, i, i+blocks)
	}
	x = o.reshape(o.concat(3, beside...), bins, -1, parts*in*2)

	y := o.reshape(o.batchMatmul(x, k), bins, -1, blocks, 2, out)
	y = o.reshape(o.transpose(y, 1, 4, 2, 3, 0), -1, 2*bins)
	y = o.matmul(y, o.Constant(blockInverse(block), 2*bins, block))
	return o.add(o.reshape(y, -1, out, n), o.Param(name+"/b", ConstInit(0), 1, out, 1))
}

// blockBasis is the real Fourier basis of two blocks, [2*block, 2*(block+1)]: real parts, then imaginary ones.
func blockBasis(block int) []float32 {
	n, bins := 2*block, block+1
	basis := make([]float32, n*2*bins)
	for t := range n {
		for f := range bins {
			sin, cos := math.Sincos(2 * math.Pi * float64(t*f%n) / float64(n))
			basis[t*2*bins+f], basis[t*2*bins+bins+f] = float32(cos), float32(-sin)
		}
	}
	return basis
}

// blockInverse takes a spectrum back to the first of its two blocks, [2*(block+1), block].
func blockInverse(block int) []float32 {
	n, bins := 2*block, block+1
	inverse := make([]float32, 2*bins*block)
	for f := range bins {
		scale := 2 / float64(n) // of a bin and its mirror
		if f == 0 || f == block {
			scale = 1 / float64(n)
		}
		for t := range block {
			sin, cos := math.Sincos(2 * math.Pi * float64(t*f%n) / float64(n))
			inverse[f*block+t], inverse[(bins+f)*block+t] = float32(scale*cos), float32(-scale*sin)
		}
	}
	return inverse
}

// paperFaces is ResNet-50 without its head: crops [N, S, S, C] of bytes become [N, D]. Where a crop of 96 pixels has
// come down to 3x3, the mean is over all of it.
func paperFaces[V any](o ops[V], a Arch, crops V) V {
	filters := a.scaled(paperFaceFilters, 4)
	x := o.relu(o.convNorm(o.image(crops, pixelLo, pixelHi), "face/0", 7, 2, filters))
	x = o.pool(x)
	for stage, blocks := range paperStages {
		mid := filters << stage
		for i := range blocks {
			stride := 1
			if i == 0 && stage > 0 {
				stride = 2
			}
			x = bottleneck(o, x, fmt.Sprintf("face/%d%c", stage+1, 'a'+i), mid, stride)
		}
	}
	return o.average(x)
}

// paperFaceFeatures returns D of paperFaces.
func (a Arch) paperFaceFeatures() int { return a.scaled(paperFaceFilters, 4) * 32 }

// bottleneck is a block of ResNet-50; its stride is that of the 3x3 convolution, as in torchvision, whose weights the
// authors took.
func bottleneck[V any](o ops[V], x V, name string, mid, stride int) V {
	y := o.relu(o.convNorm(x, name+"/1", 1, 1, mid))
	y = o.relu(o.convNorm(y, name+"/2", 3, stride, mid))
	y = o.convNorm(y, name+"/3", 1, 1, 4*mid)
	if stride > 1 || o.dims(x)[3] != 4*mid {
		x = o.convNorm(x, name+"/skip", 1, stride, 4*mid)
	}
	return o.relu(o.add(x, y))
}

// paperFuse reads the features that paperFaces returns of each step, [B, T, D] with their mask [B, T], and those of
// paperAudio with theirs, [B, 1], and returns the logits of both tasks. The LSTM is read at the last step that has a
// crop or audio: what follows is padding.
func paperFuse[V any](o ops[V], a Arch, faces, videoMask, audio, audioMask V) (emotion, gender V) {
	t := a.Spec.VideoFrames
	var x []V
	var there V
	if a.UsesAudio() {
		n := a.paperAudioFeatures()
		x = append(x, o.reshape(o.mul(o.slice(audio, 1, 0, n), audioMask), -1, t, n/t))
		there = o.mul(o.slice(audio, 1, n, n+t), audioMask)
	}
	if a.UsesVideo() {
		x = append(x, o.mul(faces, o.reshape(videoMask, -1, t, 1)))
		if a.UsesAudio() {
			there = o.maximum(there, videoMask)
		} else {
			there = videoMask
		}
	}
	h := x[0]
	if len(x) > 1 {
		h = o.concat(2, x...)
	}
	hidden := a.scaled(paperHidden, 8)
	h = o.lstm(o.lstm(h, "lstm/1", hidden), "lstm/2", hidden)

	after := make([]float32, t*t) // [s, t]: whether step s comes after t
	for s := range t {
		for i := range s {
			after[s*t+i] = 1
		}
	}
	last := o.mul(there, o.relu(o.addScalar(o.mulScalar(o.matmul(there, o.Constant(after, t, t)), -1), 1)))
	h = o.reshape(o.sum(o.mul(h, o.reshape(last, -1, t, 1)), 1), -1, hidden)
	h = o.dropout(h, "fuse")
	return linear(o, h, "emotion", a.Emotions), linear(o, h, "gender", a.Genders)
}

// linear is a dense layer with first weights of the spread that PyTorch draws, 1/sqrt(3 in).
func linear[V any](o ops[V], x V, name string, out int) V {
	in := o.dims(x)[1]
	w := o.Param(name+"/w", NormalInit(1/math.Sqrt(3*float64(in))), in, out)
	return o.add(o.matmul(x, w), o.Param(name+"/b", ConstInit(0), 1, out))
}
