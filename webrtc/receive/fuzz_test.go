package receive_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtp"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/webrtc/receive"
)

// join writes packets as a fuzz target's input: each after its length.
func join(ps []timed) []byte {
	var out bytes.Buffer
	for _, p := range ps {
		b, err := p.Marshal()
		if err != nil {
			panic(err)
		}
		binary.Write(&out, binary.BigEndian, uint16(len(b)))
		out.Write(b)
	}
	return out.Bytes()
}

// split is the opposite, and takes anything.
func split(b []byte) []timed {
	var out []timed
	for len(b) > 2 && len(out) < 500 {
		n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
		p := &rtp.Packet{}
		if p.Unmarshal(b[2:2+n]) == nil {
			out = append(out, timed{p, 0})
		}
		b = b[2+n:]
	}
	return out
}

// FuzzRTP sends anything at all through a track, as codec tells: nothing panics, hangs or comes out backwards.
func FuzzRTP(f *testing.F) {
	pattern := capture.PatternOptions{Width: 64, Height: 48, FPS: 10, Duration: time.Second}
	for _, file := range []string{"a.webm", "a.mkv"} {
		for c, ps := range encode(f, file, pattern) {
			seed := join(packetize(c, ps[:min(len(ps), 10)], 65530, 0xfffffff0))
			f.Add(byte(c), seed)
			for i := 100; i < len(seed); i += 397 { // one bit each
				bad := bytes.Clone(seed)
				bad[i] ^= 1 << (i % 8)
				f.Add(byte(c), bad)
			}
		}
	}
	f.Fuzz(func(t *testing.T, codec byte, data []byte) {
		c := av.Codec(codec % 3)
		feed := capture.NewFeed(capture.Info{})
		_, done := collect(t, feed)
		o := options(c, feed, receive.NewClock())
		o.MaxPixels, o.Reorder = 640*480, time.Millisecond
		_, err := play(t, o, split(data))
		_ = err // a bound that is broken is an answer too
		done()
	})
}
