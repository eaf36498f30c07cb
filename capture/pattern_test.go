package capture_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
	"tandem/infer"
)

// onsets are the times at which flashes and beeps start.
func onsets(frames []*capture.Frame, sound []*capture.Samples) (flashes, beeps []time.Duration) {
	was := false
	for _, f := range frames {
		is := capturetest.FlashLevel(f) > 0.5
		if is && !was {
			flashes = append(flashes, f.Time)
		}
		was = is
	}
	was = false
	for _, s := range sound {
		for i := 0; i+80 <= len(s.Data); i += 80 {
			is := capturetest.BeepLevel(s.Data[i:i+80]) > 0.4
			if is && !was {
				beeps = append(beeps, s.Time+time.Duration(i)*time.Second/capture.SampleRate)
			}
			was = is
		}
	}
	return flashes, beeps
}

// The marks are where the documentation says, for any shape of the pattern; with skew the sound's are off by it.
func TestPatternMarks(t *testing.T) {
	tests := map[string]struct {
		o    capture.PatternOptions
		skew []time.Duration // of the beeps in seconds 1, 2, ...
	}{
		"default":  {o: capture.PatternOptions{}},
		"30 fps":   {o: capture.PatternOptions{FPS: 30, Width: 320, Height: 240, Move: true, Faces: 2}},
		"1 x 1":    {o: capture.PatternOptions{Width: 1, Height: 1}},
		"no face":  {o: capture.PatternOptions{NoFace: true, Width: 64, Height: 64}},
		"no sound": {o: capture.PatternOptions{NoAudio: true, Width: 64, Height: 64}},
		"no video": {o: capture.PatternOptions{NoVideo: true}},
		"skewed": {
			o: capture.PatternOptions{Width: 64, Height: 64, Skew: []capture.SkewStep{
				{From: 1500 * time.Millisecond, Delay: 200 * time.Millisecond},
				{From: 3500 * time.Millisecond, Delay: -100 * time.Millisecond},
			}},
			skew: []time.Duration{0, 200 * time.Millisecond, 200 * time.Millisecond, -100 * time.Millisecond},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.o.Duration = 4500 * time.Millisecond
			src := capture.NewPattern(tt.o)
			info := src.Info()
			if info.Live || info.HasVideo == tt.o.NoVideo || info.HasAudio == tt.o.NoAudio ||
				info.Duration != tt.o.Duration {
				t.Errorf("info %+v", info)
			}
			frames, sound := capturetest.ReadAll(t, src)
			flashes, beeps := onsets(frames, sound)
			if !tt.o.NoVideo &&
				(len(flashes) != 4 || len(frames) != int(math.Ceil(4.5*info.FPS)) ||
					len(frames[0].Pix) != 3*info.Width*info.Height) {
				t.Errorf("%d pictures, flashes %v", len(frames), flashes)
			}
			for i, at := range flashes {
				if at != time.Duration(i+1)*time.Second {
					t.Errorf("flash %d at %v", i, at)
				}
			}
			if !tt.o.NoAudio && (len(beeps) != 4 || sound[len(sound)-1].End() != tt.o.Duration) {
				t.Errorf("beeps %v, the end at %v", beeps, sound[len(sound)-1].End())
			}
			for i, at := range beeps {
				want := time.Duration(i+1) * time.Second
				if tt.skew != nil {
					want += tt.skew[i]
				}
				if max(at-want, want-at) > 5*time.Millisecond {
					t.Errorf("beep %d at %v, want %v", i, at, want)
				}
			}
		})
	}
}

func TestPatternDeterministic(t *testing.T) {
	sum := func() [32]byte {
		h := sha256.New()
		frames, sound := capturetest.ReadAll(t,
			capture.NewPattern(capture.PatternOptions{
				Width: 160, Height: 120, Faces: 2, Move: true,
				Duration: time.Second,
			}))
		for _, f := range frames {
			h.Write(f.Pix)
		}
		for _, s := range sound {
			for _, v := range s.Data {
				h.Write([]byte{
					byte(math.Float32bits(v)), byte(math.Float32bits(v) >> 8),
					byte(math.Float32bits(v) >> 16), byte(math.Float32bits(v) >> 24),
				})
			}
		}
		return [32]byte(h.Sum(nil))
	}
	if first, second := sum(), sum(); first != second {
		t.Error("two runs differ")
	}
}

// The mouth is open when the sound is loud: its darkness and the loudness go together.
func TestPatternSpeaks(t *testing.T) {
	frames, sound := capturetest.ReadAll(t, capture.NewPattern(capture.PatternOptions{Duration: 3 * time.Second}))
	var wave []float32
	for _, s := range sound {
		wave = append(wave, s.Data...)
	}
	var n, sx, sy, sxx, syy, sxy float64
	for _, f := range frames {
		if in := f.Time % time.Second; in < 100*time.Millisecond || in > 950*time.Millisecond {
			continue // the beep
		}
		from := int(f.Time * capture.SampleRate / time.Second)
		loud := 0.0
		for _, v := range wave[max(from-80, 0):min(from+80, len(wave))] {
			loud += float64(v * v)
		}
		dark := 0.0
		for y := 335; y < 365; y++ {
			for x := 300; x < 340; x++ {
				if f.Pix[3*(y*640+x)+1] < 40 {
					dark++
				}
			}
		}
		x, y := math.Sqrt(loud/160), dark
		n, sx, sy, sxx, syy, sxy = n+1, sx+x, sy+y, sxx+x*x, syy+y*y, sxy+x*y
	}
	if r := (n*sxy - sx*sy) / math.Sqrt((n*sxx-sx*sx)*(n*syy-sy*sy)); !(r > 0.85) {
		t.Errorf("correlation %.3f", r)
	}
}

// A face detector takes the drawn faces for faces, wherever they are, and nothing else.
func TestPatternFaces(t *testing.T) {
	finder, err := infer.NewBlazeFace()
	if errors.Is(err, infer.ErrNoRuntime) || errors.Is(err, infer.ErrNoDetector) {
		t.Skip("SKIPPED: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer finder.Close()
	for name, tt := range map[string]struct {
		o    capture.PatternOptions
		want int
	}{
		"one":      {capture.PatternOptions{}, 1},
		"moving":   {capture.PatternOptions{Move: true}, 1},
		"small":    {capture.PatternOptions{Width: 320, Height: 240}, 1},
		"720p":     {capture.PatternOptions{Width: 1280, Height: 720}, 1},
		"two":      {capture.PatternOptions{Faces: 2}, 2},
		"no faces": {capture.PatternOptions{NoFace: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tt.o.NoAudio, tt.o.Duration, tt.o.FPS = true, 4*time.Second, 5
			frames, _ := capturetest.ReadAll(t, capture.NewPattern(tt.o))
			for _, f := range frames {
				faces, err := finder.FindFaces(t.Context(), f, 4)
				if err != nil {
					t.Fatal(err)
				}
				if len(faces) != tt.want {
					t.Fatalf("%d faces at %v, want %d", len(faces), f.Time, tt.want)
				}
				for _, face := range faces {
					if face.Score < 0.7 {
						t.Errorf("score %.2f at %v", face.Score, f.Time)
					}
				}
			}
		})
	}
}

func TestPatternLive(t *testing.T) {
	start := time.Now()
	src := capture.NewPattern(capture.PatternOptions{
		Width: 64, Height: 48, Duration: 1200 * time.Millisecond,
		Live: true,
	})
	if !src.Info().Live {
		t.Error("not live")
	}
	frames, sound := capturetest.ReadAll(t, src)
	if took := time.Since(start); took < 1100*time.Millisecond || took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if len(frames)+src.Drops().Frames != 30 || len(sound) == 0 {
		t.Errorf("%d pictures, dropped %+v", len(frames), src.Drops())
	}
	for _, f := range frames {
		if late := f.Arrived.Sub(start) - f.Time; late < 0 || late > 300*time.Millisecond {
			t.Errorf("picture at %v arrived after %v", f.Time, late)
		}
	}
	// A slow reader loses the oldest.
	src = capture.NewPattern(capture.PatternOptions{Width: 64, Height: 48, Live: true})
	time.Sleep(700 * time.Millisecond)
	m, err := src.Read(t.Context())
	for err == nil && m.Frame == nil {
		m, err = src.Read(t.Context())
	}
	if err != nil || m.Frame.Time < 200*time.Millisecond || src.Drops().Frames < 5 {
		t.Errorf("%v, dropped %+v", err, src.Drops())
	}
	src.Close()
	for err == nil {
		_, err = src.Read(t.Context())
	}
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// record writes a clip of the pattern.
func record(t testing.TB, d time.Duration) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.mp4")
	capturetest.WritePattern(t, path, capture.PatternOptions{Width: 160, Height: 120, Duration: d}, av.WriterOptions{})
	return path
}

// A file at full speed loses nothing; in real time it is a live source with the same media.
func TestOpen(t *testing.T) {
	path := record(t, 2500*time.Millisecond)
	for _, realtime := range []bool{false, true} {
		start := time.Now()
		src, err := capture.Open(t.Context(), path, capture.Options{Realtime: realtime})
		if err != nil {
			t.Fatal(err)
		}
		i := src.Info()
		if i.Name != path || i.Live != realtime || !i.HasAudio || !i.HasVideo || i.Width != 160 || i.FPS != 25 {
			t.Errorf("info %+v", i)
		}
		frames, sound := capturetest.ReadAll(t, src)
		if len(frames)+src.Drops().Frames != 63 || !realtime && src.Drops() != (capture.Drops{}) {
			t.Errorf("%d pictures, %+v", len(frames), src.Drops())
		}
		took := time.Since(start)
		if realtime != (took > 2400*time.Millisecond) {
			t.Errorf("realtime %v: took %v", realtime, took)
		}
		for _, f := range frames {
			if f.Arrived.IsZero() == realtime {
				t.Fatalf("picture arrived at %v", f.Arrived)
			}
			if late := f.Arrived.Sub(start) - f.Time; realtime && (late < 0 || late > 400*time.Millisecond) {
				t.Errorf("picture at %v arrived after %v", f.Time, late)
			}
		}
		flashes, beeps := onsets(frames, sound)
		if len(flashes) != 2 || len(beeps) != 2 {
			t.Errorf("flashes %v, beeps %v", flashes, beeps)
		}
		src.Close()
		src.Close()
	}
}

func TestOpenPattern(t *testing.T) {
	src, err := capture.Open(t.Context(), "pattern:500ms", capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if frames, _ := capturetest.ReadAll(t, src); len(frames) != 13 {
		t.Errorf("%d pictures", len(frames))
	}
	if src, _ = capture.Open(t.Context(), "pattern:", capture.Options{NoVideo: true}); src.Info().HasVideo ||
		src.Info().Duration != 10*time.Second {
		t.Errorf("info %+v", src.Info())
	}
	for _, bad := range []string{"pattern:x", "pattern:-3s", "pattern:0s"} {
		if _, err := capture.Open(t.Context(), bad, capture.Options{}); err == nil ||
			!strings.HasPrefix(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	if _, err := capture.Open(t.Context(), "no/such/file.mp4", capture.Options{}); !errors.Is(err, os.ErrNotExist) ||
		!strings.Contains(err.Error(), "no/such/file.mp4") {
		t.Errorf("missing: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if _, err := capture.Open(ctx, record(t, 100*time.Millisecond), capture.Options{}); !errors.Is(err, cause) {
		t.Errorf("cancelled: %v", err)
	}
	src, err := capture.Open(t.Context(), record(t, 100*time.Millisecond), capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Read(ctx); !errors.Is(err, cause) {
		t.Errorf("cancelled while reading: %v", err)
	}
	src.Close()
	if _, err := src.Read(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func BenchmarkPattern(b *testing.B) {
	src := capture.NewPattern(capture.PatternOptions{Duration: time.Hour, NoAudio: true})
	for b.Loop() {
		if _, err := src.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
