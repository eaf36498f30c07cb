package av

/*
#include "shim.h"
#include <libavcodec/bsf.h>

static int64_t tav_duration(const AVFrame *f) {
#if LIBAVUTIL_VERSION_MAJOR >= 58
	return f->duration;
#else
	return f->pkt_duration;
#endif
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Options for Open. The zero value reads everything.
type Options struct {
	// Timeout bounds opening and then each read of a URL or pipe; 10 s if 0.
	Timeout time.Duration
	// Threads for decoding pictures; 1 if 0.
	Threads int
	// MinFrameInterval leaves out pictures that follow the last one handed out by less than that (2 ms less are
	// forgiven). They are decoded, as later ones build on them, but not converted. 0 hands out all.
	MinFrameInterval time.Duration
	NoVideo, NoAudio bool // leave that out
	// From, of a file, leaves out what lies well before this time, as far as the container can find its way: what is
	// handed out begins at or before From, and times are those of the whole. A file that cannot is read whole.
	From time.Duration
}

// Info says what an Input holds.
type Info struct {
	Format                 string // libav's name of the container
	VideoCodec, AudioCodec string // "" if there is none
	HasVideo, HasAudio     bool
	Still                  bool          // one picture without time
	Width, Height          int           // pixels, as shown: upright and square
	FPS                    float64       // 0 if not known
	Duration               time.Duration // 0 if not known
}

// Stats counts what went wrong while reading.
type Stats struct {
	Corrupt   int  // packets that could not be decoded
	Retimed   int  // times in the container that were not believed: back, or forth by more than 10 s
	Truncated bool // the input ended before its end
}

// Input is an open file or URL.
//
// Media time starts at 0 with the first item of any stream, and both streams are on that one clock. Times that are
// missing are extrapolated. A time that steps back by more than 0.5 s, or forward by more than 10 s beyond both
// streams, is not believed: the stream goes on where it was. Stats counts these.
type Input struct {
	name    string
	o       Options
	isURL   bool
	info    Info
	pipe    int // a FIFO's descriptor, else -1
	guard   *guard
	origin  time.Duration
	closing atomic.Bool

	mu      sync.Mutex // held while reading and while freeing
	fmt     *C.AVFormatContext
	pkt     *C.AVPacket
	streams [2]*C.AVStream // nil if not there
	codecs  [2]*codec
	turn    orientation
	clock   clock
	painter painter
	mixer   mixer
	annexB  *C.AVBSFContext // for ReadPacket
	pending []Media
	got     bool // anything at all
	bad     int  // reads failed in a row
	sought  bool // the first item may have any time
	stats   Stats
	why     error // what was wrong with the last packet that could not be decoded
	end     error // what Read says from now on, nil while there is more
}

// guard is shared with libav's interrupt callback. It is pinned Go memory, so that a late cancel is harmless.
type guard struct {
	c   C.tav_guard
	pin runtime.Pinner
}

func newGuard() *guard {
	g := &guard{}
	g.pin.Pin(g)
	return g
}

func (g *guard) stop() { atomic.StoreInt32((*int32)(&g.c.stop), 1) }

// arm sets the time at which I/O gives up; 0 never.
func (g *guard) arm(timeout time.Duration) {
	var at int64
	if timeout > 0 {
		at = int64(C.av_gettime_relative()) + timeout.Microseconds()
	}
	atomic.StoreInt64((*int64)(&g.c.deadline), at)
}

func (g *guard) expired() bool {
	at := atomic.LoadInt64((*int64)(&g.c.deadline))
	return at != 0 && int64(C.av_gettime_relative()) > at
}

// IsURL tells whether input names something on the network rather than a file.
func IsURL(input string) bool {
	scheme, _, ok := strings.Cut(input, "://")
	return ok && scheme != "" && scheme != "file" && !strings.ContainsAny(scheme, "/.")
}

// Open opens a file, a FIFO or a URL (http, https, rtsp, rtmp, udp, ... as libav was built). The name in every error
// is input as given, without a URL's password.
func Open(ctx context.Context, input string, o Options) (*Input, error) {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	in := &Input{name: input, o: o, isURL: IsURL(input), guard: newGuard(), turn: upright, pipe: -1, painter: painter{interval: o.MinFrameInterval}}
	if u, err := url.Parse(input); in.isURL && err == nil {
		in.name = u.Redacted()
	}
	if err := in.open(ctx, input); err != nil {
		in.free()
		return nil, &InputError{in.name, err}
	}
	return in, nil
}

func (in *Input) open(ctx context.Context, input string) error {
	takeLog()
	target, err := in.target(ctx, input)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, in.guard.stop)()
	runtime.LockOSThread() // for tav_last_log
	defer runtime.UnlockOSThread()
	C.tav_clear_log()

	var opts dict
	defer opts.free()
	opts.set("pattern_type", "none") // "%03d" in a picture's name is a part of its name
	if !in.isURL {
		opts.set("protocol_whitelist", "file,pipe") // a file does not reach out to the network
	}
	if strings.HasPrefix(input, "rtsp") {
		opts.set("rtsp_flags", "prefer_tcp")
	}
	in.fmt = C.avformat_alloc_context()
	in.pkt = C.av_packet_alloc()
	if in.fmt == nil || in.pkt == nil {
		return Error(-int(C.ENOMEM))
	}
	C.tav_set_guard(in.fmt, &in.guard.c)
	in.arm()
	url := C.CString(target)
	defer C.free(unsafe.Pointer(url))
	if r := C.avformat_open_input(&in.fmt, url, nil, &opts.d); r < 0 {
		return in.failed(ctx, r, true)
	}
	in.info.Format = C.GoString(in.fmt.iformat.name)
	in.arm()
	if r := C.avformat_find_stream_info(in.fmt, nil); r < 0 {
		return in.failed(ctx, r, true)
	}
	if err := in.choose(); err != nil {
		return err
	}
	in.seek()
	return nil
}

// seekMargin is how much earlier than From is sought: sound is stored up to this much later than the picture it goes with.
const seekMargin = time.Second

func (in *Input) seek() {
	to := in.o.From - seekMargin
	if to <= 0 || in.isURL || in.pipe >= 0 || in.info.Still {
		return
	}
	in.arm()
	at := C.int64_t((in.origin + to).Microseconds())
	in.sought = C.av_seek_frame(in.fmt, -1, at, C.AVSEEK_FLAG_BACKWARD) >= 0
}

// target checks what can be checked before libav is asked, and gives the name by which libav knows the input.
func (in *Input) target(ctx context.Context, input string) (string, error) {
	if err := context.Cause(ctx); err != nil {
		return "", err
	}
	if in.isURL {
		// libav looks names up without a time-out.
		u, err := url.Parse(input)
		if err != nil {
			return "", errors.New("not a valid URL")
		}
		if host := u.Hostname(); host != "" && net.ParseIP(host) == nil {
			within, cancel := context.WithTimeout(ctx, in.o.Timeout)
			defer cancel()
			if _, err := net.DefaultResolver.LookupHost(within, host); err != nil {
				if ctx.Err() != nil {
					return "", context.Cause(ctx)
				}
				return "", fmt.Errorf("host %q cannot be found: %w", host, err)
			}
		}
		return input, nil
	}
	path := strings.TrimPrefix(input, "file://")
	st, err := os.Stat(path)
	if err != nil {
		return "", cause(err)
	}
	switch {
	case st.IsDir():
		return "", errors.New("is a directory, not a media file")
	case st.Mode()&os.ModeNamedPipe != 0:
		if in.pipe, err = openFIFO(ctx, path, in.o.Timeout); err != nil {
			return "", err
		}
		return fmt.Sprintf("pipe:%d", in.pipe), nil
	case st.Mode().IsRegular() && st.Size() == 0:
		return "", fmt.Errorf("%w: the file is empty", ErrNotMedia)
	}
	return "file:" + path, sniff(path)
}

// sniff refuses text, of which libav would draw some as a picture and follow some, playlists, to other places.
func sniff(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return cause(err)
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := f.Read(head)
	if err != nil {
		return cause(err)
	}
	if head = head[:n]; utf8.Valid(head[:max(n-utf8.UTFMax, 1)]) && strings.HasPrefix(http.DetectContentType(head), "text/") {
		return fmt.Errorf("%w: it is a text file", ErrNotMedia)
	}
	return nil
}

// cause leaves out the path that an os error repeats.
func cause(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// arm bounds what libav does next. A file gets longer, as it may be a disk's fault.
func (in *Input) arm() {
	if in.isURL || in.pipe >= 0 {
		in.guard.arm(in.o.Timeout)
	} else {
		in.guard.arm(max(in.o.Timeout, time.Minute))
	}
}

// failed explains a libav error by what led to it.
func (in *Input) failed(ctx context.Context, r C.int, opening bool) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case in.closing.Load():
		return os.ErrClosed
	case in.guard.expired():
		return fmt.Errorf("no answer: %w", ErrTimeout)
	case opening && r == C.AVERROR_INVALIDDATA:
		return fmt.Errorf("%w: %w", ErrNotMedia, logged(r))
	}
	return Error(r)
}

// logged is the error r with what libav logged of it. The caller has locked its thread since tav_clear_log.
func logged(r C.int) error {
	log := strings.Join(strings.Fields(C.GoString(C.tav_last_log())), " ")
	if log == "" {
		return Error(r)
	}
	return fmt.Errorf("%s (%w)", strings.TrimSuffix(log, "."), Error(r))
}

// choose picks the streams, opens their decoders and fills in.info.
func (in *Input) choose() error {
	streams := unsafe.Slice(in.fmt.streams, in.fmt.nb_streams)
	for _, st := range streams {
		st.discard = C.AVDISCARD_ALL
	}
	var why error
	for kind, typ := range [2]int32{C.AVMEDIA_TYPE_VIDEO, C.AVMEDIA_TYPE_AUDIO} {
		if kind == video && in.o.NoVideo || kind == audio && in.o.NoAudio {
			continue
		}
		i := C.av_find_best_stream(in.fmt, typ, -1, -1, nil, 0)
		if i < 0 || streams[i].disposition&C.AV_DISPOSITION_ATTACHED_PIC != 0 { // a cover is not a video
			continue
		}
		st := streams[i]
		name := C.GoString(C.avcodec_get_name(st.codecpar.codec_id))
		c, err := in.openStream(kind, st)
		if err != nil {
			why = fmt.Errorf("%s: %w", name, err)
			continue
		}
		in.streams[kind], in.codecs[kind] = st, c
		st.discard = C.AVDISCARD_DEFAULT
		if kind == video {
			in.info.HasVideo, in.info.VideoCodec = true, name
		} else {
			in.info.HasAudio, in.info.AudioCodec = true, name
		}
	}
	if errors.Is(why, ErrTooLarge) || !in.info.HasVideo && !in.info.HasAudio {
		if why == nil {
			return ErrNotMedia
		}
		if !errors.Is(why, ErrTooLarge) {
			why = fmt.Errorf("%w: %w", ErrNotMedia, why)
		}
		return why
	}
	in.measure()
	if in.info.Still && in.info.Width == 0 {
		return fmt.Errorf("%w: %w", ErrNotMedia, logged(C.AVERROR_INVALIDDATA))
	}
	return nil
}

func (in *Input) openStream(kind int, st *C.AVStream) (*codec, error) {
	if kind == video && st.codecpar.width > 0 { // 0: not known before decoding
		w, h := squareSize(st.codecpar.width, st.codecpar.height, in.aspect(st, nil))
		if err := checkSize(max(w, int(st.codecpar.width)), h); err != nil {
			return nil, err
		}
	}
	return openCodec(st.codecpar, st.time_base, in.o.Threads, false)
}

func (in *Input) aspect(st *C.AVStream, f *C.AVFrame) C.AVRational {
	return C.av_guess_sample_aspect_ratio(in.fmt, st, f)
}

// measure fills in the rest of in.info and finds the time that is media time 0.
func (in *Input) measure() {
	if st := in.streams[video]; st != nil {
		in.turn = orientationOf(matrix(nil, st))
		w, h := squareSize(st.codecpar.width, st.codecpar.height, in.aspect(st, nil))
		in.info.Width, in.info.Height = in.turn.size(w, h)
		if r := C.av_guess_frame_rate(in.fmt, st, nil); r.num > 0 && r.den > 0 {
			in.info.FPS = float64(r.num) / float64(r.den)
		}
		name := in.info.Format
		in.info.Still = strings.HasSuffix(name, "_pipe") || name == "image2"
		if in.info.Still {
			in.info.FPS = 0
		}
	}
	if in.fmt.duration > 0 && !in.info.Still {
		in.info.Duration = duration(in.fmt.duration, C.AVRational{num: 1, den: C.AV_TIME_BASE})
	}
	first := time.Duration(math.MaxInt64)
	for _, st := range in.streams {
		if st == nil || st.start_time == C.AV_NOPTS_VALUE {
			continue
		}
		start := duration(st.start_time, st.time_base)
		// Sound may start before 0 with what the codec needs to get going, and which the decoder cuts off.
		if rate := st.codecpar.sample_rate; start < 0 && rate > 0 {
			priming := samplesTime(int64(st.codecpar.initial_padding), int64(rate))
			if start+priming > -time.Millisecond {
				start = 0
			}
		}
		first = min(first, start)
	}
	if first != math.MaxInt64 {
		in.origin = first
	}
}

// matrix is the display matrix of a picture or else of its stream.
func matrix(f *C.AVFrame, st *C.AVStream) []int32 {
	m := C.tav_display_matrix(f, st)
	if m == nil {
		return nil
	}
	return unsafe.Slice((*int32)(unsafe.Pointer(m)), 9)
}

// Info says what the input holds.
func (in *Input) Info() Info { return in.info }

// Stats counts what went wrong so far.
func (in *Input) Stats() Stats {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.stats
	s.Retimed = in.clock.retimed
	return s
}

// Read returns the next item in the container's order, io.EOF after the last. A packet that cannot be decoded is
// left out and counted. A Read that ctx ended leaves the input at its end.
func (in *Input) Read(ctx context.Context) (Media, error) {
	if err := context.Cause(ctx); err != nil {
		return Media{}, err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	defer context.AfterFunc(ctx, in.guard.stop)()
	for len(in.pending) == 0 {
		if in.closing.Load() {
			return Media{}, &InputError{in.name, os.ErrClosed}
		}
		if in.end != nil {
			return Media{}, in.end
		}
		if err := in.step(ctx); err != nil {
			in.end = err
			switch {
			case err == io.EOF:
			case ctx.Err() != nil:
				return Media{}, context.Cause(ctx)
			default:
				in.end = &InputError{in.name, err}
			}
		}
	}
	m := in.pending[0]
	in.pending[0] = Media{}
	in.pending = in.pending[1:]
	in.got = true
	return m, nil
}

// step reads and decodes one packet into in.pending.
func (in *Input) step(ctx context.Context) error {
	in.arm()
	r := C.av_read_frame(in.fmt, in.pkt)
	switch {
	case r == C.AVERROR_EOF:
		return in.finish()
	case r == errAgain:
		return nil
	case r == C.AVERROR_INVALIDDATA && in.bad < 100:
		in.bad++
		in.stats.Corrupt++
		return nil
	case r == C.AVERROR_INVALIDDATA && in.got, r == -C.int(C.EIO) && in.got && !in.isURL:
		in.stats.Truncated = true
		return in.finish()
	case r < 0:
		return in.failed(ctx, r, false)
	}
	defer C.av_packet_unref(in.pkt)
	in.bad = 0
	for kind, st := range in.streams {
		if st == nil || in.pkt.stream_index != st.index {
			continue
		}
		in.stats.Truncated = in.pkt.flags&C.AV_PKT_FLAG_CORRUPT != 0 // cut off, if it is the last
		if err := in.decode(kind, in.pkt); errors.Is(err, ErrCorrupt) {
			in.stats.Corrupt++
			in.why = err
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (in *Input) decode(kind int, pkt *C.AVPacket) error {
	return in.codecs[kind].decode(pkt, func(f *C.AVFrame) error {
		st := in.streams[kind]
		raw, known := time.Duration(0), f.best_effort_timestamp != C.AV_NOPTS_VALUE
		if known {
			raw = duration(f.best_effort_timestamp, st.time_base) - in.origin
			if in.sought {
				in.sought = false
				in.clock.begin(raw)
			}
		}
		if kind == audio {
			return in.sound(f, raw, known)
		}
		return in.picture(f, raw, known)
	})
}

func (in *Input) sound(f *C.AVFrame, raw time.Duration, known bool) error {
	length := time.Duration(0)
	if f.sample_rate > 0 {
		length = samplesTime(int64(f.nb_samples), int64(f.sample_rate))
	}
	t := in.clock.at(audio, raw, known, length)
	off := t - in.mixer.next()
	out, err := in.mixer.mix(f, off > seamless || off < -seamless, t)
	in.pending = append(in.pending, out...)
	return err
}

func (in *Input) picture(f *C.AVFrame, raw time.Duration, known bool) error {
	st := in.streams[video]
	length := duration(C.tav_duration(f), st.time_base)
	if length <= 0 && in.info.FPS > 0 {
		length = time.Duration(float64(time.Second) / in.info.FPS)
	}
	t := in.clock.at(video, raw, known, length)
	if !in.painter.wants(t) {
		return nil
	}
	turn := in.turn
	if m := matrix(f, nil); m != nil {
		turn = orientationOf(m)
	}
	frame, err := in.painter.paint(f, in.aspect(st, f), turn, t)
	if err != nil {
		return err
	}
	in.pending = append(in.pending, Media{Frame: frame})
	return nil
}

// finish takes what the decoders still hold and ends the input.
func (in *Input) finish() error {
	for kind, c := range in.codecs {
		if c == nil {
			continue
		}
		if err := in.decode(kind, nil); errors.Is(err, ErrCorrupt) {
			in.stats.Corrupt++
		} else if err != nil {
			return err
		}
	}
	in.pending = append(in.pending, in.mixer.drain()...)
	if in.ranShort() {
		in.stats.Truncated = true
	}
	if !in.got && len(in.pending) == 0 && in.o.From == 0 {
		if in.why != nil {
			return fmt.Errorf("%w: %w", ErrNotMedia, in.why)
		}
		return ErrNotMedia
	}
	return io.EOF
}

// ranShort tells whether more than a second is missing of what the container's header promised.
func (in *Input) ranShort() bool {
	if in.info.Duration == 0 || in.o.NoVideo || in.o.NoAudio || in.clock.retimed > 0 ||
		in.fmt.duration_estimation_method == C.AVFMT_DURATION_FROM_BITRATE {
		return false
	}
	end := max(in.clock.tracks[video].next, in.clock.tracks[audio].next)
	return end < in.info.Duration-time.Second
}

// Close ends a Read that is under way and frees everything. It may be called more than once, from any goroutine.
func (in *Input) Close() error {
	in.closing.Store(true)
	in.guard.stop()
	in.mu.Lock()
	defer in.mu.Unlock()
	in.free()
	return nil
}

func (in *Input) free() {
	for i := range in.codecs {
		in.codecs[i].close()
		in.codecs[i], in.streams[i] = nil, nil
	}
	in.painter.close()
	in.mixer.close()
	C.avformat_close_input(&in.fmt)
	C.av_packet_free(&in.pkt)
	C.av_bsf_free(&in.annexB)
	if in.pipe >= 0 {
		unix.Close(in.pipe)
		in.pipe = -1
	}
	in.pending = nil
	in.guard.pin.Unpin()
}
