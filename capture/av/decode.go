package av

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"
)

// codec is an open decoder of one stream.
type codec struct {
	ctx   *C.AVCodecContext
	frame *C.AVFrame
}

// openCodec opens a decoder for par; timeBase is the unit of its packets' times.
func openCodec(par *C.AVCodecParameters, timeBase C.AVRational, threads int, lowDelay bool) (*codec, error) {
	var dec *C.AVCodec
	if par.codec_id == C.AV_CODEC_ID_OPUS { // half the CPU of libav's own
		name := C.CString("libopus")
		dec = C.avcodec_find_decoder_by_name(name)
		C.free(unsafe.Pointer(name))
	}
	if dec == nil {
		dec = C.avcodec_find_decoder(par.codec_id)
	}
	if dec == nil {
		return nil, fmt.Errorf("no decoder for %s", C.GoString(C.avcodec_get_name(par.codec_id)))
	}
	c := &codec{ctx: C.avcodec_alloc_context3(dec), frame: C.av_frame_alloc()}
	if c.ctx == nil || c.frame == nil {
		c.close()
		return nil, Error(-int(C.ENOMEM))
	}
	if r := C.avcodec_parameters_to_context(c.ctx, par); r < 0 {
		c.close()
		return nil, Error(r)
	}
	c.ctx.pkt_timebase = timeBase
	c.ctx.thread_count = C.int(max(threads, 1))
	c.ctx.thread_type = C.FF_THREAD_SLICE // frame threads would delay the pictures
	c.ctx.max_pixels = MaxPixels
	if lowDelay {
		c.ctx.flags |= C.AV_CODEC_FLAG_LOW_DELAY
	}
	if r := C.avcodec_open2(c.ctx, dec, nil); r < 0 {
		c.close()
		return nil, Error(r)
	}
	return c, nil
}

// leaveOut has the decoder leave out, or decode, the packets that follow if no other picture is made from theirs: in
// H.264 those with nal_ref_idc 0 (ITU-T H.264 section 7.4.1), in VP8 those that update no reference (RFC 6386 section
// 9.7). Decoders that can't tell decode all.
func (c *codec) leaveOut(unreferenced bool) {
	c.ctx.skip_frame = C.AVDISCARD_DEFAULT
	if unreferenced {
		c.ctx.skip_frame = C.AVDISCARD_NONREF
	}
}

// decode sends one packet (nil drains) and calls each for every frame that comes out. The frame is c.frame,
// valid during the call.
func (c *codec) decode(pkt *C.AVPacket, each func(*C.AVFrame) error) error {
	runtime.LockOSThread() // for logged
	defer runtime.UnlockOSThread()
	C.tav_clear_log()
	sent := C.avcodec_send_packet(c.ctx, pkt)
	for {
		r := C.avcodec_receive_frame(c.ctx, c.frame)
		if r == errAgain || r == C.AVERROR_EOF {
			break
		}
		if r < 0 {
			return fmt.Errorf("%w: %w", ErrCorrupt, logged(r))
		}
		if err := each(c.frame); err != nil {
			return err
		}
	}
	if sent < 0 && sent != C.AVERROR_EOF {
		return fmt.Errorf("%w: %w", ErrCorrupt, logged(sent))
	}
	return nil
}

func (c *codec) close() {
	if c == nil {
		return
	}
	C.avcodec_free_context(&c.ctx)
	C.av_frame_free(&c.frame)
}

// frameConverter turns decoded pictures into RGB, upright and with square pixels.
type frameConverter struct {
	interval time.Duration   // MinFrameInterval
	shown    bool            // a picture has been handed out
	last     time.Duration   // its time
	coming   []time.Duration // media times of the packets whose pictures have not come, in order
	decoded  int             // pictures that came
	sws      *C.struct_SwsContext
}

func (c *frameConverter) close() {
	C.sws_freeContext(c.sws)
	c.sws = nil
}

// due takes the time of the next picture, and reports whether it is to be handed out.
func (c *frameConverter) due(t time.Duration) bool {
	c.came(t)
	return !c.shown || c.farEnough(c.last, t)
}

// farEnough reports whether two pictures that follow each other may both be handed out.
func (c *frameConverter) farEnough(from, to time.Duration) bool {
	return to-from >= c.interval-2*time.Millisecond
}

// squareSize returns the size of a w x h picture with pixels of shape sar, made square by its width.
func squareSize(w, h C.int, sar C.AVRational) (int, int) {
	if sar.num > 0 && sar.den > 0 && sar.num != sar.den {
		// Beyond 4:1 it is a fault in the file rather than a shape of pixels.
		wide := (int64(w)*int64(sar.num) + int64(sar.den)/2) / int64(sar.den)
		if wide > 0 && wide <= 4*int64(w) && 4*wide >= int64(w) {
			return int(wide), int(h)
		}
	}
	return int(w), int(h)
}

func checkSize(w, h int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("%w: picture of %d x %d pixels", ErrNotMedia, w, h)
	}
	if int64(w)*int64(h) > MaxPixels {
		return fmt.Errorf("%w: %d x %d pixels; the limit is %d in all", ErrTooLarge, w, h, MaxPixels)
	}
	return nil
}

func (c *frameConverter) convert(f *C.AVFrame, sar C.AVRational, turn orientation, at time.Duration) (*Frame, error) {
	w, h := squareSize(f.width, f.height, sar)
	if err := checkSize(w, h); err != nil {
		return nil, err
	}
	n := 3 * w * h
	pix := make([]byte, n+64)[:n:n] // room for tav_to_rgb's overshoot
	if r := C.tav_to_rgb(&c.sws, f, C.int(w), C.int(h), (*C.uint8_t)(&pix[0])); r < 0 {
		return nil, Error(r)
	}
	c.shown, c.last = true, at
	pix, w, h = turn.apply(pix, w, h)
	return &Frame{Time: at, Width: w, Height: h, Pix: pix}, nil
}

// mixer turns decoded sound into mono at SampleRate, at times that follow each other without seams as long as the
// sound does.
type mixer struct {
	swr      *C.SwrContext
	rate     C.int
	format   C.int
	channels C.int
	made     C.int // channels that the resampler makes
	fold     fold

	base    time.Duration // time of the first sample since the last seam
	in, out int64         // samples in (at rate) and out (at SampleRate) since then
	end     time.Duration // of the last sample handed out
}

func (m *mixer) close() { C.swr_free(&m.swr) }

// next is the time at which sound goes on without a seam.
func (m *mixer) next() time.Duration {
	if m.rate == 0 {
		return m.base
	}
	return m.base + samplesTime(m.in, int64(m.rate))
}

func samplesTime(n, rate int64) time.Duration {
	return time.Duration(n/rate)*time.Second + time.Duration(n%rate)*time.Second/time.Duration(rate)
}

// mix resamples f. With seam, f does not follow what came before but starts at time at.
func (m *mixer) mix(f *C.AVFrame, seam bool, at time.Duration) ([]Media, error) {
	if f.sample_rate <= 0 || f.nb_samples <= 0 {
		return nil, fmt.Errorf("%w: no sample rate", ErrCorrupt)
	}
	var out []Media
	changed := m.rate != f.sample_rate || m.format != f.format || m.channels != f.ch_layout.nb_channels
	if m.swr == nil || seam || changed {
		if !seam {
			at = m.next()
		}
		out = m.drain()
		m.base, m.in, m.out = at, 0, 0
		if changed {
			C.swr_free(&m.swr)
			m.rate, m.format, m.channels = f.sample_rate, f.format, f.ch_layout.nb_channels
			var centre C.int
			m.made = C.tav_to_mono(&m.swr, f, SampleRate, &centre)
			m.fold.centre = centre != 0
			if m.made < 0 {
				C.swr_free(&m.swr)
				m.rate = 0
				return out, fmt.Errorf("sound of %d channels at %d Hz cannot be resampled: %w", f.ch_layout.nb_channels,
					f.sample_rate, Error(m.made))
			}
		} else if r := C.swr_init(m.swr); r < 0 {
			return out, Error(r)
		}
	}
	m.in += int64(f.nb_samples)
	s, err := m.convert(f)
	if s != nil {
		out = append(out, Media{Samples: s})
	}
	return out, err
}

// drain hands out what the resampler still holds.
func (m *mixer) drain() []Media {
	if m.swr == nil {
		return nil
	}
	if s, _ := m.convert(nil); s != nil {
		return []Media{{Samples: s}}
	}
	return nil
}

// convert runs the resampler and gives its output a time. What would lie before the end of the last output is
// cut off, so that time never goes back.
func (m *mixer) convert(f *C.AVFrame) (*Samples, error) {
	in := C.int(0)
	if f != nil {
		in = f.nb_samples
	}
	room := C.swr_get_out_samples(m.swr, in)
	if room <= 0 {
		return nil, check(room)
	}
	data := make([]float32, room*m.made)
	n := C.tav_resample(m.swr, (*C.float)(&data[0]), room, f)
	if n <= 0 {
		return nil, check(n)
	}
	data = data[:n*m.made]
	if m.made == 2 {
		data = m.fold.mono(data)
	}
	at := m.base + samplesTime(m.out, SampleRate)
	m.out += int64(n)
	if late := m.end - at; late > time.Second/SampleRate {
		cut := min(int(late*SampleRate/time.Second), len(data))
		at += samplesTime(int64(cut), SampleRate)
		data = data[cut:]
	}
	if len(data) == 0 {
		return nil, nil
	}
	m.end = at + samplesTime(int64(len(data)), SampleRate)
	return &Samples{Time: at, Data: data}, nil
}
