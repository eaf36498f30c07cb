package receive_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
	"tandem/webrtc/receive"
)

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
			if err != nil || stats.Lost+stats.Corrupt+stats.Late+stats.KeyFrameRequests != 0 ||
				stats.Frames != len(ps) {
				t.Errorf("%+v: %v", stats, err)
			}
			if tt.c == av.Opus {
				if n := g.samples(); n < 29*capture.SampleRate/10 {
					t.Errorf("%d samples", n)
				}
			} else if n := len(ps) - len(g.frames); n != 0 && (n > 2 || tt.c != av.H264) {
				// H.264 has B-frames here, of which the decoder keeps two.
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
	t.Parallel()
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
	t.Parallel()
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
	if err != nil || len(g.frames) != len(ps) || stats.Lost != 0 || stats.Duplicates+stats.Late == 0 ||
		stats.Reordered == 0 {
		t.Errorf("%d pictures of %d, %+v: %v", len(g.frames), len(ps), stats, err)
	}
}

// After a loss no picture comes before the next key frame, one is asked for at once, and what is missing is counted.
func TestBlindAfterLoss(t *testing.T) {
	t.Parallel()
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
	if stats.AwaitingKeyFrame < time.Second/4 {
		t.Errorf("blind for %v", stats.AwaitingKeyFrame)
	}
}

// keyBetween reports whether there was a key frame from 1 s to a time.
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
	t.Parallel()
	var ps []av.Packet
	sizes := [][2]int{{320, 240}, {640, 360}, {160, 120}}
	for i, s := range sizes {
		o := capture.PatternOptions{Width: s[0], Height: s[1], FPS: 30, Duration: time.Second}
		more := encode(t, "a.webm", o)[av.VP8]
		for j := range more {
			more[j].Time += time.Duration(i) * time.Second
		}
		ps = append(ps, more...)
	}
	feed := capture.NewFeed(capture.Info{})
	_, done := collect(t, feed)
	stats, err := play(t, options(av.VP8, feed, receive.NewClock()), packetize(av.VP8, ps, 0, 0))
	if err != nil || stats.Corrupt > 0 {
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

// A phone that is turned in mid-stream says so by a header extension, with the first picture that it holds for: the
// pictures come out upright.
func TestOrientation(t *testing.T) {
	t.Parallel()
	const id = 13
	turns := []byte{0, 1, 0b1010, 3, 0} // the third by a back camera
	var packets []timed
	for i, turn := range turns {
		o := capture.PatternOptions{Width: 160, Height: 96, FPS: 30, Duration: time.Second / 3}
		ps := encode(t, "a.webm", o)[av.VP8]
		for j := range ps {
			ps[j].Time += time.Duration(i) * time.Second / 3
		}
		more := packetize(av.VP8, ps, uint16(len(packets)), 0)
		first := slices.IndexFunc(more, func(p timed) bool { return p.Marker })
		if err := more[first].SetExtension(id, []byte{turn}); err != nil {
			t.Fatal(err)
		}
		packets = append(packets, more...)
	}
	for _, listens := range []bool{true, false} {
		feed := capture.NewFeed(capture.Info{})
		_, done := collect(t, feed)
		o := options(av.VP8, feed, receive.NewClock())
		if listens {
			o.Orientation = id
		}
		if stats, err := play(t, o, packets); err != nil || stats.Corrupt > 0 {
			t.Errorf("%+v: %v", stats, err)
		}
		frames := done().frames
		if len(frames) != 10*len(turns) {
			t.Fatalf("%d pictures", len(frames))
		}
		for i, f := range frames {
			turn := 0
			if listens {
				turn = int(turns[i/10] & 3)
			}
			w, h := 160, 96
			if turn%2 == 1 {
				w, h = h, w
			}
			if f.Width != w || f.Height != h || darkEdge(f) != turn {
				t.Errorf("picture %d is %dx%d, its strip at edge %d; it has to be turned by %d", i, f.Width, f.Height,
					darkEdge(f), turn)
			}
		}
	}
}

// darkEdge returns at which edge the pattern's dark strip, its upper one, is: quarters clockwise from the upper.
func darkEdge(f *capture.Frame) (edge int) {
	darkest := 256
	x, y, right, bottom := f.Width/2, f.Height/2, f.Width-5, f.Height-5
	for i, at := range [][2]int{{x, 4}, {right, y}, {x, bottom}, {4, y}} {
		if v := int(f.Pix[3*(at[1]*f.Width+at[0])+1]); v < darkest {
			edge, darkest = i, v
		}
	}
	return edge
}

func TestBounds(t *testing.T) {
	t.Parallel()
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
	stats, err := play(t, options(av.VP8, feed, receive.NewClock()), flood)
	if err != nil || stats.Frames+stats.Corrupt+stats.KeyFrameRequests != 0 {
		t.Errorf("padding: %+v: %v", stats, err)
	}
	done()
}

// The encoder's own beginning is left out, as by a player of the file: the pattern's first mark is heard when it was
// made.
func TestSoundIsNotLate(t *testing.T) {
	t.Parallel()
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
	if _, err := play(t, options(av.Opus, feed, receive.NewClock()),
		packetize(av.Opus, ps[av.Opus], 9, 1000)); err != nil {
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
