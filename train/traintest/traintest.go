package traintest

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
	"tandem/pipeline"
)

// Sine is a tone at half of full scale.
func Sine(hz float64, n int) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(16384 * math.Sin(2*math.Pi*hz*float64(i)/capture.SampleRate))
	}
	return s
}

// Touch makes empty files under a new folder called name, and returns it.
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

func WriteFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Data is the folder of the unpacked data sets.
func Data(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TANDEM_DATA")
	if dir == "" {
		t.Skip("TANDEM_DATA is not set: no data sets here")
	}
	return dir
}

func Near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s = %.6f, want %.6f", what, got, want)
	}
}

// WriteDialog writes the test pattern, 6 s of it, as a video with sound.
func WriteDialog(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dialog.mkv")
	WritePattern(t, path, 320, 240)
	return path
}

func WritePattern(t *testing.T, path string, width, height int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	capturetest.WritePattern(t, path, capture.PatternOptions{Width: width, Height: height, Duration: 6 * time.Second}, av.WriterOptions{})
}

// Spec has windows short enough for small files.
var Spec = pipeline.Spec{
	Window: 640 * time.Millisecond, Hop: 160 * time.Millisecond, VideoFrames: 4, CropSize: 16, Channels: 1, CropMargin: 2.6,
}

// FixedFinder finds a face in the middle of every picture and counts its looks.
type FixedFinder struct {
	Calls *atomic.Int64
	Err   error
	none  bool
}

func (f FixedFinder) FindFaces(_ context.Context, p *capture.Frame, _ int) ([]pipeline.Face, error) {
	f.Calls.Add(1)
	if f.none || f.Err != nil {
		return nil, f.Err
	}
	point := func(x, y float64) pipeline.Point {
		return pipeline.Point{X: x * float64(p.Width), Y: y * float64(p.Height)}
	}
	return []pipeline.Face{{
		W: float64(p.Width), H: float64(p.Height), LeftEye: point(.4, .4), RightEye: point(.6, .4), Nose: point(.5, .5), Mouth: point(.5, .6), Score: 1,
	}}, nil
}

func (f FixedFinder) Make() (pipeline.FaceFinder, error) { return f, nil }

func NewFinder() FixedFinder { return FixedFinder{Calls: new(atomic.Int64)} }

// WriteWAV writes 16 kHz mono sound at 16 bits.
func WriteWAV(t *testing.T, path string, samples []int16) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("RIFF")
	le := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	le(uint32(36 + 2*len(samples)))
	b.WriteString("WAVEfmt ")
	for _, v := range []any{uint32(16), uint16(1), uint16(1), uint32(16000), uint32(32000), uint16(2), uint16(16)} {
		le(v)
	}
	b.WriteString("data")
	le(uint32(2 * len(samples)))
	le(samples)
	WriteFile(t, path, b.String())
}

// WritePNG writes a square grey picture that darkens from left to right.
func WritePNG(t *testing.T, path string, side int) {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			m.SetGray(x, y, color.Gray{Y: byte(250 - 200*x/side)})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	WriteFile(t, path, b.String())
}
