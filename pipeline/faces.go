package pipeline

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"tandem/capture"
)

// FaceFinder finds faces in a picture, best score first, at most max.
type FaceFinder interface {
	FindFaces(ctx context.Context, f *capture.Frame, max int) ([]Face, error)
}

// FaceFollower is a FaceFinder that can follow faces through a video, by small looks at where they are expected, and
// need not search each picture. What wraps a finder uses WrapFinder, so as not to lose that.
type FaceFollower interface {
	FaceFinder
	// SearchFaces returns the faces that s asks for, best score first.
	SearchFaces(ctx context.Context, f *capture.Frame, s Search) ([]Face, error)
	// FollowFaces returns as many faces as are expected, each the one that is near an expected face's box, with a Score
	// of 0 where there is none.
	FollowFaces(ctx context.Context, f *capture.Frame, expected []Face) ([]Face, error)
}

// Search says which faces of a picture are asked for.
type Search struct {
	Known []Face  // faces that are followed already and are left out
	Least float64 // faces whose box has no side of so many pixels are of no use, but may be among the answers
	Limit int     // so many at most; all if it is 0 or less
	// Round counts the searches of a video from 1 on: a finder may look at the whole and at its parts in turn, the
	// whole first. With 0, as for a single picture, it looks at all of them.
	Round int
}

// Wanted returns those of some faces that are not known, in order; it uses their memory.
func (s Search) Wanted(faces []Face) []Face {
	return slices.DeleteFunc(faces, func(f Face) bool { return slices.ContainsFunc(s.Known, f.Same) })
}

// Same reports whether two boxes are of one face: they overlap by 0.3 (intersection over union), or the middle of one
// is near that of the other.
func (f Face) Same(g Face) bool {
	x, y := f.center()
	gx, gy := g.center()
	if math.Hypot(x-gx, y-gy) < max(f.size(), g.size())/4 {
		return true
	}
	w := min(f.X+f.W, g.X+g.W) - max(f.X, g.X)
	h := min(f.Y+f.H, g.Y+g.H) - max(f.Y, g.Y)
	both := max(w, 0) * max(h, 0)
	return both > 0.3*(f.W*f.H+g.W*g.H-both)
}

// WrapFinder returns a finder each call of whose methods goes through around, which calls call once and returns its
// error or another. It is a FaceFollower if f is one.
func WrapFinder(f FaceFinder, around func(call func() error) error) FaceFinder {
	w := wrappedFinder{f, around}
	if follower, ok := f.(FaceFollower); ok {
		return wrappedFollower{w, follower}
	}
	return w
}

type wrappedFinder struct {
	finder FaceFinder
	around func(call func() error) error
}

func (w wrappedFinder) FindFaces(ctx context.Context, f *capture.Frame, most int) (faces []Face, err error) {
	err = w.around(func() error {
		faces, err = w.finder.FindFaces(ctx, f, most)
		return err
	})
	return faces, err
}

type wrappedFollower struct {
	wrappedFinder
	follower FaceFollower
}

func (w wrappedFollower) SearchFaces(ctx context.Context, f *capture.Frame, s Search) (faces []Face, err error) {
	err = w.around(func() error {
		faces, err = w.follower.SearchFaces(ctx, f, s)
		return err
	})
	return faces, err
}

func (w wrappedFollower) FollowFaces(
	ctx context.Context, f *capture.Frame, expected []Face,
) (faces []Face, err error) {
	err = w.around(func() error {
		faces, err = w.follower.FollowFaces(ctx, f, expected)
		return err
	})
	return faces, err
}

// searchEvery is how often a picture is searched for faces while all that are followed are seen, and searchFullEvery
// the same while no place is free.
const (
	searchEvery     = 1250 * time.Millisecond
	searchFullEvery = 4 * searchEvery
)

// faceScout finds the faces at the ticks of a stream. Where the finder can follow, it searches a picture only if a
// subject is not seen, if none is followed, or if the last search is a while ago; at all others it looks where faces
// are expected. When no place is free, only those faces are searched for that could take one or, where there is sound,
// may be who speaks.
type faceScout struct {
	finder   FaceFinder
	still    bool // there is one picture only
	limit    int  // faces asked for: more than are followed, so that none is lost to a larger newcomer
	searches int
	searched time.Duration // when last
}

// find returns the faces in a picture for the tracker.
func (s *faceScout) find(ctx context.Context, now time.Duration, f *capture.Frame, t *tracker) ([]Face, error) {
	follower, ok := s.finder.(FaceFollower)
	if !ok {
		return s.finder.FindFaces(ctx, f, s.limit)
	}
	expected, tracks := t.expected(now, s.limit)
	followed, err := follower.FollowFaces(ctx, f, expected)
	if err != nil {
		return nil, err
	}
	if len(followed) != len(expected) {
		return nil, fmt.Errorf("%d faces for %d expected", len(followed), len(expected))
	}
	var faces []Face
	lost := !slices.ContainsFunc(tracks, func(k *track) bool { return k.placed })
	for i, g := range followed {
		switch {
		case g.Score > 0 && g.valid() && !slices.ContainsFunc(faces, g.Same): // else one face is taken for two
			faces = append(faces, g)
		case tracks[i].placed:
			lost = true
		}
	}
	search, wait := Search{Known: faces, Limit: s.limit, Round: s.searches + 1}, searchEvery
	if s.still {
		search.Round = 0
	}
	if full, size := t.full(); full && !lost {
		search.Least, wait = takeOverSize*size, searchFullEvery
		if t.bystanding {
			search.Least = bystanderSize * size
		}
	}
	if s.searches > 0 && !lost && now-s.searched < wait {
		return faces, nil
	}
	s.searches++
	s.searched = now
	others, err := follower.SearchFaces(ctx, f, search)
	return append(faces, others...), err
}
