package sample

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"tandem/capture"
	"tandem/train/dataset"
)

// OpenClip opens a clip's picture and sound as one source: its part of the files alone, with times from the part's
// start. Errors name the file.
func OpenClip(ctx context.Context, c *dataset.Clip) (capture.Source, error) {
	switch {
	case c.Row != nil:
		return openPixels(c)
	case c.Video == "" || c.Audio == "":
		return openPart(ctx, c)
	}
	return openPair(ctx, c)
}

// openPair opens the pictures of one file with the sound of another.
func openPair(ctx context.Context, c *dataset.Clip) (capture.Source, error) {
	video, err := openPart(ctx, c)
	if err != nil {
		return nil, err
	}
	audio, err := capture.Open(ctx, c.Audio, capture.Options{})
	if err != nil {
		return nil, errors.Join(err, video.Close())
	}
	return &pairSource{video: video, audio: audio}, nil
}

// openPixels decodes a picture that is a row of FER2013's csv, as a frame of three equal channels.
func openPixels(c *dataset.Clip) (capture.Source, error) {
	grey, err := c.Row.Decode()
	if err != nil {
		return nil, &capture.InputError{Name: c.Video, Err: err}
	}
	f := &capture.Frame{Width: dataset.FER2013Side, Height: dataset.FER2013Side, Pix: make([]byte, 0, 3*len(grey))}
	for _, v := range grey {
		f.Pix = append(f.Pix, v, v, v)
	}
	return &stillSource{name: c.Video, frame: f}, nil
}

// stillSource gives one frame.
type stillSource struct {
	name  string
	frame *capture.Frame
	read  atomic.Bool
}

func (s *stillSource) Info() capture.Info {
	return capture.Info{Name: s.name, Still: true, HasVideo: true, Width: s.frame.Width, Height: s.frame.Height}
}

func (s *stillSource) Read(ctx context.Context) (capture.Media, error) {
	if ctx.Err() != nil {
		return capture.Media{}, context.Cause(ctx)
	}
	if s.read.Swap(true) {
		return capture.Media{}, io.EOF
	}
	return capture.Media{Frame: s.frame}, nil
}

func (s *stillSource) Drops() capture.Drops { return capture.Drops{} }
func (s *stillSource) Close() error         { s.read.Store(true); return nil }

// stillEvery is the time between the frames of a still that goes with a sound file: a video of one picture.
const stillEvery = 40 * time.Millisecond

// pairSource gives the frames of one source and the sound of another, both from time zero, ordered by time.
type pairSource struct {
	video, audio capture.Source
	frame        *capture.Frame   // the next one, nil if it is not read yet
	samples      *capture.Samples // as frame
	videoEnd     bool
	audioEnd     bool
	shown        *capture.Frame // the frame of a still, at the time when it is due again
}

func (p *pairSource) Info() capture.Info {
	v, a := p.video.Info(), p.audio.Info()
	v.Name += " + " + a.Name
	v.Still = false
	v.HasAudio = a.HasAudio
	v.Duration = max(v.Duration, a.Duration)
	return v
}

func (p *pairSource) Read(ctx context.Context) (capture.Media, error) {
	for p.samples == nil && !p.audioEnd {
		m, err := p.audio.Read(ctx)
		switch {
		case errors.Is(err, io.EOF):
			p.audioEnd = true
		case err != nil:
			return m, err
		default:
			p.samples = m.Samples // nil for a cover picture
		}
	}
	for p.frame == nil && !p.videoEnd {
		m, err := p.video.Read(ctx)
		switch {
		case errors.Is(err, io.EOF):
			p.videoEnd = true
		case err != nil:
			return m, err
		default:
			p.frame = m.Frame // nil for the video file's own sound
		}
	}
	if p.frame != nil && p.video.Info().Still {
		p.shown, p.frame = p.frame, nil
	}
	if p.shown != nil && p.samples != nil && p.shown.Time <= p.samples.Time {
		f := *p.shown
		f.Pix = append([]byte(nil), f.Pix...) // the receiver owns it
		p.shown.Time += stillEvery
		return capture.Media{Frame: &f}, nil
	}
	if p.frame != nil && (p.samples == nil || p.frame.Time <= p.samples.Time) {
		f := p.frame
		p.frame = nil
		return capture.Media{Frame: f}, nil
	}
	if p.samples != nil {
		s := p.samples
		p.samples = nil
		return capture.Media{Samples: s}, nil
	}
	return capture.Media{}, io.EOF
}

func (p *pairSource) Drops() capture.Drops {
	v, a := p.video.Drops(), p.audio.Drops()
	return capture.Drops{Frames: v.Frames, Samples: a.Samples}
}

func (p *pairSource) Close() error { return errors.Join(p.video.Close(), p.audio.Close()) }
