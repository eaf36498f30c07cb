package infer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/capture"
	"tandem/infer"
	"tandem/pipeline"
)

func newFaceFinder(tb testing.TB) *infer.BlazeFace {
	tb.Helper()
	f, err := infer.NewBlazeFace()
	if errors.Is(err, infer.ErrNoRuntime) || errors.Is(err, infer.ErrNoDetector) {
		tb.Skip(err)
	} else if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.Close(); err != nil {
			tb.Error(err)
		}
	})
	return f
}

// frames reads up to limit pictures, at least apart from each other, from what capture.Open takes.
func frames(tb testing.TB, input string, limit int, apart time.Duration) []*capture.Frame {
	tb.Helper()
	src, err := capture.Open(tb.Context(), input, capture.Options{MinFrameInterval: apart, NoAudio: true})
	if err != nil {
		tb.Fatal(err)
	}
	defer src.Close()
	var fs []*capture.Frame
	for len(fs) < limit {
		m, err := src.Read(tb.Context())
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			tb.Fatal(err)
		}
		if m.Frame != nil {
			fs = append(fs, m.Frame)
		}
	}
	return fs
}

// samples returns n files of the data that match the pattern, always the same, or skips without data.
func samples(t *testing.T, pattern string, n int) []string {
	t.Helper()
	root := os.Getenv("TANDEM_DATA")
	if root == "" {
		t.Skip("TANDEM_DATA is not set")
	}
	files, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(files) == 0 {
		t.Skipf("TANDEM_DATA has no %s", pattern)
	}
	rand.New(rand.NewPCG(5, 6)).Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	return files[:min(n, len(files))]
}

// eyesApart is the distance between a face's eyes.
func eyesApart(f pipeline.Face) float64 {
	return math.Hypot(f.RightEye.X-f.LeftEye.X, f.RightEye.Y-f.LeftEye.Y)
}

// upright reports whether a face's points lie as they do in a face that stands more or less upright.
func upright(f pipeline.Face) bool {
	eyes := (f.LeftEye.Y + f.RightEye.Y) / 2
	return f.LeftEye.X < f.RightEye.X && eyes < f.Nose.Y && f.Nose.Y < f.Mouth.Y &&
		f.X < f.Mouth.X && f.Mouth.X < f.X+f.W && f.Score >= 0.5 && f.Score <= 1
}

// Faces must be found in what data sets hold, cut-out faces among them, and be the right way up.
func TestFindFacesInData(t *testing.T) { findFacesInData(t, 50) }

func TestLongFindFacesInData(t *testing.T) { findFacesInData(t, 300) }

// findFacesInData takes at most so many files of each set.
func findFacesInData(t *testing.T, most int) {
	f := newFaceFinder(t)
	for _, c := range []struct {
		pattern    string
		files      int
		perFile    int
		rate       float64 // of pictures with a face, at least
		upright    float64 // of faces, at least; people tilt their heads
		near, afar float64 // bounds of the median distance between the eyes, as a share of the width
	}{
		{"fer2013/val/*/*.jpg", 300, 1, 0.97, 0.95, 0.30, 0.42},
		{"utkface/*.jpg", 300, 1, 0.99, 0.98, 0.36, 0.44},
		{"ravdess-warp/*/*.mp4", 8, 4, 1, 1, 0.20, 0.40},
		{"clips/*.m*", 7, 6, 1, 1, 0.05, 0.20},
	} {
		t.Run(c.pattern, func(t *testing.T) {
			var pictures, found, up int
			var apart []float64
			for _, file := range samples(t, c.pattern, min(c.files, most)) {
				if filepath.Ext(file) == ".csv" {
					continue
				}
				for _, frame := range frames(t, file, c.perFile, 400*time.Millisecond) {
					pictures++
					faces, err := f.FindFaces(t.Context(), frame, 1)
					if err != nil {
						t.Fatal(err)
					}
					if len(faces) == 0 {
						continue
					}
					found++
					if upright(faces[0]) {
						up++
					}
					apart = append(apart, eyesApart(faces[0])/float64(frame.Width))
				}
			}
			slices.Sort(apart)
			quantile := func(q float64) float64 { return apart[int(q*float64(len(apart)-1))] }
			t.Logf("%d of %d pictures have a face, %d upright; "+
				"eyes apart %.3f (10 %%), %.3f (median), %.3f (90 %%) of the width",
				found, pictures, up, quantile(0.1), quantile(0.5), quantile(0.9))
			if float64(found) < c.rate*float64(pictures) || float64(up) < c.upright*float64(found) {
				t.Errorf("%d of %d found, %d upright; want shares of %v and %v", found, pictures, up, c.rate, c.upright)
			}
			if m := quantile(0.5); m < c.near || m > c.afar {
				t.Errorf("eyes are %.3f of the width apart, want %v to %v", m, c.near, c.afar)
			}
		})
	}
}

// The drawn face of the test pattern is a face, at the place where it is drawn.
func TestFindFacesInPattern(t *testing.T) {
	f := newFaceFinder(t)
	src := capture.NewPattern(capture.PatternOptions{Faces: 2, NoAudio: true, Duration: time.Second})
	defer src.Close()
	m, err := src.Read(t.Context())
	if err != nil || m.Frame == nil {
		t.Fatal(m, err)
	}
	all, err := f.FindFaces(t.Context(), m.Frame, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Fatalf("%d faces, want 2: %+v", len(all), all)
	}
	for _, face := range all {
		if !upright(face) {
			t.Errorf("%+v is not upright", face)
		}
	}
	best, err := f.FindFaces(t.Context(), m.Frame, 1)
	if err != nil || len(best) != 1 || best[0] != all[0] || all[0].Score < all[1].Score {
		t.Errorf("at most one: %+v, %v; all: %+v", best, err, all)
	}

	// The same picture mirrored has its faces mirrored, with the left eye still on the left.
	mirrored := *m.Frame
	mirrored.Pix = make([]byte, len(m.Frame.Pix))
	for y := range mirrored.Height {
		for x := range mirrored.Width {
			from, to := 3*(y*mirrored.Width+x), 3*(y*mirrored.Width+mirrored.Width-1-x)
			copy(mirrored.Pix[to:to+3], m.Frame.Pix[from:from+3])
		}
	}
	other, err := f.FindFaces(t.Context(), &mirrored, 0)
	if err != nil || len(other) != 2 {
		t.Fatal(other, err)
	}
	byX := func(a, b pipeline.Face) int { return int(a.X - b.X) }
	slices.SortFunc(all, byX)
	slices.SortFunc(other, byX)
	for i, a := range all {
		b := other[1-i]
		width := float64(mirrored.Width)
		if tolerance := a.W / 10; math.Abs(a.X-(width-b.X-b.W)) > tolerance ||
			math.Abs(a.LeftEye.X-(width-b.RightEye.X)) > tolerance || !upright(b) {
			t.Errorf("face %+v mirrored is %+v", a, b)
		}
	}
}

func TestFindFacesNone(t *testing.T) {
	f := newFaceFinder(t)
	for _, size := range [][2]int{{1, 1}, {2, 700}, {64, 64}, {320, 240}, {1281, 719}} {
		frame := &capture.Frame{Width: size[0], Height: size[1], Pix: make([]byte, 3*size[0]*size[1])}
		for i := range frame.Pix {
			frame.Pix[i] = byte(i / 50)
		}
		if faces, err := f.FindFaces(t.Context(), frame, 0); err != nil || len(faces) != 0 {
			t.Errorf("%v: %+v, %v", size, faces, err)
		}
	}
	for _, frame := range []*capture.Frame{
		{},
		{Width: 2, Height: 2, Pix: make([]byte, 11)},
		{Width: -1, Height: -1, Pix: make([]byte, 3)},
	} {
		if _, err := f.FindFaces(t.Context(), frame, 0); err == nil {
			t.Errorf("%+v was taken for a picture", frame)
		}
	}
}

func TestFaceFinderConcurrent(t *testing.T) {
	f := newFaceFinder(t)
	fs := frames(t, "pattern:2s", 3, 200*time.Millisecond)
	var want [][]pipeline.Face
	for _, frame := range fs {
		faces, err := f.FindFaces(t.Context(), frame, 0)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, faces)
	}
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			for i := range fs {
				i = (i + g) % len(fs)
				if faces, err := f.FindFaces(t.Context(), fs[i], 0); err != nil || !slices.Equal(faces, want[i]) {
					t.Errorf("picture %d: %+v, %v; want %+v", i, faces, err, want[i])
				}
			}
		})
	}
	wg.Wait()
}

func TestFaceFinderClose(t *testing.T) {
	defer goleak.VerifyNone(t)
	f := newFaceFinder(t)
	frame := &capture.Frame{Width: 64, Height: 64, Pix: make([]byte, 3*64*64)}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if _, err := f.FindFaces(ctx, frame, 1); !errors.Is(err, cause) {
		t.Errorf("under an ended context: %v", err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := f.FindFaces(t.Context(), frame, 1); !errors.Is(err, infer.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// BenchmarkFindFaces is one picture's face detection on one thread, with a face and without.
func BenchmarkFindFaces(b *testing.B) {
	f := newFaceFinder(b)
	for _, size := range [][2]int{{640, 480}, {1920, 1080}} {
		for _, noFace := range []bool{false, true} {
			src := capture.NewPattern(capture.PatternOptions{
				Width: size[0], Height: size[1], NoFace: noFace,
				NoAudio: true,
			})
			m, err := src.Read(b.Context())
			src.Close()
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%dx%d/face=%v", size[0], size[1], !noFace), func(b *testing.B) {
				for b.Loop() {
					if _, err := f.FindFaces(b.Context(), m.Frame, 1); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
