package pipeline

import (
	"context"
	"slices"
	"testing"
	"time"

	"tandem/capture"
)

// checkAudio holds a window's sound, sample by sample, to what sound makes up to a time, filtered, and zeros after.
func checkAudio(t *testing.T, w *Window, to time.Duration) {
	t.Helper()
	first := sampleAt(w.Start)
	checkSamples(t, w.Audio, first, highPassed(sound(0, int(sampleAt(to))))[min(first, sampleAt(to)):])
}

// checkSamples holds some sound, from a sample of the timeline on, to what it begins with and zeros after that.
func checkSamples(t *testing.T, got []float32, first int64, wants []float32) {
	t.Helper()
	for i, v := range got {
		var want float32
		if i < len(wants) {
			want = wants[i]
		}
		if v != want {
			t.Fatalf("sample %d is %v, want %v", first+int64(i), v, want)
		}
	}
}

func TestWindowBoundaries(t *testing.T) {
	ws := cutAll(t, file(5*time.Second, true, true), oneFace, testSpec, Options{})
	if len(ws) != 10 { // ends at 2.56 + n/4, up to 4.81
		t.Fatalf("%d windows, want 10", len(ws))
	}
	for n, w := range ws {
		end := 2560*time.Millisecond + time.Duration(n)*250*time.Millisecond
		if w.End != end || w.Start != end-2560*time.Millisecond {
			t.Errorf("window %d is [%v, %v), want one that ends at %v", n, w.Start, w.End, end)
		}
		if !w.AudioPresent || slices.Contains(w.VideoMask, false) || w.Face == nil || w.Subject != 0 {
			t.Errorf("window %d: audio %v, video %v, face %v, subject %d", n, w.AudioPresent, w.VideoMask, w.Face,
				w.Subject)
		}
		checkAudio(t, w, 5*time.Second)
		// The last tick at or before the end is in the last slot, and the picture for a tick is the latest one
		// at or before it.
		last := end / (320 * time.Millisecond)
		for slot := range 8 {
			tick := (last - 7 + time.Duration(slot)) * 320 * time.Millisecond
			want := byte(tick / (40 * time.Millisecond))
			if got := w.Video[slot*64]; got != want {
				t.Errorf("window %d slot %d shows picture %d, want %d", n, slot, got, want)
			}
		}
	}
}

func TestTickTakesLatestFrame(t *testing.T) {
	// 30 a second: most ticks fall between two pictures.
	src := &fakeSource{info: capture.Info{HasVideo: true, FPS: 30}}
	for i := range 90 {
		src.items = append(src.items, picture(time.Duration(i)*time.Second/30, byte(i)))
	}
	var looked []time.Duration
	finder := finderFunc(func(_ context.Context, f *capture.Frame, _ int) ([]Face, error) {
		looked = append(looked, f.Time)
		return nil, nil
	})
	cutAll(t, src, finder, testSpec, Options{})
	var want []time.Duration
	for k := range 10 { // ticks to 2.88
		tick := time.Duration(k) * 320 * time.Millisecond
		want = append(want, time.Duration((tick+TickSlack)*30/time.Second)*time.Second/30)
	}
	if !slices.Equal(looked[:len(want)], want) {
		t.Errorf("looked at %v, want %v", looked, want)
	}
	if len(looked) != len(want) {
		t.Errorf("looked %d times, want %d", len(looked), len(want))
	}
}

// A source's times may be some ms off. Where each tick falls on a picture, the same pictures are looked at all the
// same.
func TestTicksForgiveSomeMilliseconds(t *testing.T) {
	looks := func(off time.Duration) []byte {
		src := &fakeSource{info: capture.Info{HasVideo: true, FPS: 25}}
		for i := 1; i < 100; i++ { // from 0.04, or what is off to the front would be before the start
			src.items = append(src.items, picture(time.Duration(i)*40*time.Millisecond+off, byte(i)))
		}
		var looked []byte
		finder := finderFunc(func(_ context.Context, f *capture.Frame, _ int) ([]Face, error) {
			looked = append(looked, f.Pix[0])
			return nil, nil
		})
		cutAll(t, src, finder, testSpec, Options{})
		return looked
	}
	want := []byte{8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96}
	for _, off := range []time.Duration{0, TickSlack, time.Millisecond, -time.Millisecond, -TickSlack} {
		if got := looks(off); !slices.Equal(got, want) {
			t.Errorf("%v off: looked at %v, want %v", off, got, want)
		}
	}
	if got := looks(TickSlack + 1); got[0] != 7 {
		t.Errorf("a picture that follows its tick by more than the slack was looked at: %v", got)
	}
}

func TestShortInputs(t *testing.T) {
	still := &fakeSource{info: capture.Info{HasVideo: true, Still: true}, items: []capture.Media{picture(0, 7)}}
	stale := file(0, true, false)
	stale.items = []capture.Media{picture(0, 7)}
	for _, c := range []struct {
		name  string
		src   *fakeSource
		n     int
		audio bool
		video int
	}{
		{"voice of 1 s", file(time.Second, false, true), 1, true, 0},
		{"voice of exactly a window", file(2560*time.Millisecond, false, true), 1, true, 0},
		{"voice 20 ms short of two windows", file(2780*time.Millisecond, false, true), 1, true, 0},
		{"voice of two windows", file(2820*time.Millisecond, false, true), 2, true, 0},
		{"video of 1 s", file(time.Second, true, false), 1, false, 4}, // 0.32 … 1.28, the last held
		{"video of exactly a window", file(2560*time.Millisecond, true, false), 1, false, 8},
		{"still", still, 1, false, 8},
		{"one frame", stale, 1, false, 1}, // held for 0.5 s
		{"nothing", file(0, true, true), 0, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			ws := cutAll(t, c.src, oneFace, testSpec, Options{})
			if len(ws) != c.n {
				t.Fatalf("%d windows, want %d", len(ws), c.n)
			}
			if c.n == 0 {
				return
			}
			w := ws[0]
			video := 0
			for _, m := range w.VideoMask {
				if m {
					video++
				}
			}
			if w.Start != 0 || w.AudioPresent != c.audio || video != c.video {
				t.Errorf("start %v, audio %v, %d crops; want 0, %v, %d", w.Start, w.AudioPresent, video, c.audio,
					c.video)
			}
			if c.audio {
				checkAudio(t, w, time.Duration(len(c.src.items))*20*time.Millisecond)
			}
		})
	}
}

func TestStillFillsAllSlots(t *testing.T) {
	src := &fakeSource{info: capture.Info{HasVideo: true, Still: true}, items: []capture.Media{picture(0, 7)}}
	weak := finderFunc(func(ctx context.Context, f *capture.Frame, max int) ([]Face, error) {
		fs, err := oneFace(ctx, f, max)
		fs[0].Score = 0.55 // would need a second look in a video
		return fs, err
	})
	w := cutAll(t, src, weak, testSpec, Options{})[0]
	for i, v := range w.Video {
		if v != 7 || !w.VideoMask[i/64] {
			t.Fatalf("byte %d is %d, mask %v", i, v, w.VideoMask)
		}
	}
}

// align runs items through an aligner.
func align(t *testing.T, info capture.Info, o Options, items []capture.Media) (*aligner, []*cut) {
	t.Helper()
	var cuts []*cut
	a := newAligner(t.Context(), testSpec, info, o.filled(testSpec), func(s step) error {
		if s.cut != nil {
			cuts = append(cuts, s.cut)
		}
		return nil
	})
	for _, m := range items {
		if err := a.add(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.finish(); err != nil {
		t.Fatal(err)
	}
	return a, cuts
}

func TestSoundGapsAndOverlaps(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	info := capture.Info{HasAudio: true}
	t.Run("gap", func(t *testing.T) {
		a, cuts := align(t, info, Options{}, []capture.Media{sound(0, 16000), sound(ms(1500), 32000)})
		checkSamples(t, cuts[0].audio[:24000], 0, highPassed(sound(0, 16000)))
		checkSamples(t, cuts[0].audio[24000:], 24000, highPassed(sound(ms(1500), 32000)))
		if a.late != (capture.Drops{}) || a.breaks != 0 {
			t.Errorf("late %v, breaks %d", a.late, a.breaks)
		}
	})
	t.Run("overlap", func(t *testing.T) {
		a, cuts := align(t, info, Options{},
			[]capture.Media{sound(0, 16000), sound(ms(500), 16000), sound(ms(600), 8000), sound(ms(1400), 24000)})
		checkSamples(t, cuts[0].audio, 0, highPassed(sound(0, 48000)))
		if want := 8000 + 8000 + 1600; a.late.Samples != want {
			t.Errorf("%d samples late, want %d", a.late.Samples, want)
		}
	})
	t.Run("rounded times", func(t *testing.T) {
		// AAC in Matroska: 1024 samples at 48 kHz, times in whole ms. Must be seamless.
		var items []capture.Media
		pos := 0
		for pos < 48000 {
			m := sound(timeOf(int64(pos)), 341)
			m.Samples.Time = m.Samples.Time.Round(time.Millisecond)
			items = append(items, m)
			pos += 341
		}
		a, cuts := align(t, info, Options{}, items)
		checkSamples(t, cuts[0].audio, 0, highPassed(sound(0, 48000)))
		if a.late.Samples != 0 {
			t.Errorf("%d samples late", a.late.Samples)
		}
	})
	t.Run("drift", func(t *testing.T) {
		// A clock 1 % slow: after two seconds it is followed by one step.
		var items []capture.Media
		for i := range 150 {
			m := sound(0, 320)
			m.Samples.Time = time.Duration(i) * 20200 * time.Microsecond
			items = append(items, m)
		}
		a, _ := align(t, info, Options{}, items)
		if d := a.audio.mark - items[149].Samples.End(); d > SnapAudio || d < -SnapAudio {
			t.Errorf("the timeline is %v off the source's", d)
		}
	})
	t.Run("not a number", func(t *testing.T) {
		m := sound(0, 40960)
		zero := float32(0)
		m.Samples.Data[5], m.Samples.Data[6] = zero/zero, 1/zero
		clean := sound(0, 40960)
		clean.Samples.Data[5], clean.Samples.Data[6] = 0, 0
		_, cuts := align(t, info, Options{}, []capture.Media{m})
		checkSamples(t, cuts[0].audio, 0, highPassed(clean))
	})
	t.Run("bias", func(t *testing.T) {
		// It is neither heard where there is nothing else nor makes a click where sound begins, ends, or has a hole.
		biased := func(at time.Duration, n int) capture.Media {
			m := sound(at, n)
			for i := range m.Samples.Data {
				m.Samples.Data[i] = 0.05
			}
			return m
		}
		_, cuts := align(t, info, Options{}, []capture.Media{biased(0, 16000), biased(ms(1500), 32000)})
		checkSamples(t, cuts[0].audio, 0, nil)
	})
	t.Run("what OnSamples is given", func(t *testing.T) {
		var given []float32
		o := Options{OnSamples: func(s *capture.Samples) { given = s.Data }}
		align(t, info, o, []capture.Media{sound(0, 40960)})
		if !slices.Equal(given, sound(0, 40960).Samples.Data) {
			t.Error("it is not the source's sound")
		}
	})
}

func TestLateFrames(t *testing.T) {
	items := recording(3*time.Second, true, true)
	items = slices.Insert(items, 20, picture(100*time.Millisecond, 99))
	twice := slices.IndexFunc(items,
		func(m capture.Media) bool { return m.Frame != nil && m.Frame.Time == time.Second })
	items = slices.Insert(items, twice, clonedMedia(items[twice]))
	a, cuts := align(t, fileInfo(true, true), Options{}, items)
	if a.late.Frames != 2 || len(cuts) != 2 {
		t.Errorf("%d frames late, %d windows; want 2, 2", a.late.Frames, len(cuts))
	}
}

// A live modality that goes away is waited for once, for MaxWait, and not again; what it brings when it is back is
// used.
func TestLiveModalityAway(t *testing.T) {
	info := fileInfo(true, true)
	info.Live = true
	var cuts []*cut
	a := newAligner(t.Context(), testSpec, info, Options{}.filled(testSpec), func(s step) error {
		if s.cut != nil {
			cuts = append(cuts, s.cut)
		}
		return nil
	})
	at := func(c *cut) time.Duration { return a.audio.mark - c.end }
	for _, m := range recording(10*time.Second, true, true) {
		if m.Frame != nil && m.Frame.Time > 4*time.Second && m.Frame.Time < 8*time.Second {
			continue
		}
		n := len(cuts)
		if err := a.add(m); err != nil {
			t.Fatal(err)
		}
		for _, c := range cuts[n:] {
			wait := at(c)
			switch {
			case c.end <= 4*time.Second && wait > 60*time.Millisecond,
				c.end > 5*time.Second && c.end < 8*time.Second && wait > 40*time.Millisecond,
				wait > time.Second+40*time.Millisecond:
				t.Errorf("window %v was cut %v late", c.end, wait)
			}
		}
	}
	if len(cuts) != 30 { // to 9.81, the last of which waits for no more than is there
		t.Errorf("%d windows, want 30", len(cuts))
	}
}

// In a file the lost modality is only waited for as far as memory allows, and nothing is lost.
func TestFileModalityEndsEarly(t *testing.T) {
	var items []capture.Media
	for _, m := range recording(50*time.Second, true, true) {
		if m.Samples != nil && m.Samples.Time >= 4*time.Second {
			continue
		}
		items = append(items, m)
	}
	src := &fakeSource{info: fileInfo(true, true), items: items}
	ws := cutAll(t, src, oneFace, testSpec, Options{})
	if want := 1 + int((50*time.Second-testSpec.Window)/testSpec.Hop); len(ws) != want {
		t.Errorf("%d windows, want %d", len(ws), want)
	}
	for _, w := range ws {
		checkAudio(t, w, 4*time.Second)
		if w.AudioPresent != (w.Start < 4*time.Second) || !w.VideoPresent() {
			t.Errorf("window %v: audio %v video %v", w.End, w.AudioPresent, w.VideoPresent())
		}
	}
}

// Badly interleaved files lose nothing either.
func TestFileInterleavedBadly(t *testing.T) {
	good := recording(30*time.Second, true, true)
	items := slices.Clone(good)
	slices.SortStableFunc(items, func(a, b capture.Media) int {
		key := func(m capture.Media) time.Duration {
			if m.Frame != nil {
				return m.Frame.Time + 8*time.Second // pictures come 8 s later in the file
			}
			return m.Samples.Time
		}
		return int(key(a) - key(b))
	})
	want := cutAll(t, &fakeSource{info: fileInfo(true, true), items: good}, oneFace, testSpec, Options{})
	got := cutAll(t, &fakeSource{info: fileInfo(true, true), items: items}, oneFace, testSpec, Options{})
	sameWindows(t, got, want)
}

func sameWindows(t *testing.T, got, want []*Window) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d windows, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.End != w.End || g.Subject != w.Subject || !slices.Equal(g.Audio, w.Audio) ||
			!slices.Equal(g.Video, w.Video) ||
			!slices.Equal(g.VideoMask, w.VideoMask) || g.AudioPresent != w.AudioPresent {
			t.Fatalf("window %v differs", w.End)
		}
	}
}

// shift moves the times of some items.
func shift(items []capture.Media, by time.Duration, which func(m capture.Media) bool) []capture.Media {
	var out []capture.Media
	for _, m := range items {
		m = clonedMedia(m)
		if which(m) {
			if m.Frame != nil {
				m.Frame.Time += by
			} else {
				m.Samples.Time += by
			}
		}
		out = append(out, m)
	}
	return out
}

func TestClockBreaks(t *testing.T) {
	good := recording(8*time.Second, true, true)
	want := cutAll(t, &fakeSource{info: fileInfo(true, true), items: good}, oneFace, testSpec, Options{})
	start := func(m capture.Media) time.Duration {
		if m.Frame != nil {
			return m.Frame.Time
		}
		return m.Samples.Time
	}
	after4 := func(m capture.Media) bool { return start(m) >= 4*time.Second }
	for _, c := range []struct {
		name   string
		by     time.Duration
		which  func(m capture.Media) bool
		breaks int
	}{
		{"starts at an hour", time.Hour, func(capture.Media) bool { return true }, 1},
		{"starts before zero by hours", -5 * time.Hour, func(capture.Media) bool { return true }, 1},
		{"forward by hours", 3 * time.Hour, after4, 1},
		{"back to the start", -4 * time.Second, after4, 1},
		{"as far as it goes", 1<<61 - 9*time.Second, after4, 1},
		{"only sound, by hours", 3 * time.Hour, func(m capture.Media) bool { return after4(m) && m.Samples != nil }, 1},
		{
			"one run of sound astray", 3 * time.Hour,
			func(m capture.Media) bool { return m.Samples != nil && start(m) == 4*time.Second }, 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			items := shift(good, c.by, c.which)
			a, cuts := align(t, fileInfo(true, true), Options{}, items)
			if a.breaks != c.breaks || a.late != (capture.Drops{}) || len(cuts) != len(want) {
				t.Errorf("%d breaks, %v late, %d windows; want %d, none, %d", a.breaks, a.late, len(cuts), c.breaks,
					len(want))
			}
			got := cutAll(t, &fakeSource{info: fileInfo(true, true), items: items}, oneFace, testSpec, Options{})
			for i := range min(len(got), len(want)) {
				if !slices.Equal(got[i].Audio, want[i].Audio) {
					t.Fatalf("the sound of window %v differs", got[i].End)
				}
				// A picture's break is mended to where its modality was, one frame off at the most.
				for j := range got[i].Video {
					if d := int(got[i].Video[j]) - int(want[i].Video[j]); d < -1 || d > 1 {
						t.Fatalf("window %v shows picture %d, want %d", got[i].End, got[i].Video[j], want[i].Video[j])
					}
				}
			}
		})
	}
}

// A picture whose time is astray must not spoil those after it.
func TestFrameAstray(t *testing.T) {
	good := recording(8*time.Second, true, true)
	for _, by := range []time.Duration{2 * time.Hour, 3 * time.Second, -3 * time.Second, -2 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			items := shift(good, by,
				func(m capture.Media) bool { return m.Frame != nil && m.Frame.Time == 4*time.Second })
			src := &fakeSource{info: fileInfo(true, true), items: items}
			ws := cutAll(t, src, oneFace, testSpec, Options{})
			last := ws[len(ws)-1]
			// 7.68 is the last tick.
			if got := last.Video[7*64]; got != 192 {
				t.Errorf("the last picture is %d, want 192", got)
			}
		})
	}
}

func TestGapWithoutMediaGivesNoWindows(t *testing.T) {
	items := recording(14*time.Second, true, true)
	items = slices.DeleteFunc(items, func(m capture.Media) bool {
		return timeOfMedia(m) > 4*time.Second && timeOfMedia(m) < 12*time.Second
	})
	ws := cutAll(t, &fakeSource{info: fileInfo(true, true), items: items}, oneFace, testSpec, Options{})
	for _, w := range ws {
		if w.Start > 4*time.Second+HoldAtLeast && w.End <= 12*time.Second-40*time.Millisecond {
			t.Errorf("an empty window [%v, %v)", w.Start, w.End)
		}
	}
	if last := ws[len(ws)-1]; last.End != at(13.81) || !last.AudioPresent {
		t.Errorf("the last window ends at %v", last.End)
	}
}

func TestBrokenFrame(t *testing.T) {
	m := picture(0, 1)
	m.Frame.Pix = m.Frame.Pix[1:]
	err := Cut(t.Context(), &fakeSource{items: []capture.Media{m}}, oneFace, testSpec, Options{},
		func(*Window) error { return nil })
	if err == nil {
		t.Fatal("a picture with too few bytes passed")
	}
}
