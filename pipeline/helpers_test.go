package pipeline

import (
	"context"
	"io"
	"math"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/capture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testSpec is the default shape of windows.
var testSpec = Spec{
	Window: 2560 * time.Millisecond, Hop: 250 * time.Millisecond, VideoFrames: 8, CropSize: 8,
	Channels: 1, CropMargin: 2,
}

// fakeSource plays items, then ends, or fails, or blocks.
type fakeSource struct {
	info  capture.Info
	items []capture.Media
	next  func() (capture.Media, bool) // instead of items
	pace  float64                      // times real time; 0: as fast as it is read
	err   error                        // at the end, nil: io.EOF
	block bool                         // at the end, until the context ends
	drops capture.Drops

	began time.Time
	at    int
}

func (s *fakeSource) Info() capture.Info   { return s.info }
func (s *fakeSource) Drops() capture.Drops { return s.drops }
func (s *fakeSource) Close() error         { return nil }

func (s *fakeSource) Read(ctx context.Context) (capture.Media, error) {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	var m capture.Media
	ok := s.at < len(s.items)
	if s.next != nil {
		m, ok = s.next()
	} else if ok {
		m = clonedMedia(s.items[s.at])
		s.at++
	}
	if ctx.Err() != nil {
		return capture.Media{}, context.Cause(ctx)
	}
	if !ok {
		if s.block {
			<-ctx.Done()
			return capture.Media{}, context.Cause(ctx)
		}
		if s.err != nil {
			return capture.Media{}, s.err
		}
		return capture.Media{}, io.EOF
	}
	if s.pace > 0 {
		due := s.began.Add(time.Duration(float64(timeOfMedia(m)) / s.pace))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return capture.Media{}, context.Cause(ctx)
		}
	}
	if s.info.Live {
		if m.Frame != nil {
			m.Frame.Arrived = time.Now()
		} else if m.Samples != nil {
			m.Samples.Arrived = time.Now()
		}
	}
	return m, nil
}

// timeOfMedia is when an item is complete.
func timeOfMedia(m capture.Media) time.Duration {
	if m.Frame != nil {
		return m.Frame.Time
	}
	return m.Samples.End()
}

func clonedMedia(m capture.Media) capture.Media {
	if m.Frame != nil {
		f := *m.Frame
		return capture.Media{Frame: &f}
	}
	s := *m.Samples
	s.Data = append([]float32(nil), s.Data...)
	return capture.Media{Samples: &s}
}

// picture is a small one whose first byte is v.
func picture(t time.Duration, v byte) capture.Media {
	pix := make([]byte, 3*16*16)
	for i := range pix {
		pix[i] = v
	}
	return capture.Media{Frame: &capture.Frame{Time: t, Width: 16, Height: 16, Pix: pix}}
}

// sampleValue is the sound that sound makes, white noise: each sample tells where it is from.
func sampleValue(i int64) float32 { return float32((uint64(i)+1)*0x9e3779b97f4a7c15>>40)/(1<<23) - 1 }

// highPassed returns sound that nothing leads up to as the aligner filters it.
func highPassed(m capture.Media) []float32 {
	y := make([]float32, len(m.Samples.Data))
	new(capture.HighPass).Filter(y, m.Samples.Data)
	return y
}

// sound is n samples from a time on.
func sound(t time.Duration, n int) capture.Media {
	x := make([]float32, n)
	for i := range x {
		x[i] = sampleValue(sampleAt(t) + int64(i))
	}
	return capture.Media{Samples: &capture.Samples{Time: t, Data: x}}
}

// recording is sound in chunks of 20 ms and pictures at 25 a second, interleaved. A picture's brightness tells
// which it is, modulo 200.
func recording(length time.Duration, video, audio bool) []capture.Media {
	var ms []capture.Media
	for t := time.Duration(0); t < length; t += 20 * time.Millisecond {
		if video && t%(40*time.Millisecond) == 0 {
			ms = append(ms, picture(t, byte(t/(40*time.Millisecond)%200)))
		}
		if audio {
			ms = append(ms, sound(t, 320))
		}
	}
	return ms
}

func fileInfo(video, audio bool) capture.Info {
	return capture.Info{Name: "clip.mp4", HasVideo: video, HasAudio: audio, FPS: 25}
}

func file(length time.Duration, video, audio bool) *fakeSource {
	return &fakeSource{info: fileInfo(video, audio), items: recording(length, video, audio)}
}

// finderFunc is a FaceFinder.
type finderFunc func(ctx context.Context, f *capture.Frame, max int) ([]Face, error)

func (g finderFunc) FindFaces(ctx context.Context, f *capture.Frame, max int) ([]Face, error) {
	return g(ctx, f, max)
}

// faceAt is an upright face of a size around a place: eyes half its size apart.
func faceAt(x, y, size float64) Face {
	return Face{
		X: x - size/2, Y: y - size/2, W: size, H: size, Score: 0.9,
		LeftEye: Point{x - size/4, y - size/8}, RightEye: Point{x + size/4, y - size/8},
		Nose: Point{x, y + size/8}, Mouth: Point{x, y + size/4},
	}
}

// oneFace finds a face in the middle of every picture.
var oneFace = finderFunc(func(_ context.Context, f *capture.Frame, _ int) ([]Face, error) {
	return []Face{faceAt(float64(f.Width)/2, float64(f.Height)/2, 6)}, nil
})

// fakeRec predicts from the window's content, so that different windows give different predictions.
type fakeRec struct {
	spec  Spec
	delay time.Duration // a call, or until the context ends
	err   error
	mu    sync.Mutex
	calls []int // windows in each
}

func (r *fakeRec) Spec() Spec { return r.spec }
func (r *fakeRec) Labels() Labels {
	return Labels{Emotions: []string{"neutral", "happy", "sad"}, Genders: []string{"female", "male"}}
}

func (r *fakeRec) Recognize(ctx context.Context, ws []*Window) ([]Prediction, error) {
	r.mu.Lock()
	r.calls = append(r.calls, len(ws))
	r.mu.Unlock()
	if r.delay > 0 {
		select {
		case <-time.After(r.delay):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	var ps []Prediction
	for _, w := range ws {
		if !w.AudioPresent && !w.VideoPresent() {
			panic("a window with neither modality was passed in")
		}
		var a, v float64
		for _, x := range w.Audio {
			a += float64(x)
		}
		for _, x := range w.Video {
			v += float64(x)
		}
		p := 0.5 + 0.4*math.Sin(a)
		q := 0.5 + 0.4*math.Sin(v)
		ps = append(ps, Prediction{
			Emotion: []float32{float32(p * 0.8), float32((1 - p) * 0.8), 0.2},
			Gender:  []float32{float32(q), float32(1 - q)},
		})
	}
	return ps, r.err
}

func newRec() *fakeRec { return &fakeRec{spec: testSpec} }

// cutAll runs Cut to the end.
func cutAll(t *testing.T, src capture.Source, finder FaceFinder, spec Spec, o Options) []*Window {
	t.Helper()
	var ws []*Window
	if err := Cut(t.Context(), src, finder, spec, o, func(w *Window) error {
		ws = append(ws, w)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ws
}

// runAll runs Run to the end.
func runAll(t *testing.T, src capture.Source, finder FaceFinder, rec Recognizer, o Options) ([]Event, Stats) {
	t.Helper()
	var events []Event
	stats, err := Run(t.Context(), src, finder, rec, o, func(e Event) error {
		events = append(events, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events, stats
}

func at(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }
