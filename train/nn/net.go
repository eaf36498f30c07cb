package nn

import (
	"fmt"
	"math"
	"slices"
	"time"

	"tandem/capture"
	"tandem/pipeline"
)

// Arch sizes the network. The zero value is not usable; the default model's is in its recipe. Recipes, and checkpoints,
// hold the fields that have names in JSON; the others follow from the data and the labels.
type Arch struct {
	Spec        pipeline.Spec `json:"-"`            // how windows are cut
	Kind        string        `json:"kind"`         // KindTandem or KindPaper
	Width       float64       `json:"width"`        // KindPaper: share of the published network's channels
	Modal       string        `json:"-"`            // KindPaper: multi, audio or video, as the recipe's
	FaceStem    int           `json:"face_stem"`    // channels at the crop's full resolution; 0: it is folded first
	FaceWidths  []int         `json:"face_widths"`  // channels of the face encoder's stages
	FaceBlocks  []int         `json:"face_blocks"`  // residual layers of each
	FaceDim     int           `json:"face_dim"`     // features of a crop that one face encoder returns
	FaceNets    int           `json:"face_nets"`    // face encoders side by side; Ensemble makes more than 1
	SoundWidths []int         `json:"sound_widths"` // channels of the audio encoder's stages
	SoundBlocks []int         `json:"sound_blocks"` // residual layers of each
	SoundDim    int           `json:"sound_dim"`    // features of a window of audio
	FuseDim     int           `json:"fuse_dim"`     // width of the fusion layer
	Gated       bool          `json:"gated"`        // the fusion layer weighs what each modality says, see tandemFuse
	MelBands    int           `json:"mel_bands"`    // filters of the learnable mel filter bank
	Emotions    int           `json:"-"`            // classes of each task
	Genders     int           `json:"-"`
}

// DefaultSpec is how windows are cut for the default model: 2.56 s every 0.25 s, eight grey crops of 48x48.
var DefaultSpec = pipeline.Spec{
	Window: 2560 * time.Millisecond, Hop: 250 * time.Millisecond,
	VideoFrames: 8, CropSize: 48, Channels: 1, CropMargin: 2.6, Partial: true,
}

const (
	pixelLo, pixelHi = -1.0, 1.0
	soundHop         = 256 // samples between two spectra: 16 ms
	soundFrame       = 512 // samples a spectrum: 32 ms
	maxFaceNets      = 8   // more would be no network for two cores
	faceStages       = 4   // each halves the image
	soundStages      = 3
	maxBlocks        = 26 // their names are letters
	// reluGain keeps the variance of standard normal values through a ReLU: 1/sqrt((1-1/pi)/2), Brock et al.
	// 2021, section 3.
	reluGain = 1.7139588594436646
)

// Check returns an error that names the first size which the layers cannot take.
func (a Arch) Check() error {
	if a.Kind == KindPaper {
		return a.checkPaper()
	}
	s := a.Spec
	if s.AudioSamples()%(4*soundHop) != 0 || s.AudioSamples() < 32*soundHop {
		return fmt.Errorf("window of %v: its %d samples must be a multiple of %d and at least %d", s.Window,
			s.AudioSamples(), 4*soundHop, 32*soundHop)
	}
	if s.CropSize%16 != 0 || s.CropSize < 16 {
		return fmt.Errorf("crop size %d: must be a multiple of 16", s.CropSize)
	}
	if a.FaceNets < 1 || a.FaceNets > maxFaceNets {
		return fmt.Errorf("face_nets %d: want 1 to %d", a.FaceNets, maxFaceNets)
	}
	if len(a.FaceWidths) != faceStages || len(a.SoundWidths) != soundStages || a.MelBands%8 != 0 {
		return fmt.Errorf("architecture: want 4 face widths, 3 sound widths and mel bands in multiples of 8, "+
			"got %d, %d, %d", len(a.FaceWidths), len(a.SoundWidths), a.MelBands)
	}
	if len(a.FaceBlocks) != faceStages || len(a.SoundBlocks) != soundStages {
		return fmt.Errorf("architecture: want face_blocks for 4 stages and sound_blocks for 3, got %v and %v",
			a.FaceBlocks, a.SoundBlocks)
	}
	for _, n := range slices.Concat(a.FaceBlocks, a.SoundBlocks) {
		if n < 0 || n > maxBlocks {
			return fmt.Errorf("architecture: face_blocks %v, sound_blocks %v: want 0 to %d each", a.FaceBlocks,
				a.SoundBlocks, maxBlocks)
		}
	}
	if a.FaceStem < 0 {
		return fmt.Errorf("face_stem %d: want channels, or 0", a.FaceStem)
	}
	return nil
}

// WindowSpec returns how windows are cut for this kind of network.
func (a Arch) WindowSpec() pipeline.Spec {
	if a.Kind == KindPaper {
		return PaperSpec
	}
	return DefaultSpec
}

// encodeFaces reads crops [N, S, S, C] of bytes and returns the features of each, [N, a.FaceFeatures()].
func encodeFaces[V any](o ops[V], a Arch, crops V) V {
	if a.Kind == KindPaper {
		return paperFaces(o, a, crops)
	}
	return tandemFaces(o, a, crops)
}

// encodeAudio reads windows of audio [B, samples] from -1 to 1, zeros but for the share covered [B, 1] at their end,
// and returns the features of each, [B, F]; F depends on the kind of network. That of the paper does not read covered.
func encodeAudio[V any](o ops[V], a Arch, audio, covered V) V {
	if a.Kind == KindPaper {
		return paperAudio(o, a, audio)
	}
	return tandemAudio(o, a, audio, covered)
}

// fuse reads the features of each frame's face [B, T, a.FaceFeatures()] and those of the audio [B, F], each with a mask
// of what is there, [B, T] and [B, 1], and returns the logits of both tasks, [B, E] and [B, G]. A modality that the
// network does not use may be the zero value.
func fuse[V any](o ops[V], a Arch, faces, videoMask, audio, audioMask V) (emotion, gender V) {
	if a.Kind == KindPaper {
		return paperFuse(o, a, faces, videoMask, audio, audioMask)
	}
	return tandemFuse(o, a, faces, videoMask, audio, audioMask)
}

// FaceFeatures returns how many features the network makes of a crop.
func (a Arch) FaceFeatures() int {
	if a.Kind == KindPaper {
		return a.paperFaceFeatures()
	}
	return a.FaceNets * a.FaceDim
}

// faceNet returns the name of the face encoder k, from 0: face, face2, face3.
func faceNet(k int) string {
	if k == 0 {
		return "face"
	}
	return fmt.Sprint("face", k+1)
}

// residual adds to x what a convolution of it finds. Normalizer-free: weight standardization keeps the variance, so
// no batch statistics tie the samples of a batch, or training and inference, together.
func residual[V any](o ops[V], x V, name string) V {
	d := o.dims(x)
	y := o.relu(o.conv(x, name, d[3], reluGain))
	return o.mulScalar(o.add(x, y), math.Sqrt(0.5))
}

// stage is a number of residual layers after another layer, by the names that it gets with a, b, c and so on behind.
func stage[V any](o ops[V], x V, name string, layers int) V {
	for i := range layers {
		x = residual(o, x, name+string(rune('a'+i)))
	}
	return x
}

// dense is a fully connected layer of x [N, K], [N, out].
func dense[V any](o ops[V], x V, name string, out int) V {
	in := o.dims(x)[1]
	w := o.Param(name+"/w", NormalInit(math.Sqrt(2/float64(in))), in, out)
	b := o.Param(name+"/b", ConstInit(0), 1, out)
	return o.add(o.matmul(x, w), b)
}

// head is a dense layer that starts small, so that the first predictions are near uniform.
func head[V any](o ops[V], x V, name string, out int) V {
	w := o.Param(name+"/w", NormalInit(0.02), o.dims(x)[1], out)
	return o.add(o.matmul(x, w), o.Param(name+"/b", ConstInit(0), 1, out))
}

// tandemFaces reads crops [N, S, S, C] of bytes and returns [N, FaceNets*FaceDim]: the features of each encoder in
// turn.
func tandemFaces[V any](o ops[V], a Arch, crops V) V {
	x := o.image(crops, pixelLo, pixelHi)
	if a.FaceStem == 0 {
		x = o.fold(x)
	}
	all := make([]V, a.FaceNets)
	for k := range all {
		all[k] = faceEncoder(o, a, x, faceNet(k))
	}
	if len(all) == 1 {
		return all[0]
	}
	return o.concat(1, all...)
}

// faceEncoder reads crops [N, S, S, C], or without a stem crops folded to [N, S/2, S/2, 4C], and returns [N, FaceDim].
func faceEncoder[V any](o ops[V], a Arch, x V, name string) V {
	w := a.FaceWidths
	if a.FaceStem > 0 {
		x = o.relu(o.conv(x, name+"/stem", a.FaceStem, 1))
		x = o.relu(o.merge(x, name+"/0", w[0], reluGain))
	} else {
		x = o.relu(o.conv(x, name+"/0", w[0], 1))
	}
	x = stage(o, x, name+"/0", a.FaceBlocks[0])
	for i := 1; i < faceStages; i++ {
		at := fmt.Sprintf("%s/%d", name, i)
		x = stage(o, o.relu(o.merge(x, at, w[i], reluGain)), at, a.FaceBlocks[i])
	}
	x = o.dropout(o.flat(x, false), name)
	return o.relu(dense(o, x, name+"/out", a.FaceDim))
}

// tandemAudio reads windows of audio [B, samples], of which the share covered [B, 1] at their end holds sound, and
// returns [B, SoundDim]. Everything from the samples on is in the graph: level normalization, spectra, a learnable mel
// filter bank, convolutions, attention over time. What comes before the share counts neither for the level, which is
// that of the samples that are not zero, nor for the means over time; to the convolutions it is as their padding.
func tandemAudio[V any](o ops[V], a Arch, audio, covered V) V {
	n := a.Spec.AudioSamples()
	frames := n / soundHop

	x := logMel(o, leveled(o, audio), "sound/mel", frames, a.MelBands)
	x = o.mul(x, o.reshape(coveredParts(o, covered, frames), -1, 1))

	x = o.fold(o.toImage(x, frames, a.MelBands, 1))
	x = stage(o, o.relu(o.conv(x, "sound/0", a.SoundWidths[0], 1)), "sound/0", a.SoundBlocks[0])
	for i := 1; i < soundStages; i++ {
		at := fmt.Sprintf("sound/%d", i)
		x = stage(o, o.relu(o.merge(x, at, a.SoundWidths[i], reluGain)), at, a.SoundBlocks[i])
	}

	// [B*steps, bands*channels] -> features a step -> attention over the steps.
	steps := frames / 8
	x = o.dropout(o.flat(x, true), "sound")
	x = o.relu(dense(o, x, "sound/step", a.SoundDim))
	score := o.reshape(head(o, x, "sound/attention", 1), -1, steps, 1)
	x = o.reshape(x, -1, steps, a.SoundDim)
	there := o.reshape(coveredParts(o, covered, steps), -1, steps, 1)
	pooled := attend(o, x, score, there)
	mean := o.div(o.sum(o.mul(x, there), 1), o.addScalar(o.sum(there, 1), tiny))
	both := o.reshape(o.concat(2, pooled, mean), -1, 2*a.SoundDim)
	return o.relu(dense(o, both, "sound/out", a.SoundDim))
}

// logMel returns the logarithms of mel spectra of sound [B, frames*soundHop], [B*frames, bands]. The filter bank is a
// parameter of a name.
func logMel[V any](o ops[V], x V, name string, frames, bands int) V {
	// Spectra of half-overlapping Hann windows, as a product with the real Fourier basis.
	half := o.mulScalar(o.slice(x, 1, 0, soundHop/2), 0)
	x = o.reshape(o.concat(1, half, x, half), -1, frames+1, soundHop)
	x = o.concat(2, o.slice(x, 1, 0, frames), o.slice(x, 1, 1, frames+1))
	x = o.reshape(x, -1, soundFrame)
	bins := soundFrame/2 + 1
	x = o.matmul(x, o.Constant(fourierBasis(soundFrame), soundFrame, 2*bins))
	x = o.mul(x, x)
	x = o.add(o.slice(x, 1, 0, bins), o.slice(x, 1, bins, 2*bins))
	// The filters are squared so that they stay positive; they start as the mel scale's triangles.
	mel := o.Param(name, dataInit(melFilters(soundFrame, bands)), bins, bands)
	x = o.matmul(x, o.mul(mel, mel))
	return o.mulScalar(o.addScalar(o.log(o.addScalar(x, 1e-5)), 4), 0.25)
}

// leveled returns audio [B, samples] brought to a level of 1. The level is that of the samples that are there: zeros
// (padding) do not count.
func leveled[V any](o ops[V], audio V) V {
	power := o.sum(o.mul(audio, audio), 1)
	there := o.sum(o.div(o.abs(audio), o.addScalar(o.abs(audio), 1e-6)), 1)
	level := o.sqrt(o.addScalar(o.div(power, o.addScalar(there, 1)), 1e-8))
	return o.div(audio, level)
}

// coveredParts returns how much of each of n equal parts of a window lies in the share covered [B, 1] at its end, from
// 0 to 1, [B, n]. A part that lies in it by half counts by half, so that no rounding decides over one.
func coveredParts[V any](o ops[V], covered V, n int) V {
	before := make([]float32, n) // the parts between a part's end and the window's
	for i := range before {
		before[i] = float32(n - 1 - i)
	}
	x := o.sub(o.mulScalar(covered, float64(n)), o.Constant(before, 1, n))
	return o.sub(o.relu(x), o.relu(o.addScalar(x, -1)))
}

// tiny keeps a mean over nothing finite. It is lost in the rounding of any other.
const tiny = 1e-12

// attend is the mean of x [B, T, D] over T, weighted by the softmax of score [B, T, 1] times there [B, T, 1], which is
// from 0 to 1, [B, 1, D].
func attend[V any](o ops[V], x, score, there V) V {
	// What is not there must not be the maximum, or the others' exponentials might all round to zero.
	most := o.max(o.add(score, o.mulScalar(o.addScalar(there, -1), 30)), 1)
	e := o.mul(o.exp(o.sub(score, most)), there)
	return o.div(o.sum(o.mul(x, e), 1), o.addScalar(o.sum(e, 1), tiny))
}

// tandemFuse reads face features [B, T, FaceNets*FaceDim] with their mask [B, T] and audio features [B, SoundDim] with
// theirs [B, 1], and returns the logits of both tasks. What a mask leaves out has no influence: each modality has
// logits of its own, and a joint layer reads both. Gated, that layer also says for each modality and task by how much
// its logits count, 0 to 2 (Arevalo et al. 2017, arXiv 1702.01992, section 3.1, with a gate for each task).
func tandemFuse[V any](o ops[V], a Arch, faces, videoMask, audio, audioMask V) (emotion, gender V) {
	t := o.dims(faces)[1]
	d := a.FaceFeatures()
	mask := o.reshape(videoMask, -1, t, 1)
	faces = o.mul(faces, mask)

	// The temporal part: change since the previous crop, where both are there.
	motion := faces
	if t > 1 {
		both := o.mul(o.slice(mask, 1, 0, t-1), o.slice(mask, 1, 1, t))
		change := o.mul(o.sub(o.slice(faces, 1, 1, t), o.slice(faces, 1, 0, t-1)), both)
		motion = o.concat(1, o.mulScalar(o.slice(change, 1, 0, 1), 0), change)
	} else {
		motion = o.mulScalar(faces, 0)
	}
	step := o.reshape(o.concat(2, faces, motion), -1, 2*d)
	step = o.relu(dense(o, step, "video/step", d))
	score := o.reshape(head(o, step, "video/attention", 1), -1, t, 1)
	video := o.reshape(attend(o, o.reshape(step, -1, t, d), score, mask), -1, d)
	hasFace := o.reshape(o.max(mask, 1), -1, 1)
	audio = o.mul(audio, audioMask)

	joint := o.concat(1, video, audio, hasFace, audioMask)
	joint = o.dropout(o.relu(dense(o, joint, "fuse", a.FuseDim)), "fuse")
	var gates V // [B, 4]: of video and audio for emotion, then for gender
	if a.Gated {
		gates = sigmoid(o, head(o, joint, "fuse/gate", 4))
		gates = o.mulScalar(gates, 2)
	}
	logits := func(k int, task string, out int) V {
		v := o.mul(head(o, video, "video/"+task, out), hasFace)
		s := o.mul(head(o, audio, "sound/"+task, out), audioMask)
		if a.Gated {
			v, s = o.mul(v, o.slice(gates, 1, 2*k, 2*k+1)), o.mul(s, o.slice(gates, 1, 2*k+1, 2*k+2))
		}
		return o.add(o.add(v, s), head(o, joint, "fuse/"+task, out))
	}
	return logits(0, "emotion", a.Emotions), logits(1, "gender", a.Genders)
}

// sigmoid is 1/(1+exp(-x)).
func sigmoid[V any](o ops[V], x V) V {
	e := o.addScalar(o.exp(o.mulScalar(x, -1)), 1)
	return o.div(o.addScalar(o.mulScalar(e, 0), 1), e)
}

// fourierBasis is the Hann-windowed real Fourier basis, [n, 2*(n/2+1)]: cosines, then sines, scaled so that white
// noise of unit power has unit power in each bin.
func fourierBasis(n int) []float32 {
	bins := n/2 + 1
	basis := make([]float32, n*2*bins)
	var energy float64
	for i := range n {
		h := 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(n))
		energy += h * h
	}
	scale := 1 / math.Sqrt(energy)
	for i := range n {
		h := scale * (0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(n)))
		for k := range bins {
			sin, cos := math.Sincos(2 * math.Pi * float64(i*k%n) / float64(n))
			basis[i*2*bins+k] = float32(h * cos)
			basis[i*2*bins+bins+k] = float32(h * sin)
		}
	}
	return basis
}

// melFilters is [n/2+1, bands]: square roots of triangular filters of unit area between 40 Hz and the Nyquist
// frequency, evenly spaced on the mel scale 2595 log10(1 + f/700) (O'Shaughnessy 1987).
func melFilters(n, bands int) []float32 {
	mel := func(f float64) float64 { return 2595 * math.Log10(1+f/700) }
	hz := func(m float64) float64 { return 700 * (math.Pow(10, m/2595) - 1) }
	lo, hi := mel(40), mel(capture.SampleRate/2)
	edge := make([]float64, bands+2)
	for i := range edge {
		edge[i] = hz(lo + (hi-lo)*float64(i)/float64(bands+1))
	}
	bins := n/2 + 1
	filters := make([]float32, bins*bands)
	width := float64(capture.SampleRate) / float64(n)
	for b := range bands {
		l, c, r := edge[b], edge[b+1], edge[b+2]
		// Low filters are narrower than a bin: widen them to one, or they would pass nothing.
		l, r = math.Min(l, c-width), math.Max(r, c+width)
		var area float64
		for k := range bins {
			f := float64(k) * width
			area += math.Max(0, math.Min((f-l)/(c-l), (r-f)/(r-c)))
		}
		for k := range bins {
			f := float64(k) * width
			v := math.Max(0, math.Min((f-l)/(c-l), (r-f)/(r-c)))
			// A little everywhere, so that a filter can grow where it starts at zero (its gradient is 2p).
			filters[k*bands+b] = float32(math.Sqrt(v/area + 1e-6))
		}
	}
	return filters
}
