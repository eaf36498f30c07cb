package infer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"tandem/capture"
	"tandem/pipeline"
)

const (
	// closeUp is the size of a face, as a share of the picture's longer side, from which on the networks see it
	// too small and its points too close together, since they were trained on faces inside a picture.
	closeUp = 0.75
	// farFill is the share of the canvas that a picture takes when it is looked at once more from farFill.
	farFill = 0.5
	// smallFrame is the longer side in pixels below which a picture may be a cut-out face.
	smallFrame = 256

	// candidateLogit is the least answer of the back network for a place that is worth a close look: a score of 0.12.
	// Most far faces score less than the 0.5 of a face.
	candidateLogit = -2
	// nearFace is the size, as a share of the picture's longer side, from which on the front network finds a face
	// without a close look.
	nearFace = 0.2
	// farFace is the size, in the same measure, below which the back network may miss a face in the whole picture, and
	// partSide the side of the parts in which it looks for those: a far face is 1.6 times as large there.
	farFace, partSide = 0.06, 0.625
	// closeLook is the side, in sizes of the face, of the square of the picture that a close look shows.
	closeLook = 2.5
	// confirmScore is the least mean score of the looks that confirm a face. Of 2400 drawn pictures without one it lets
	// one pass, and of 402 pasted faces of 17 to 160 pixels that a look at each size finds 400.
	confirmScore = 0.67
	// sureLook is the score from which on a single look is sure. A face that fills the picture has to have it, since
	// nothing else confirms it.
	sureLook = 0.75
	// A close look takes a face for the expected one if its middle is within strayed sizes and its size within a
	// factor of grown.
	strayed, grown = 0.8, 2.0
	// maxCandidates bounds the close looks of a search: those places with the best scores are looked at.
	maxCandidates = 100
)

// closeness is how a close look shows a face: in a square whose side is reach times its size, mirrored or not.
type closeness struct {
	reach    float64
	mirrored bool
}

// following is how a face is looked at that is known.
var following = closeness{reach: closeLook}

// confirmLooks are the looks that confirm a face. The first ones are wide, since the size of a far face is uncertain.
var confirmLooks = [...]closeness{{4, false}, {3.2, false}, following, {closeLook, true}, {3.2, true}, {4, true}}

// BlazeFace finds faces with MediaPipe's two BlazeFace networks (Bazarevsky et al. 2019, arXiv 1907.05047).
//
// A search looks at the whole picture and at its quarters with the back network (256 x 256 pixels), then at a square
// around each place that may be a face with the front one (128 x 128), which decides, and gives the points: so a far
// face is found and measured as if it were near. In a video the whole and the quarters take turns. If there is no face,
// the front network looks once more from afar, at the picture drawn at half size: so one that fills the picture is
// found.
//
// In a picture of less than 256 pixels the front network looks at the whole first; a face that fills it, or none, makes
// it look again from afar, as for the cut-out faces of data sets. If there is still none, the back network looks, also
// from afar.
//
// To follow a face costs one look of the front network, a fifth of the back one's.
//
// Any number of goroutines may use one.
type BlazeFace struct {
	front, back *detector
}

var _ pipeline.FaceFollower = (*BlazeFace)(nil)

// NewBlazeFace loads the front network, and checks the back one, which is loaded when it is first needed: small
// pictures with a face are without it. The files lie beside the binary or beside the ONNX Runtime library that
// TANDEM_ORT names; where one is missing the error is ErrNoDetector, or ErrNoRuntime for the library. Close frees the
// networks.
func NewBlazeFace() (*BlazeFace, error) {
	front, err := loadDetector("face_detection_front_128x128_barracuda.onnx", 128)
	if err != nil {
		return nil, err
	}
	back, err := loadDetector("face_detection_back_256x256_barracuda.onnx", 256)
	if err != nil {
		return nil, err
	}
	if _, err := front.open(); err != nil {
		return nil, err
	}
	return &BlazeFace{front: front, back: back}, nil
}

// Close waits for the searches under way and frees the networks. Later ones return ErrClosed.
func (f *BlazeFace) Close() error {
	return errors.Join(f.front.close(), f.back.close())
}

// FindFaces returns the faces in a picture, best score first, at most limit (maxCandidates if it is 0 or less).
func (f *BlazeFace) FindFaces(ctx context.Context, frame *capture.Frame, limit int) ([]pipeline.Face, error) {
	return f.SearchFaces(ctx, frame, pipeline.Search{Limit: limit})
}

// SearchFaces returns the faces in a picture that s asks for, best score first.
func (f *BlazeFace) SearchFaces(
	ctx context.Context, frame *capture.Frame, s pipeline.Search,
) ([]pipeline.Face, error) {
	if err := checkFrame(frame); err != nil {
		return nil, err
	}
	longer := max(frame.Width, frame.Height)
	if s.Limit <= 0 {
		s.Limit = maxCandidates
	}
	var faces []pipeline.Face
	var err error
	switch {
	case longer < smallFrame:
		faces, err = f.searchSmall(ctx, frame, s)
	case s.Least >= nearFace*float64(longer):
		faces, err = f.front.whole(ctx, frame, 1)
		faces = s.Wanted(faces)
	default:
		faces, err = f.searchAll(ctx, frame, s)
	}
	if err != nil {
		return nil, fmt.Errorf("face detection: %w", err)
	}
	return faces[:min(len(faces), s.Limit)], nil
}

// FollowFaces takes one close look for each expected face. Where there is none its Score is 0.
func (f *BlazeFace) FollowFaces(
	ctx context.Context, frame *capture.Frame, expected []pipeline.Face,
) ([]pipeline.Face, error) {
	if err := checkFrame(frame); err != nil {
		return nil, err
	}
	faces := make([]pipeline.Face, len(expected))
	for i, e := range expected {
		var err error
		if faces[i], err = f.lookAt(ctx, frame, e, following); err != nil {
			return nil, fmt.Errorf("face detection: %w", err)
		}
	}
	return faces, nil
}

func checkFrame(frame *capture.Frame) error {
	if frame.Width <= 0 || frame.Height <= 0 || len(frame.Pix) != 3*frame.Width*frame.Height {
		return fmt.Errorf("picture of %dx%d with %d bytes, must be packed RGB", frame.Width, frame.Height,
			len(frame.Pix))
	}
	return nil
}

// searchSmall searches a picture that may be a cut-out face.
func (f *BlazeFace) searchSmall(
	ctx context.Context, frame *capture.Frame, s pipeline.Search,
) ([]pipeline.Face, error) {
	for _, d := range []*detector{f.front, f.back} {
		faces, err := d.whole(ctx, frame, 1)
		if err != nil {
			return nil, err
		}
		if len(faces) == 0 || fills(faces[0], frame) {
			far, err := d.whole(ctx, frame, farFill)
			if err != nil {
				return nil, err
			}
			if len(far) > 0 {
				faces = far
			}
		}
		if len(faces) > 0 {
			return s.Wanted(faces), nil
		}
	}
	return nil, nil
}

// fills reports whether a face takes nearly all of a picture.
func fills(f pipeline.Face, frame *capture.Frame) bool {
	return max(f.W, f.H) > closeUp*float64(max(frame.Width, frame.Height))
}

// searchAll searches a picture for faces of all sizes.
func (f *BlazeFace) searchAll(ctx context.Context, frame *capture.Frame, s pipeline.Search) ([]pipeline.Face, error) {
	candidates, err := f.candidates(ctx, frame, s)
	if err != nil {
		return nil, err
	}
	var faces []pipeline.Face
	for _, c := range candidates[:min(len(candidates), 2*s.Limit+4, maxCandidates)] {
		if slices.ContainsFunc(faces, c.Same) {
			continue
		}
		face, err := f.confirm(ctx, frame, c)
		if err != nil {
			return nil, err
		}
		if face.Score > 0 && !slices.ContainsFunc(faces, face.Same) && !slices.ContainsFunc(s.Known, face.Same) {
			faces = append(faces, face)
		}
	}
	if len(faces) == 0 && len(s.Known) == 0 {
		far, err := f.front.whole(ctx, frame, farFill)
		return slices.DeleteFunc(far, func(g pipeline.Face) bool {
			return g.Score < sureLook || !fills(g, frame) || !plausible(g, frame)
		}), err
	}
	slices.SortStableFunc(faces, byScore)
	return faces, nil
}

// candidates returns the places that may be faces, best first, as the back network sees them in the whole picture, in
// parts of it, or in both, by s.Round.
func (f *BlazeFace) candidates(ctx context.Context, frame *capture.Frame, s pipeline.Search) ([]pipeline.Face, error) {
	views := []view{fit(frame.Width, frame.Height, f.back.side, 1)}
	if longer := float64(max(frame.Width, frame.Height)); s.Least < farFace*longer {
		parts := f.parts(frame)
		switch {
		case s.Round <= 0:
			views = append(views, parts...)
		case s.Round%2 == 0:
			views = parts[s.Round/2%len(parts):][:1]
		}
	}
	var all []pipeline.Face
	for _, v := range views {
		found, err := f.back.look(ctx, frame, v, candidateLogit)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, byScore)
	return s.Wanted(all), nil
}

// parts returns the views of squares that cover a picture, two along a side unless one does.
func (f *BlazeFace) parts(frame *capture.Frame) []view {
	w, h := float64(frame.Width), float64(frame.Height)
	square := partSide * max(w, h)
	middles := func(length float64) []float64 {
		if length <= square {
			return []float64{length / 2}
		}
		return []float64{square / 2, length - square/2}
	}
	var views []view
	for _, y := range middles(h) {
		for _, x := range middles(w) {
			views = append(views, around(x, y, square, f.back.side))
		}
	}
	return views
}

func byScore(a, b pipeline.Face) int { return cmp.Compare(b.Score, a.Score) }

// confirm takes looks at a place that may be a face, closer and closer, then at its mirror image: what only looks like
// a face does so at one size or from one side. The points are those of the closest, the Score is the mean, or 0 if that
// is too little or if there is no face in one of those that are not mirrored.
func (f *BlazeFace) confirm(ctx context.Context, frame *capture.Frame, place pipeline.Face) (pipeline.Face, error) {
	const looks = float64(len(confirmLooks))
	var sum float64
	for i, how := range confirmLooks {
		face, err := f.lookAt(ctx, frame, place, how)
		if err != nil {
			return pipeline.Face{}, err
		}
		sum += face.Score
		if left := looks - 1 - float64(i); sum+left < confirmScore*looks {
			return pipeline.Face{}, nil
		}
		if how.mirrored {
			continue
		}
		if face.Score == 0 {
			return pipeline.Face{}, nil
		}
		place = face
	}
	place.Score = sum / looks
	return place, nil
}

// lookAt takes one close look with the front network at an expected face. Of the faces there it returns that which is
// nearest to where it is expected; its Score is 0 if there is none.
func (f *BlazeFace) lookAt(
	ctx context.Context, frame *capture.Frame, expected pipeline.Face, how closeness,
) (pipeline.Face, error) {
	size := max(expected.W, expected.H)
	x, y := expected.X+expected.W/2, expected.Y+expected.H/2
	if !(size >= 1) || !(size <= math.MaxInt32) || !(math.Abs(x)+math.Abs(y) <= math.MaxInt32) {
		return pipeline.Face{}, nil
	}
	v := around(x, y, how.reach*size, f.front.side)
	v.mirrored = how.mirrored
	faces, err := f.front.look(ctx, frame, v, minFaceLogit)
	var best pipeline.Face
	nearest := strayed * size
	for _, face := range faces {
		off := math.Hypot(face.X+face.W/2-x, face.Y+face.H/2-y)
		ratio := max(face.W, face.H) / size
		if off <= nearest && ratio <= grown && ratio >= 1/grown && plausible(face, frame) {
			best, nearest = face, off
		}
	}
	return best, err
}

// plausible reports whether a detection has its points where a face has them, whatever its tilt, and in the picture.
func plausible(f pipeline.Face, frame *capture.Frame) bool {
	for _, p := range []pipeline.Point{f.LeftEye, f.RightEye, f.Mouth} {
		if p.X < 0 || p.Y < 0 || p.X > float64(frame.Width) || p.Y > float64(frame.Height) {
			return false
		}
	}
	eyes := pipeline.Point{X: (f.LeftEye.X + f.RightEye.X) / 2, Y: (f.LeftEye.Y + f.RightEye.Y) / 2}
	across := math.Hypot(f.RightEye.X-f.LeftEye.X, f.RightEye.Y-f.LeftEye.Y)
	dx, dy := f.Mouth.X-eyes.X, f.Mouth.Y-eyes.Y
	down := math.Hypot(dx, dy)
	size := max(f.W, f.H)
	// The nose's place between the eyes (0) and the mouth (1).
	nose := ((f.Nose.X-eyes.X)*dx + (f.Nose.Y-eyes.Y)*dy) / (down * down)
	return down > 0.2*size && down < 0.7*size && across < 0.8*size && nose > 0 && nose < 1
}
