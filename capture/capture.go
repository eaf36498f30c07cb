// Package capture is where media comes in: files and URLs, cameras, microphones and a test pattern, each a
// Source that hands out timestamped pictures and sound on one media clock.
package capture

import (
	"context"
	"time"
)

// SampleRate is the rate of every Samples value in Hz. Sources resample to it.
const SampleRate = 16000

// Frame is one picture.
type Frame struct {
	Time   time.Duration // presentation time on the source's media clock
	Width  int           // pixels
	Height int           // pixels
	// Pix is packed RGB, 8 bits a channel, row-major, 3*Width*Height bytes without padding. The receiver of a
	// Frame owns it; a Source never writes to it again.
	Pix []byte
	// Arrived is the wall clock at which a live source got the picture; zero for files.
	Arrived time.Time
}

// Samples is a run of sound: float32, mono, SampleRate Hz, nominally in [-1, 1].
type Samples struct {
	Time    time.Duration // time of Data[0] on the source's media clock
	Data    []float32     // owned by the receiver
	Arrived time.Time     // wall clock at which a live source got the last of Data; zero for files
}

// End is the time just after the last sample.
func (s *Samples) End() time.Duration {
	return s.Time + time.Duration(len(s.Data))*time.Second/SampleRate
}

// Media is one item from a Source: exactly one of its fields is set.
type Media struct {
	Frame   *Frame
	Samples *Samples
}

// Info describes what a Source delivers.
type Info struct {
	Name          string // what the user named: a path, a URL, "camera 0", "pattern:"
	Live          bool   // paced by the world: a slow reader loses media rather than delaying it
	Still         bool   // one picture, no time (an image file)
	HasVideo      bool
	HasAudio      bool
	Width, Height int           // pixels, 0 if not known yet
	FPS           float64       // nominal frames a second, 0 if not known
	Duration      time.Duration // 0 if not known
	// Timed says that times are to be believed however far they step forward, see av.Info.
	Timed       bool
	AudioTracks []AudioTrack // of a file or URL
	AudioTrack  int          // the number of the one that is read; 0 if it is not one of these
}

// Drops counts what a Source has lost since it was opened.
type Drops struct {
	Frames  int // pictures
	Samples int // sound samples at SampleRate
}

// Source is one clock's worth of media.
//
// Read returns the next item in the order in which it becomes known, or io.EOF after the last. Pictures and
// sound interleave but are not sorted against each other beyond what the container does; each of the two is
// non-decreasing in time. Read returns the context's cause when ctx ends. One goroutine reads; Close may be
// called from any and unblocks Read. Any other error of Read names the source, once, without a URL's password.
type Source interface {
	Info() Info
	Read(ctx context.Context) (Media, error)
	Drops() Drops
	Close() error
}
