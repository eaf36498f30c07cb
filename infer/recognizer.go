package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"tandem/pipeline"
)

const defaultMaxBatch = 32

// Recognizer tells emotion and gender of windows with a model that keeps the contract. Any number of goroutines
// may use one.
type Recognizer struct {
	contract Contract
	session  *session
	maxBatch int
	buffers  sync.Pool // of *batch
}

// NewRecognizer checks a model's contract, loads it and runs it once, so that a model that cannot run is refused
// here and not in mid-stream. Close frees it.
func NewRecognizer(model []byte, o Options) (*Recognizer, error) {
	c, err := LoadModel(model)
	if err != nil {
		return nil, err
	}
	s, err := newSession(model, inputNames, outputNames, o.Threads)
	if errors.Is(err, ErrNoRuntime) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w: ONNX Runtime refuses the model: %w", ErrContract, err)
	}
	r := &Recognizer{contract: c, session: s, maxBatch: o.MaxBatch}
	if r.maxBatch <= 0 {
		r.maxBatch = defaultMaxBatch
	}
	r.buffers.New = func() any { return new(batch) }
	if err := r.probe(); err != nil {
		r.Close()
		return nil, fmt.Errorf("%w: the model does not run: %w", ErrContract, err)
	}
	return r, nil
}

// probe runs a batch of two empty windows.
func (r *Recognizer) probe() error {
	w := &pipeline.Window{
		Audio:        make([]float32, r.Spec().AudioSamples()),
		AudioPresent: true,
		Video:        make([]byte, r.videoBytes()),
		VideoMask:    make([]bool, r.contract.VideoFrames),
	}
	for i := range w.VideoMask {
		w.VideoMask[i] = true
	}
	return r.recognize(context.Background(), []*pipeline.Window{w, w}, make([]pipeline.Prediction, 2))
}

// Contract is the model's.
func (r *Recognizer) Contract() Contract { return r.contract }

// Spec is the shape of the windows that the model takes.
func (r *Recognizer) Spec() pipeline.Spec { return r.contract.Spec() }

// Labels names the outputs.
func (r *Recognizer) Labels() pipeline.Labels { return r.contract.Labels() }

// Close waits for the recognitions under way and frees the model. Later ones return ErrClosed.
func (r *Recognizer) Close() error { return r.session.close() }

// Recognize returns one Prediction a window, in order. Windows of another shape than Spec's, and a network that
// gives a number that is not finite, are errors. When ctx ends it stops in mid-network and returns ctx's cause.
func (r *Recognizer) Recognize(ctx context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	for i, w := range ws {
		if err := r.check(w); err != nil {
			return nil, fmt.Errorf("window %d of %d: %w", i, len(ws), err)
		}
	}
	out := make([]pipeline.Prediction, len(ws))
	for done := 0; done < len(ws); {
		n := min(r.maxBatch, len(ws)-done)
		if err := r.recognize(ctx, ws[done:done+n], out[done:done+n]); err != nil {
			return nil, err
		}
		done += n
	}
	return out, nil
}

func (r *Recognizer) videoBytes() int {
	c := &r.contract
	return c.VideoFrames * c.CropSize * c.CropSize * c.Channels
}

func (r *Recognizer) check(w *pipeline.Window) error {
	if n := r.Spec().AudioSamples(); len(w.Audio) != n {
		return fmt.Errorf("%d sound samples, the model takes %d", len(w.Audio), n)
	}
	if n := r.videoBytes(); len(w.Video) != n || len(w.VideoMask) != r.contract.VideoFrames {
		return fmt.Errorf("%d bytes of pictures and %d masks, the model takes %d and %d", len(w.Video), len(w.VideoMask), n, r.contract.VideoFrames)
	}
	return nil
}

// batch is the memory of one run, kept for the next.
type batch struct {
	audio, audioMask, videoMask, emotion, gender []float32
	video                                        []byte
	videoFloat                                   []float32
}

// recognize runs one batch of at most maxBatch windows.
func (r *Recognizer) recognize(ctx context.Context, ws []*pipeline.Window, out []pipeline.Prediction) error {
	c := &r.contract
	b := r.buffers.Get().(*batch)
	defer r.buffers.Put(b)
	b.fill(c, ws)

	n, T, S := int64(len(ws)), int64(c.VideoFrames), int64(c.CropSize)
	var ts tensors
	defer ts.free()
	var errs [6]error
	var in [4]ort.Value
	var res [2]ort.Value
	in[0], errs[0] = tensor(&ts, b.audio, n, int64(c.Spec().AudioSamples()))
	if c.FloatVideo {
		in[1], errs[1] = tensor(&ts, b.videoFloat, n, T, S, S, int64(c.Channels))
	} else {
		in[1], errs[1] = tensor(&ts, b.video, n, T, S, S, int64(c.Channels))
	}
	in[2], errs[2] = tensor(&ts, b.audioMask, n, 1)
	in[3], errs[3] = tensor(&ts, b.videoMask, n, T)
	res[0], errs[4] = tensor(&ts, b.emotion, n, int64(len(c.Emotions)))
	res[1], errs[5] = tensor(&ts, b.gender, n, int64(len(c.Genders)))
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if err := r.session.run(ctx, in[:], res[:]); err != nil {
		return err
	}
	E, G := len(c.Emotions), len(c.Genders)
	for i := range ws {
		var errE, errG error
		out[i].Emotion, errE = softmax(b.emotion[i*E:(i+1)*E], c.EmotionTemperature)
		out[i].Gender, errG = softmax(b.gender[i*G:(i+1)*G], c.GenderTemperature)
		if errE != nil || errG != nil {
			return fmt.Errorf("the network's answer for the window at %v is not finite: the model is broken, or its input was", ws[i].Start)
		}
	}
	return nil
}

// fill lays the windows side by side.
func (b *batch) fill(c *Contract, ws []*pipeline.Window) {
	n, N, T := len(ws), c.Spec().AudioSamples(), c.VideoFrames
	V := T * c.CropSize * c.CropSize * c.Channels
	b.audio = resize(b.audio, n*N)
	b.audioMask = resize(b.audioMask, n)
	b.videoMask = resize(b.videoMask, n*T)
	b.emotion = resize(b.emotion, n*len(c.Emotions))
	b.gender = resize(b.gender, n*len(c.Genders))
	if c.FloatVideo {
		b.videoFloat = resize(b.videoFloat, n*V)
	} else {
		b.video = resize(b.video, n*V)
	}
	var scale [256]float32
	if c.FloatVideo {
		for v := range scale {
			scale[v] = float32(c.PixelScale[0] + (c.PixelScale[1]-c.PixelScale[0])*float64(v)/255)
		}
	}
	for i, w := range ws {
		audio := b.audio[i*N : (i+1)*N]
		if b.audioMask[i] = presence(w.AudioPresent); w.AudioPresent {
			c.AudioNorm.Apply(audio, w.Audio)
		} else {
			clear(audio)
		}
		for t, p := range w.VideoMask {
			b.videoMask[i*T+t] = presence(p)
		}
		if !c.FloatVideo {
			copy(b.video[i*V:], w.Video)
			continue
		}
		dst := b.videoFloat[i*V : (i+1)*V]
		for j, v := range w.Video {
			dst[j] = scale[v]
		}
	}
}

func presence(p bool) float32 {
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

var errNotFinite = errors.New("not finite")

// softmax turns logits, divided by the temperature, into probabilities.
func softmax(logits []float32, temperature float64) ([]float32, error) {
	top := math.Inf(-1)
	for _, l := range logits {
		if math.IsNaN(float64(l)) || math.IsInf(float64(l), 0) {
			return nil, errNotFinite
		}
		top = max(top, float64(l))
	}
	p := make([]float32, len(logits))
	var sum float64
	for _, l := range logits {
		sum += math.Exp((float64(l) - top) / temperature)
	}
	for i, l := range logits {
		p[i] = float32(math.Exp((float64(l)-top)/temperature) / sum)
	}
	return p, nil
}
