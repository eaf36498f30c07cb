package receive_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
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

// got is what came out of a feed.
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

// Everything that is sent comes out, across the wraps of sequence numbers and times.
func TestAllComesOut(t *testing.T) {
	for _, tt := range []struct {
		file string
		c    av.Codec
	}{{"a.webm", av.VP8}, {"a.webm", av.Opus}, {"a.mkv", av.H264}} {
		t.Run(tt.c.String(), func(t *testing.T) {
			t.Parallel()
			ps := encode(t, tt.file, small)[tt.c]
			if len(ps) == 0 {
				t.Skipf("libav here cannot encode %v", tt.c)
			}
			feed := capture.NewFeed(capture.Info{})
			_, done := collect(t, feed)
			stats, err := play(t, options(tt.c, feed, receive.NewClock()), packetize(tt.c, ps, 65500, 0xffff0000))
			g := done()
			if err != nil || stats.Lost+stats.Corrupt+stats.Late+stats.KeyFrameRequests != 0 || stats.Frames != len(ps) {
				t.Errorf("%+v: %v", stats, err)
			}
			if tt.c == av.Opus {
				if n := g.samples(); n < 29*capture.SampleRate/10 {
					t.Errorf("%d samples", n)
				}
			} else if n := len(ps) - len(g.frames); n != 0 && (n > 2 || tt.c != av.H264) { // which writes B-frames here: the decoder keeps two
				t.Errorf("%d pictures of %d", len(g.frames), len(ps))
			}
			if stats.DecodeCPU <= 0 || stats.Bytes < 1000 {
				t.Errorf("%+v", stats)
			}
		})
	}
}

// The sender may change between the codecs that were agreed on; what tells is the payload type.
func TestChangeOfCodec(t *testing.T) {
	vp8, h264 := encode(t, "a.webm", small)[av.VP8], encode(t, "a.mkv", small)[av.H264]
	if len(h264) == 0 {
		t.Skip("libav here cannot encode H.264")
	}
	first := packetize(av.VP8, vp8, 0, 0)
	for i := range h264 {
		h264[i].Time += small.Duration
	}
	second := packetize(av.H264, h264, uint16(len(first)), 0)
	for i := range second {
		second[i].PayloadType = 97
	}
	feed := capture.NewFeed(capture.Info{})
	_, done := collect(t, feed)
	o := options(av.VP8, feed, receive.NewClock())
	o.Codecs = map[uint8]av.Codec{96: av.VP8, 97: av.H264}
	stats, err := play(t, o, append(first, second...))
	after := 0
	for _, f := range done().frames {
		if f.Time > small.Duration+100*time.Millisecond {
			after++
		}
	}
	if err != nil || after < len(h264)/2 || stats.Corrupt > 0 {
		t.Errorf("%d pictures of %d after the change, %+v: %v", after, len(h264), stats, err)
	}
}

// What is out of order within the bound, or twice, costs nothing.
func TestReordered(t *testing.T) {
	ps := encode(t, "a.webm", small)[av.VP8]
	wire := packetize(av.VP8, ps, 0, 0)
	for i := 10; i+4 < len(wire); i += 9 {
		wire[i].Packet, wire[i+3].Packet = wire[i+3].Packet, wire[i].Packet
	}
	for i := 5; i < len(wire); i += 20 {
		wire = append(wire[:i+1], wire[i:]...)
	}
	feed := capture.NewFeed(capture.Info{})
	_, done := collect(t, feed)
	o := options(av.VP8, feed, receive.NewClock())
	o.Reorder = 2 * time.Second // a busy machine may be late by more than the default
	stats, err := play(t, o, wire)
	g := done()
	if err != nil || len(g.frames) != len(ps) || stats.Lost != 0 || stats.Duplicates+stats.Late == 0 || stats.Reordered == 0 {
		t.Errorf("%d pictures of %d, %+v: %v", len(g.frames), len(ps), stats, err)
	}
}

// After a loss no picture comes before the next key frame, one is asked for at once, and what is missing is counted.
func TestBlindAfterLoss(t *testing.T) {
	first, second := encode(t, "a.webm", small)[av.VP8], encode(t, "b.webm", small)[av.VP8]
	for i := range second {
		second[i].Time += 3 * time.Second
	}
	ps := append(first, second...)
	if !ps[len(first)].Key {
		t.Fatal("the second clip does not begin with a key frame")
	}
	wire := packetize(av.VP8, ps, 0, 0)
	lost := 0
	for i, p := range wire {
		if p.at >= time.Second {
			wire, lost = append(wire[:i], wire[i+2:]...), i
			break
		}
	}
	var mu sync.Mutex
	var asked []time.Time
	feed := capture.NewFeed(capture.Info{})
	o := options(av.VP8, feed, receive.NewClock())
	o.RequestKeyFrame = func() { mu.Lock(); asked = append(asked, time.Now()); mu.Unlock() }
	_, done := collect(t, feed)
	began := time.Now()
	stats, err := play(t, o, wire)
	g := done()
	if err != nil || stats.Lost != 2 || lost == 0 {
		t.Fatalf("%+v: %v", stats, err)
	}
	for _, f := range g.frames {
		if f.Time > 1050*time.Millisecond && f.Time < 2950*time.Millisecond && !keyBetween(first, f.Time) {
			t.Errorf("a picture at %v", f.Time)
		}
	}
	if n := feed.Drops().Frames; len(g.frames)+n < len(ps)-3 || n < 5 {
		t.Errorf("%d pictures and %d lost of %d", len(g.frames), n, len(ps))
	}
	if len(asked) < 2 || asked[0].Sub(began) > 1400*time.Millisecond || asked[1].Sub(asked[0]) < 450*time.Millisecond {
		t.Errorf("asked at %v from %v", asked, began)
	}
	if stats.Blind < time.Second/4 {
		t.Errorf("blind for %v", stats.Blind)
	}
}

// keyBetween tells whether there was a key frame from 1 s to a time.
func keyBetween(ps []av.Packet, at time.Duration) bool {
	for _, p := range ps {
		if p.Key && p.Time > time.Second && p.Time <= at+10*time.Millisecond {
			return true
		}
	}
	return false
}

// A change of resolution in mid-stream is a change of resolution.
func TestResolutionChanges(t *testing.T) {
	var ps []av.Packet
	sizes := [][2]int{{320, 240}, {640, 360}, {160, 120}}
	for i, s := range sizes {
		more := encode(t, "a.webm", capture.PatternOptions{Width: s[0], Height: s[1], FPS: 30, Duration: time.Second})[av.VP8]
		for j := range more {
			more[j].Time += time.Duration(i) * time.Second
		}
		ps = append(ps, more...)
	}
	feed := capture.NewFeed(capture.Info{})
	_, done := collect(t, feed)
	if stats, err := play(t, options(av.VP8, feed, receive.NewClock()), packetize(av.VP8, ps, 0, 0)); err != nil || stats.Corrupt > 0 {
		t.Errorf("%+v: %v", stats, err)
	}
	g := done()
	for _, f := range g.frames {
		if s := sizes[min(int((f.Time+10*time.Millisecond)/time.Second), 2)]; f.Width != s[0] || f.Height != s[1] {
			t.Errorf("%dx%d at %v", f.Width, f.Height, f.Time)
		}
	}
	if len(g.frames) != len(ps) {
		t.Errorf("%d pictures of %d", len(g.frames), len(ps))
	}
}

func TestBounds(t *testing.T) {
	ps := packetize(av.VP8, encode(t, "a.webm", small)[av.VP8], 0, 0)
	feed := capture.NewFeed(capture.Info{})
	_, done := collect(t, feed)
	o := options(av.VP8, feed, receive.NewClock())
	o.MaxPixels = 320*240 - 1
	if _, err := play(t, o, ps); !errors.Is(err, receive.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	// An 8K key frame is refused by its header alone.
	huge := &rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: true, SSRC: 7},
		Payload: []byte{0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x00, 0x1e, 0xe0, 0x10, 0, 0},
	}
	o = options(av.VP8, feed, receive.NewClock())
	o.MaxPixels = 1920 * 1080
	if stats, err := play(t, o, []timed{{huge, 0}}); !errors.Is(err, receive.ErrTooLarge) || stats.Frames != 0 {
		t.Errorf("8K: %+v: %v", stats, err)
	}
	var flood []timed
	for i := range 2000 {
		flood = append(flood, timed{&rtp.Packet{
			Header:  rtp.Header{Version: 2, SequenceNumber: uint16(i), SSRC: 7, Timestamp: uint32(i * 270)},
			Payload: make([]byte, 1000),
		}, time.Duration(i) * 3 * time.Millisecond})
	}
	o = options(av.VP8, feed, receive.NewClock())
	o.MaxBitrate = 1_000_000
	if _, err := play(t, o, flood); !errors.Is(err, receive.ErrBitrate) {
		t.Errorf("bitrate: %v", err)
	}
	// Padding is nothing.
	for i := range flood {
		flood[i].Payload, flood[i].at = nil, 0
	}
	if stats, err := play(t, options(av.VP8, feed, receive.NewClock()), flood); err != nil || stats.Frames+stats.Corrupt+stats.KeyFrameRequests != 0 {
		t.Errorf("padding: %+v: %v", stats, err)
	}
	done()
}

// What the encoder began with is left out, as a player of the file does: the pattern's first mark is heard when it was made.
func TestSoundIsNotLate(t *testing.T) {
	pattern := small
	pattern.Duration = time.Second
	onset := func(runs []*capture.Samples) time.Duration {
		for _, s := range runs {
			for i, v := range s.Data {
				if v > 0.1 || v < -0.1 {
					return s.Time + time.Duration(i)*time.Second/capture.SampleRate
				}
			}
		}
		t.Fatal("only silence")
		return 0
	}
	_, made := capturetest.ReadAll(t, capture.NewPattern(pattern))
	ps := encode(t, "a.webm", pattern)
	feed := capture.NewFeed(capture.Info{})
	_, done := collect(t, feed)
	if _, err := play(t, options(av.Opus, feed, receive.NewClock()), packetize(av.Opus, ps[av.Opus], 9, 1000)); err != nil {
		t.Fatal(err)
	}
	got := done()
	if d := onset(got.sound) - onset(made); d.Abs() > time.Millisecond {
		t.Errorf("sound is %v late", d)
	}
	if got.sound[0].Time.Abs() > time.Microsecond {
		t.Errorf("the first sound is at %v", got.sound[0].Time)
	}
}

// Sound and picture that take unequally long to come are in step again soon after the sender's reports, without a
// jump; without reports the difference stays.
func TestReportsBringTracksInStep(t *testing.T) {
	pattern := small
	pattern.Duration = 10 * time.Second
	ps := encode(t, "a.webm", pattern)
	const later = 180 * time.Millisecond // the pictures
	for _, reports := range []bool{true, false} {
		name := "with reports"
		if !reports {
			name = "without"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			feed := capture.NewFeed(capture.Info{})
			clock := receive.NewClock()
			g, done := collect(t, feed)
			_ = g
			began := time.Now()
			ntp := func(at time.Duration) uint64 {
				s := 3_900_000_000*time.Second + at
				return uint64(s/time.Second)<<32 | uint64(s%time.Second)<<32/uint64(time.Second)
			}
			var wg sync.WaitGroup
			for c, rate := range map[av.Codec]time.Duration{av.VP8: 90000, av.Opus: 48000} {
				packets := packetize(c, ps[c], 9, 1000)
				if c == av.VP8 {
					for i := range packets {
						packets[i].at += later
					}
				}
				for i := range packets { // and jitter
					packets[i].at += time.Duration(rand.IntN(10)) * time.Millisecond
				}
				track, err := receive.New(options(c, feed, clock))
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					if err := track.Run(t.Context(), &wire{packets: packets, began: began}); err != nil {
						t.Error(err)
					}
				})
				if !reports {
					continue
				}
				wg.Go(func() {
					for at := time.Second; at < 9*time.Second; at += time.Second {
						time.Sleep(time.Until(began.Add(at + 200*time.Millisecond)))
						track.Report(&rtcp.SenderReport{SSRC: 7, NTPTime: ntp(at), RTPTime: 1000 + uint32(at*rate/time.Second)}, time.Now())
					}
					track.Report(&rtcp.SenderReport{SSRC: 7}, time.Now()) // nonsense
				})
			}
			wg.Wait()
			skew, corrected := clock.Skew(), clock.Corrected()
			got := done()
			var meter capturetest.SkewMeter
			for _, f := range got.frames {
				meter.Frame(f)
			}
			for _, s := range got.sound {
				meter.Samples(s)
			}
			marks := meter.Marks()
			if len(marks) < 8 {
				t.Fatalf("%d marks", len(marks))
			}
			last := marks[len(marks)-1].Skew()
			if reports && (last.Abs() > 35*time.Millisecond || skew.Abs() > 5*time.Millisecond || corrected > -later+40*time.Millisecond) {
				t.Errorf("skew %v at the end, %v by the clock, corrected by %v", last, skew, corrected)
			}
			if !reports && (last+later).Abs() > 50*time.Millisecond {
				t.Errorf("skew %v at the end, want about %v", last, -later)
			}
			for i := 1; i < len(got.frames); i++ {
				if d := got.frames[i].Time - got.frames[i-1].Time; d < 25*time.Millisecond || d > 45*time.Millisecond {
					t.Errorf("a step of %v at %v", d, got.frames[i].Time)
				}
			}
		})
	}
}
