package receive

import (
	"bytes"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"tandem/capture/av"
)

// maxFrame bounds the bytes of one coded picture.
const maxFrame = 4 << 20

// codedFrame is one coded picture.
type codedFrame struct {
	data []byte
	ts   uint32
	key  bool // can be decoded without those before it
}

// assembler puts coded pictures together from packets in order. A picture is complete with the packet that bears the
// marker bit (RFC 7741 section 4.1, RFC 6184 section 5.1), so that none waits for the next one's first packet.
type assembler struct {
	codec av.Codec
	h264  codecs.H264Packet
	vp8   codecs.VP8Packet
	begun bool
	ts    uint32
	data  []byte
}

// push takes the next packet. broken: a picture, or a part of one, is of no use.
func (a *assembler) push(p *rtp.Packet) (frame codedFrame, ok, broken bool) {
	if len(p.Payload) == 0 {
		return codedFrame{}, false, false // padding, by which senders probe the bandwidth
	}
	if a.begun && p.Timestamp != a.ts {
		broken = true // its marker never came
		a.reset()
	}
	payload, begins, err := a.unpack(p.Payload)
	switch {
	case err != nil || len(a.data)+len(payload) > maxFrame:
		a.reset()
		return codedFrame{}, false, true
	case !a.begun && !begins:
		return codedFrame{}, false, true
	}
	a.begun, a.ts = true, p.Timestamp
	a.data = append(a.data, payload...)
	if !p.Marker {
		return codedFrame{}, false, broken
	}
	frame = codedFrame{data: a.data, ts: a.ts, key: isKeyFrame(a.codec, a.data)}
	a.data = nil // the frame's now
	a.reset()
	return frame, len(frame.data) > 0, broken
}

// unpack takes the RTP payload's header off; begins: a picture may begin here.
func (a *assembler) unpack(payload []byte) (data []byte, begins bool, err error) {
	if a.codec == av.VP8 {
		data, err = a.vp8.Unmarshal(payload)
		return data, a.vp8.S == 1 && a.vp8.PID == 0, err
	}
	data, err = a.h264.Unmarshal(payload) // nothing for but the last fragment of a NAL unit
	return data, a.h264.IsPartitionHead(payload), err
}

// reset forgets what has come of a picture, as after a loss.
func (a *assembler) reset() {
	a.begun, a.data = false, a.data[:0]
	a.h264 = codecs.H264Packet{}
}

// isKeyFrame reports whether a coded picture can be decoded without those before it.
func isKeyFrame(c av.Codec, data []byte) bool {
	if c == av.VP8 {
		return len(data) > 0 && data[0]&1 == 0 // RFC 6386 section 9.1
	}
	for {
		i := bytes.Index(data, []byte{0, 0, 1})
		if i < 0 || i+3 >= len(data) {
			return false
		}
		if data = data[i+3:]; data[0]&0x1f == 5 { // an IDR slice: H.264 table 7-1
			return true
		}
	}
}

// vp8Size returns the size of a VP8 key frame (RFC 6386 section 9.1), 0 if it has none.
func vp8Size(data []byte) (w, h int) {
	if len(data) < 10 || data[0]&1 != 0 || !bytes.Equal(data[3:6], []byte{0x9d, 0x01, 0x2a}) {
		return 0, 0
	}
	return (int(data[6]) | int(data[7])<<8) & 0x3fff, (int(data[8]) | int(data[9])<<8) & 0x3fff
}
