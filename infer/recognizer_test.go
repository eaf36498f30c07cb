package infer_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gomlx/compute-onnx/support/protos"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"tandem/infer"
	"tandem/infer/infertest"
	"tandem/pipeline"
)

// needRuntime skips where no ONNX Runtime is.
func needRuntime(tb testing.TB) {
	tb.Helper()
	if err := infer.Init(); errors.Is(err, infer.ErrNoRuntime) {
		tb.Skip(err)
	} else if err != nil {
		tb.Fatal(err)
	}
}

func newRecognizer(tb testing.TB, model []byte, o infer.Options) *infer.Recognizer {
	tb.Helper()
	needRuntime(tb)
	r, err := infer.NewRecognizer(model, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	return r
}

// randomWindows are n windows of noise, each with another choice of modalities, never neither.
func randomWindows(s pipeline.Spec, n int) []*pipeline.Window {
	rng := rand.New(rand.NewPCG(1, 2))
	ws := make([]*pipeline.Window, n)
	for i := range ws {
		w := &pipeline.Window{
			Audio:        make([]float32, s.AudioSamples()),
			AudioPresent: i%3 != 1,
			Video:        make([]byte, s.VideoFrames*s.CropSize*s.CropSize*s.Channels),
			VideoMask:    make([]bool, s.VideoFrames),
		}
		for j := range w.Audio {
			w.Audio[j] = float32(rng.NormFloat64()) * 0.05
		}
		for j := range w.Video {
			w.Video[j] = byte(rng.Uint32())
		}
		for j := range w.VideoMask {
			w.VideoMask[j] = i%3 == 1 || i%3 == 0 && rng.IntN(2) == 0
		}
		ws[i] = w
	}
	return ws
}

// expect computes by hand what infertest's network says of a window.
func expect(c infer.Contract, w *pipeline.Window) (emotion, gender []float64) {
	weight := func(i int) float64 { return float64(float32((i*7919)%101-50) / 500) }
	gain := 0.0
	if w.AudioPresent {
		gain = 1
		var sum float64
		for _, v := range w.Audio {
			sum += float64(v) * float64(v)
		}
		if rms := math.Sqrt(sum / float64(len(w.Audio))); c.AudioNorm > 0 && rms > 0 {
			gain = float64(c.AudioNorm) / rms
		}
	}
	head := func(n int, temperature float64) []float64 {
		logits := make([]float64, n)
		for j, v := range w.Audio {
			for k := range logits {
				logits[k] += gain * float64(v) * weight(j*n+k)
			}
		}
		size := len(w.Video) / len(w.VideoMask)
		for t, p := range w.VideoMask {
			if !p {
				continue
			}
			var mean float64
			for _, v := range w.Video[t*size : (t+1)*size] {
				if c.FloatVideo {
					mean += c.PixelScale[0] + (c.PixelScale[1]-c.PixelScale[0])*float64(v)/255
				} else {
					mean += float64(v)
				}
			}
			for k := range logits {
				logits[k] += mean / float64(size) * weight(t*n+k)
			}
		}
		var sum float64
		for k, l := range logits {
			logits[k] = math.Exp(l / temperature)
			sum += logits[k]
		}
		for k := range logits {
			logits[k] /= sum
		}
		return logits
	}
	emotionT, genderT := c.Temperatures(w.AudioPresent, w.VideoPresent())
	return head(len(c.Emotions), emotionT), head(len(c.Genders), genderT)
}

// near demands that all of got are within 1e-4 of want.
func near(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for k := range want {
		if !(math.Abs(float64(got[k])-want[k]) < 1e-4) {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}

func TestRecognize(t *testing.T) {
	for _, floatVideo := range []bool{false, true} {
		for _, norm := range []infer.AudioNorm{0, 0.1} {
			for _, channels := range []int{1, 3} {
				t.Run(fmt.Sprintf("float=%v,norm=%v,channels=%d", floatVideo, norm, channels), func(t *testing.T) {
					c := infertest.Contract()
					c.FloatVideo, c.AudioNorm, c.Channels = floatVideo, norm, channels
					if !floatVideo {
						c.EmotionTemperature, c.GenderTemperature = 40, 40 // its logits are of the size of pixels
						c.EmotionAlone = infer.ModalityTemperatures{Audio: 3, Video: 60}
						c.GenderAlone = infer.ModalityTemperatures{Video: 50}
					}
					r := newRecognizer(t, infertest.Model(c), infer.Options{Threads: 1})
					ws := randomWindows(r.Spec(), 6)
					got, err := r.Recognize(t.Context(), ws)
					if err != nil {
						t.Fatal(err)
					}
					for i, w := range ws {
						emotion, gender := expect(c, w)
						near(t, fmt.Sprint("emotion of window ", i), got[i].Emotion, emotion)
						near(t, fmt.Sprint("gender of window ", i), got[i].Gender, gender)
					}
				})
			}
		}
	}
}

// A batch says what its windows say one by one, whatever the batch is cut into and whoever else is at it.
func TestRecognizeBatches(t *testing.T) {
	c := infertest.Contract()
	c.FloatVideo = true
	model := infertest.Model(c)
	single := newRecognizer(t, model, infer.Options{Threads: 1, MaxBatch: 1})
	many := newRecognizer(t, model, infer.Options{Threads: 2, MaxBatch: 4})
	ws := randomWindows(single.Spec(), 11)
	want, err := single.Recognize(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			n := 1 + g%len(ws)
			if g >= 6 {
				n = len(ws)
			}
			for range 5 {
				got, err := many.Recognize(t.Context(), ws[:n])
				if err != nil {
					t.Error(err)
					return
				}
				for i := range got {
					near(t, "emotion", got[i].Emotion, widen(want[i].Emotion))
					near(t, "gender", got[i].Gender, widen(want[i].Gender))
				}
			}
		})
	}
	wg.Wait()
	if got, err := many.Recognize(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("no windows: %v, %v", got, err)
	}
}

func widen(v []float32) []float64 {
	w := make([]float64, len(v))
	for i := range v {
		w[i] = float64(v[i])
	}
	return w
}

// TestRecognizeWindowsThatBeginEmpty holds that each window of a batch is recognised by what of it is covered, whole or
// in two parts.
func TestRecognizeWindowsThatBeginEmpty(t *testing.T) {
	c := infertest.Contract()
	c.Covered = true
	inTwo, err := proto.Marshal(infertest.Split(c))
	if err != nil {
		t.Fatal(err)
	}
	for name, model := range map[string][]byte{"whole": infertest.Model(c), "in two parts": inTwo} {
		r := newRecognizer(t, model, infer.Options{})
		ws := randomWindows(r.Spec(), 12)
		scaled := make([]*pipeline.Window, len(ws)) // full ones that say the same: the network multiplies by the share
		full := c
		full.AudioNorm = 0
		for i, w := range ws {
			s := *w
			s.Audio = slices.Clone(w.Audio)
			c.AudioNorm.Apply(s.Audio, w.Audio)
			if i%4 > 0 {
				w.Covered = time.Duration(i%4) * 640 * time.Millisecond
				for k := range s.Audio {
					s.Audio[k] *= float32(i%4) / 4
				}
			}
			scaled[i] = &s
		}
		got, err := r.Recognize(t.Context(), ws)
		if err != nil {
			t.Fatal(err)
		}
		want, err := newRecognizer(t, infertest.Model(full), infer.Options{}).Recognize(t.Context(), scaled)
		if err != nil {
			t.Fatal(err)
		}
		for i := range ws {
			for k, p := range want[i].Emotion {
				if math.Abs(float64(got[i].Emotion[k]-p)) > 1e-4 {
					t.Errorf("%s: window %d, of which %v is covered: %v, want %v", name, i, ws[i].Covered,
						got[i].Emotion, want[i].Emotion)
					break
				}
			}
		}
		for _, covered := range []time.Duration{-1, c.Window + 1} {
			ws[3].Covered = covered
			if _, err := r.Recognize(t.Context(), ws); err == nil {
				t.Errorf("%s: a window of which %v is covered was taken", name, covered)
			}
		}
	}
}

func TestRecognizeRefusesWindows(t *testing.T) {
	r := newRecognizer(t, infertest.Model(infertest.Contract()), infer.Options{})
	for name, bend := range map[string]func(*pipeline.Window){
		"sound":           func(w *pipeline.Window) { w.Audio = w.Audio[1:] },
		"video":           func(w *pipeline.Window) { w.Video = w.Video[1:] },
		"masks":           func(w *pipeline.Window) { w.VideoMask = w.VideoMask[1:] },
		"what is covered": func(w *pipeline.Window) { w.Covered = time.Second }, // it takes full windows only
	} {
		ws := randomWindows(r.Spec(), 2)
		bend(ws[1])
		if _, err := r.Recognize(t.Context(), ws); err == nil {
			t.Errorf("%s of another size was taken", name)
		}
	}
}

func TestRecognizeNotFinite(t *testing.T) {
	c := infertest.Contract()
	c.AudioNorm = 0
	r := newRecognizer(t, infertest.Model(c), infer.Options{})
	ws := randomWindows(r.Spec(), 1)
	ws[0].Audio[7] = float32(math.NaN())
	if _, err := r.Recognize(t.Context(), ws); err == nil {
		t.Error("NaN became a prediction")
	}
	// A network that always gives NaN is refused at once.
	m := infertest.Proto(c)
	m.Graph.Initializer[1].FloatData[0] = float32(math.NaN())
	_, err := infer.NewRecognizer(marshal(t, m), infer.Options{})
	refused(t, err, "the model does not run")
}

func marshal(t *testing.T, m *protos.ModelProto) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A model may keep the contract on paper and still be broken.
func TestNewRecognizerRefuses(t *testing.T) {
	needRuntime(t)
	m := infertest.Proto(infertest.Contract())
	m.Graph.Node[0].OpType = "NoSuchOperator"
	_, err := infer.NewRecognizer(marshal(t, m), infer.Options{})
	refused(t, err, "ONNX Runtime refuses the model")

	m = infertest.Proto(infertest.Contract())
	m.Graph.Initializer[0].Dims = []int64{40959, 7}
	m.Graph.Initializer[0].FloatData = m.Graph.Initializer[0].FloatData[:40959*7]
	_, err = infer.NewRecognizer(marshal(t, m), infer.Options{})
	refused(t, err, "model")

	_, err = infer.NewRecognizer([]byte("words"), infer.Options{})
	refused(t, err, "not ONNX")
}

// slowModel keeps the contract and multiplies a matrix over and over on the way.
func slowModel() []byte {
	const side = 384
	m := infertest.Proto(infertest.Contract())
	g := m.Graph
	eye := &protos.TensorProto{
		Name: "eye", DataType: int32(protos.TensorProto_FLOAT), Dims: []int64{side, side},
		FloatData: make([]float32, side*side),
	}
	for i := range side {
		eye.FloatData[i*side+i] = 1
	}
	g.Initializer = append(g.Initializer, eye)
	// A product with the input's mean keeps it from being folded into a constant.
	last := "start"
	g.Node = append(g.Node,
		&protos.NodeProto{OpType: "ReduceMean", Input: []string{"audio"}, Output: []string{"mean"}},
		&protos.NodeProto{OpType: "Mul", Input: []string{"eye", "mean"}, Output: []string{last}})
	for i := range 1000 {
		next := fmt.Sprint("product", i)
		g.Node = append(g.Node,
			&protos.NodeProto{OpType: "MatMul", Input: []string{last, "eye"}, Output: []string{next}})
		last = next
	}
	for _, n := range g.Node {
		if n.Output[0] == "gender" {
			n.Output[0] = "quick_gender"
		}
	}
	g.Node = append(g.Node,
		&protos.NodeProto{OpType: "ReduceMean", Input: []string{last}, Output: []string{"slow"}},
		&protos.NodeProto{OpType: "Add", Input: []string{"quick_gender", "slow"}, Output: []string{"gender"}})
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func TestRecognizeCancel(t *testing.T) {
	r := newRecognizer(t, slowModel(), infer.Options{Threads: 1})
	ws := randomWindows(r.Spec(), 1)
	begin := time.Now()
	if _, err := r.Recognize(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(begin)

	cause := errors.New("the user went home")
	ctx, cancel := context.WithCancelCause(t.Context())
	timer := time.AfterFunc(whole/20, func() { cancel(cause) })
	defer timer.Stop()
	begin = time.Now()
	_, err := r.Recognize(ctx, ws)
	if !errors.Is(err, cause) {
		t.Errorf("error %v, want the context's cause", err)
	}
	if took := time.Since(begin); took > whole/2 {
		t.Errorf("a cancelled run took %v, a whole one %v", took, whole)
	}
	if _, err := r.Recognize(ctx, ws); !errors.Is(err, cause) {
		t.Errorf("run under an ended context: %v", err)
	}
	if _, err := r.Recognize(t.Context(), ws); err != nil {
		t.Errorf("run after a cancelled one: %v", err)
	}
}

func TestRecognizerClose(t *testing.T) {
	needRuntime(t)
	defer goleak.VerifyNone(t)
	r, err := infer.NewRecognizer(infertest.Model(infertest.Contract()), infer.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	ws := randomWindows(r.Spec(), 2)
	var wg sync.WaitGroup
	started := make(chan struct{}, 4)
	for range 4 {
		wg.Go(func() {
			for first := true; ; first = false {
				_, err := r.Recognize(t.Context(), ws)
				if first {
					started <- struct{}{}
				}
				if err != nil {
					if !errors.Is(err, infer.ErrClosed) {
						t.Errorf("error %v, want ErrClosed", err)
					}
					return
				}
			}
		})
	}
	<-started
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := r.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestDefaultModel(t *testing.T) {
	if sum := fmt.Sprintf("%x", sha256.Sum256(infer.DefaultModel())); sum != infer.DefaultModelSHA256 {
		t.Errorf("the embedded model has the SHA-256 %s, and DefaultModelSHA256 is of another", sum)
	}
	r := newRecognizer(t, infer.DefaultModel(), infer.Options{})
	got, err := r.Recognize(t.Context(), randomWindows(r.Spec(), 3))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range got {
		for _, probabilities := range [][]float32{p.Emotion, p.Gender} {
			var sum float64
			for _, v := range probabilities {
				sum += float64(v)
			}
			if math.Abs(sum-1) > 1e-5 {
				t.Errorf("%v sum to %v", probabilities, sum)
			}
		}
	}
}

// BenchmarkWindow is one window's inference with the embedded model on one thread: all crops are there, and new.
func BenchmarkWindow(b *testing.B) { benchmarkWindow(b, infer.Options{Threads: 1}) }

// BenchmarkWindowInt8 is the same in 8 bits.
func BenchmarkWindowInt8(b *testing.B) { benchmarkWindow(b, infer.Options{Threads: 1, Int8: true}) }

func benchmarkWindow(b *testing.B, o infer.Options) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			r := newRecognizer(b, infer.DefaultModel(), o)
			ws := randomWindows(r.Spec(), n)
			for _, w := range ws {
				w.AudioPresent = true
				for t := range w.VideoMask {
					w.VideoMask[t] = true
				}
			}
			for b.Loop() {
				if _, err := r.Recognize(b.Context(), ws); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
