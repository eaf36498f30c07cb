package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"tandem/capture"
)

// facesAt finds faces of 6 pixels by the time of the picture.
func facesAt(f func(t time.Duration) []Face) finderFunc {
	return func(_ context.Context, p *capture.Frame, _ int) ([]Face, error) { return f(p.Time), nil }
}

func subjectsOf(ws []*Window, end time.Duration) (subjects []int, voices int) {
	for _, w := range ws {
		if w.End == end {
			subjects = append(subjects, w.Subject)
			if w.AudioPresent {
				voices++
			}
		}
	}
	return
}

// One person, then two, then one again: the voice belongs to whoever is alone in a window.
func TestVoiceBelongsToTheOnlyOne(t *testing.T) {
	a, b := faceAt(4, 8, 6), faceAt(12, 8, 6)
	finder := facesAt(func(t time.Duration) []Face {
		switch {
		case t < 5*time.Second:
			return []Face{a}
		case t < 8*time.Second:
			return []Face{a, b}
		}
		return []Face{b}
	})
	ws := cutAll(t, file(14*time.Second, true, true), finder, testSpec, Options{Faces: 2})
	for _, c := range []struct {
		end      float64
		subjects []int
		voices   int
	}{
		{4.81, []int{0}, 1},
		{6.56, []int{0, 1}, 0},
		{9.06, []int{0, 1}, 0},
		{11.06, []int{1}, 1},
	} {
		if subjects, voices := subjectsOf(ws, at(c.end)); !slices.Equal(subjects, c.subjects) || voices != c.voices {
			t.Errorf("window %v: subjects %v, %d voices; want %v, %d", c.end, subjects, voices, c.subjects, c.voices)
		}
	}
	for _, w := range ws {
		if !w.AudioPresent && slices.ContainsFunc(w.Audio, func(v float32) bool { return v != 0 }) {
			t.Errorf("window %v of %d: masked sound is not zero", w.End, w.Subject)
		}
		for i, m := range w.VideoMask {
			if !m && slices.ContainsFunc(w.Video[i*64:(i+1)*64], func(v byte) bool { return v != 0 }) {
				t.Errorf("window %v of %d: masked crop is not zero", w.End, w.Subject)
			}
		}
	}
}

func TestVoiceWithoutFace(t *testing.T) {
	// Subject 0 leaves, subject 1 comes and leaves: the voice is then the last one's.
	a, b := faceAt(3, 3, 4), faceAt(13, 13, 4)
	finder := facesAt(func(t time.Duration) []Face {
		switch {
		case t < 4*time.Second:
			return []Face{a}
		case t >= 8*time.Second && t < 11*time.Second:
			return []Face{b}
		}
		return nil
	})
	ws := cutAll(t, file(16*time.Second, true, true), finder, testSpec, Options{})
	for _, c := range []struct {
		end     float64
		subject int
		face    bool
	}{{2.56, 0, true}, {7.06, 0, false}, {10.06, 1, true}, {15.06, 1, false}} {
		i := slices.IndexFunc(ws, func(w *Window) bool { return w.End == at(c.end) })
		if w := ws[i]; w.Subject != c.subject || (w.Face != nil) != c.face || !w.AudioPresent ||
			w.VideoPresent() != c.face {
			t.Errorf("window %v: subject %d, face %v, audio %v, video %v", c.end, w.Subject, w.Face, w.AudioPresent,
				w.VideoPresent())
		}
	}
}

func TestSilenceIsMasked(t *testing.T) {
	src := file(4*time.Second, false, true)
	for _, m := range src.items {
		for i := range m.Samples.Data {
			m.Samples.Data[i] *= 0.001 // about -65 dBFS
		}
	}
	for _, c := range []struct {
		threshold float64
		want      bool
	}{{0, false}, {-80, true}} {
		src.at = 0
		for _, w := range cutAll(t, src, nil, testSpec, Options{SilenceDBFS: c.threshold}) {
			if w.AudioPresent != c.want {
				t.Errorf("threshold %v: audio %v", c.threshold, w.AudioPresent)
			}
		}
	}
}

func TestFacesAreLookedForOncePerPicture(t *testing.T) {
	// Two pictures a second: most are held for two ticks.
	src := &fakeSource{info: capture.Info{HasVideo: true, FPS: 2}}
	for i := range 20 {
		src.items = append(src.items, picture(time.Duration(i)*500*time.Millisecond, byte(i)))
	}
	seen := map[time.Duration]int{}
	finder := finderFunc(func(ctx context.Context, f *capture.Frame, max int) ([]Face, error) {
		seen[f.Time]++
		return oneFace(ctx, f, max)
	})
	ticks := 0
	ws := cutAll(t, src, finder, testSpec, Options{OnFaces: func(time.Duration, []Tracked) { ticks++ }})
	for at, n := range seen {
		if n != 1 {
			t.Errorf("the picture at %v was looked at %d times", at, n)
		}
	}
	if ticks <= len(seen) {
		t.Errorf("%d ticks for %d pictures", ticks, len(seen))
	}
	for _, w := range ws {
		if slices.Contains(w.VideoMask, false) {
			t.Errorf("window %v has masked crops", w.End)
		}
	}
}

func TestFinderFails(t *testing.T) {
	broken := errors.New("broken")
	finder := finderFunc(func(context.Context, *capture.Frame, int) ([]Face, error) { return nil, broken })
	err := Cut(t.Context(), file(10*time.Second, true, true), finder, testSpec, Options{},
		func(*Window) error { return nil })
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestBadSettings(t *testing.T) {
	for _, change := range []func(*Spec, *Options){
		func(s *Spec, _ *Options) { s.Window = 0 },
		func(s *Spec, _ *Options) { s.Hop = 0 },
		func(s *Spec, _ *Options) { s.VideoFrames = 0 },
		func(s *Spec, _ *Options) { s.VideoFrames = 1 << 30 },
		func(s *Spec, _ *Options) { s.CropSize = -1 },
		func(s *Spec, _ *Options) { s.Channels = 2 },
		func(s *Spec, _ *Options) { s.CropMargin = 0 },
		func(_ *Spec, o *Options) { o.Faces = -1 },
		func(_ *Spec, o *Options) { o.Smoothing = -1 },
	} {
		spec, o := testSpec, Options{}
		change(&spec, &o)
		if err := Cut(t.Context(), file(0, true, true), nil, spec, o, nil); err == nil {
			t.Errorf("%s passed", fmt.Sprint(spec, o.Faces, o.Smoothing))
		}
	}
}

// A face beside the one that is followed may be who speaks: while it is seen nobody gets the voice, though one subject
// alone is followed. A face that was seen but once, one that is much smaller, and any in a recording of one speaker
// take nobody's voice.
func TestBystanderMayBeWhoSpeaks(t *testing.T) {
	subject, other, small := faceAt(300, 200, 100), faceAt(500, 200, 80), faceAt(500, 200, 20)
	for name, c := range map[string]struct {
		other Face
		from  time.Duration
		to    time.Duration
		o     Options
		deaf  bool
	}{
		"beside":         {other, 5 * time.Second, 8 * time.Second, Options{}, true},
		"only once":      {other, 5 * time.Second, 5*time.Second + faceTick, Options{}, false},
		"far away":       {small, 5 * time.Second, 8 * time.Second, Options{}, false},
		"in a recording": {other, 5 * time.Second, 8 * time.Second, Options{OneSpeaker: true}, false},
	} {
		seen := func(t time.Duration) []Face {
			if t >= c.from && t < c.to {
				return []Face{subject, c.other}
			}
			return []Face{subject}
		}
		follower := &scriptedFollower{faces: seen}
		for kind, finder := range map[string]FaceFinder{"finder": facesAt(seen), "follower": follower} {
			ws := cutAll(t, file(14*time.Second, true, true), finder, testSpec, c.o)
			for _, end := range []float64{4.81, 8.06, 12.56} {
				subjects, voices := subjectsOf(ws, at(end))
				want := 1
				if c.deaf && end == 8.06 {
					want = 0
				}
				if !slices.Equal(subjects, []int{0}) || voices != want {
					t.Errorf("%s, %s, %v: %v, %d voices, not %d", name, kind, end, subjects, voices, want)
				}
			}
		}
		for i, s := range follower.searches {
			if c.o.OneSpeaker && i > 0 && s.Least != 150 {
				t.Errorf("%s: search %d is for %+v", name, i, s)
			}
		}
	}
}
