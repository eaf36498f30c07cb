package traintest

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
)

// Sine returns n samples of a tone at half of full scale.
func Sine(hz float64, n int) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(16384 * math.Sin(2*math.Pi*hz*float64(i)/capture.SampleRate))
	}
	return s
}

// WriteWAV writes mono sound of 16 bits at capture.SampleRate.
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

// WriteDialog writes the test pattern as WritePattern does, of 320×240 pixels, to a new file and returns its path.
func WriteDialog(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dialog.mkv")
	WritePattern(t, path, 320, 240)
	return path
}

// WritePattern writes 6 s of the test pattern as a video with sound, and makes its folder.
func WritePattern(t *testing.T, path string, width, height int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	o := capture.PatternOptions{Width: width, Height: height, Duration: 6 * time.Second}
	capturetest.WritePattern(t, path, o, av.WriterOptions{})
}
