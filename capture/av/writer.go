package av

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"
)

// WriterOptions for Create.
type WriterOptions struct {
	// Width and Height of the video in pixels; the encoder's is the next even size. No video if either is 0.
	Width, Height int
	// FPS is the nominal frame rate, 25 if 0. Frames keep their own times but in avi and mpg, which have none.
	FPS float64
	// Audio adds sound.
	Audio bool
	// SampleRate of the sound written; what suits the format if 0. Sound handed in is always SampleRate.
	SampleRate int
	// Channels of the sound written, all alike; 1 if 0.
	Channels int
	// Threads for encoding; 1 if 0.
	Threads int
}

// format describes a file's format, which its ending selects.
type format struct {
	muxer        string
	video, audio []string // encoders, the first that there is; none if empty
	rate         int      // of sound, 0 for SampleRate
	constant     bool     // frames have no times of their own
}

var (
	h264    = []string{"libx264", "libopenh264", "mpeg4"}
	opus    = []string{"libopus", "opus"}
	mp3     = []string{"libmp3lame", "libshine"}
	formats = map[string]format{
		".mp4":  {muxer: "mp4", video: h264, audio: []string{"aac"}},
		".mov":  {muxer: "mov", video: h264, audio: []string{"aac"}},
		".mkv":  {muxer: "matroska", video: h264, audio: opus},
		".webm": {muxer: "webm", video: []string{"libvpx", "libvpx-vp9"}, audio: opus},
		".avi":  {muxer: "avi", video: []string{"mpeg4"}, audio: []string{"pcm_s16le"}, constant: true},
		".flv":  {muxer: "flv", video: []string{"flv"}, audio: mp3, rate: 44100},
		".mpg":  {muxer: "mpeg", video: []string{"mpeg1video"}, audio: []string{"mp2"}, rate: 44100, constant: true},
		".wav":  {muxer: "wav", audio: []string{"pcm_s16le"}},
		".flac": {muxer: "flac", audio: []string{"flac"}},
		".mp3":  {muxer: "mp3", audio: mp3},
	}
)

// Writer writes a video with sound. It is for one goroutine.
//
// A regular file appears under its name only when Close has succeeded; until then it is written beside it under
// another name, which goes away on any error and on Abort.
type Writer struct {
	path, part string // part is the name while writing, "" if path is written to directly
	o          WriterOptions
	constant   bool
	fmt        *C.AVFormatContext
	pkt        *C.AVPacket
	video      *videoTrack
	audio      *audioTrack
	err        error // the first; nothing is written after it
}

// encoder is one stream of a Writer.
type encoder struct {
	ctx   *C.AVCodecContext
	st    *C.AVStream
	frame *C.AVFrame
}

type videoTrack struct {
	encoder
	sws  *C.struct_SwsContext
	last int64 // pts, -1 before the first
}

type audioTrack struct {
	encoder
	swr  *C.SwrContext
	fifo *C.AVAudioFifo
	in   int64 // samples taken at SampleRate
	pts  int64 // samples written at the encoder's rate
}

// Create makes a file by its ending: mp4 or mov (H.264, or MPEG-4 where libav has no H.264 encoder, and AAC), webm
// (VP8 and Opus), mkv, avi, flv, mpg, wav, flac, mp3. A path that exists and is not a regular file, such as a FIFO, is
// written to directly.
func Create(path string, o WriterOptions) (*Writer, error) {
	takeLog()
	w := &Writer{path: path, o: o}
	if err := w.open(); err != nil {
		w.discard()
		return nil, fmt.Errorf("%s: cannot write: %w", path, err)
	}
	return w, nil
}

func (w *Writer) open() error {
	ext := strings.ToLower(filepath.Ext(w.path))
	f, ok := formats[ext]
	if !ok {
		return fmt.Errorf("no format is known by the ending %q; use .mp4 or .webm", ext)
	}
	w.constant = f.constant
	target := w.path
	if st, err := os.Stat(w.path); err != nil || st.Mode().IsRegular() {
		target = filepath.Join(filepath.Dir(w.path), fmt.Sprintf(".%s.%08x.part", filepath.Base(w.path), rand.Uint32()))
		part, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if err != nil {
			return cause(err)
		}
		part.Close()
		w.part = target
	} else if st.IsDir() {
		return errors.New("is a directory")
	}

	muxer := C.CString(f.muxer)
	name := C.CString("file:" + target)
	defer C.free(unsafe.Pointer(muxer))
	defer C.free(unsafe.Pointer(name))
	if r := C.avformat_alloc_output_context2(&w.fmt, nil, muxer, name); r < 0 {
		return Error(r)
	}
	if w.pkt = C.av_packet_alloc(); w.pkt == nil {
		return Error(-int(C.ENOMEM))
	}
	if w.o.Width > 0 && w.o.Height > 0 {
		if len(f.video) == 0 {
			return fmt.Errorf("%s holds no video", ext)
		}
		if err := w.addVideo(f); err != nil {
			return fmt.Errorf("video: %w", err)
		}
	}
	if w.o.Audio {
		if err := w.addAudio(f); err != nil {
			return fmt.Errorf("sound: %w", err)
		}
	}
	if w.video == nil && w.audio == nil {
		return errors.New("neither video nor sound to write")
	}
	if r := C.avio_open(&w.fmt.pb, name, C.AVIO_FLAG_WRITE); r < 0 {
		return Error(r)
	}
	var opts dict
	defer opts.free()
	if f.muxer == "mp4" || f.muxer == "mov" {
		opts.set("movflags", "+faststart") // so that it plays while it is fetched
	}
	return check(C.avformat_write_header(w.fmt, &opts.d))
}

// findEncoder gives the first of the encoders that this libav has.
func findEncoder(names []string) (*C.AVCodec, string, error) {
	for _, name := range names {
		s := C.CString(name)
		enc := C.avcodec_find_encoder_by_name(s)
		C.free(unsafe.Pointer(s))
		if enc != nil {
			return enc, name, nil
		}
	}
	return nil, "", fmt.Errorf("this libav has none of the encoders %s", strings.Join(names, ", "))
}

// start opens an encoder that is set up and adds its stream.
func (w *Writer) start(e *encoder, enc *C.AVCodec, opts *dict) error {
	defer opts.free()
	if w.fmt.oformat.flags&C.AVFMT_GLOBALHEADER != 0 {
		e.ctx.flags |= C.AV_CODEC_FLAG_GLOBAL_HEADER
	}
	e.ctx.thread_count = C.int(max(w.o.Threads, 1))
	if r := C.avcodec_open2(e.ctx, enc, &opts.d); r < 0 {
		return Error(r)
	}
	if e.st = C.avformat_new_stream(w.fmt, nil); e.st == nil {
		return Error(-int(C.ENOMEM))
	}
	e.st.time_base = e.ctx.time_base
	return check(C.avcodec_parameters_from_context(e.st.codecpar, e.ctx))
}

func (w *Writer) addVideo(f format) error {
	if err := checkSize(w.o.Width, w.o.Height); err != nil {
		return err
	}
	enc, name, err := findEncoder(f.video)
	if err != nil {
		return err
	}
	t := &videoTrack{encoder: encoder{ctx: C.avcodec_alloc_context3(enc), frame: C.av_frame_alloc()}, last: -1}
	w.video = t
	if w.o.FPS <= 0 {
		w.o.FPS = 25
	}
	rate := C.av_d2q(C.double(w.o.FPS), 60000)
	c := t.ctx
	c.width, c.height = C.int(w.o.Width+1)&^1, C.int(w.o.Height+1)&^1
	c.pix_fmt = C.AV_PIX_FMT_YUV420P
	c.framerate = rate
	c.time_base = C.AVRational{num: 1, den: 60000}
	if w.constant {
		c.time_base = C.AVRational{num: rate.den, den: rate.num}
	}
	c.gop_size = C.int(max(2*w.o.FPS, 1))
	var opts dict
	switch name {
	case "libx264":
		opts.set("preset", "veryfast")
		opts.set("crf", "20")
	case "libvpx", "libvpx-vp9":
		opts.set("deadline", "realtime")
		opts.set("cpu-used", "6")
		opts.set("crf", "12")
		c.bit_rate = C.int64_t(max(6*w.o.Width*w.o.Height, 200_000))
	case "libopenh264":
		c.bit_rate = C.int64_t(max(6*w.o.Width*w.o.Height, 200_000))
	default: // constant quality 3 of 1..31
		c.flags |= C.AV_CODEC_FLAG_QSCALE
		c.global_quality = 3 * C.FF_QP2LAMBDA
	}
	if err := w.start(&t.encoder, enc, &opts); err != nil {
		return fmt.Errorf("%s, %d x %d: %w", name, w.o.Width, w.o.Height, err)
	}
	t.st.avg_frame_rate = rate
	t.frame.format = C.int(c.pix_fmt)
	t.frame.width, t.frame.height = c.width, c.height
	return check(C.av_frame_get_buffer(t.frame, 0))
}

func (w *Writer) addAudio(f format) error {
	enc, name, err := findEncoder(f.audio)
	if err != nil {
		return err
	}
	t := &audioTrack{encoder: encoder{ctx: C.avcodec_alloc_context3(enc), frame: C.av_frame_alloc()}}
	w.audio = t
	c := t.ctx
	rate := w.o.SampleRate
	if rate == 0 {
		rate = f.rate
	}
	if rate == 0 {
		rate = SampleRate
	}
	channels := max(w.o.Channels, 1)
	c.sample_rate = C.int(rate)
	c.sample_fmt = *enc.sample_fmts // its favourite
	C.av_channel_layout_default(&c.ch_layout, C.int(channels))
	c.time_base = C.AVRational{num: 1, den: C.int(rate)}
	c.bit_rate = C.int64_t(96_000 * channels)
	if strings.HasPrefix(name, "libopus") || name == "aac" || rate < 32000 {
		c.bit_rate = C.int64_t(64_000 * channels)
	}
	if err := w.start(&t.encoder, enc, &dict{}); err != nil {
		return fmt.Errorf("%s, %s channels at %d Hz: %w", name, strconv.Itoa(channels), rate, err)
	}
	if r := C.tav_from_mono(&t.swr, SampleRate, c); r < 0 {
		return Error(r)
	}
	if t.fifo = C.av_audio_fifo_alloc(c.sample_fmt, C.int(channels), 4096); t.fifo == nil {
		return Error(-int(C.ENOMEM))
	}
	return nil
}

// WriteFrame adds a picture at f.Time, which is scaled to the video's size if need be. Pictures not later than the
// last one are left out.
func (w *Writer) WriteFrame(f *Frame) error {
	t := w.video
	if w.err != nil || t == nil {
		return w.err
	}
	if checkSize(f.Width, f.Height) != nil || len(f.Pix) != 3*f.Width*f.Height {
		return w.fail(fmt.Errorf("a frame of %d x %d pixels with %d bytes", f.Width, f.Height, len(f.Pix)))
	}
	tb := t.ctx.time_base
	pts := int64(math.Round(f.Time.Seconds() * float64(tb.den) / float64(tb.num)))
	if pts <= t.last {
		return nil
	}
	if r := C.av_frame_make_writable(t.frame); r < 0 {
		return w.fail(Error(r))
	}
	if r := C.tav_from_rgb(&t.sws, t.frame, (*C.uint8_t)(&f.Pix[0]), C.int(f.Width), C.int(f.Height)); r < 0 {
		return w.fail(Error(r))
	}
	t.last = pts
	t.frame.pts = C.int64_t(pts)
	t.frame.quality = t.ctx.global_quality
	return w.encode(&t.encoder, t.frame)
}

// WriteSamples adds sound at s.Time. A gap before it is filled with silence; what overlaps is left out.
func (w *Writer) WriteSamples(s *Samples) error {
	t := w.audio
	if w.err != nil || t == nil {
		return w.err
	}
	data := s.Data
	at := int64(math.Round(s.Time.Seconds() * SampleRate))
	// Rounding of times is no gap.
	if gap := at - t.in; gap > SampleRate/1000 {
		silence := make([]float32, SampleRate)
		for ; gap > 0; gap -= SampleRate {
			if err := w.push(silence[:min(gap, SampleRate)]); err != nil {
				return err
			}
		}
	} else if gap < -SampleRate/1000 {
		data = data[min(-gap, int64(len(data))):]
	}
	return w.push(data)
}

// push encodes sound that follows on.
func (w *Writer) push(data []float32) error {
	t := w.audio
	if len(data) == 0 {
		return nil
	}
	if r := C.tav_push(t.swr, t.fifo, t.ctx, (*C.float)(&data[0]), C.int(len(data))); r < 0 {
		return w.fail(Error(r))
	}
	t.in += int64(len(data))
	return w.pull(false)
}

// pull encodes whole frames of sound from the FIFO, and the rest if it is the last.
func (w *Writer) pull(last bool) error {
	t := w.audio
	size := int(t.ctx.frame_size)
	if size == 0 {
		size = 1024
	}
	for {
		n := min(int(C.av_audio_fifo_size(t.fifo)), size)
		if n == 0 || n < size && !last {
			return nil
		}
		f := t.frame
		C.av_frame_unref(f)
		f.nb_samples, f.format, f.sample_rate = C.int(n), C.int(t.ctx.sample_fmt), t.ctx.sample_rate
		if r := C.av_channel_layout_copy(&f.ch_layout, &t.ctx.ch_layout); r < 0 {
			return w.fail(Error(r))
		}
		if r := C.av_frame_get_buffer(f, 0); r < 0 {
			return w.fail(Error(r))
		}
		if r := C.tav_pull(t.fifo, f, C.int(n)); r < 0 {
			return w.fail(Error(r))
		}
		f.pts = C.int64_t(t.pts)
		t.pts += int64(n)
		if err := w.encode(&t.encoder, f); err != nil {
			return err
		}
	}
}

// encode sends one frame (nil drains) and writes the packets that come out.
func (w *Writer) encode(e *encoder, f *C.AVFrame) error {
	if r := C.avcodec_send_frame(e.ctx, f); r < 0 {
		return w.fail(Error(r))
	}
	for {
		r := C.avcodec_receive_packet(e.ctx, w.pkt)
		if r == errAgain || r == C.AVERROR_EOF {
			return nil
		}
		if r < 0 {
			return w.fail(Error(r))
		}
		if w.pkt.duration == 0 && e.ctx.framerate.num > 0 {
			w.pkt.duration = C.av_rescale_q(1, C.AVRational{num: e.ctx.framerate.den, den: e.ctx.framerate.num},
				e.ctx.time_base)
		}
		C.av_packet_rescale_ts(w.pkt, e.ctx.time_base, e.st.time_base)
		w.pkt.stream_index = e.st.index
		if r := C.av_interleaved_write_frame(w.fmt, w.pkt); r < 0 {
			return w.fail(Error(r))
		}
		if r := w.fmt.pb.error; r < 0 { // such as a full disk, which muxers notice late
			return w.fail(Error(r))
		}
	}
}

// fail ends the writer with its first error and removes what there is of the file.
func (w *Writer) fail(err error) error {
	w.err = fmt.Errorf("%s: cannot write: %w", w.path, err)
	w.discard()
	return w.err
}

// Close writes what is left and gives the file its name. After an error it returns that error and there is no file.
func (w *Writer) Close() error {
	if w.fmt == nil {
		if errors.Is(w.err, os.ErrClosed) {
			return nil
		}
		return w.err
	}
	if w.video != nil {
		if err := w.encode(&w.video.encoder, nil); err != nil {
			return err
		}
	}
	if w.audio != nil {
		if r := C.tav_push(w.audio.swr, w.audio.fifo, w.audio.ctx, nil, 0); r < 0 {
			return w.fail(Error(r))
		}
		if err := w.pull(true); err != nil {
			return err
		}
		if err := w.encode(&w.audio.encoder, nil); err != nil {
			return err
		}
	}
	if r := C.av_write_trailer(w.fmt); r < 0 {
		return w.fail(Error(r))
	}
	if r := C.avio_closep(&w.fmt.pb); r < 0 {
		return w.fail(Error(r))
	}
	if w.part != "" {
		if err := os.Rename(w.part, w.path); err != nil {
			return w.fail(err)
		}
		w.part = ""
	}
	w.err = fmt.Errorf("%s: %w", w.path, os.ErrClosed)
	w.discard()
	return nil
}

// Abort ends the writer and leaves no file. It does nothing after Close.
func (w *Writer) Abort() {
	if w.fmt != nil {
		w.fail(context.Canceled)
	}
}

// discard frees everything and removes an unfinished file.
func (w *Writer) discard() {
	if t := w.video; t != nil {
		t.free()
		C.sws_freeContext(t.sws)
		w.video = nil
	}
	if t := w.audio; t != nil {
		t.free()
		C.swr_free(&t.swr)
		C.av_audio_fifo_free(t.fifo)
		w.audio = nil
	}
	C.av_packet_free(&w.pkt)
	if w.fmt != nil {
		C.avio_closep(&w.fmt.pb)
		C.avformat_free_context(w.fmt)
		w.fmt = nil
	}
	if w.part != "" {
		os.Remove(w.part)
		w.part = ""
	}
}

func (e *encoder) free() {
	C.avcodec_free_context(&e.ctx)
	C.av_frame_free(&e.frame)
}
