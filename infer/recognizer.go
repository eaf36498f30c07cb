package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/gomlx/compute-onnx/support/protos"
	ort "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/proto"

	"tandem/pipeline"
)

const defaultMaxBatch = 32

// WindowMemory returns about how many bytes a network takes to run one window of a spec, without its weights: 140 times
// those of the window. The paper's network at its full width takes so much, 0.6 GB; the default model a fifth of it.
func WindowMemory(s pipeline.Spec) int64 {
	return 140 * (int64(s.VideoFrames*s.CropSize*s.CropSize*s.Channels) + 4*int64(s.AudioSamples()))
}

// batchMemory bounds the memory of one run of a network, unless one window takes more.
const batchMemory = 1 << 30

// boundedBatch returns how many of at most so many windows of a spec are run at a time.
func boundedBatch(s pipeline.Spec, most int) int {
	return int(max(1, min(int64(most), batchMemory/WindowMemory(s))))
}

// Recognizer recognises emotion and gender in windows with a model that keeps the contract. Any number of goroutines
// may use one.
type Recognizer struct {
	contract Contract
	faces    *session // makes face_features of crops; nil for a model that is not cut there
	features int      // D of face_features
	sounds   *session // makes sound_features of sound; nil for a model that is not cut there
	heard    int      // D of sound_features
	session  *session // the rest, or all of it
	int8     bool
	maxBatch int
	scale    [256]float32 // what pixel values become where the input is float32
	buffers  sync.Pool    // of *batch
}

// NewRecognizer checks a model's contract, loads it and, but for the embedded one, runs it once, so that a model that
// cannot run is refused here and not in mid-stream. Close frees it.
func NewRecognizer(model []byte, o Options) (*Recognizer, error) {
	c, p, err := loadModel(model, o)
	if err != nil {
		return nil, err
	}
	r := &Recognizer{contract: c, maxBatch: o.MaxBatch, int8: o.int8(&c)}
	if r.maxBatch <= 0 {
		r.maxBatch = defaultMaxBatch
	}
	r.maxBatch = boundedBatch(c.Spec(), r.maxBatch)
	r.fillScale()
	r.buffers.New = func() any { return new(batch) }
	if err := r.load(p, o.Threads); errors.Is(err, ErrNoRuntime) {
		return nil, err
	} else if err != nil {
		r.Close()
		return nil, fmt.Errorf("%w: ONNX Runtime refuses the model: %w", ErrContract, err)
	}
	check := r.probe
	if isDefault(model) {
		check = r.findFeatures // that it runs, in 8 bits too, is for tests to find out, and not for each start
	}
	if err := check(); err != nil {
		r.Close()
		return nil, fmt.Errorf("%w: the model does not run: %w", ErrContract, err)
	}
	return r, nil
}

func (r *Recognizer) fillScale() {
	c := &r.contract
	for v := range r.scale {
		r.scale[v] = float32(c.PixelScale[0] + (c.PixelScale[1]-c.PixelScale[0])*float64(v)/255)
	}
}

func (r *Recognizer) load(p *parts, threads int) (err error) {
	var b []byte // for one part after the other: ONNX Runtime copies what it needs
	load := func(to **session, m *protos.ModelProto, inputs, outputs []string) {
		if err != nil || m == nil {
			return
		}
		if b, err = (proto.MarshalOptions{}).MarshalAppend(b[:0], m); err == nil {
			*to, err = newSession(b, inputs, outputs, threads)
		}
	}
	inputs := r.contract.inputs()
	load(&r.faces, p.faces, []string{"video"}, []string{faceFeatures})
	if p.faces != nil {
		inputs[slices.Index(inputs, "video")] = faceFeatures
	}
	if p.sounds != nil {
		load(&r.sounds, p.sounds, r.soundInputs(), []string{soundFeatures})
		inputs[slices.Index(inputs, "audio")] = soundFeatures
		inputs = slices.DeleteFunc(inputs, func(name string) bool { return name == audioCovered })
	}
	load(&r.session, p.rest, inputs, outputNames)
	if err == nil && r.sounds != nil {
		r.heard, err = r.soundDim()
	}
	return err
}

// soundInputs names what the part that makes sound_features takes.
func (r *Recognizer) soundInputs() []string {
	if r.contract.Covered {
		return []string{"audio", audioCovered}
	}
	return []string{"audio"}
}

// probeCrops is how many crops of a window are read at once to find out whether each is read by itself.
const probeCrops = 3

// probe runs a batch of two windows, which share their crops: reading crops is most of what a window costs.
func (r *Recognizer) probe() error {
	T := r.contract.VideoFrames
	w := &pipeline.Window{
		Audio:        make([]float32, r.Spec().AudioSamples()),
		AudioPresent: true,
		Video:        make([]byte, T*r.cropBytes()),
		VideoMask:    make([]bool, T),
	}
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range w.Video {
		w.Video[i] = byte(noise.Uint32())
	}
	crops := T
	var alone [][]float32
	if r.faces != nil {
		crops = min(T, probeCrops)
		w.FeatureCaches = make([]*pipeline.FeatureCache, T)
		for t := range crops {
			w.FeatureCaches[t] = new(pipeline.FeatureCache)
		}
		for t := range min(T, 2) {
			features, err := r.firstFeatures(w.Video[t*r.cropBytes() : (t+1)*r.cropBytes()])
			if err != nil {
				return err
			}
			alone = append(alone, features)
		}
		r.features = len(alone[0])
	}
	for t := range crops {
		w.VideoMask[t] = true
	}
	err := r.recognize(context.Background(), []*pipeline.Window{w, w}, make([]pipeline.Prediction, 2))
	if err != nil {
		return err
	}
	return checkRows(w, alone)
}

// findFeatures finds the size of face_features, by one crop.
func (r *Recognizer) findFeatures() error {
	if r.faces == nil {
		return nil
	}
	features, err := r.firstFeatures(make([]byte, r.cropBytes()))
	r.features = len(features)
	return err
}

// checkRows makes sure that a crop's row of face_features depends on that crop alone: those that a run over all crops
// of a window has left in its caches are those of its first crops alone.
func checkRows(w *pipeline.Window, alone [][]float32) error {
	for t, want := range alone {
		got := w.FeatureCaches[t].Load().(*cachedFeatures).features
		same := len(got) == len(want)
		for i := 0; same && i < len(want); i++ {
			v := float64(got[i])
			same = math.Abs(float64(want[i])-v) <= 1e-3*(1+math.Abs(v))
		}
		if !same {
			return fmt.Errorf("%q has not a row for each crop that depends on it alone", faceFeatures)
		}
	}
	return nil
}

// firstFeatures returns the face_features of one crop, of which the size is not known yet.
func (r *Recognizer) firstFeatures(crop []byte) ([]float32, error) {
	var b batch
	b.addPixels(r, crop)
	var ts tensors
	defer ts.free()
	in, err := b.pixels(&ts, r, 1, 1)
	if err != nil {
		return nil, err
	}
	return r.faces.row([]ort.Value{in}, faceFeatures, "crop")
}

// Contract returns the model's contract.
func (r *Recognizer) Contract() Contract { return r.contract }

// Spec is the shape of the windows that the model takes.
func (r *Recognizer) Spec() pipeline.Spec { return r.contract.Spec() }

// Labels names the outputs.
func (r *Recognizer) Labels() pipeline.Labels { return r.contract.Labels() }

// Precision returns that of the network's convolutions: fp32 or int8.
func (r *Recognizer) Precision() string {
	if r.int8 {
		return "int8"
	}
	return "fp32"
}

// Close waits for the recognitions under way and frees the model. Later ones return ErrClosed.
func (r *Recognizer) Close() error {
	return errors.Join(r.faces.close(), r.sounds.close(), r.session.close())
}

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

func (r *Recognizer) cropBytes() int {
	c := &r.contract
	return c.CropSize * c.CropSize * c.Channels
}

func (r *Recognizer) check(w *pipeline.Window) error {
	if n := r.Spec().AudioSamples(); len(w.Audio) != n {
		return fmt.Errorf("%d sound samples, the model takes %d", len(w.Audio), n)
	}
	if n := r.contract.VideoFrames * r.cropBytes(); len(w.Video) != n || len(w.VideoMask) != r.contract.VideoFrames {
		return fmt.Errorf("%d bytes of pictures and %d masks, the model takes %d and %d", len(w.Video),
			len(w.VideoMask), n, r.contract.VideoFrames)
	}
	if short := w.Covered != 0 && w.Covered < r.contract.Window; w.Covered < 0 || w.Covered > r.contract.Window ||
		short && !r.contract.Covered {
		return fmt.Errorf("media for %v, the model takes windows of %v", w.Covered, r.contract.Window)
	}
	if n := len(w.FeatureCaches); n != 0 && n != r.contract.VideoFrames {
		return fmt.Errorf("%d feature caches for %d pictures", n, r.contract.VideoFrames)
	}
	return nil
}

// recognize runs one batch of at most maxBatch windows.
func (r *Recognizer) recognize(ctx context.Context, ws []*pipeline.Window, out []pipeline.Prediction) error {
	c := &r.contract
	b := r.buffers.Get().(*batch)
	defer r.buffers.Put(b)
	b.fill(c, ws)
	var ts tensors
	defer ts.free()
	n, T := int64(len(ws)), int64(c.VideoFrames)
	var video ort.Value
	var errs [3]error
	var res [2]ort.Value
	if r.faces != nil {
		if err := r.encodeFaces(ctx, b, ws); err != nil {
			return err
		}
		video, errs[0] = tensor(&ts, b.features, n*T, int64(r.features))
	} else {
		b.video, b.videoFloat = b.video[:0], b.videoFloat[:0]
		for _, w := range ws {
			b.addPixels(r, w.Video)
		}
		video, errs[0] = b.pixels(&ts, r, len(ws), c.VideoFrames)
	}
	res[0], errs[1] = tensor(&ts, b.emotion, n, int64(len(c.Emotions)))
	res[1], errs[2] = tensor(&ts, b.gender, n, int64(len(c.Genders)))
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	sound, err := b.soundOf(ctx, &ts, r, ws)
	if err != nil {
		return err
	}
	in, err := b.inputs(&ts, c, len(ws), sound, video)
	if err != nil {
		return err
	}
	if err := r.session.run(ctx, in, res[:]); err != nil {
		return err
	}
	E, G := len(c.Emotions), len(c.Genders)
	for i := range ws {
		var errE, errG error
		emotion, gender := c.Temperatures(ws[i].AudioPresent, ws[i].VideoPresent())
		out[i].Emotion, errE = softmax(b.emotion[i*E:(i+1)*E], emotion)
		out[i].Gender, errG = softmax(b.gender[i*G:(i+1)*G], gender)
		if errE != nil || errG != nil {
			return fmt.Errorf("the network's answer for the window at %v is not finite: "+
				"the model is broken, or its input was", ws[i].Start)
		}
	}
	return nil
}

// cachedFeatures is the value of a FeatureCache: the face_features that a Recognizer made of the crop.
type cachedFeatures struct {
	by       *Recognizer
	features []float32
}

// encodeFaces fills in b.features with the face_features of all crops: a crop that is in many windows, of this batch or
// of earlier ones, is read once.
func (r *Recognizer) encodeFaces(ctx context.Context, b *batch, ws []*pipeline.Window) error {
	type crop struct {
		cache *pipeline.FeatureCache
		rows  []int // where its features go
	}
	var crops []crop
	at := map[*pipeline.FeatureCache]int{} // of those with a cache
	T, D, n := r.contract.VideoFrames, r.features, r.cropBytes()
	b.features = resize(b.features, len(ws)*T*D)
	clear(b.features)
	b.video, b.videoFloat = b.video[:0], b.videoFloat[:0]
	for i, w := range ws {
		for t, there := range w.VideoMask {
			if !there {
				continue
			}
			row := i*T + t
			var cache *pipeline.FeatureCache
			if w.FeatureCaches != nil {
				cache = w.FeatureCaches[t]
			}
			if cache != nil {
				if s, ok := cache.Load().(*cachedFeatures); ok && s.by == r {
					copy(b.features[row*D:], s.features)
					continue
				}
				if k, ok := at[cache]; ok {
					crops[k].rows = append(crops[k].rows, row)
					continue
				}
				at[cache] = len(crops)
			}
			crops = append(crops, crop{cache, []int{row}})
			b.addPixels(r, w.Video[t*n:(t+1)*n])
		}
	}
	if len(crops) == 0 {
		return nil
	}
	b.fresh = resize(b.fresh, len(crops)*D)
	var ts tensors
	defer ts.free()
	in, err := b.pixels(&ts, r, len(crops), 1)
	if err != nil {
		return err
	}
	out, err := tensor(&ts, b.fresh, int64(len(crops)), int64(D))
	if err != nil {
		return err
	}
	if err := r.faces.run(ctx, []ort.Value{in}, []ort.Value{out}); err != nil {
		return err
	}
	for k, c := range crops {
		features := b.fresh[k*D : (k+1)*D]
		for _, row := range c.rows {
			copy(b.features[row*D:], features)
		}
		if c.cache != nil {
			c.cache.Store(&cachedFeatures{r, slices.Clone(features)})
		}
	}
	return nil
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
