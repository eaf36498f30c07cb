package av

/*
#include "shim.h"
#include <libavcodec/bsf.h>
*/
import "C"

import (
	"context"
	"io"
	"os"
	"time"
	"unsafe"
)

// Packet is one coded payload of an input, such as a PacketDecoder takes.
type Packet struct {
	Codec   Codec
	Time    time.Duration // when it is to be shown, from the input's start
	Length  time.Duration // 0 if not known
	Key     bool          // can be decoded without those before it
	Payload []byte
}

// ReadPacket returns the next VP8, H.264 (as Annex B) or Opus packet without decoding it, and leaves out all others;
// io.EOF after the last. It is for sending a file on, instead of Read and not along with it.
func (in *Input) ReadPacket(ctx context.Context) (Packet, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	defer context.AfterFunc(ctx, in.guard.stop)()
	for {
		if in.closing.Load() {
			return Packet{}, &InputError{in.name, os.ErrClosed}
		}
		in.arm()
		if r := C.av_read_frame(in.fmt, in.pkt); r == C.AVERROR_EOF {
			return Packet{}, io.EOF
		} else if r < 0 {
			return Packet{}, &InputError{in.name, in.failed(ctx, r, false)}
		}
		p, ok, err := in.packet()
		C.av_packet_unref(in.pkt)
		if ok || err != nil {
			return p, err
		}
	}
}

// packet makes a Packet of in.pkt; false if it is of another codec.
func (in *Input) packet() (Packet, bool, error) {
	for _, st := range in.streams {
		if st == nil || st.index != in.pkt.stream_index || in.pkt.pts == C.AV_NOPTS_VALUE {
			continue
		}
		p := Packet{
			Time:   duration(in.pkt.pts, st.time_base) - in.origin,
			Length: duration(in.pkt.duration, st.time_base),
			Key:    in.pkt.flags&C.AV_PKT_FLAG_KEY != 0,
		}
		switch st.codecpar.codec_id {
		case C.AV_CODEC_ID_VP8:
			p.Codec = VP8
		case C.AV_CODEC_ID_OPUS:
			p.Codec = Opus
		case C.AV_CODEC_ID_H264:
			p.Codec = H264
			if err := in.toAnnexB(st); err != nil {
				return Packet{}, false, &InputError{in.name, err}
			}
		default:
			return Packet{}, false, nil
		}
		p.Payload = C.GoBytes(unsafe.Pointer(in.pkt.data), in.pkt.size)
		return p, true, nil
	}
	return Packet{}, false, nil
}

// toAnnexB turns the H.264 packet in in.pkt, whose units are preceded by their lengths in most containers, into one
// with start codes and, where it is a key frame, the stream's parameter sets.
func (in *Input) toAnnexB(st *C.AVStream) error {
	if in.annexB == nil {
		name := C.CString("h264_mp4toannexb")
		defer C.free(unsafe.Pointer(name))
		if r := C.av_bsf_alloc(C.av_bsf_get_by_name(name), &in.annexB); r < 0 {
			return Error(r)
		}
		if r := C.avcodec_parameters_copy(in.annexB.par_in, st.codecpar); r < 0 {
			return Error(r)
		}
		if r := C.av_bsf_init(in.annexB); r < 0 {
			return Error(r)
		}
	}
	if r := C.av_bsf_send_packet(in.annexB, in.pkt); r < 0 {
		return Error(r)
	}
	return check(C.av_bsf_receive_packet(in.annexB, in.pkt))
}
