package av_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
)

// FuzzDemux: no bytes in a file make Open or Read crash, hang, or break what they promise of time and size.
func FuzzDemux(f *testing.F) {
	p := capture.PatternOptions{Width: 32, Height: 32, Duration: 200 * time.Millisecond}
	for _, name := range []string{"a.mp4", "a.webm", "a.avi", "a.flv", "a.mpg"} {
		f.Add(load(f, write(f, name, p, av.WriterOptions{})))
	}
	p.NoVideo = true
	for _, name := range []string{"a.wav", "a.flac", "a.mp3"} {
		f.Add(load(f, write(f, name, p, av.WriterOptions{})))
	}
	f.Add(hugePNG(4, 4))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "in")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		defer func() {
			if took := time.Since(start); took > 20*time.Second { // this machine may be busy
				t.Fatalf("took %v though it was cancelled after 2 s", took)
			}
		}()
		in, err := av.Open(ctx, path, av.Options{})
		if err != nil {
			return
		}
		defer in.Close()
		var frame, sound time.Duration
		for range 60 {
			m, err := in.Read(ctx)
			if err != nil {
				break
			}
			switch {
			case m.Frame != nil && m.Samples == nil:
				if len(m.Frame.Pix) != 3*m.Frame.Width*m.Frame.Height || len(m.Frame.Pix) == 0 ||
					len(m.Frame.Pix) > 3*av.MaxPixels {
					t.Fatalf("%d x %d with %d bytes", m.Frame.Width, m.Frame.Height, len(m.Frame.Pix))
				}
				if m.Frame.Time < frame {
					t.Fatalf("picture at %v after %v", m.Frame.Time, frame)
				}
				frame = m.Frame.Time
			case m.Samples != nil && m.Frame == nil:
				if len(m.Samples.Data) == 0 || m.Samples.Time < sound-time.Millisecond {
					t.Fatalf("%d samples at %v after %v", len(m.Samples.Data), m.Samples.Time, sound)
				}
				sound = m.Samples.Time + time.Duration(len(m.Samples.Data))*time.Second/av.SampleRate
			default:
				t.Fatal("neither or both")
			}
		}
	})
}

// FuzzPacketDecoder: no payload makes a decoder crash, and it takes a good one after it.
func FuzzPacketDecoder(f *testing.F) {
	p := capture.PatternOptions{Width: 32, Height: 32, FPS: 10, Duration: 300 * time.Millisecond}
	for _, name := range []string{"a.webm", "a.mp4"} {
		for c, ps := range packets(f, write(f, name, p, av.WriterOptions{})) {
			for _, p := range ps[:min(3, len(ps))] {
				f.Add(byte(c), p.Payload)
			}
		}
	}
	f.Fuzz(func(t *testing.T, codec byte, payload []byte) {
		c := av.Codec(codec % 3)
		d, err := av.NewPacketDecoder(c, av.PacketOptions{})
		if err != nil {
			t.Skip(err)
		}
		defer d.Close()
		half := len(payload) / 2
		for i, part := range [][]byte{payload, payload[:half], payload[half:], payload} {
			out, err := d.Decode(part, time.Duration(i)*20*time.Millisecond)
			if err != nil {
				continue
			}
			for _, m := range out {
				if f := m.Frame; f != nil && (len(f.Pix) != 3*f.Width*f.Height || len(f.Pix) == 0) {
					t.Fatalf("%d x %d with %d bytes", f.Width, f.Height, len(f.Pix))
				}
			}
		}
		d.Flush()
	})
}
