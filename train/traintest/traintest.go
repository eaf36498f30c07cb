// Package traintest has what tests of several packages of train need: sounds, pictures and films written to files, a
// face finder that needs no network, small windows, and a check of gradients.
package traintest

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tandem/capture"
	"tandem/pipeline"
)

// Spec has windows short enough for small files.
var Spec = pipeline.Spec{
	Window: 640 * time.Millisecond, Hop: 160 * time.Millisecond, VideoFrames: 4, CropSize: 16, Channels: 1,
	CropMargin: 2.6,
}

// Data returns the folder of the unpacked data sets, and skips the test where there is none.
func Data(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TANDEM_DATA")
	if dir == "" {
		t.Skip("TANDEM_DATA is not set: no data sets here")
	}
	return dir
}

// Near fails the test unless got lies within so much of want.
func Near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s = %.6f, want %.6f", what, got, want)
	}
}

// Touch makes empty files under a new folder called name, and returns the folder.
func Touch(t *testing.T, name string, files ...string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), name)
	for _, f := range files {
		WriteFile(t, filepath.Join(root, f), "")
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// WriteFile writes a file, and makes its folder.
func WriteFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// FixedFinder finds a face in the middle of every frame, or fails by Err.
type FixedFinder struct {
	Calls *atomic.Int64 // of FindFaces
	Err   error
}

// NewFinder returns a FixedFinder that finds faces.
func NewFinder() FixedFinder { return FixedFinder{Calls: new(atomic.Int64)} }

// FindFaces returns one face, whose eyes, nose and mouth lie at tenths of the frame's sides.
func (f FixedFinder) FindFaces(_ context.Context, frame *capture.Frame, _ int) ([]pipeline.Face, error) {
	f.Calls.Add(1)
	if f.Err != nil {
		return nil, f.Err
	}
	w, h := float64(frame.Width), float64(frame.Height)
	point := func(x, y float64) pipeline.Point { return pipeline.Point{X: x * w, Y: y * h} }
	return []pipeline.Face{{
		W: w, H: h, LeftEye: point(.4, .4), RightEye: point(.6, .4), Nose: point(.5, .5), Mouth: point(.5, .6),
		Score: 1,
	}}, nil
}

// Make returns f, as the function that makes a face finder for each worker.
func (f FixedFinder) Make() (pipeline.FaceFinder, error) { return f, nil }
