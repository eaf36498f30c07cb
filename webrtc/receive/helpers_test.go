package receive_test

import (
	"context"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"go.uber.org/goleak"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
	"tandem/webrtc/receive"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// timed is an RTP packet and when it comes, from the start.
type timed struct {
	*rtp.Packet
	at time.Duration
}

// encode writes the test pattern and returns its packets by codec.
func encode(t testing.TB, name string, o capture.PatternOptions) map[av.Codec][]av.Packet {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	capturetest.WritePattern(t, path, o, av.WriterOptions{})
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

// packetize makes RTP of packets; the first has the sequence number seq and the time base.
func packetize(c av.Codec, ps []av.Packet, seq uint16, base uint32) []timed {
	var payloader rtp.Payloader = &codecs.VP8Payloader{EnablePictureID: true}
	rate := int64(90000)
	switch c {
	case av.H264:
		payloader = &codecs.H264Payloader{}
	case av.Opus:
		payloader, rate = &codecs.OpusPayloader{}, 48000
	}
	var out []timed
	for _, p := range ps {
		payloads := payloader.Payload(1188, p.Payload)
		for i, b := range payloads {
			out = append(out, timed{&rtp.Packet{
				Header: rtp.Header{
					Version: 2, PayloadType: 96, SequenceNumber: seq, SSRC: 7,
					Timestamp: base + uint32(int64(p.Time)*rate/int64(time.Second)), Marker: i == len(payloads)-1,
				},
				Payload: b,
			}, p.Time})
			seq++
		}
	}
	return out
}

// wire plays packets at their times, sped up by what the caller made of them.
type wire struct {
	packets []timed
	began   time.Time
	i       int
	err     error
}

func (w *wire) ReadRTP() (*rtp.Packet, interceptor.Attributes, error) {
	if w.i == len(w.packets) {
		if w.err == nil {
			w.err = io.EOF
		}
		return nil, nil, w.err
	}
	p := w.packets[w.i]
	w.i++
	time.Sleep(time.Until(w.began.Add(p.at)))
	return p.Packet, nil, nil
}

// got has the media that came out of a feed.
type got struct {
	frames []*capture.Frame
	sound  []*capture.Samples
}

func (g *got) samples() (n int) {
	for _, s := range g.sound {
		n += len(s.Data)
	}
	return n
}

// collect reads a feed until its end.
func collect(t testing.TB, f *capture.Feed) (*got, func() *got) {
	g := &got{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			m, err := f.Read(context.Background())
			if err != nil {
				return
			}
			if m.Frame != nil {
				g.frames = append(g.frames, m.Frame)
			} else {
				g.sound = append(g.sound, m.Samples)
			}
		}
	}()
	return g, func() *got {
		f.End(nil)
		<-done
		for i := 1; i < len(g.frames); i++ {
			if g.frames[i].Time <= g.frames[i-1].Time {
				t.Errorf("picture %d at %v after %v", i, g.frames[i].Time, g.frames[i-1].Time)
			}
		}
		for i := 1; i < len(g.sound); i++ {
			if g.sound[i].Time < g.sound[i-1].End()-time.Millisecond {
				t.Errorf("sound %d at %v overlaps that until %v", i, g.sound[i].Time, g.sound[i-1].End())
			}
		}
		return g
	}
}

func options(c av.Codec, f *capture.Feed, clock *receive.Clock) receive.Options {
	o := receive.Options{Codec: c, ClockRate: 90000, Clock: clock, Feed: f}
	if c == av.Opus {
		o.ClockRate = 48000
	}
	return o
}

// play runs one track to its end.
func play(t testing.TB, o receive.Options, ps []timed) (receive.Stats, error) {
	t.Helper()
	track, err := receive.New(o)
	if err != nil {
		t.Fatal(err)
	}
	err = track.Run(t.Context(), &wire{packets: ps, began: time.Now()})
	return track.Stats(), err
}

var small = capture.PatternOptions{Width: 320, Height: 240, FPS: 30, Duration: 3 * time.Second}
