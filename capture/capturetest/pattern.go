package capturetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
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

// patterns are the files that WritePattern has encoded in this process, by their format and options: drawing and
// encoding takes longer than the media lasts under the race detector, and many tests want the same.
var patterns sync.Map // string -> func() ([]byte, error)

// WritePattern writes the test pattern to a media file, with the codecs of o; the sizes, the rate of pictures and
// whether there is sound are the pattern's.
func WritePattern(t testing.TB, path string, p capture.PatternOptions, o av.WriterOptions) {
	t.Helper()
	encode := sync.OnceValues(func() ([]byte, error) {
		if err := encodePattern(path, p, o); err != nil {
			return nil, err
		}
		return os.ReadFile(path)
	})
	key := fmt.Sprintf("%s %+v %+v", filepath.Ext(path), p, o)
	known, _ := patterns.LoadOrStore(key, encode)
	media, err := known.(func() ([]byte, error))()
	if err == nil {
		err = os.WriteFile(path, media, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// encodePattern draws the test pattern and encodes it.
func encodePattern(path string, p capture.PatternOptions, o av.WriterOptions) error {
	src := capture.NewPattern(p)
	defer src.Close()
	info := src.Info()
	o.Width, o.Height, o.FPS, o.Audio = info.Width, info.Height, info.FPS, info.HasAudio
	w, err := av.Create(path, o)
	if err != nil {
		return err
	}
	defer w.Abort()
	for {
		m, err := src.Read(context.Background())
		if errors.Is(err, io.EOF) {
			return w.Close()
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
			return err
		}
	}
}
