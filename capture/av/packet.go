package av

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"os"
	"time"
	"unsafe"
)

// Codec names what a PacketDecoder takes.
type Codec int

// The codecs of WebRTC.
const (
	VP8  Codec = iota // one frame a payload (RFC 6386)
	H264              // one access unit a payload, Annex B start codes
	Opus              // one packet a payload (RFC 6716), 48 kHz
)

func (c Codec) String() string {
	switch c {
	case VP8:
		return "VP8"
	case H264:
		return "H.264"
	case Opus:
		return "Opus"
	}
	return fmt.Sprintf("Codec(%d)", int(c))
}

var nanoseconds = C.AVRational{num: 1, den: 1e9}

// PacketOptions for NewPacketDecoder. The zero value hands out every picture.
type PacketOptions struct {
	Threads          int           // as in Options
	MinFrameInterval time.Duration // as in Options
}

// PacketDecoder decodes bare payloads, such as those of RTP after depacketizing, at times that the caller gives.
// It is for one goroutine.
type PacketDecoder struct {
	codec  *codec
	pkt    *C.AVPacket
	audio  bool
	turn   orientation
	frames frameConverter
	mixer  mixer
}

// NewPacketDecoder makes a decoder. Close it.
func NewPacketDecoder(c Codec, o PacketOptions) (*PacketDecoder, error) {
	takeLog()
	par := C.avcodec_parameters_alloc()
	pkt := C.av_packet_alloc()
	if par == nil || pkt == nil {
		return nil, Error(-int(C.ENOMEM))
	}
	defer C.avcodec_parameters_free(&par)
	switch c {
	case VP8:
		par.codec_type, par.codec_id = C.AVMEDIA_TYPE_VIDEO, C.AV_CODEC_ID_VP8
	case H264:
		par.codec_type, par.codec_id = C.AVMEDIA_TYPE_VIDEO, C.AV_CODEC_ID_H264
	case Opus:
		par.codec_type, par.codec_id = C.AVMEDIA_TYPE_AUDIO, C.AV_CODEC_ID_OPUS
		par.sample_rate = 48000
		C.av_channel_layout_default(&par.ch_layout, 2)
	default:
		C.av_packet_free(&pkt)
		return nil, fmt.Errorf("no decoder for %v", c)
	}
	open, err := openCodec(par, nanoseconds, o.Threads, true)
	if err != nil {
		C.av_packet_free(&pkt)
		return nil, fmt.Errorf("%v: %w", c, err)
	}
	return &PacketDecoder{
		codec: open, pkt: pkt, audio: c == Opus, turn: upright,
		frames: frameConverter{interval: o.MinFrameInterval},
	}, nil
}

// Decode decodes one payload that is to be shown at pts, which is taken as it is. It returns nothing, one item or,
// after a gap in the sound, two. Sound that follows on within 15 ms has no seam; sound before the end of what was
// handed out is cut off. An error that is ErrCorrupt leaves the decoder usable.
func (d *PacketDecoder) Decode(payload []byte, pts time.Duration) ([]Media, error) {
	if d.codec == nil {
		return nil, os.ErrClosed
	}
	if len(payload) == 0 {
		return nil, fmt.Errorf("%w: empty payload", ErrCorrupt)
	}
	if r := C.av_new_packet(d.pkt, C.int(len(payload))); r < 0 { // with libav's padding
		return nil, Error(r)
	}
	defer C.av_packet_unref(d.pkt)
	copy(unsafe.Slice((*byte)(d.pkt.data), len(payload)), payload)
	d.pkt.pts = C.int64_t(pts)
	if !d.audio {
		d.codec.leaveOut(!d.frames.needed(pts))
	}
	return d.decode(d.pkt)
}

// Turn has the pictures of the payloads that follow turned clockwise by so many quarters, 0 to 3, to stand upright.
func (d *PacketDecoder) Turn(quarters int) { d.turn = turned(quarters) }

// Flush returns what the decoder still holds and makes it ready for a new stream.
func (d *PacketDecoder) Flush() ([]Media, error) {
	if d.codec == nil {
		return nil, os.ErrClosed
	}
	out, err := d.decode(nil)
	out = append(out, d.mixer.drain()...)
	C.avcodec_flush_buffers(d.codec.ctx)
	d.mixer.close()
	d.mixer = mixer{}
	d.frames.shown, d.frames.coming = false, nil
	return out, err
}

func (d *PacketDecoder) decode(pkt *C.AVPacket) ([]Media, error) {
	var out []Media
	err := d.codec.decode(pkt, func(f *C.AVFrame) error {
		t := time.Duration(f.best_effort_timestamp)
		if d.audio {
			off := t - d.mixer.next()
			m, err := d.mixer.mix(f, off > seamless || off < -seamless, t)
			out = append(out, m...)
			return err
		}
		if !d.frames.due(t) {
			return nil
		}
		frame, err := d.frames.convert(f, f.sample_aspect_ratio, d.turn, t)
		if err != nil {
			return err
		}
		out = append(out, Media{Frame: frame})
		return nil
	})
	return out, err
}

// Close frees the decoder. It may be called more than once.
func (d *PacketDecoder) Close() error {
	d.codec.close()
	d.codec = nil
	d.frames.close()
	d.mixer.close()
	C.av_packet_free(&d.pkt)
	return nil
}
