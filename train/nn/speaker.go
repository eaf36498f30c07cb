package nn

import (
	"fmt"
	"math"
	"time"

	onnx "github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/gomlx/core/graph"

	"tandem/capture"
	"tandem/infer"
	"tandem/pipeline"
)

// SpeakerArch sizes the network that tells by lips and sound who speaks. It has two streams (Chung and Zisserman 2016,
// "Out of time: automated lip sync in the wild"), one of mouths and one of sound. Each gives features of each slot of
// the mouth clock, and their products say how well the two go together. So the features of a face are made once for any
// number of voices, and those of a voice for any number of faces.
type SpeakerArch struct {
	Mouths      pipeline.MouthSpec `json:"-"`            // how mouths are cut
	LipWidths   []int              `json:"lip_widths"`   // channels of the lips' three stages; each halves the image
	SoundWidths []int              `json:"sound_widths"` // channels of the sound's two stages
	Hidden      int                `json:"hidden"`       // features of a slot before the products
	Blocks      int                `json:"blocks"`       // residual layers over time of each stream, three slots wide
	Dim         int                `json:"dim"`          // features of a slot that are multiplied
	MelBands    int                `json:"mel_bands"`    // filters of the learnable mel filter bank
}

// DefaultMouths is how mouths are cut: 32x32 grey, 15.6 a second, 2.56 s at a time.
var DefaultMouths = pipeline.MouthSpec{Every: 64 * time.Millisecond, Size: 32, Margin: 1.6, Slots: 40}

// slotSpectra is how many spectra a slot of the mouth clock has: the sound's layers halve their number twice.
const slotSpectra = 4

// Check returns an error that names the first size which the layers cannot take.
func (a SpeakerArch) Check() error {
	if err := a.Mouths.Validate(); err != nil {
		return err
	}
	if n := a.slotSamples(); n != slotSpectra*soundHop {
		return fmt.Errorf("mouths every %v: the network reads %d samples of sound with each, not %d", a.Mouths.Every,
			slotSpectra*soundHop, n)
	}
	if a.Mouths.Size%8 != 0 {
		return fmt.Errorf("mouths of %d pixels: must be a multiple of 8", a.Mouths.Size)
	}
	if len(a.LipWidths) != 3 || len(a.SoundWidths) != 2 {
		return fmt.Errorf("architecture: want 3 lip_widths and 2 sound_widths, got %v and %v", a.LipWidths,
			a.SoundWidths)
	}
	for _, n := range append(append([]int{a.Hidden, a.Dim}, a.LipWidths...), a.SoundWidths...) {
		if n < 1 || n > 1024 {
			return fmt.Errorf("architecture: a width of %d: want 1 to 1024", n)
		}
	}
	if a.Blocks < 0 || a.Blocks > 8 || a.MelBands < 8 || a.MelBands > 256 || a.MelBands%4 != 0 {
		return fmt.Errorf("architecture: want 0 to 8 blocks and 8 to 256 mel_bands, a multiple of 4, got %d and %d",
			a.Blocks, a.MelBands)
	}
	return nil
}

// slotSamples returns how many samples of sound belong to a slot.
func (a SpeakerArch) slotSamples() int {
	return int(a.Mouths.Every * capture.SampleRate / time.Second)
}

// AudioSamples returns how many samples of sound the network reads.
func (a SpeakerArch) AudioSamples() int { return a.Mouths.Slots * a.slotSamples() }

// SpeakerDim returns how many features of a slot there are in all: those that are multiplied and one of each stream
// that stands for itself.
func (a SpeakerArch) SpeakerDim() int { return a.Dim + 2 }

// EncodeLips reads mouths [B, T, S, S] of bytes and which of them are there [B, T], and returns the features of each
// slot, [B, T, a.SpeakerDim()], zero where there is no mouth. Their product with those of a voice, summed over the
// features, is by how much a slot speaks for the voice being the face's own.
func (o *GraphOps) EncodeLips(a SpeakerArch, mouths, there *graph.Node) *graph.Node {
	return encodeLips(o, a, mouths, there)
}

// EncodeVoice reads sound [B, samples] from -1 to 1 and returns the features of each slot, [B, T, a.SpeakerDim()].
func (o *GraphOps) EncodeVoice(a SpeakerArch, audio *graph.Node) *graph.Node {
	return encodeVoice(o, a, audio)
}

// encodeLips is EncodeLips in either reading.
func encodeLips[V any](o ops[V], a SpeakerArch, mouths, there V) V {
	t, s := a.Mouths.Slots, a.Mouths.Size
	x := o.image(o.reshape(mouths, -1, s, s, 1), pixelLo, pixelHi)
	x = o.reshape(o.flat(x, false), -1, t, s*s)
	mask := o.reshape(there, -1, t, 1)
	x = standardized(o, x, mask)

	// What moves: the change since the slot before, where both are there.
	both := o.mul(o.slice(mask, 1, 0, t-1), o.slice(mask, 1, 1, t))
	change := o.mul(o.sub(o.slice(x, 1, 1, t), o.slice(x, 1, 0, t-1)), both)
	change = o.concat(1, o.mulScalar(o.slice(x, 1, 0, 1), 0), change)
	x = o.named(o.concat(2, o.reshape(x, -1, s*s, 1), o.reshape(change, -1, s*s, 1)), "lip_pairs")

	x = o.fold(o.toImage(x, s, s, 2))
	x = o.relu(o.conv(x, "lips/0", a.LipWidths[0], 1))
	for i := 1; i < 3; i++ {
		at := fmt.Sprint("lips/", i)
		x = residual(o, o.relu(o.merge(x, at, a.LipWidths[i], reluGain)), at+"a")
	}
	x = o.named(o.relu(dense(o, o.flat(x, false), "lips/slot", a.Hidden)), "lip_features")
	x = overTime(o, o.mul(o.reshape(x, -1, t, a.Hidden), mask), "lips/time", a.Blocks)
	x = o.reshape(x, -1, a.Hidden)
	paired := o.mulScalar(linear(o, x, "lips/out", a.Dim), 1/math.Sqrt(float64(a.Dim)))
	alone := head(o, x, "lips/alone", 1)
	one := o.addScalar(o.mulScalar(alone, 0), 1)
	x = o.reshape(o.concat(1, paired, alone, one), -1, t, a.SpeakerDim())
	return o.mul(x, mask)
}

// standardized brings x [B, T, N] to zero mean and unit variance over all that is there, mask [B, T, 1]: light and
// contrast are not what lips say. What is not there is zero.
func standardized[V any](o ops[V], x, mask V) V {
	n := float64(o.dims(x)[2])
	count := o.addScalar(o.mulScalar(o.sum(mask, 1), n), 1)
	mean := o.div(o.sum(o.sum(o.mul(x, mask), 2), 1), count)
	x = o.mul(o.sub(x, mean), mask)
	variance := o.div(o.sum(o.sum(o.mul(x, x), 2), 1), count)
	return o.div(x, o.sqrt(o.addScalar(variance, 1e-3)))
}

// encodeVoice is EncodeVoice in either reading.
func encodeVoice[V any](o ops[V], a SpeakerArch, audio V) V {
	t := a.Mouths.Slots
	frames := t * slotSpectra
	x := logMel(o, leveled(o, audio), "voice/mel", frames, a.MelBands)
	x = o.fold(o.toImage(x, frames, a.MelBands, 1))
	x = o.relu(o.conv(x, "voice/0", a.SoundWidths[0], 1))
	x = residual(o, o.relu(o.merge(x, "voice/1", a.SoundWidths[1], reluGain)), "voice/1a")
	x = o.relu(dense(o, o.flat(x, true), "voice/slot", a.Hidden))
	x = overTime(o, o.reshape(x, -1, t, a.Hidden), "voice/time", a.Blocks)
	x = o.reshape(x, -1, a.Hidden)
	paired := linear(o, x, "voice/out", a.Dim)
	alone := head(o, x, "voice/alone", 1)
	one := o.addScalar(o.mulScalar(alone, 0), 1)
	return o.reshape(o.concat(1, paired, one, alone), -1, t, a.SpeakerDim())
}

// overTime adds to x [B, T, D] what layers find that read three slots each.
func overTime[V any](o ops[V], x V, name string, blocks int) V {
	d := o.dims(x)
	t, n := d[1], d[2]
	edge := o.mulScalar(o.slice(x, 1, 0, 1), 0)
	for i := range blocks {
		padded := o.concat(1, edge, x, edge)
		y := o.concat(2, o.slice(padded, 1, 0, t), x, o.slice(padded, 1, 2, t+2))
		y = o.relu(dense(o, o.reshape(y, -1, 3*n), fmt.Sprintf("%s%d", name, i), n))
		x = o.mulScalar(o.add(x, o.reshape(y, -1, t, n)), math.Sqrt(0.5))
	}
	return x
}

// speaking returns the log-odds of each slot [B, T]: the products of a face's features and a voice's, both
// [B, T, D] (the voice's batch may be 1), summed over the features.
func speaking[V any](o ops[V], a SpeakerArch, lips, voice V) V {
	return o.reshape(o.sum(o.mul(lips, voice), 2), -1, a.Mouths.Slots)
}

// ExportSpeaker returns the network as the bytes of an ONNX file that keeps infer.SpeakerContract. c's shape fields are
// set from the architecture; the rest is the caller's. It fails where w lacks a parameter or has it in another shape.
func ExportSpeaker(a SpeakerArch, w Weights, c infer.SpeakerContract) ([]byte, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	c.SampleRate, c.Mouths = capture.SampleRate, a.Mouths
	o := newOnnxOps(w)
	t, s := a.Mouths.Slots, a.Mouths.Size
	lips := encodeLips(o, a, onnxValue{name: "mouths", dims: []int{-1, t, s, s}},
		onnxValue{name: "there", dims: []int{-1, t}})
	voice := encodeVoice(o, a, onnxValue{name: "audio", dims: []int{-1, a.AudioSamples()}})
	o.named(speaking(o, a, lips, voice), "speaking")
	const f = onnx.TensorProto_FLOAT
	audio := valueInfo("audio", f, a.AudioSamples())
	audio.GetType().GetTensorType().GetShape().Dim[0].Value = &onnx.TensorShapeProto_Dimension_DimValue{DimValue: 1}
	return o.model(
		[]*onnx.ValueInfoProto{
			valueInfo("mouths", onnx.TensorProto_UINT8, t, s, s), valueInfo("there", f, t), audio,
		},
		[]*onnx.ValueInfoProto{valueInfo("speaking", f, t)}, c.Metadata())
}
