package pipeline

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"tandem/capture"
)

// partialSpec is testSpec of a model that reads windows which begin empty.
var partialSpec = func() Spec {
	s := testSpec
	s.Partial = true
	return s
}()

// covered returns the ends and the covered parts of windows, in seconds, a full one as the window's length.
func covered(ws []*Window) (ends, parts []float64) {
	for _, w := range ws {
		part := partialSpec.Window
		if w.Covered > 0 {
			part = w.Covered
		}
		ends, parts = append(ends, w.End.Seconds()), append(parts, part.Seconds())
	}
	return ends, parts
}

// TestFirstWindowsGrow holds when a timeline's first windows end and what they hold.
func TestFirstWindowsGrow(t *testing.T) {
	growing := []float64{0.75, 1, 1.25, 1.5, 1.75, 2, 2.25}
	for _, c := range []struct {
		name        string
		src         *fakeSource
		first       time.Duration
		ends, parts []float64
	}{
		{
			"longer than a window", file(3*time.Second, true, true), DefaultFirstAfter,
			append(slices.Clone(growing), 2.56, 2.81), append(slices.Clone(growing), 2.56, 2.56),
		},
		{"sound alone", file(1300*time.Millisecond, false, true), DefaultFirstAfter, growing[:3], growing[:3]},
		{"pictures alone", file(1280*time.Millisecond, true, false), DefaultFirstAfter, growing[:3], growing[:3]},
		{
			"more than half a hop is left", file(1160*time.Millisecond, true, true), DefaultFirstAfter,
			[]float64{0.75, 1, 1.16},
			[]float64{0.75, 1, 1.16},
		},
		{"0.4 s", file(400*time.Millisecond, false, true), DefaultFirstAfter, []float64{0.4}, []float64{0.4}},
		{"0.4 s without growth", file(400*time.Millisecond, false, true), 0, []float64{0.4}, []float64{0.4}},
		{"training's windows", file(3*time.Second, true, true), 0, []float64{2.56, 2.81}, []float64{2.56, 2.56}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ws := cutAll(t, c.src, oneFace, partialSpec, Options{FirstAfter: c.first})
			ends, parts := covered(ws)
			if !slices.Equal(ends, c.ends) || !slices.Equal(parts, c.parts) {
				t.Fatalf("windows end at %v and cover %v, want %v and %v", ends, parts, c.ends, c.parts)
			}
			for _, w := range ws {
				checkCovered(t, w, c.src.info)
			}
		})
	}
}

// checkCovered holds that a window's media are its covered part, whole, and nothing else.
func checkCovered(t *testing.T, w *Window, info capture.Info) {
	t.Helper()
	part := w.Covered
	if part == 0 {
		part = partialSpec.Window
	}
	if w.End-w.Start != part {
		t.Errorf("the window at %v begins at %v and covers %v", w.End, w.Start, part)
	}
	before := int64(len(w.Audio)) - sampleAt(part)
	heard := highPassed(sound(0, int(sampleAt(w.End)))) // from the source's start on
	for i, v := range w.Audio {
		want := float32(0)
		if int64(i) >= before && info.HasAudio {
			want = heard[sampleAt(w.Start)+int64(i)-before]
		}
		if v != want {
			t.Fatalf("the window at %v: sample %d is %v, want %v", w.End, i, v, want)
		}
	}
	crops := 0
	for _, there := range w.VideoMask {
		if there {
			crops++
		}
	}
	if want := min(8, 1+int(part/partialSpec.FaceTick())); info.HasVideo && crops != want {
		t.Errorf("the window at %v has %d crops, want %d", w.End, crops, want)
	}
}

// TestOtherModelsGetFullWindows holds that a model which does not read windows that begin empty never gets one.
func TestOtherModelsGetFullWindows(t *testing.T) {
	for _, length := range []time.Duration{300 * time.Millisecond, time.Second, 3 * time.Second} {
		ws := cutAll(t, file(length, true, true), oneFace, testSpec, Options{FirstAfter: DefaultFirstAfter})
		if len(ws) == 0 || ws[0].Start != 0 || ws[0].End != testSpec.Window || ws[0].Covered != 0 {
			t.Errorf("%v: the first window is %+v", length, ws[0])
		}
	}
}

// TestTooShortIsAnError holds that a file of less than can be recognised is told so, and that a live source just ends.
func TestTooShortIsAnError(t *testing.T) {
	short := file(300*time.Millisecond, true, true)
	none := func(*Window) error { t.Error("a window"); return nil }
	err := Cut(t.Context(), short, oneFace, partialSpec, Options{FirstAfter: DefaultFirstAfter}, none)
	const want = "pipeline: clip.mp4: too short to recognise: 0.32 s of media, and an answer takes 0.4 s"
	if !errors.Is(err, ErrTooShort) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	live := liveRecording(300*time.Millisecond, 4)
	if err := Cut(t.Context(), live, oneFace, partialSpec, Options{FirstAfter: DefaultFirstAfter}, none); err != nil {
		t.Errorf("live: %v", err)
	}
	still := &fakeSource{
		info: capture.Info{Name: "a.png", Still: true, HasVideo: true}, items: []capture.Media{picture(0, 9)},
	}
	if ws := cutAll(t, still, oneFace, partialSpec, Options{FirstAfter: DefaultFirstAfter}); len(ws) != 1 ||
		ws[0].Covered != 0 || slices.Contains(ws[0].VideoMask, false) {
		t.Errorf("a picture gives %+v", ws)
	}
}

// TestWindowsGrowAgainAfterAGap holds that windows which hold little but a gap are not given.
func TestWindowsGrowAgainAfterAGap(t *testing.T) {
	src := file(3*time.Second, true, true)
	for _, m := range recording(4*time.Second, true, true) {
		if m.Frame != nil {
			m.Frame.Time += 9 * time.Second
		} else {
			m.Samples.Time += 9 * time.Second
		}
		src.items = append(src.items, m)
	}
	ends, parts := covered(cutAll(t, src, oneFace, partialSpec, Options{FirstAfter: DefaultFirstAfter}))
	after := slices.IndexFunc(ends, func(e float64) bool { return e > 9 })
	if after < 0 || math.Abs(parts[after]-0.81) > 0.001 || ends[after] != 9.81 {
		t.Fatalf("after the gap windows end at %v and cover %v, want the first of 0.81 s at 9.81 s", ends, parts)
	}
	for i := after + 1; i < len(parts); i++ {
		if want := min(parts[i-1]+0.25, 2.56); math.Abs(parts[i]-want) > 0.001 {
			t.Errorf("after the gap windows cover %v", parts[after:])
			break
		}
	}
	if parts[len(parts)-1] != 2.56 {
		t.Errorf("the last window covers %v", parts[len(parts)-1])
	}
}

// TestRunTellsOfPartialWindows holds what events, smoothing and the summary make of windows that begin empty, and that
// a live source gives the same as a file, its first answer within a second of the first media.
func TestRunTellsOfPartialWindows(t *testing.T) {
	t.Parallel()
	o := Options{Smoothing: time.Second, Raw: true, FirstAfter: DefaultFirstAfter, MaxQueue: time.Minute}
	events, stats := runAll(t, file(3*time.Second, true, true), oneFace, &fakeRec{spec: partialSpec}, o)
	ws := checkRun(t, events, stats)
	var weights, sum float64
	for i, w := range ws {
		b, _ := json.Marshal(Event{Window: w})
		var wire struct {
			Partial *bool
			Covered *float64
		}
		_ = json.Unmarshal(b, &wire)
		full := w.End >= partialSpec.Window
		if (wire.Partial == nil) != full || (wire.Covered == nil) != full || !full && *wire.Covered != w.End.Seconds() {
			t.Errorf("event %s", b)
		}
		again, err := ParseEvent(b)
		if err != nil || again.Window.Covered != w.Covered {
			t.Errorf("%s is read as %+v, %v", b, again.Window, err)
		}
		first := w.End <= partialSpec.Window // these are not smoothed
		if p, raw := w.Emotion.P.P("happy"), w.Emotion.Raw.P("happy"); first != (p == raw) {
			t.Errorf("window %d: %v of a raw %v", i, p, raw)
		}
		weight := min(w.End.Seconds()/partialSpec.Window.Seconds(), 1)
		weights, sum = weights+weight, sum+weight*w.Emotion.Raw.P("happy")
	}
	end := events[len(events)-1].End
	if got := end.Summary[0].Emotion.P.P("happy"); math.Abs(got-sum/weights) > 1e-5 {
		t.Errorf("the summary has %v, want %v", got, sum/weights)
	}

	began := time.Now()
	var answered time.Duration
	var live []*WindowEvent
	src := liveRecording(3*time.Second, 1)
	if _, err := Run(t.Context(), src, oneFace, &fakeRec{spec: partialSpec}, o, func(e Event) error {
		if e.Window != nil {
			if live = append(live, e.Window); len(live) == 1 {
				answered = time.Since(began)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("first answer after %v", answered)
	if answered > time.Second {
		t.Errorf("the first answer came %v after the first media", answered)
	}
	for i := range live {
		live[i].Latency = nil
	}
	a, _ := json.Marshal(ws[0])
	b, _ := json.Marshal(live[0])
	if len(live) != len(ws) || string(a) != string(b) {
		t.Errorf("%d windows live, the first %s, and %d from the file, the first %s", len(live), b, len(ws), a)
	}
}

func TestFirstAfterIsChecked(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 399 * time.Millisecond} {
		err := Cut(t.Context(), file(time.Second, true, true), oneFace, partialSpec, Options{FirstAfter: d},
			func(*Window) error { return nil })
		if err == nil {
			t.Errorf("a first window after %v is taken", d)
		}
	}
}
