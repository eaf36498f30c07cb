package av_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
)

// Whatever goes wrong, there is one error that names the file, and no half file.
func TestWriterErrors(t *testing.T) {
	dir := t.TempDir()
	video := av.WriterOptions{Width: 64, Height: 48, Audio: true}
	tests := []struct {
		name, path string
		o          av.WriterOptions
		is         error
		says       string
	}{
		{"no such directory", filepath.Join(dir, "nowhere", "a.mp4"), video, syscall.ENOENT, ""},
		{"a directory", dir, video, nil, "format"},
		{"no ending", filepath.Join(dir, "a"), video, nil, ".mp4"},
		{"unknown ending", filepath.Join(dir, "a.doc"), video, nil, ".mp4"},
		{"nothing to write", filepath.Join(dir, "a.mp4"), av.WriterOptions{}, nil, "neither"},
		{"video into wav", filepath.Join(dir, "a.wav"), video, nil, "no video"},
		{
			"too large", filepath.Join(dir, "a.mp4"),
			av.WriterOptions{Width: 1 << 20, Height: 1 << 20},
			av.ErrTooLarge,
			"",
		},
		{
			"a rate that AAC has not", filepath.Join(dir, "a.mp4"),
			av.WriterOptions{Audio: true, SampleRate: 12345},
			nil,
			"12345",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, err := av.Create(tt.path, tt.o)
			if err == nil {
				w.Abort()
				t.Fatal("created")
			}
			t.Log(err)
			if !strings.HasPrefix(err.Error(), tt.path+": ") || !strings.Contains(err.Error(), tt.says) ||
				tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v", err)
			}
		})
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A file has its name only when it is whole; until then an older one stands.
func TestWriterAbort(t *testing.T) {
	path := save(t, "a.mp4", []byte("older"))
	w, err := av.Create(path, av.WriterOptions{Width: 64, Height: 48})
	if err != nil {
		t.Fatal(err)
	}
	frame := &av.Frame{Width: 64, Height: 48, Pix: make([]byte, 3*64*48)}
	if err := w.WriteFrame(frame); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrame(&av.Frame{Width: 64, Height: 48, Pix: make([]byte, 5)}); err == nil {
		t.Error("took a frame with too few bytes")
	}
	if err := w.Close(); err == nil {
		t.Error("closed well after an error")
	}
	w.Abort()
	if got := string(load(t, path)); got != "older" {
		t.Errorf("the file is %d bytes now", len(got))
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}

	if w, err = av.Create(path, av.WriterOptions{Width: 64, Height: 48}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.WriteFrame(frame), w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	w.Abort()
	if err := w.WriteFrame(frame); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if m := read(t, path, av.Options{}); len(m.frames) != 1 {
		t.Errorf("%d pictures", len(m.frames))
	}
}

// A disk that is full while writing is an error that says so.
func TestWriterFullDisk(t *testing.T) {
	if !exists("/dev/full") {
		t.Skip("no /dev/full here")
	}
	path := filepath.Join(t.TempDir(), "a.webm")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Skip(err)
	}
	w, err := av.Create(path, av.WriterOptions{Width: 320, Height: 240, Audio: true})
	src := capture.NewPattern(capture.PatternOptions{Width: 320, Height: 240, Duration: 20 * time.Second})
	for err == nil {
		var m capture.Media
		if m, err = src.Read(t.Context()); err != nil {
			err = w.Close()
			break
		}
		if f := m.Frame; f != nil {
			err = w.WriteFrame(&av.Frame{Time: f.Time, Width: f.Width, Height: f.Height, Pix: f.Pix})
		} else {
			err = w.WriteSamples(&av.Samples{Time: m.Samples.Time, Data: m.Samples.Data})
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), path) {
		t.Errorf("error %v", err)
	}
}

// Gaps in the sound become silence, overlaps go, and pictures keep uneven times.
func TestWriterTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp4")
	w, err := av.Create(path, av.WriterOptions{Width: 64, Height: 48, Audio: true})
	if err != nil {
		t.Fatal(err)
	}
	times := []time.Duration{0, 30 * time.Millisecond, 500 * time.Millisecond, 510 * time.Millisecond, 2 * time.Second}
	for _, at := range append(times, time.Second) { // the last goes back
		if err := w.WriteFrame(&av.Frame{Time: at, Width: 64, Height: 48, Pix: make([]byte, 3*64*48)}); err != nil {
			t.Fatal(err)
		}
	}
	loud := make([]float32, av.SampleRate/2)
	for i := range loud {
		loud[i] = 0.5 * float32(1-2*(i/20%2))
	}
	for _, at := range []time.Duration{0, 250 * time.Millisecond, 1500 * time.Millisecond} {
		if err := w.WriteSamples(&av.Samples{Time: at, Data: loud}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	m := read(t, path, av.Options{})
	if len(m.frames) != len(times) {
		t.Fatalf("%d pictures, want %d", len(m.frames), len(times))
	}
	for i, f := range m.frames {
		if !near(f.Time, times[i], 2*time.Millisecond) {
			t.Errorf("picture %d at %v, want %v", i, f.Time, times[i])
		}
	}
	wave := m.wave()
	for _, part := range []struct {
		from, to float64
		loud     bool
	}{{0.05, 0.70, true}, {0.80, 1.45, false}, {1.55, 1.95, true}} {
		sum := 0.0
		run := wave[int(part.from*av.SampleRate):int(part.to*av.SampleRate)]
		for _, v := range run {
			sum += float64(v * v)
		}
		if power := sum / float64(len(run)); part.loud != (power > 0.1) {
			t.Errorf("power %.4f from %v to %v s", power, part.from, part.to)
		}
	}
}
