package capturetest

import (
	"errors"
	"io"
	"testing"

	"tandem/capture"
	"tandem/capture/av"
)

// ReadAll reads a source to its end, and closes it.
func ReadAll(t testing.TB, src capture.Source) (frames []*capture.Frame, samples []*capture.Samples) {
	t.Helper()
	defer src.Close()
	for {
		m, err := src.Read(t.Context())
		if errors.Is(err, io.EOF) {
			return frames, samples
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.Frame != nil {
			frames = append(frames, m.Frame)
		} else {
			samples = append(samples, m.Samples)
		}
	}
}

// WritePattern writes the test pattern to a media file, with the codecs of o; the sizes, the rate of pictures and
// whether there is sound are the pattern's.
func WritePattern(t testing.TB, path string, p capture.PatternOptions, o av.WriterOptions) {
	t.Helper()
	src := capture.NewPattern(p)
	defer src.Close()
	info := src.Info()
	o.Width, o.Height, o.FPS, o.Audio = info.Width, info.Height, info.FPS, info.HasAudio
	w, err := av.Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for {
		m, err := src.Read(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && m.Frame != nil {
			err = w.WriteFrame(&av.Frame{
				Time: m.Frame.Time, Width: m.Frame.Width, Height: m.Frame.Height,
				Pix: m.Frame.Pix,
			})
		} else if err == nil {
			err = w.WriteSamples(&av.Samples{Time: m.Samples.Time, Data: m.Samples.Data})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
