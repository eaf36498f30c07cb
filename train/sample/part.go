package sample

import (
	"context"
	"fmt"
	"image"
	"io"
	"time"

	"tandem/capture"
	"tandem/train/dataset"
)

// partSource is a part of a source's time and a crop of its frames, as a clip of a dialog's video is. Times count from
// the part's start.
type partSource struct {
	capture.Source
	start, end time.Duration   // end 0: to the end
	crop       image.Rectangle // in pixels; empty: whole frames
	past       [2]bool         // video and audio have come to end
}

// openPart opens the clip's part of its Video, or of its Audio if it has no Video. The video's own sound is left out
// where the clip has an Audio beside it.
func openPart(ctx context.Context, c *dataset.Clip) (capture.Source, error) {
	part := c.Start > 0 || c.End > 0
	src, err := capture.Open(ctx, c.Path(), capture.Options{
		NoAudio: part && c.Video != "" && c.Audio != "",
		From:    c.Start,
	})
	if err != nil || !part && c.Crop.Empty() {
		return src, err
	}
	info := src.Info()
	if part && info.Still {
		src.Close()
		return nil, fmt.Errorf("%s: a picture has no part from %v to %v", c.Path(), c.Start, c.End)
	}
	return &partSource{
		Source: src, start: c.Start, end: c.End, crop: c.Crop, past: [2]bool{!info.HasVideo, !info.HasAudio},
	}, nil
}

func (p *partSource) Info() capture.Info {
	i := p.Source.Info()
	if p.end > 0 {
		i.Duration = p.end
	}
	i.Duration = max(i.Duration-p.start, 0)
	if !p.crop.Empty() {
		i.Width, i.Height = p.crop.Dx(), p.crop.Dy()
	}
	return i
}

func (p *partSource) Read(ctx context.Context) (capture.Media, error) {
	for !p.past[0] || !p.past[1] {
		m, err := p.Source.Read(ctx)
		if err != nil {
			return m, err
		}
		switch {
		case m.Frame != nil && p.end > 0 && m.Frame.Time >= p.end:
			p.past[0] = true
		case m.Frame != nil && m.Frame.Time >= p.start:
			if err := p.cropFrame(m.Frame); err != nil {
				return capture.Media{}, err
			}
			m.Frame.Time -= p.start
			return m, nil
		case m.Samples != nil && p.end > 0 && m.Samples.Time >= p.end:
			p.past[1] = true
		case m.Samples != nil && m.Samples.End() > p.start:
			s := m.Samples
			if p.end > 0 && s.End() > p.end {
				s.Data = s.Data[:samplesIn(p.end-s.Time)]
			}
			if early := samplesIn(p.start - s.Time); early > 0 {
				s.Data = s.Data[min(early, len(s.Data)):]
				s.Time = p.start
			}
			if len(s.Data) == 0 {
				continue
			}
			s.Time -= p.start
			return m, nil
		}
	}
	return capture.Media{}, io.EOF
}

// cropFrame reduces a frame to the crop.
func (p *partSource) cropFrame(f *capture.Frame) error {
	if p.crop.Empty() {
		return nil
	}
	c := p.crop.Intersect(image.Rect(0, 0, f.Width, f.Height))
	if c.Empty() {
		return fmt.Errorf("%s: its pictures of %d×%d have nothing at %v", p.Source.Info().Name, f.Width, f.Height,
			p.crop)
	}
	pix := make([]byte, 0, 3*c.Dx()*c.Dy())
	for y := c.Min.Y; y < c.Max.Y; y++ {
		row := f.Pix[3*(y*f.Width+c.Min.X):]
		pix = append(pix, row[:3*c.Dx()]...)
	}
	f.Width, f.Height, f.Pix = c.Dx(), c.Dy(), pix
	return nil
}

// samplesIn returns the number of sound samples in a time, rounded.
func samplesIn(d time.Duration) int { return int((d*capture.SampleRate + time.Second/2) / time.Second) }
