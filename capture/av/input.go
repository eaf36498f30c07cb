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
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Options for Open. The zero value reads everything.
type Options struct {
	// Timeout bounds opening and then each read of a URL or pipe; 10 s if 0.
	Timeout time.Duration
	// Threads for decoding pictures; 1 if 0.
	Threads int
	// MinFrameInterval leaves out pictures that follow the last one handed out by less than that (2 ms less are
	// forgiven). They are decoded where others build on them, but not converted. 0 hands out all.
	MinFrameInterval time.Duration
	NoVideo, NoAudio bool // leave that out
	// AudioTrack is which of several tracks of sound is read: its number from 1 on, or its language (ISO 639, BCP 47);
	// "" is the one that the container prefers.
	AudioTrack string
	// From, of a file, leaves out what lies well before this time, as far as the container can find its way: what is
	// handed out begins at or before From, and times are those of the whole. A file that cannot is read whole.
	From time.Duration
}

// Info describes an Input.
type Info struct {
	Format                 string // libav's name of the container
	VideoCodec, AudioCodec string // "" if there is none
	HasVideo, HasAudio     bool
	Still                  bool          // one picture without time
	Width, Height          int           // pixels, as shown: upright and square
	FPS                    float64       // 0 if not known
	Duration               time.Duration // 0 if not known
	// Timed says that times are those of the container, with all its holes: of a file whose header says how long it is,
	// in which such a hole is no fault. Of others, steps forward of more than 10 s are not believed.
	Timed       bool
	AudioTracks []AudioTrack // all of them
	AudioTrack  int          // the number of the one that is read; 0: none is
}

// Stats counts what went wrong while reading.
type Stats struct {
	Corrupt   int  // packets that could not be decoded
	Retimed   int  // times in the container that were not believed: back, or forth by more than 10 s
	Truncated bool // the input ended before its end
	// Opposite is how long the two channels of the sound cancelled each other, so that the louder was taken.
	Opposite time.Duration
}

// Input is an open file or URL.
//
// Media time starts at 0 with the first item of any stream, and both streams are on that one clock. Times that are
// missing are extrapolated. A time that steps back by more than 0.5 s, or forward by more than 10 s beyond both
// streams, is not believed: the stream goes on where it was. Stats counts these. But a step forward within the length
// that a file's header gives is: so pauses of a recording stay, and a time-lapse (Info.Timed).
type Input struct {
	name    string
	o       Options
	isURL   bool
	info    Info
	pipe    int // a FIFO's descriptor, else -1
	guard   *guard
	origin  time.Duration
	closing atomic.Bool

	mu           sync.Mutex // held while reading and while freeing
	fmt          *C.AVFormatContext
	pkt          *C.AVPacket
	streams      [2]*C.AVStream // nil if not there
	codecs       [2]*codec
	turn         orientation
	clock        clock
	frames       frameConverter
	mixer        mixer
	annexB       *C.AVBSFContext // for ReadPacket
	pending      []Media
	peeked       bool  // in.pkt holds the first packet already
	held         C.int // what reading it returned
	begun        bool  // a packet was read
	delivered    bool  // anything at all
	readFailures int   // reads failed in a row
	sought       bool  // the first item may have any time
	stats        Stats
	decodeErr    error // what was wrong with the last packet that could not be decoded
	endErr       error // what Read returns from now on, nil while there is more
}

// IsURL reports whether input names something on the network rather than a file.
func IsURL(input string) bool {
	scheme, _, ok := strings.Cut(input, "://")
	return ok && scheme != "" && !strings.EqualFold(scheme, "file") && !strings.ContainsAny(scheme, "/.")
}

// Open opens a file, a FIFO, standard input ("-") or a URL (file, http, https, rtsp, rtmp, udp, ... as libav was
// built). The name in every error is input as given, without a URL's password.
func Open(ctx context.Context, input string, o Options) (*Input, error) {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	in := &Input{
		name: input, o: o, isURL: IsURL(input), guard: newGuard(), turn: upright, pipe: -1,
		frames: frameConverter{interval: o.MinFrameInterval},
	}
	if u, err := url.Parse(input); in.isURL && err == nil {
		in.name = u.Redacted()
	}
	if err := in.open(ctx, input); err != nil {
		in.free()
		return nil, &InputError{in.name, err}
	}
	return in, nil
}

// Info describes the input.
func (in *Input) Info() Info { return in.info }

// Stats counts what went wrong so far.
func (in *Input) Stats() Stats {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.stats
	s.Retimed = in.clock.retimed
	s.Opposite = samplesTime(in.mixer.fold.cancelled, SampleRate)
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
		if in.endErr != nil {
			return Media{}, in.endErr
		}
		if err := in.step(ctx); err != nil {
			in.endErr = err
			switch {
			case err == io.EOF:
			case ctx.Err() != nil:
				return Media{}, context.Cause(ctx)
			default:
				in.endErr = &InputError{in.name, err}
			}
		}
	}
	m := in.pending[0]
	in.pending[0] = Media{}
	in.pending = in.pending[1:]
	in.delivered = true
	return m, nil
}

// step reads and decodes one packet into in.pending.
func (in *Input) step(ctx context.Context) error {
	in.arm()
	r := in.readPacket()
	switch {
	case r == errAgain:
		return nil
	case r < 0 && in.indexBehind() && ctx.Err() == nil && !in.guard.expired():
		return errIndexBehind
	case r == C.AVERROR_EOF:
		return in.finish()
	case r == C.AVERROR_INVALIDDATA && in.readFailures < 100:
		in.readFailures++
		in.stats.Corrupt++
		return nil
	case r == C.AVERROR_INVALIDDATA && in.delivered, r == -C.int(C.EIO) && in.delivered && !in.isURL:
		in.stats.Truncated = true
		return in.finish()
	case r < 0:
		return in.failed(ctx, r, false)
	}
	defer C.av_packet_unref(in.pkt)
	in.begun, in.readFailures = true, 0
	for kind, st := range in.streams {
		if st == nil || in.pkt.stream_index != st.index {
			continue
		}
		in.stats.Truncated = in.pkt.flags&C.AV_PKT_FLAG_CORRUPT != 0 // cut off, if it is the last
		if kind == video {
			in.codecs[video].leaveOut(in.pkt.pts != C.AV_NOPTS_VALUE && !in.frames.needed(
				duration(in.pkt.pts, st.time_base)-in.origin+in.clock.tracks[video].offset))
		}
		if err := in.decode(kind, in.pkt); errors.Is(err, ErrCorrupt) {
			in.stats.Corrupt++
			in.decodeErr = err
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
			return in.addAudio(f, raw, known)
		}
		return in.addFrame(f, raw, known)
	})
}

func (in *Input) addAudio(f *C.AVFrame, raw time.Duration, known bool) error {
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

func (in *Input) addFrame(f *C.AVFrame, raw time.Duration, known bool) error {
	st := in.streams[video]
	length := duration(C.tav_duration(f), st.time_base)
	if length <= 0 && in.info.FPS > 0 {
		length = time.Duration(float64(time.Second) / in.info.FPS)
	}
	t := in.clock.at(video, raw, known, length)
	if !in.frames.due(t) {
		return nil
	}
	turn := in.turn
	if m := matrix(f, nil); m != nil {
		turn = orientationOf(m)
	}
	frame, err := in.frames.convert(f, in.aspect(st, f), turn, t)
	if err != nil {
		return err
	}
	in.pending = append(in.pending, Media{Frame: frame})
	return nil
}

// errIndexBehind is the error of an MP4 that cannot be read in the order in which it comes.
var errIndexBehind = errors.New("the file's index (moov) is at its end, behind what it is for: it cannot be read " +
	"through a pipe, or from a server that does not answer ranges; save it and name the file, or rewrite it with " +
	"ffmpeg -i IN -c copy -movflags +faststart OUT")

// indexBehind reports whether this is an MP4 of which nothing could be read so far, through something that cannot be
// sought in: its index came first or it would be read by now.
func (in *Input) indexBehind() bool {
	return !in.begun && strings.HasPrefix(in.info.Format, "mov,") && in.fmt.pb != nil &&
		in.fmt.pb.seekable&C.AVIO_SEEKABLE_NORMAL == 0
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
	if !in.delivered && len(in.pending) == 0 && in.o.From == 0 {
		if in.decodeErr != nil {
			return fmt.Errorf("%w: %w", ErrNotMedia, in.decodeErr)
		}
		return ErrNotMedia
	}
	return io.EOF
}

// ranShort reports whether more than a second is missing of what the container's header promised.
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
	in.frames.close()
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
