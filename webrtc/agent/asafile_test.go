package agent_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/infer/infertest"
	"tandem/pipeline"
	"tandem/webrtc/agent"
	"tandem/webrtc/webrtctest"
)

// hearing keeps the sound of the windows that a recognizer gets, joined on their clock.
type hearing struct {
	pipeline.Recognizer
	mu    sync.Mutex
	sound []float32
}

func (h *hearing) Recognize(ctx context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	h.mu.Lock()
	for _, w := range ws {
		start := int(w.Start * capture.SampleRate / time.Second)
		h.sound = append(h.sound, make([]float32, max(0, start+len(w.Audio)-len(h.sound)))...)
		for i, v := range w.Audio {
			if start+i >= 0 {
				h.sound[start+i] = v
			}
		}
	}
	h.mu.Unlock()
	return h.Recognizer.Recognize(ctx, ws)
}

// offset returns by how many samples the sound of b is later than that of a, where it begins after silence.
func offset(a, b []float32) int {
	onset := func(s []float32) int {
		return slices.IndexFunc(s, func(v float32) bool { return math.Abs(float64(v)) > 1e-3 })
	}
	from, guess := onset(a), onset(b)-onset(a)
	best, at := math.Inf(-1), 0
	for lag := guess - 800; lag <= guess+800; lag++ {
		sum := 0.0
		for i := from; i < min(from+3*capture.SampleRate, len(a), len(b)-lag); i++ {
			if i+lag >= 0 {
				sum += float64(a[i]) * float64(b[i+lag])
			}
		}
		if sum > best {
			best, at = sum, lag
		}
	}
	return at
}

// later is a source that begins with silence, and without the pictures before a time of its own.
type later struct {
	capture.Source
	by, from time.Duration
	shift    time.Duration // of the pictures against the sound
	silence  time.Duration // so far
}

func (l *later) Read(ctx context.Context) (capture.Media, error) {
	if l.silence < l.by {
		n := min(320, int((l.by-l.silence)*capture.SampleRate/time.Second)+1)
		s := &capture.Samples{Time: l.silence, Data: make([]float32, n)}
		l.silence += time.Duration(n) * time.Second / capture.SampleRate
		return capture.Media{Samples: s}, nil
	}
	m, err := l.Source.Read(ctx)
	for m.Frame != nil && m.Frame.Time < l.from {
		m, err = l.Source.Read(ctx)
	}
	if m.Frame != nil {
		f := *m.Frame
		f.Time += l.by + l.shift
		m.Frame = &f
	}
	if m.Samples != nil {
		s := *m.Samples
		s.Time += l.by
		m.Samples = &s
	}
	return m, err
}

// analysed are the windows of a file as tandem analyze gives them, changed as l says, and its sound.
func analysed(t *testing.T, path string, l later) (out []*pipeline.WindowEvent, sound []float32) {
	t.Helper()
	rec, err := infertest.Default()
	if err != nil {
		t.Fatal(err)
	}
	faces, err := infertest.Faces()
	if err != nil {
		t.Fatal(err)
	}
	src, err := capture.Open(t.Context(), path, capture.Options{MinFrameInterval: rec.Spec().FaceTick() / 4})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	h := &hearing{Recognizer: rec}
	l.Source = src
	_, err = pipeline.Run(t.Context(), &l, faces, h, pipeline.DefaultOptions(),
		func(e pipeline.Event) error {
			if e.Window != nil {
				out = append(out, e.Window)
			}
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return out, h.sound
}

// keyFrame returns the time in the clip of the picture with which those that came began.
func keyFrame(c clip, got *inbox, by time.Duration) (at time.Duration) {
	first := time.Duration(math.MaxInt64)
	for _, w := range got.windows() {
		if w.Video {
			first = min(first, w.T)
		}
	}
	for _, p := range c {
		if p.Key && p.Codec != av.Opus && p.Time+by <= first {
			at = max(at, p.Time)
		}
	}
	return at
}

// A clip that a participant publishes through a real LiveKit server gives what it gives as a file. The server sends
// silence from the subscription on until the clip comes, and pictures from a key frame on, for which a camera can be
// asked and a clip can't: the file is analysed behind as much silence and without the pictures before.
func TestLongAsAFile(t *testing.T) {
	s := startSFU(t)
	path := writePattern(t, capture.PatternOptions{Width: 640, Height: 480, FPS: 30, Duration: 8 * time.Second})
	c := loadClip(t, path)
	// A machine that is busy for a moment brings a picture later than is forgiven, so that another one is at a tick.
	const attempts = 4
	for attempt := 1; ; attempt++ {
		worst, others := asAFile(t, s, path, c)
		if worst <= webrtctest.Tolerance && others == 0 {
			return
		}
		if attempt == attempts {
			t.Fatalf("probabilities differ by up to %.3f; %d labels are others, in the last of %d attempts",
				worst, others, attempts)
		}
	}
}

// asAFile publishes a clip and returns by how much the probabilities that come back differ at most from the file's, and
// how many labels are others.
func asAFile(t *testing.T, s *sfu, path string, c clip) (worst float64, others int) {
	rec, err := infertest.Default()
	if err != nil {
		t.Fatal(err)
	}
	h := &hearing{Recognizer: rec}
	w := startAgent(t, agent.Options{URL: s.url}, h)
	w.registered(t)
	got := &inbox{}
	r := participant(t, s, "room", "ann", consenting, got.callback())
	p := publish(t, r)
	eventually(t, "the agent listens", 10*time.Second, func() bool { return len(got.windows()) > 0 })
	p.send(t.Context(), c)
	time.Sleep(500 * time.Millisecond)
	r.Disconnect()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	_, sound := analysed(t, path, later{})
	l := later{by: time.Duration(offset(sound, h.sound)) * time.Second / capture.SampleRate}
	l.from = keyFrame(c, got, l.by)
	// Which of two pictures is at a tick that lies between them is chance, for each tick anew: by half the time between
	// them they may be early or late.
	var wants [][]*pipeline.WindowEvent
	for _, ms := range []time.Duration{-8, 0, 8, 16, 24} {
		l.shift = ms * time.Millisecond
		want, _ := analysed(t, path, l)
		wants = append(wants, want)
	}
	worst, others = differ(t, got, wants...)
	t.Logf("after %v, pictures from %v on: they differ by %.4f at most; %d other labels", l.by, l.from, worst, others)
	// Of pictures that are far too late this test must not think that they are the file's.
	l.shift = 300 * time.Millisecond
	late, _ := analysed(t, path, l)
	if x, _ := differ(t, got, late); x < 0.05 {
		t.Fatalf("pictures that are 0.3 s late change the probabilities by %.3f only", x)
	}
	for _, e := range got.all() {
		if e.topic != agent.Topic || e.from != "" && e.from != "tandem-ann" ||
			!strings.HasPrefix(string(e.payload), `{"room":"room","participant":"ann","v":1,`) {
			t.Fatalf("topic %q from %q: %s", e.topic, e.from, e.payload)
		}
	}
	return worst, others
}

// eventually waits for something to become true.
func eventually(t testing.TB, what string, within time.Duration, f func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// differ returns by how far the probabilities that came lie outside of those of the same window in several analyses of
// the file at most, and how many labels are in none of them.
func differ(t *testing.T, got *inbox, wants ...[]*pipeline.WindowEvent) (worst float64, others int) {
	t.Helper()
	windows := map[time.Duration]*pipeline.WindowEvent{}
	for _, e := range got.windows() {
		windows[e.T] = e
	}
	same := map[time.Duration][]*pipeline.WindowEvent{} // as the file has them
	for _, want := range wants {
		for _, b := range want {
			same[b.T] = append(same[b.T], b)
		}
	}
	missing := 0
	for at, bs := range same {
		a := windows[at]
		if a == nil {
			missing++
			continue
		}
		bs = slices.DeleteFunc(bs, func(b *pipeline.WindowEvent) bool {
			return a.Audio != b.Audio || a.Video != b.Video || (a.Emotion == nil) != (b.Emotion == nil)
		})
		if len(bs) == 0 || a.Latency == nil {
			others++
			continue
		}
		if a.Emotion == nil {
			continue
		}
		for _, scores := range []func(*pipeline.WindowEvent) *pipeline.Scores{
			func(e *pipeline.WindowEvent) *pipeline.Scores { return e.Emotion },
			func(e *pipeline.WindowEvent) *pipeline.Scores { return e.Gender },
		} {
			out, other := outside(scores(a), bs, scores)
			worst = max(worst, out)
			others += other
		}
	}
	if missing > 2 {
		t.Logf("%d windows, %d of the file, %d of them missing", len(windows), len(same), missing)
		return 1, missing
	}
	return worst, others
}

// outside returns by how far one task's probabilities lie outside of those of several windows at most, and 1 if none of
// them has its label.
func outside(
	a *pipeline.Scores, bs []*pipeline.WindowEvent, scores func(*pipeline.WindowEvent) *pipeline.Scores,
) (worst float64, other int) {
	other = 1
	for j, c := range a.P {
		least, most := 1.0, 0.0
		for _, b := range bs {
			s := scores(b)
			least, most = min(least, s.P[j].P), max(most, s.P[j].P)
			if !webrtctest.OtherLabel(a.Label, s) {
				other = 0
			}
		}
		worst = max(worst, least-c.P, c.P-most)
	}
	return worst, other
}
