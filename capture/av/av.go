// Package av is the one decoder: libav (FFmpeg's libraries, 5.1 or newer) behind a small cgo shim. Input
// reads files and URLs, PacketDecoder takes bare VP8, H.264 and Opus payloads, Writer writes a video with sound.
// Pictures are packed RGB; sound is float32, mono, 16 kHz.
package av

/*
#cgo pkg-config: libavformat libavcodec libswscale libswresample libavutil
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// SampleRate is the rate of all decoded sound in Hz.
const SampleRate = 16000

// MaxPixels is the largest picture that is decoded: 8192 x 8192, twice 8K. A picture larger than that is an error.
const MaxPixels = 1 << 26

// Errors that callers tell apart. They come wrapped with the input's name and the cause.
var (
	// ErrNotMedia: the input holds no picture or sound that can be decoded.
	ErrNotMedia = errors.New("no picture or sound that can be decoded")
	// ErrTimeout: the other side did not answer in time.
	ErrTimeout = errors.New("timed out")
	// ErrTooLarge: a picture has more than MaxPixels.
	ErrTooLarge = errors.New("picture is too large")
	// ErrCorrupt: one packet could not be decoded; the next one may be.
	ErrCorrupt = errors.New("corrupt packet")
)

// InputError is the error of an input that cannot be opened or read.
type InputError struct {
	Name string // of the input, without a URL's password
	Err  error  // does not repeat the name
}

// Error returns the input's name, a colon and the cause.
func (e *InputError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

// Frame is one picture, upright and with square pixels.
type Frame struct {
	Time          time.Duration // presentation time
	Width, Height int           // pixels
	Pix           []byte        // packed RGB, 3*Width*Height bytes, owned by the receiver
}

// Samples is a run of mono sound at SampleRate.
type Samples struct {
	Time time.Duration // of Data[0]
	Data []float32     // nominally in [-1, 1], owned by the receiver
}

// Media is one decoded item: exactly one of its fields is set.
type Media struct {
	Frame   *Frame
	Samples *Samples
}

// Quiet keeps libav from writing to stderr, in this package and wherever else in the process it is used. Errors
// say what is worth saying.
func Quiet() { takeLog() }

var takeLog = sync.OnceFunc(func() { C.tav_take_log() })

var errAgain = C.int(-int(syscall.EAGAIN))

// Error is one of libav's error codes.
type Error int

func (e Error) Error() string {
	var buf [128]C.char
	if C.av_strerror(C.int(e), &buf[0], C.size_t(len(buf))) < 0 {
		return fmt.Sprintf("libav error %d", int(e))
	}
	return C.GoString(&buf[0])
}

// Is makes errors.Is(err, syscall.ENOSPC) and the like work: libav passes errno on, negated.
func (e Error) Is(target error) bool {
	errno, ok := target.(syscall.Errno)
	return ok && int(errno) == -int(e)
}

// check turns a libav return code into an error.
func check(r C.int) error {
	if r >= 0 {
		return nil
	}
	return Error(r)
}

// dict is a libav dictionary of options. free it.
type dict struct{ d *C.AVDictionary }

func (d *dict) set(key, value string) {
	k, v := C.CString(key), C.CString(value)
	C.av_dict_set(&d.d, k, v, 0)
	C.free(unsafe.Pointer(k))
	C.free(unsafe.Pointer(v))
}

func (d *dict) free() { C.av_dict_free(&d.d) }

// duration turns a time in units of tb into a Duration.
func duration(t C.int64_t, tb C.AVRational) time.Duration {
	return time.Duration(C.av_rescale_q(t, tb, C.AVRational{num: 1, den: 1e9}))
}
