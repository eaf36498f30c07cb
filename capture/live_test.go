package capture

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func frameAt(t time.Duration, bytes int) Media {
	return Media{Frame: &Frame{Time: t, Width: bytes / 3, Height: 1, Pix: make([]byte, bytes)}}
}

func soundAt(t time.Duration, n int) Media {
	return Media{Samples: &Samples{Time: t, Data: make([]float32, n)}}
}

// A full queue drops the oldest of the kind that is too much, and counts it.
func TestQueueDropsOldest(t *testing.T) {
	q := newQueue()
	q.put(soundAt(0, 100))
	for i := range maxQueuedFrames + 3 {
		q.put(frameAt(time.Duration(i), 3))
	}
	if q.drops != (Drops{Frames: 3}) {
		t.Errorf("drops %+v", q.drops)
	}
	if m, err := q.get(t.Context()); err != nil || m.Samples == nil {
		t.Errorf("the sound is gone: %+v, %v", m, err)
	}
	for i := range maxQueuedFrames {
		if m, err := q.get(t.Context()); err != nil || m.Frame == nil || m.Frame.Time != time.Duration(i+3) {
			t.Fatalf("item %d: %+v, %v", i, m, err)
		}
	}
	for i := range 25 {
		q.put(soundAt(time.Duration(i), SampleRate/10))
	}
	if q.drops.Samples != 5*SampleRate/10 {
		t.Errorf("drops %+v", q.drops)
	}
	for i := range 3 {
		q.put(frameAt(time.Duration(i), maxQueuedPixels/2+3))
	}
	if q.drops.Frames != 3+2 {
		t.Errorf("drops of large pictures %+v", q.drops)
	}
	q.close(io.EOF)
	q.close(errors.New("later"))
	n := 0
	for {
		if _, err := q.get(t.Context()); err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		n++
	}
	if n != 20+1 || q.samples != 0 || q.frames != 0 || q.pixels != 0 {
		t.Errorf("%d items; left %d samples, %d frames, %d bytes", n, q.samples, q.frames, q.pixels)
	}
	if _, err := q.get(t.Context()); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// Read ends with its context's cause, and with Close.
func TestLiveEnds(t *testing.T) {
	l := newLive(Info{Name: "x"}, time.Now(), func(ctx context.Context, _ *live) error {
		<-ctx.Done()
		return ctx.Err()
	})
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	if _, err := l.Read(ctx); !errors.Is(err, cause) {
		t.Errorf("cancelled: %v", err)
	}
	time.AfterFunc(20*time.Millisecond, func() { l.Close() })
	if _, err := l.Read(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	l.Close()
}

// drain reads a source to its end.
func drain(t *testing.T, s Source) (frames []*Frame, sound []*Samples, err error) {
	t.Helper()
	for {
		m, err := s.Read(t.Context())
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return frames, sound, err
		}
		if m.Frame != nil {
			frames = append(frames, m.Frame)
		} else {
			sound = append(sound, m.Samples)
		}
	}
}

// Two live sources, started apart, come out on one clock: what happens at the same moment has the same time.
func TestMerge(t *testing.T) {
	camera := NewPattern(PatternOptions{
		Width: 64, Height: 48, Duration: 2500 * time.Millisecond, Live: true,
		NoAudio: true,
	})
	time.Sleep(200 * time.Millisecond)
	mic := NewPattern(PatternOptions{Duration: 1500 * time.Millisecond, Live: true, NoVideo: true}) // ends first
	s := Merge(camera, mic)
	defer s.Close()
	if i := s.Info(); !i.Live || !i.HasVideo || !i.HasAudio || i.Width != 64 {
		t.Errorf("info %+v", i)
	}
	frames, sound, err := drain(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if len(frames) < 55 || len(sound) != 75 {
		t.Errorf("%d pictures, %d of sound", len(frames), len(sound))
	}
	start := frames[0].Arrived.Add(-frames[0].Time)
	for _, f := range frames {
		if late := f.Arrived.Sub(start) - f.Time; late < -20*time.Millisecond || late > 200*time.Millisecond {
			t.Fatalf("picture at %v arrived %v after", f.Time, late)
		}
	}
	if sound[0].Time < 190*time.Millisecond {
		t.Errorf("the later source starts at %v", sound[0].Time)
	}
	for _, a := range sound {
		if late := a.Arrived.Sub(start) - a.End(); late < -30*time.Millisecond || late > 200*time.Millisecond {
			t.Fatalf("sound until %v arrived %v after", a.End(), late)
		}
	}
}

type broken struct{ Source }

func (broken) Info() Info                          { return Info{Name: "broken", HasAudio: true} }
func (broken) Read(context.Context) (Media, error) { return Media{}, errors.New("broken: it broke") }
func (broken) Drops() Drops                        { return Drops{Samples: 5} }
func (broken) Close() error                        { return nil }

// A source that fails does not end the others, and its error is told at the end.
func TestMergeFailure(t *testing.T) {
	s := Merge(broken{},
		NewPattern(PatternOptions{Width: 64, Height: 48, Duration: 300 * time.Millisecond, Live: true, NoAudio: true}))
	frames, _, err := drain(t, s)
	if len(frames) < 6 || err == nil || err.Error() != "broken: it broke" || s.Drops().Samples != 5 {
		t.Errorf("%d pictures, %v, %+v", len(frames), err, s.Drops())
	}
	s.Close()
	s = Merge(NewPattern(PatternOptions{Live: true}))
	s.Read(t.Context())
	start := time.Now()
	s.Close()
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("close took %v", took)
	}
}

// A buffer may come late by anything; the clock follows only what all of them say.
func TestSoundClock(t *testing.T) {
	const ms = time.Millisecond
	const n = SampleRate / 50
	c := audioClock{}
	var end time.Duration
	var cuts, gaps int
	see := func(seen time.Duration) time.Duration {
		at, cut, gap := c.place(seen, n)
		cuts += cut
		gaps += gap
		if at < end {
			t.Fatalf("sound at %v before %v", at, end)
		}
		end = at + time.Duration(n-cut)*time.Second/SampleRate
		return at
	}
	for i := range 200 { // jitter
		late := time.Duration(i*37%50) * ms
		if i%10 == 0 {
			late = 0
		}
		if at := see(time.Duration(i)*20*ms + late); at != time.Duration(i)*20*ms {
			t.Fatalf("buffer %d at %v", i, at)
		}
	}
	for i := 200; i < 400; i++ { // 100 ms were lost
		see(time.Duration(i)*20*ms + 100*ms)
	}
	if want := 400*20*ms + 100*ms; cuts != 0 || gaps != SampleRate/10 || end != want {
		t.Errorf("cut %d, gaps %d, end %v, want %v", cuts, gaps, end, want)
	}
	c, end, gaps = audioClock{}, 0, 0
	see(80 * ms) // the first was late
	for i := 1; i < 400; i++ {
		see(time.Duration(i) * 20 * ms)
	}
	if cuts != 80*SampleRate/1000 || gaps != 0 || end != 400*20*ms {
		t.Errorf("cut %d, gaps %d, end %v", cuts, gaps, end)
	}
}

func TestCameras(t *testing.T) {
	sys := t.TempDir()
	for dir, files := range map[string][2]string{
		"video10": {"Late Cam\n", "0\n"}, "video0": {"Front Cam\n", "0\n"},
		"video1": {"Front Cam\n", "1\n"}, "video2": {"", "0\n"},
	} {
		os.Mkdir(filepath.Join(sys, dir), 0o700)
		os.WriteFile(filepath.Join(sys, dir, "name"), []byte(files[0]), 0o600)
		os.WriteFile(filepath.Join(sys, dir, "index"), []byte(files[1]), 0o600)
	}
	got := cameras(sys)
	want := []Device{
		{CameraDevice, "0", "Front Cam", true},
		{CameraDevice, "2", "/dev/video2", false},
		{CameraDevice, "10", "Late Cam", false},
	}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
}
