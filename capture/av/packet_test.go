package av_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
)

// packets takes a file apart.
func packets(t testing.TB, path string) map[av.Codec][]av.Packet {
	t.Helper()
	in, err := av.Open(t.Context(), path, av.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out := map[av.Codec][]av.Packet{}
	for {
		p, err := in.ReadPacket(t.Context())
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out[p.Codec] = append(out[p.Codec], p)
	}
}

func decodeAll(t testing.TB, c av.Codec, ps []av.Packet, o av.PacketOptions) media {
	t.Helper()
	d, err := av.NewPacketDecoder(c, o)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var m media
	add := func(items []av.Media, err error) {
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range items {
			if i.Frame != nil {
				m.frames = append(m.frames, i.Frame)
			} else {
				m.sound = append(m.sound, i.Samples)
			}
		}
	}
	for _, p := range ps {
		add(d.Decode(p.Payload, p.Time))
	}
	add(d.Flush())
	return m
}

// The payloads of a file decode to what the file does, at the times they are given.
func TestPacketDecoder(t *testing.T) {
	p := capture.PatternOptions{Width: 320, Height: 240, FPS: 30, Duration: 3 * time.Second}
	for _, tt := range []struct {
		file string
		c    av.Codec
	}{{"a.webm", av.VP8}, {"a.webm", av.Opus}, {"a.mkv", av.H264}, {"a.mp4", av.H264}} {
		t.Run(tt.file+" "+tt.c.String(), func(t *testing.T) {
			path := write(t, tt.file, p, av.WriterOptions{})
			ps := packets(t, path)[tt.c]
			if len(ps) == 0 {
				t.Skipf("libav here cannot encode %v", tt.c)
			}
			file := read(t, path, av.Options{})
			m := decodeAll(t, tt.c, ps, av.PacketOptions{})
			m.ordered(t)
			if tt.c == av.Opus {
				if n := len(m.wave()); n < 3*av.SampleRate-av.SampleRate/10 {
					t.Errorf("%d samples", n)
				}
				for k, at := range m.beeps() {
					if want := time.Duration(k+1) * time.Second; !near(at, want, 20*time.Millisecond) {
						t.Errorf("beep at %v, want %v", at, want)
					}
				}
				if n := len(m.beeps()); n != 2 {
					t.Errorf("%d beeps", n)
				}
				return
			}
			if len(m.frames) != len(file.frames) {
				t.Fatalf("%d pictures, %d of the file", len(m.frames), len(file.frames))
			}
			for i, f := range m.frames {
				want := file.frames[i]
				if !near(f.Time, want.Time, time.Microsecond) || string(f.Pix) != string(want.Pix) {
					t.Fatalf("picture %d at %v is not that of the file at %v", i, f.Time, want.Time)
				}
			}
			some := decodeAll(t, tt.c, ps, av.PacketOptions{MinFrameInterval: 100 * time.Millisecond})
			if len(some.frames) != 30 {
				t.Errorf("%d pictures 100 ms apart, want 30", len(some.frames))
			}
		})
	}
}

// A lost Opus packet leaves a gap of its length, and what follows is in its place.
func TestPacketGap(t *testing.T) {
	ps := packets(t,
		write(t, "a.webm", capture.PatternOptions{Width: 64, Height: 48, Duration: 3 * time.Second},
			av.WriterOptions{}))[av.Opus]
	lossy := append(append([]av.Packet{}, ps[:60]...), ps[65:]...) // 1.2 s to 1.3 s
	m := decodeAll(t, av.Opus, lossy, av.PacketOptions{})
	m.ordered(t)
	missing := time.Duration(0)
	for i := 1; i < len(m.sound); i++ {
		missing += m.sound[i].Time - m.sound[i-1].Time - time.Duration(len(m.sound[i-1].Data))*time.Second/av.SampleRate
	}
	if !near(missing, 100*time.Millisecond, 2*time.Millisecond) {
		t.Errorf("%v missing, want 100ms", missing)
	}
	if b := m.beeps(); len(b) != 2 || !near(b[1], 2*time.Second, 20*time.Millisecond) {
		t.Errorf("beeps at %v", b)
	}
}

func TestPacketDecoderBadInput(t *testing.T) {
	ps := packets(t,
		write(t, "a.webm", capture.PatternOptions{Width: 64, Height: 48, Duration: time.Second}, av.WriterOptions{}))
	for _, c := range []av.Codec{av.VP8, av.H264, av.Opus} {
		d, err := av.NewPacketDecoder(c, av.PacketOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Decode(nil, 0); !errors.Is(err, av.ErrCorrupt) {
			t.Errorf("%v, empty: %v", c, err)
		}
		if _, err := d.Decode([]byte("\xff\xff\xff\xff not a packet at all"), 0); c != av.Opus &&
			!errors.Is(err, av.ErrCorrupt) {
			t.Errorf("%v, nonsense: %v", c, err)
		}
		if c == av.VP8 { // and goes on
			out, err := d.Decode(ps[c][0].Payload, time.Second)
			if err != nil || len(out) != 1 || out[0].Frame.Time != time.Second {
				t.Errorf("%v after nonsense: %v, %v", c, out, err)
			}
		}
		d.Close()
		d.Close()
		if _, err := d.Decode([]byte{1}, 0); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v, closed: %v", c, err)
		}
	}
	if _, err := av.NewPacketDecoder(99, av.PacketOptions{}); err == nil {
		t.Error("made a decoder for Codec(99)")
	}
}
