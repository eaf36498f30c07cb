package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/capture"
)

// checkRun holds what is true of any run's events.
func checkRun(t *testing.T, events []Event, stats Stats) []*WindowEvent {
	t.Helper()
	if len(events) < 2 || events[0].Start == nil || events[len(events)-1].End == nil {
		t.Fatalf("%d events, not from start to end", len(events))
	}
	var ws []*WindowEvent
	for _, e := range events[1 : len(events)-1] {
		w := e.Window
		if w == nil {
			t.Fatal("an event in the middle is no window")
		}
		if (w.Emotion != nil) != (w.Audio || w.Video) {
			t.Errorf("window %v: emotion %v, audio %v, video %v", w.T, w.Emotion, w.Audio, w.Video)
		}
		if w.Emotion != nil {
			sum := 0.0
			for _, c := range w.Emotion.P {
				sum += c.P
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Errorf("window %v: probabilities sum to %v", w.T, sum)
			}
		}
		ws = append(ws, w)
	}
	end := events[len(events)-1].End
	if end.Windows != len(ws) || stats.Windows != len(ws) || end.Dropped != stats.Dropped {
		t.Errorf("the end says %d windows and %v, stats %d and %v; there were %d", end.Windows, end.Dropped,
			stats.Windows, stats.Dropped, len(ws))
	}
	return ws
}

func TestRunFile(t *testing.T) {
	src := file(8*time.Second, true, true)
	src.drops = capture.Drops{Frames: 3, Samples: 5}
	rec := newRec()
	events, stats := runAll(t, src, oneFace, rec, Options{Model: "abc"})
	ws := checkRun(t, events, stats)
	if s := events[0].Start; s.Source != "clip.mp4" || s.Model != "abc" || s.Window != testSpec.Window ||
		len(s.Genders) != 2 {
		t.Errorf("start is %+v", s)
	}
	if len(ws) != 22 || stats.Frames != 200 || stats.Samples != 128000 || stats.Subjects != 1 ||
		stats.Media != 8*time.Second {
		t.Errorf("%d windows; %+v", len(ws), stats)
	}
	if want := (Dropped{Frames: 3, Samples: 5}); stats.Dropped != want || stats.BySource != want {
		t.Errorf("dropped %v", stats.Dropped)
	}
	if !slices.Equal(rec.calls, []int{16, 6}) {
		t.Errorf("batches of %v", rec.calls)
	}
	// The summary is the mean over the windows.
	mean := 0.0
	for _, w := range ws {
		mean += w.Emotion.P.P("happy") / float64(len(ws))
		if w.Latency != nil {
			t.Error("a file has a latency")
		}
	}
	sum := events[len(events)-1].End.Summary[0]
	if got := sum.Emotion.P.P("happy"); math.Abs(got-mean) > 2e-6 {
		t.Errorf("the summary says %v, want %v", got, mean)
	}
	if sum.Gender == nil {
		t.Error("the summary has no gender")
	}
}

func TestRunSmoothsAndGivesRaw(t *testing.T) {
	plain, stats := runAll(t, file(6*time.Second, true, true), oneFace, newRec(), Options{})
	smooth, stats2 := runAll(t, file(6*time.Second, true, true), oneFace, newRec(),
		Options{Smoothing: time.Second, Raw: true, NoGender: true})
	ps, ss := checkRun(t, plain, stats), checkRun(t, smooth, stats2)
	a := 1 - math.Exp(-0.25)
	want := ps[0].Emotion.P.P("neutral")
	for i := range ps {
		p := ps[i].Emotion.P.P("neutral")
		if i > 0 {
			want += a * (p - want)
		}
		if got := ss[i].Emotion.P.P("neutral"); math.Abs(got-want) > 2e-6 {
			t.Fatalf("window %d: %v, want %v", i, got, want)
		}
		if !slices.Equal(ss[i].Emotion.Raw, ps[i].Emotion.P) || ps[i].Emotion.Raw != nil {
			t.Fatalf("window %d: raw is %v, want %v", i, ss[i].Emotion.Raw, ps[i].Emotion.P)
		}
		if ss[i].Gender != nil || ps[i].Gender == nil {
			t.Fatal("gender is not as asked for")
		}
	}
	if g := smooth[0].Start.Genders; len(g) != 0 {
		t.Errorf("the start names genders %v", g)
	}
	if smooth[len(smooth)-1].End.Summary[0].Gender != nil {
		t.Error("the summary has gender")
	}
}

func TestRunOneSenseOrNone(t *testing.T) {
	noFace := finderFunc(func(context.Context, *capture.Frame, int) ([]Face, error) { return nil, nil })
	for _, c := range []struct {
		name         string
		src          *fakeSource
		finder       FaceFinder
		audio, video bool
	}{
		{"voice", file(4*time.Second, false, true), oneFace, true, false},
		{"face", file(4*time.Second, true, false), oneFace, false, true},
		{"no face", file(4*time.Second, true, false), noFace, false, false},
		{"voice, no face", file(4*time.Second, true, true), noFace, true, false},
		{"no finder", file(4*time.Second, true, true), nil, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := newRec()
			events, stats := runAll(t, c.src, c.finder, rec, Options{})
			ws := checkRun(t, events, stats)
			if len(ws) != 6 {
				t.Errorf("%d windows, want 6", len(ws))
			}
			for _, w := range ws {
				if w.Audio != c.audio || w.Video != c.video {
					t.Errorf("window %v: audio %v video %v", w.T, w.Audio, w.Video)
				}
			}
			if !c.audio && !c.video && (len(rec.calls) > 0 || len(events[len(events)-1].End.Summary) > 0) {
				t.Error("nothing was recognised")
			}
		})
	}
}

func TestRunFileLosesNothingWhenSlow(t *testing.T) {
	rec := newRec()
	rec.delay = 60 * time.Millisecond
	slow := finderFunc(func(ctx context.Context, f *capture.Frame, max int) ([]Face, error) {
		time.Sleep(3 * time.Millisecond)
		return oneFace(ctx, f, max)
	})
	events, stats := runAll(t, file(30*time.Second, true, true), slow, rec, Options{})
	if ws := checkRun(t, events, stats); len(ws) != 110 || stats.Dropped != (Dropped{}) || stats.Ticks != 94 {
		t.Errorf("%d windows, %d ticks, dropped %v", len(ws), stats.Ticks, stats.Dropped)
	}
	if stats.Busy.Recognize < 300*time.Millisecond || stats.Busy.Faces < 200*time.Millisecond ||
		stats.Elapsed < stats.Busy.Recognize {
		t.Errorf("busy %+v of %v", stats.Busy, stats.Elapsed)
	}
}

// liveRecording is a source paced at a multiple of real time.
func liveRecording(length time.Duration, pace float64) *fakeSource {
	src := file(length, true, true)
	src.info.Live, src.pace = true, pace
	return src
}

func TestRunLiveIsTheSameAsFile(t *testing.T) {
	t.Parallel()
	// A generous MaxQueue, since this is not about a busy machine.
	o := Options{Smoothing: 500 * time.Millisecond, MaxQueue: time.Minute}
	a, astats := runAll(t, file(8*time.Second, true, true), oneFace, newRec(), o)
	b, bstats := runAll(t, liveRecording(8*time.Second, 4), oneFace, newRec(), o)
	as, bs := checkRun(t, a, astats), checkRun(t, b, bstats)
	if len(as) != len(bs) {
		t.Fatalf("%d windows live, %d from the file", len(bs), len(as))
	}
	for i := range as {
		if bs[i].Latency == nil || *bs[i].Latency < 0 || *bs[i].Latency > 2*time.Second {
			t.Errorf("window %v: latency %v", bs[i].T, bs[i].Latency)
		}
		bs[i].Latency = nil
		x, _ := json.Marshal(Event{Window: as[i]})
		y, _ := json.Marshal(Event{Window: bs[i]})
		if string(x) != string(y) {
			t.Fatalf("file %s\nlive %s", x, y)
		}
	}
	if bstats.Dropped != (Dropped{}) {
		t.Errorf("dropped %v", bstats.Dropped)
	}
}

// A recogniser slower than the hop costs windows, not time.
func TestRunLiveDropsWhenRecognitionIsSlow(t *testing.T) {
	t.Parallel()
	rec := newRec()
	rec.spec.Hop = 50 * time.Millisecond
	rec.delay = 150 * time.Millisecond
	events, stats := runAll(t, liveRecording(6*time.Second, 1), oneFace, rec, Options{MaxQueue: 200 * time.Millisecond})
	ws := checkRun(t, events, stats)
	total := 1 + int((6*time.Second-testSpec.Window)/rec.spec.Hop)
	if len(ws)+stats.Dropped.Windows != total || stats.Dropped.Windows < total/3 ||
		stats.Slow.Windows != stats.Dropped.Windows {
		t.Errorf("%d windows and %d dropped of %d", len(ws), stats.Dropped.Windows, total)
	}
	for _, w := range ws {
		// 200 ms in the queue, 150 ms of recognition, and some for a busy machine.
		if *w.Latency > 800*time.Millisecond {
			t.Errorf("window %v: latency %v", w.T, *w.Latency)
		}
	}
}

// A slow finder costs pictures; windows go on coming.
func TestRunLiveDropsWhenTheFinderIsSlow(t *testing.T) {
	t.Parallel()
	slow := finderFunc(func(ctx context.Context, f *capture.Frame, max int) ([]Face, error) {
		time.Sleep(250 * time.Millisecond)
		return oneFace(ctx, f, max)
	})
	rec := newRec()
	rec.spec.VideoFrames = 32 // a tick every 80 ms
	events, stats := runAll(t, liveRecording(6*time.Second, 1), slow, rec, Options{})
	ws := checkRun(t, events, stats)
	if stats.Dropped.Frames < 20 || len(ws) < 8 {
		t.Errorf("%d windows, dropped %v", len(ws), stats.Dropped)
	}
	for _, w := range ws {
		if *w.Latency > 1500*time.Millisecond {
			t.Errorf("window %v: latency %v", w.T, *w.Latency)
		}
	}
}

// Whatever blocks, a run ends soon after its context, says why, and leaves nothing behind.
func TestRunEndsWithItsContext(t *testing.T) {
	blocking := finderFunc(func(ctx context.Context, _ *capture.Frame, _ int) ([]Face, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	blockedSource := file(5*time.Second, true, true)
	blockedSource.block = true
	blockedLive := liveRecording(time.Second, 10)
	blockedLive.block = true
	slow := newRec()
	slow.delay = time.Hour
	for _, c := range []struct {
		name   string
		src    *fakeSource
		finder FaceFinder
		rec    Recognizer
	}{
		{"source", blockedSource, oneFace, newRec()},
		{"live source", blockedLive, oneFace, newRec()},
		{"finder", file(time.Hour/60, true, true), blocking, newRec()},
		{"recognizer", file(time.Hour/60, true, true), oneFace, slow},
		{"live recognizer", liveRecording(20*time.Second, 4), oneFace, slow},
		{"nothing", stream(10*time.Hour, true, true), oneFace, newRec()},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			why := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			var cancelled time.Time
			timer := time.AfterFunc(300*time.Millisecond, func() {
				cancelled = time.Now()
				cancel(why)
			})
			defer timer.Stop()
			var last Event
			_, err := Run(ctx, c.src, c.finder, c.rec, Options{}, func(e Event) error {
				last = e
				return nil
			})
			if !errors.Is(err, why) {
				t.Errorf("ended with %v", err)
			}
			if took := time.Since(cancelled); took > 500*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			if last.End == nil {
				t.Error("there was no end event")
			}
		})
	}
}

func TestRunEmitFails(t *testing.T) {
	full := errors.New("disk full")
	for _, at := range []int{0, 1, 5} {
		n := 0
		_, err := Run(t.Context(), file(10*time.Second, true, true), oneFace, newRec(), Options{}, func(Event) error {
			if n++; n > at {
				return full
			}
			return nil
		})
		if !errors.Is(err, full) || n != at+1 {
			t.Errorf("event %d: %v after %d events", at, err, n)
		}
	}
	err := Cut(t.Context(), file(10*time.Second, true, true), oneFace, testSpec, Options{},
		func(*Window) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("cut: %v", err)
	}
	// When only the end event fails, that is told too.
	_, err = Run(t.Context(), file(3*time.Second, true, true), oneFace, newRec(), Options{}, func(e Event) error {
		if e.End != nil {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) {
		t.Errorf("end: %v", err)
	}
}

func TestRunSourceFails(t *testing.T) {
	src := file(5*time.Second, true, true)
	src.err = errors.New("truncated")
	var events []Event
	stats, err := Run(t.Context(), src, oneFace, newRec(), Options{}, func(e Event) error {
		events = append(events, e)
		return nil
	})
	if !errors.Is(err, src.err) {
		t.Errorf("got %v", err)
	}
	if ws := checkRun(t, events, stats); len(ws) != 10 {
		t.Errorf("%d windows, want the 10 before the fault", len(ws))
	}
}

// badRec gives what a broken model may.
type badRec struct {
	*fakeRec
	change func([]Prediction) []Prediction
}

func (r badRec) Recognize(ctx context.Context, ws []*Window) ([]Prediction, error) {
	ps, err := r.fakeRec.Recognize(ctx, ws)
	return r.change(ps), err
}

func TestRunRecognizerFails(t *testing.T) {
	broken := newRec()
	broken.err = errors.New("out of memory")
	nan := float32(math.NaN())
	for name, rec := range map[string]Recognizer{
		"error":   broken,
		"too few": badRec{newRec(), func(ps []Prediction) []Prediction { return ps[1:] }},
		"few labels": badRec{
			newRec(),
			func(ps []Prediction) []Prediction { ps[0].Emotion = ps[0].Emotion[1:]; return ps },
		},
		"not numbers": badRec{
			newRec(),
			func(ps []Prediction) []Prediction { ps[0].Gender = []float32{nan, nan}; return ps },
		},
		"no sum": badRec{
			newRec(),
			func(ps []Prediction) []Prediction { ps[0].Gender = []float32{0.9, 0.9}; return ps },
		},
		"negative": badRec{
			newRec(),
			func(ps []Prediction) []Prediction { ps[0].Gender = []float32{1.5, -0.5}; return ps },
		},
	} {
		_, err := Run(t.Context(), file(10*time.Second, true, true), oneFace, rec, Options{},
			func(Event) error { return nil })
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTapsSeeAllInOrder(t *testing.T) {
	var frames, samples int
	var lastFrame, soundEnd, lastFaces time.Duration = -1, 0, -1
	o := Options{
		OnFrame: func(f *capture.Frame) {
			if f.Time <= lastFrame {
				t.Errorf("a frame at %v after %v", f.Time, lastFrame)
			}
			lastFrame = f.Time
			frames++
		},
		OnSamples: func(s *capture.Samples) {
			if s.Time != soundEnd {
				t.Errorf("sound at %v after %v", s.Time, soundEnd)
			}
			soundEnd = s.End()
			samples += len(s.Data)
		},
		OnFaces: func(at time.Duration, faces []Tracked) {
			if at <= lastFaces || len(faces) != 1 {
				t.Errorf("faces %v at %v after %v", faces, at, lastFaces)
			}
			lastFaces = at
		},
	}
	src := file(5*time.Second, true, true)
	src.items = shift(src.items, time.Hour, func(capture.Media) bool { return true })
	_, stats := runAll(t, src, oneFace, newRec(), o)
	if frames != stats.Frames || samples != stats.Samples || frames != 125 || stats.Breaks != 1 {
		t.Errorf("%d frames, %d samples of %+v", frames, samples, stats)
	}
}

func TestWatermarksApart(t *testing.T) {
	items := recording(10*time.Second, true, true)
	// The sound of the container is 0.4 s ahead of its pictures.
	slices.SortStableFunc(items, func(a, b capture.Media) int {
		key := func(m capture.Media) time.Duration {
			if m.Frame != nil {
				return m.Frame.Time + 400*time.Millisecond
			}
			return m.Samples.Time
		}
		return int(key(a) - key(b))
	})
	_, stats := runAll(t, &fakeSource{info: fileInfo(true, true), items: items}, oneFace, newRec(), Options{})
	if d := stats.Ahead - 400*time.Millisecond; d.Abs() > 50*time.Millisecond {
		t.Errorf("ahead by %v, want about 0.4 s", stats.Ahead)
	}
}

func TestSummariesAreBounded(t *testing.T) {
	m := &emitter{labels: newRec().Labels(), sums: map[int]*sum{}}
	for i := range 5 {
		_ = i
		m.count(0, 1, []float64{1, 0, 0}, nil) // the one who stayed
	}
	for k := 1; k < 10*maxSummaries; k++ {
		m.count(k, 1, []float64{0, 1, 0}, nil)
	}
	if len(m.sums) > maxSummaries || m.sums[0] == nil || m.sums[10*maxSummaries-1] == nil {
		t.Errorf("%d summaries", len(m.sums))
	}
}

// lateRec gives every second window up.
type lateRec struct {
	*fakeRec
	n int
}

func (r *lateRec) Recognize(ctx context.Context, ws []*Window) ([]Prediction, error) {
	if r.n++; r.n%2 == 0 {
		return nil, fmt.Errorf("%w: too much to do", ErrLate)
	}
	return r.fakeRec.Recognize(ctx, ws)
}

// Windows that the recogniser could not get to are dropped and counted live; of a file they are an error.
func TestRunLateWindows(t *testing.T) {
	t.Parallel()
	events, stats := runAll(t, liveRecording(6*time.Second, 4), oneFace, &lateRec{fakeRec: newRec()}, Options{})
	ws := checkRun(t, events, stats)
	total := 1 + int((6*time.Second-testSpec.Window)/testSpec.Hop)
	if len(ws) != (total+1)/2 || stats.Slow.Windows != total/2 {
		t.Errorf("%d windows and %d late of %d", len(ws), stats.Slow.Windows, total)
	}
	_, err := Run(t.Context(), file(6*time.Second, true, true), oneFace, &lateRec{fakeRec: newRec(), n: 1}, Options{},
		func(Event) error { return nil })
	if !errors.Is(err, ErrLate) {
		t.Errorf("of a file: %v", err)
	}
}
