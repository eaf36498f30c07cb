package infer

import (
	"context"
	"errors"

	ort "github.com/yalue/onnxruntime_go"

	"tandem/pipeline"
)

// batch is the memory of one run, kept for the next.
type batch struct {
	audio, audioMask, videoMask, covered, emotion, gender []float32

	video           []byte    // what is to be read of crops,
	videoFloat      []float32 // in either form
	features, fresh []float32 // face_features of all crops, and of those just read
	heard, sounds   []float32 // sound_features of the windows that have sound, and of all
}

// addPixels appends crops to what is to be read.
func (b *batch) addPixels(r *Recognizer, pix []byte) {
	if !r.contract.FloatVideo {
		b.video = append(b.video, pix...)
		return
	}
	for _, v := range pix {
		b.videoFloat = append(b.videoFloat, r.scale[v])
	}
}

// pixels returns the tensor of what addPixels has put together, as n windows of t crops.
func (b *batch) pixels(ts *tensors, r *Recognizer, n, t int) (ort.Value, error) {
	c := &r.contract
	shape := []int64{int64(n), int64(t), int64(c.CropSize), int64(c.CropSize), int64(c.Channels)}
	if c.FloatVideo {
		return tensor(ts, b.videoFloat, shape...)
	}
	return tensor(ts, b.video, shape...)
}

// inputs returns the tensors of what fill has laid out of n windows, with those of sound and video, in the order of
// Contract.inputs.
func (b *batch) inputs(ts *tensors, c *Contract, n int, sound []ort.Value, video ort.Value) ([]ort.Value, error) {
	var errs [2]error
	in := []ort.Value{sound[0], video, nil, nil}
	in[2], errs[0] = tensor(ts, b.audioMask, int64(n), 1)
	in[3], errs[1] = tensor(ts, b.videoMask, int64(n), int64(c.VideoFrames))
	return append(in, sound[1:]...), errors.Join(errs[:]...)
}

// soundOf returns what the network takes of the windows' sound.
func (b *batch) soundOf(ctx context.Context, ts *tensors, r *Recognizer, ws []*pipeline.Window) ([]ort.Value, error) {
	if r.sounds != nil {
		return b.encodeSounds(ctx, ts, r, ws)
	}
	return b.sound(ts, r, ws)
}

// sound returns the tensors of the windows' sound, and of how much of it there can be if the model wants to know.
func (b *batch) sound(ts *tensors, r *Recognizer, ws []*pipeline.Window) ([]ort.Value, error) {
	c := &r.contract
	n, N := len(ws), c.Spec().AudioSamples()
	b.audio, b.covered = resize(b.audio, n*N), resize(b.covered, n)
	for i, w := range ws {
		if audio := b.audio[i*N : (i+1)*N]; w.AudioPresent {
			c.AudioNorm.Apply(audio, w.Audio)
		} else {
			clear(audio)
		}
		b.covered[i] = coveredShare(w, c)
	}
	audio, err := tensor(ts, b.audio, int64(n), int64(N))
	if err != nil || !c.Covered {
		return []ort.Value{audio}, err
	}
	covered, err := tensor(ts, b.covered, int64(n), 1)
	return []ort.Value{audio, covered}, err
}

// encodeSounds returns the tensor of the windows' sound_features, zeros where there is no sound.
func (b *batch) encodeSounds(
	ctx context.Context, ts *tensors, r *Recognizer, ws []*pipeline.Window,
) ([]ort.Value, error) {
	D := r.heard
	var audible []*pipeline.Window
	for _, w := range ws {
		if w.AudioPresent {
			audible = append(audible, w)
		}
	}
	b.sounds = resize(b.sounds, len(ws)*D)
	clear(b.sounds)
	if len(audible) > 0 {
		b.heard = resize(b.heard, len(audible)*D)
		in, err := b.sound(ts, r, audible)
		if err != nil {
			return nil, err
		}
		out, err := tensor(ts, b.heard, int64(len(audible)), int64(D))
		if err != nil {
			return nil, err
		}
		if err := r.sounds.run(ctx, in, []ort.Value{out}); err != nil {
			return nil, err
		}
	}
	next := b.heard
	for i, w := range ws {
		if w.AudioPresent {
			copy(b.sounds[i*D:(i+1)*D], next)
			next = next[D:]
		}
	}
	features, err := tensor(ts, b.sounds, int64(len(ws)), int64(D))
	return []ort.Value{features}, err
}

// soundDim returns the size of sound_features, by a window of silence.
func (r *Recognizer) soundDim() (int, error) {
	silence := &pipeline.Window{Audio: make([]float32, r.Spec().AudioSamples()), AudioPresent: true}
	var b batch
	var ts tensors
	defer ts.free()
	in, err := b.sound(&ts, r, []*pipeline.Window{silence})
	if err != nil {
		return 0, err
	}
	row, err := r.sounds.row(in, soundFeatures, "window")
	return len(row), err
}

// fill lays the windows' masks side by side.
func (b *batch) fill(c *Contract, ws []*pipeline.Window) {
	n, T := len(ws), c.VideoFrames
	b.audioMask = resize(b.audioMask, n)
	b.videoMask = resize(b.videoMask, n*T)
	b.emotion = resize(b.emotion, n*len(c.Emotions))
	b.gender = resize(b.gender, n*len(c.Genders))
	for i, w := range ws {
		b.audioMask[i] = maskValue(w.AudioPresent)
		for t, p := range w.VideoMask {
			b.videoMask[i*T+t] = maskValue(p)
		}
	}
}

// coveredShare returns how much of a window there was media for, (0, 1].
func coveredShare(w *pipeline.Window, c *Contract) float32 {
	if w.Covered == 0 {
		return 1
	}
	return float32(w.Covered.Seconds() / c.Window.Seconds())
}

func maskValue(p bool) float32 {
	if p {
		return 1
	}
	return 0
}

// resize returns a slice of length n, s's memory if that is enough. What is in it is left over from before.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
