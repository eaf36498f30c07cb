package capture

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tandem/capture/av"
)

// Options for Open.
type Options struct {
	// Realtime paces a file by the wall clock, as if it were live: Info.Live is set, media bear the time of their
	// arrival and a slow reader loses some.
	Realtime bool
	// Timeout bounds each wait for a URL or a FIFO; 10 s if 0.
	Timeout time.Duration
	// MinFrameInterval leaves out pictures of a file or URL that follow the last one by less than that, before they
	// cost anything but their decoding, which is left out too where no other picture builds on them. They do not count
	// as dropped. 0 hands out all.
	MinFrameInterval time.Duration
	// Threads for decoding pictures; 1 if 0.
	Threads int
	// NoVideo and NoAudio leave that modality out.
	NoVideo, NoAudio bool
	// AudioTrack is which of several tracks of sound is read, by its number from 1 on or its language (ISO 639, BCP
	// 47); "" is the one that the container prefers.
	AudioTrack string
	// From leaves out what lies well before this time in a file, where that can be found without reading it all: what
	// is handed out begins at or before From, and times are those of the whole.
	From time.Duration
}

// AudioTrack is one of several tracks of sound.
type AudioTrack = av.AudioTrack

// InputError is the error of a file, a FIFO or a URL that Open cannot open or that cannot be read on.
type InputError = av.InputError

// LocalPath returns the path of an input that is no URL but a file's: of "file:///a%20b.mp4", /a b.mp4, of "-" that of
// standard input.
func LocalPath(input string) string { return av.LocalPath(input) }

// Open opens what the user named: a file (mp4, webm, avi, flv, mkv, mpg, wav, flac, mp3, jpg, png, bmp, webp, ...),
// a FIFO, "-" for standard input, a URL (file, http, https, rtsp, rtmp, udp, ...), or "pattern:", the test source, with
// how long it lasts after the colon if it is not to be ten seconds ("pattern:30s").
//
// A network stream that is live by nature (rtsp, rtp, udp, srt) gives a live source. All errors name the input and
// the cause.
func Open(ctx context.Context, input string, o Options) (Source, error) {
	if rest, ok := strings.CutPrefix(input, "pattern:"); ok {
		p := PatternOptions{Live: o.Realtime, NoVideo: o.NoVideo, NoAudio: o.NoAudio, Duration: 10 * time.Second}
		if rest != "" {
			d, err := time.ParseDuration(rest)
			if err != nil || d <= 0 {
				return nil, fmt.Errorf("%s: %q is not a length of time such as 30s", input, rest)
			}
			p.Duration = d
		}
		return NewPattern(p), nil
	}
	in, err := av.Open(ctx, input, av.Options{
		Timeout: o.Timeout, Threads: o.Threads, MinFrameInterval: o.MinFrameInterval, NoVideo: o.NoVideo,
		NoAudio: o.NoAudio, AudioTrack: o.AudioTrack, From: o.From,
	})
	if err != nil {
		return nil, err
	}
	i := in.Info()
	info := Info{
		Name: input, Still: i.Still, HasVideo: i.HasVideo, HasAudio: i.HasAudio,
		Width: i.Width, Height: i.Height, FPS: i.FPS, Duration: i.Duration,
		Timed: i.Timed && !o.Realtime, AudioTracks: i.AudioTracks, AudioTrack: i.AudioTrack,
	}
	if o.Realtime || isLiveURL(input) {
		return newLive(info, time.Now(), func(ctx context.Context, l *live) error {
			defer in.Close()
			return play(ctx, in, l, o.Realtime && !isLiveURL(input))
		}), nil
	}
	return &File{in: in, info: info}, nil
}

func isLiveURL(input string) bool {
	scheme, _, _ := strings.Cut(input, "://")
	switch strings.ToLower(scheme) {
	case "rtsp", "rtsps", "rtp", "srtp", "udp", "srt":
		return av.IsURL(input)
	}
	return false
}

// play reads an input into a live source; paced, each item comes when all of it would have been there.
func play(ctx context.Context, in *av.Input, l *live, paced bool) error {
	for {
		m, err := in.Read(ctx)
		if err != nil {
			return err
		}
		media := fromAV(m)
		if paced {
			at := media.time()
			if media.Samples != nil {
				at = media.Samples.End()
			}
			if err := sleepUntil(ctx, l.start.Add(at)); err != nil {
				return err
			}
		}
		l.put(media.arrived(time.Now()))
	}
}

// File is a Source that reads a file, a FIFO or a URL as fast as it is asked to and loses nothing.
type File struct {
	in   *av.Input
	info Info
}

// Info describes the file.
func (f *File) Info() Info { return f.info }

// Read returns the next item in the file's order.
func (f *File) Read(ctx context.Context) (Media, error) {
	m, err := f.in.Read(ctx)
	if err != nil {
		return Media{}, err
	}
	return fromAV(m), nil
}

// Drops is zero: a file loses nothing.
func (f *File) Drops() Drops { return Drops{} }

// Stats returns what was wrong with the file so far.
func (f *File) Stats() av.Stats { return f.in.Stats() }

// Close ends a Read that is under way and frees the decoder.
func (f *File) Close() error { return f.in.Close() }

func fromAV(m av.Media) Media {
	if f := m.Frame; f != nil {
		return Media{Frame: &Frame{Time: f.Time, Width: f.Width, Height: f.Height, Pix: f.Pix}}
	}
	return Media{Samples: &Samples{Time: m.Samples.Time, Data: m.Samples.Data}}
}

// time is when the item starts on its source's clock.
func (m Media) time() time.Duration {
	if m.Frame != nil {
		return m.Frame.Time
	}
	return m.Samples.Time
}

// arrived stamps m with the wall clock.
func (m Media) arrived(at time.Time) Media {
	if m.Frame != nil {
		m.Frame.Arrived = at
	} else {
		m.Samples.Arrived = at
	}
	return m
}

// shift moves m on its clock.
func (m Media) shift(by time.Duration) Media {
	if m.Frame != nil {
		m.Frame.Time += by
	} else {
		m.Samples.Time += by
	}
	return m
}
