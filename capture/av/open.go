package av

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/term"
)

// open opens the container, its streams and their decoders, and goes to Options.From.
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
		if in.pipe >= 0 {
			opts.set("protocol_whitelist", "pipe") // nor does what comes through a pipe open files
		}
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
	in.peek()
	in.seek()
	return nil
}

// seekMargin is how much earlier than From is sought: sound is stored up to this much later than the picture it goes
// with.
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
	path := LocalPath(input)
	st, err := os.Stat(path)
	if err != nil {
		return "", cause(err)
	}
	switch mode := st.Mode(); {
	case st.IsDir():
		return "", errors.New("is a directory, not a media file")
	case mode&os.ModeNamedPipe != 0, mode&os.ModeSocket != 0 && path == stdinPath:
		open := openFIFO
		if mode&os.ModeSocket != 0 {
			open = openSocket
		}
		if in.pipe, err = open(ctx, path, in.o.Timeout); err != nil {
			return "", err
		}
		return fmt.Sprintf("pipe:%d", in.pipe), nil
	case path == stdinPath && mode&os.ModeCharDevice != 0 && term.IsTerminal(int(os.Stdin.Fd())):
		return "", errors.New("standard input is a terminal: redirect a file or a pipe into it")
	case mode.IsRegular() && st.Size() == 0:
		return "", fmt.Errorf("%w: the file is empty", ErrNotMedia)
	}
	return "file:" + path, sniff(path)
}

// arm bounds what libav does next. A file gets longer, as it may be a disk's fault.
func (in *Input) arm() { in.guard.arm(in.limit()) }

func (in *Input) limit() time.Duration {
	if in.isURL || in.pipe >= 0 {
		return in.o.Timeout
	}
	return max(in.o.Timeout, time.Minute)
}

// failed explains a libav error by what led to it.
func (in *Input) failed(ctx context.Context, r C.int, opening bool) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case in.closing.Load():
		return os.ErrClosed
	case opening && in.guard.expired():
		return fmt.Errorf("no answer: %w", ErrTimeout)
	case in.guard.expired(), r == C.AVERROR_EXIT:
		// Libav hands out what it still has and says so only when it is asked again, by when the guard is armed anew.
		return fmt.Errorf("no data for %v: %w", in.limit(), ErrTimeout)
	case opening && r == C.AVERROR_INVALIDDATA:
		return fmt.Errorf("%w: %w", ErrNotMedia, logged(r))
	case opening && !in.isURL && in.pipe < 0 && endsEarly(LocalPath(in.name), r):
		return fmt.Errorf("%w: it is cut short: it ends before its first picture or sound (%w)", ErrNotMedia, Error(r))
	}
	return Error(r)
}

// endsEarly reports whether libav's error of a file that it cannot open is that it ends within its header. Libav has
// several codes for that, one of which means a fault of the disk too, by which the file could not be read.
func endsEarly(path string, r C.int) bool {
	if r != C.AVERROR_EOF && r != -C.int(C.EIO) && r != -C.int(C.EINVAL) {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(f, 8<<20)) // as far as a header may reach
	return err == nil
}

// logged is the error r with what libav logged of it. The caller has locked its thread since tav_clear_log.
func logged(r C.int) error {
	log := strings.Join(strings.Fields(C.GoString(C.tav_last_log())), " ")
	if log == "" {
		return Error(r)
	}
	if strings.Contains(log, "moov atom not found") {
		log += ": it is cut short, or what recorded it did not end it"
	}
	return fmt.Errorf("%s (%w)", strings.TrimSuffix(log, "."), Error(r))
}

// choose picks the streams, opens their decoders and fills in.info.
func (in *Input) choose() error {
	streams := unsafe.Slice(in.fmt.streams, in.fmt.nb_streams)
	for _, st := range streams {
		st.discard = C.AVDISCARD_ALL
	}
	tracks, at := in.findAudioTracks(streams)
	in.info.AudioTracks = tracks
	wanted := -1
	if !in.o.NoAudio {
		var err error
		if wanted, err = chooseAudioTrack(tracks, in.o.AudioTrack); err != nil {
			return err
		}
	}
	var why error
	for kind, typ := range [2]int32{C.AVMEDIA_TYPE_VIDEO, C.AVMEDIA_TYPE_AUDIO} {
		if kind == video && in.o.NoVideo || kind == audio && in.o.NoAudio {
			continue
		}
		i := C.av_find_best_stream(in.fmt, typ, -1, -1, nil, 0)
		if kind == audio && wanted >= 0 {
			i = at[wanted]
		}
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
			in.info.AudioTrack = slices.Index(at, i) + 1
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
		// Of a transport stream the length is but its last time less its first.
		if in.whole() && in.fmt.duration_estimation_method == C.AVFMT_DURATION_FROM_STREAM &&
			in.info.Duration <= longest {
			in.info.Timed = true
			in.clock.sound = in.info.Duration + time.Second
		}
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

// whole reports whether the input is a file that was there as a whole when it was opened, be it at a server: one that
// can be sought in. A playlist's parts are not, whose times need not go on from one to the next.
func (in *Input) whole() bool {
	if !in.isURL {
		return in.pipe < 0
	}
	http := strings.HasPrefix(in.name, "http:") || strings.HasPrefix(in.name, "https:")
	return http && in.info.Format != "hls" && in.info.Format != "dash" && in.fmt.pb != nil &&
		in.fmt.pb.seekable&C.AVIO_SEEKABLE_NORMAL != 0
}

// matrix is the display matrix of a picture or else of its stream.
func matrix(f *C.AVFrame, st *C.AVStream) []int32 {
	m := C.tav_display_matrix(f, st)
	if m == nil {
		return nil
	}
	return unsafe.Slice((*int32)(unsafe.Pointer(m)), 9)
}
