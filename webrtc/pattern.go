package webrtc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/webrtc/problem"
)

// pattern is the test pattern as a WebM file, which the page sends where there is no camera. It is drawn and encoded
// when it is first asked for: a second of one core.
var pattern = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "tandem-pattern-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "pattern.webm")
	if err := encodePattern(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// encodePattern writes ten seconds of the test pattern, after which it begins anew.
func encodePattern(path string) error {
	src := capture.NewPattern(capture.PatternOptions{Width: 480, Height: 360, Duration: 10 * time.Second, Move: true})
	defer src.Close()
	info := src.Info()
	w, err := av.Create(path, av.WriterOptions{Width: info.Width, Height: info.Height, FPS: info.FPS, Audio: true})
	if err != nil {
		return err
	}
	defer w.Abort()
	for {
		m, err := src.Read(context.Background())
		switch {
		case errors.Is(err, io.EOF):
			return w.Close()
		case err != nil:
			return err
		case m.Frame != nil:
			f := m.Frame
			err = w.WriteFrame(&av.Frame{Time: f.Time, Width: f.Width, Height: f.Height, Pix: f.Pix})
		default:
			err = w.WriteSamples(&av.Samples{Time: m.Samples.Time, Data: m.Samples.Data})
		}
		if err != nil {
			return err
		}
	}
}

func servePattern(w http.ResponseWriter, r *http.Request) {
	b, err := pattern()
	if err != nil {
		problem.Write(w, &problem.Error{
			Status: http.StatusInternalServerError,
			Detail: "the test pattern could not be made: is the server's disk full?",
		})
		return
	}
	w.Header().Set("Content-Type", "video/webm")
	w.Header().Set("Cache-Control", "max-age=86400")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}
