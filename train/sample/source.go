package sample

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/train/dataset"
)

// OpenClip opens a clip's picture and sound as one source.
func OpenClip(ctx context.Context, c *dataset.Clip) (capture.Source, error) {
	switch {
	case c.Row != nil:
		return openPixels(c)
	case c.Video == "" || c.Audio == "":
		return openPart(ctx, c)
	}
	return openPair(ctx, c)
}

// openPixels decodes a picture that is a row of FER2013's csv.
func openPixels(c *dataset.Clip) (capture.Source, error) {
	grey, err := c.Row.Decode()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Video, err)
	}
	f := &capture.Frame{Width: dataset.FER2013Side, Height: dataset.FER2013Side, Pix: make([]byte, 0, 3*len(grey))}
	for _, v := range grey {
		f.Pix = append(f.Pix, v, v, v)
	}
	return &stillSource{name: c.Video, frame: f}, nil
}

// stillSource is one picture.
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

// stillEvery is how often a picture that goes with a sound file is shown again, a video of one picture.
const stillEvery = 40 * time.Millisecond

// pairSource is the pictures of one file with the sound of another, both from time zero, ordered by time.
type pairSource struct {
	video, audio capture.Source
	frame        *capture.Frame   // next picture
	samples      *capture.Samples // next sound
	videoEnd     bool
	audioEnd     bool
	shown        *capture.Frame // a still's picture
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

// finderError is a failure of the face finder, which is no fault of the clip it looked at.
type finderError struct{ err error }

func (e *finderError) Error() string { return "face finder: " + e.err.Error() }
func (e *finderError) Unwrap() error { return e.err }

// checkedFinder marks the errors of a face finder as its own.
type checkedFinder struct{ pipeline.FaceFinder }

func (c checkedFinder) FindFaces(ctx context.Context, f *capture.Frame, most int) ([]pipeline.Face, error) {
	faces, err := c.FaceFinder.FindFaces(ctx, f, most)
	if err != nil {
		err = &finderError{err}
	}
	return faces, err
}

// relativeFace is where a face lies in its picture, in parts of the picture's width and height.
type relativeFace struct{ leftEye, rightEye, nose, mouth pipeline.Point }

// canonicalFaces is where the faces lie of those sets whose pictures are faces, cut out alike: the medians over the pictures in
// which alignedFinder finds one, made symmetric. A test with the data measures them again.
var canonicalFaces = map[string]*relativeFace{
	"fer2013": {leftEye: at(0.318, 0.385), rightEye: at(0.682, 0.385), nose: at(0.5, 0.6), mouth: at(0.5, 0.775)},
	"utkface": {leftEye: at(0.305, 0.293), rightEye: at(0.695, 0.293), nose: at(0.5, 0.534), mouth: at(0.5, 0.717)},
}

func at(x, y float64) pipeline.Point { return pipeline.Point{X: x, Y: y} }

// points are the places in a face that a crop goes by, and the nose.
func points(f *pipeline.Face) [4]*pipeline.Point {
	return [4]*pipeline.Point{&f.LeftEye, &f.RightEye, &f.Nose, &f.Mouth}
}

// alignedFinder finds the face in a picture of a set whose pictures are faces. Such a face is nearer than those which the detector
// was taught, and it answers with a tilt to one side, or not at all. So it is shown the picture in the middle of a wider one, and its
// mirror image, and the mean of both answers counts; without any, the face is taken to be where it usually is in that set.
type alignedFinder struct {
	finder pipeline.FaceFinder
	usual  *relativeFace
}

func (a alignedFinder) FindFaces(ctx context.Context, f *capture.Frame, _ int) ([]pipeline.Face, error) {
	usual := a.usual.in(f)
	wide, dx, dy := widen(f)
	var found []pipeline.Face
	for _, mirrored := range []bool{false, true} {
		picture := wide
		if mirrored {
			picture = mirror(wide)
		}
		faces, err := a.finder.FindFaces(ctx, picture, 1)
		if err != nil {
			return nil, err
		}
		if len(faces) == 0 {
			continue
		}
		face := faces[0]
		if mirrored {
			mirrorFace(&face, float64(wide.Width))
		}
		moveFace(&face, -dx, -dy)
		if alike(&face, &usual, maxOff*float64(min(f.Width, f.Height))) {
			found = append(found, face)
		}
	}
	switch {
	case len(found) == 0:
		return []pipeline.Face{usual}, nil
	case len(found) == 1:
		return found, nil
	case alike(&found[0], &found[1], maxApart*float64(min(f.Width, f.Height))):
		return []pipeline.Face{meanFace(found[0], found[1])}, nil
	case found[1].Score > found[0].Score:
		return found[1:], nil
	}
	return found[:1], nil
}

// In parts of the picture's side: a face whose eyes, nose or mouth lie further than maxOff from their usual places is false, or
// somebody's behind (the detector is right about most that are closer: turned, tilted and small faces); two answers further than
// maxApart from each other are not of the same face, and the better one counts.
const (
	maxOff   = 0.4
	maxApart = 0.15
)

func alike(a, b *pipeline.Face, off float64) bool {
	for i, p := range points(a) {
		if q := points(b)[i]; math.Hypot(p.X-q.X, p.Y-q.Y) > off {
			return false
		}
	}
	return true
}

func (r *relativeFace) in(f *capture.Frame) pipeline.Face {
	w, h := float64(f.Width), float64(f.Height)
	face := pipeline.Face{W: w, H: h, Score: 1, LeftEye: r.leftEye, RightEye: r.rightEye, Nose: r.nose, Mouth: r.mouth}
	for _, p := range points(&face) {
		p.X *= w
		p.Y *= h
	}
	return face
}

func moveFace(f *pipeline.Face, dx, dy float64) {
	f.X += dx
	f.Y += dy
	for _, p := range points(f) {
		p.X += dx
		p.Y += dy
	}
}

// mirrorFace turns a face in the mirror image of a picture into one in the picture.
func mirrorFace(f *pipeline.Face, width float64) {
	f.X = width - f.X - f.W
	for _, p := range points(f) {
		p.X = width - p.X
	}
	f.LeftEye, f.RightEye = f.RightEye, f.LeftEye
}

func meanFace(a, b pipeline.Face) pipeline.Face {
	mean := pipeline.Face{X: (a.X + b.X) / 2, Y: (a.Y + b.Y) / 2, W: (a.W + b.W) / 2, H: (a.H + b.H) / 2, Score: max(a.Score, b.Score)}
	for i, p := range points(&mean) {
		q, r := points(&a)[i], points(&b)[i]
		*p = at((q.X+r.X)/2, (q.Y+r.Y)/2)
	}
	return mean
}

// widen puts a picture into the middle of one twice its size, whose border repeats the edge's pixels.
func widen(f *capture.Frame) (wide *capture.Frame, dx, dy float64) {
	px, py := f.Width/2, f.Height/2
	w, h := f.Width+2*px, f.Height+2*py
	pix := make([]byte, 0, 3*w*h)
	for y := range h {
		row := f.Pix[3*f.Width*min(max(y-py, 0), f.Height-1):][:3*f.Width]
		for range px {
			pix = append(pix, row[:3]...)
		}
		pix = append(pix, row...)
		for range px {
			pix = append(pix, row[len(row)-3:]...)
		}
	}
	return &capture.Frame{Time: f.Time, Width: w, Height: h, Pix: pix}, float64(px), float64(py)
}

func mirror(f *capture.Frame) *capture.Frame {
	pix := make([]byte, 0, len(f.Pix))
	for y := range f.Height {
		for x := f.Width - 1; x >= 0; x-- {
			p := 3 * (y*f.Width + x)
			pix = append(pix, f.Pix[p:p+3]...)
		}
	}
	return &capture.Frame{Time: f.Time, Width: f.Width, Height: f.Height, Pix: pix}
}
