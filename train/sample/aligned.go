package sample

import (
	"context"
	"math"
	"strings"

	"tandem/capture"
	"tandem/pipeline"
)

// relativeFace is a face's place in its frame, in parts of the frame's width and height. Cache keys have the names of
// its fields in them.
type relativeFace struct{ leftEye, rightEye, nose, mouth pipeline.Point }

// canonicalFaces has the usual place of the face for sets whose pictures are faces, cropped alike: the medians over the
// pictures in which alignedFinder finds one, made symmetric. A test with the data measures them again.
var canonicalFaces = map[string]*relativeFace{
	"fer2013": {leftEye: at(0.318, 0.385), rightEye: at(0.682, 0.385), nose: at(0.5, 0.6), mouth: at(0.5, 0.775)},
	"utkface": {leftEye: at(0.305, 0.293), rightEye: at(0.695, 0.293), nose: at(0.5, 0.534), mouth: at(0.5, 0.717)},
	"fairface": {
		leftEye: at(0.321, 0.303), rightEye: at(0.679, 0.303), nose: at(0.5, 0.527), mouth: at(0.5, 0.701),
	},
}

// canonicalFace returns the usual place of a face in the pictures of a data set, whatever labels its options choose;
// nil if it has none.
func canonicalFace(set string) *relativeFace {
	base, _, _ := strings.Cut(set, ":")
	return canonicalFaces[base]
}

func at(x, y float64) pipeline.Point { return pipeline.Point{X: x, Y: y} }

// points returns the places in a face that a crop goes by, and the nose.
func points(f *pipeline.Face) [4]*pipeline.Point {
	return [4]*pipeline.Point{&f.LeftEye, &f.RightEye, &f.Nose, &f.Mouth}
}

// alignedFinder finds the face in a picture of a set whose pictures are faces. Such a face is nearer than those which
// the detector was trained on, and it answers with a tilt to one side, or not at all. So it is shown the picture in the
// middle of a wider one, and its mirror image, and the mean of both answers counts; without any, the face is taken to
// be where it usually is in that set.
type alignedFinder struct {
	finder pipeline.FaceFinder
	usual  *relativeFace
}

// FindFaces returns exactly one face.
func (a alignedFinder) FindFaces(ctx context.Context, f *capture.Frame, _ int) ([]pipeline.Face, error) {
	usual := a.usual.in(f)
	wide, dx, dy := widen(f)
	var found []pipeline.Face
	for _, mirrored := range []bool{false, true} {
		shown := wide
		if mirrored {
			shown = mirror(wide)
		}
		faces, err := a.finder.FindFaces(ctx, shown, 1)
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

// In parts of the picture's side: a face whose eyes, nose or mouth lie further than maxOff from their usual places is
// false, or somebody's behind (the detector is right about most that are closer: turned, tilted and small faces); two
// answers further than maxApart from each other are not of the same face, and the better one counts.
const (
	maxOff   = 0.4
	maxApart = 0.15
)

// alike reports whether no point of a lies further than off pixels from that of b.
func alike(a, b *pipeline.Face, off float64) bool {
	for i, p := range points(a) {
		if q := points(b)[i]; math.Hypot(p.X-q.X, p.Y-q.Y) > off {
			return false
		}
	}
	return true
}

// in returns the face in pixels of a frame.
func (r *relativeFace) in(f *capture.Frame) pipeline.Face {
	w, h := float64(f.Width), float64(f.Height)
	face := pipeline.Face{W: w, H: h, Score: 1, LeftEye: r.leftEye, RightEye: r.rightEye, Nose: r.nose, Mouth: r.mouth}
	for _, p := range points(&face) {
		p.X *= w
		p.Y *= h
	}
	return face
}

// moveFace moves a face by pixels.
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

// meanFace returns the face halfway between two, with the better one's score.
func meanFace(a, b pipeline.Face) pipeline.Face {
	mean := pipeline.Face{
		X: (a.X + b.X) / 2, Y: (a.Y + b.Y) / 2, W: (a.W + b.W) / 2, H: (a.H + b.H) / 2, Score: max(a.Score, b.Score),
	}
	for i, p := range points(&mean) {
		q, r := points(&a)[i], points(&b)[i]
		*p = at((q.X+r.X)/2, (q.Y+r.Y)/2)
	}
	return mean
}

// widen returns a frame of twice the size with f in its middle, whose border repeats the pixels at f's edge, and f's
// place in it.
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

// mirror returns the mirror image of a frame.
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
