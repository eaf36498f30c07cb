package pipeline

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"tandem/capture"
)

// scriptedFollower knows which faces there are at a time, and notes what it is asked for.
type scriptedFollower struct {
	faces    func(t time.Duration) []Face
	searches []Search
	when     []time.Duration // of the searches
	looks    int
	err      error
}

func (s *scriptedFollower) FindFaces(context.Context, *capture.Frame, int) ([]Face, error) {
	panic("a follower is asked to search or to follow")
}

func (s *scriptedFollower) SearchFaces(_ context.Context, f *capture.Frame, o Search) ([]Face, error) {
	s.searches = append(s.searches, o)
	s.when = append(s.when, f.Time)
	return o.Wanted(slices.Clone(s.faces(f.Time))), s.err
}

func (s *scriptedFollower) FollowFaces(_ context.Context, f *capture.Frame, expected []Face) ([]Face, error) {
	s.looks += len(expected)
	out := make([]Face, len(expected))
	for i, e := range expected {
		for _, g := range s.faces(f.Time) {
			if g.Same(e) {
				out[i] = g
			}
		}
	}
	return out, s.err
}

// ticks is a source with a picture at each tick of the face clock.
func ticks(n int) *fakeSource {
	src := &fakeSource{info: fileInfo(true, false)}
	for i := range n {
		src.items = append(src.items, picture(time.Duration(i)*faceTick, byte(i)))
	}
	return src
}

// seenBy runs a follower over n ticks and returns the subjects at each.
func seenBy(t *testing.T, f *scriptedFollower, n int, o Options) [][]int {
	t.Helper()
	var all [][]int
	o.OnFaces = func(_ time.Duration, fs []Tracked) { all = append(all, subjects(fs)) }
	cutAll(t, ticks(n), f, testSpec, o)
	return all
}

// A face that stays is searched for once, and then now and then for those that could take its place.
func TestFollowingNeedsFewSearches(t *testing.T) {
	f := &scriptedFollower{faces: func(time.Duration) []Face { return []Face{faceAt(300, 200, 100)} }}
	seen := seenBy(t, f, 40, Options{})
	for i, s := range seen {
		if !slices.Equal(s, []int{0}) {
			t.Errorf("tick %d: subjects %v", i, s)
		}
	}
	if want := []time.Duration{0, 16 * faceTick, 32 * faceTick}; !slices.Equal(f.when, want) {
		t.Errorf("searches at %v, want %v", f.when, want)
	}
	if f.looks != 39 {
		t.Errorf("%d looks to follow, want 39", f.looks)
	}
	for i, s := range f.searches {
		if s.Round != i+1 || i > 0 && (s.Least != 150 || len(s.Known) != 1) {
			t.Errorf("search %d: %+v", i, s)
		}
	}
}

// A still is searched for faces of all sizes at once.
func TestStillIsSearchedCompletely(t *testing.T) {
	src := ticks(1)
	src.info.Still = true
	f := &scriptedFollower{faces: func(time.Duration) []Face { return []Face{faceAt(300, 200, 17)} }}
	ws := cutAll(t, src, f, testSpec, Options{})
	if len(ws) != 1 || slices.Contains(ws[0].VideoMask, false) || len(f.searches) != 1 || f.searches[0].Round != 0 {
		t.Errorf("%d windows, searches %+v", len(ws), f.searches)
	}
}

// With a free place a second face is seen within some ticks, however small it is.
func TestNewcomerIsFound(t *testing.T) {
	f := &scriptedFollower{faces: func(t time.Duration) []Face {
		if t < 5*faceTick {
			return []Face{faceAt(300, 200, 100)}
		}
		return []Face{faceAt(300, 200, 100), faceAt(500, 100, 17)}
	}}
	seen := seenBy(t, f, 20, Options{Faces: 2})
	if !slices.Equal(seen[9], []int{0, 1}) || !slices.Equal(seen[19], []int{0, 1}) {
		t.Errorf("subjects %v", seen)
	}
	for _, s := range f.searches {
		if s.Least > 17 && s.Limit == 6 && len(s.Known) < 2 {
			t.Errorf("with a free place: %+v", s)
		}
	}
}

// A face that is away is searched for at each tick, and none is made up in the meantime.
func TestLostFaceIsSearchedFor(t *testing.T) {
	f := &scriptedFollower{faces: func(t time.Duration) []Face {
		switch {
		case t >= 5*faceTick && t < 9*faceTick:
			return nil
		case t >= 9*faceTick: // it comes back elsewhere
			return []Face{faceAt(390, 200, 100)}
		}
		return []Face{faceAt(300, 200, 100)}
	}}
	seen := seenBy(t, f, 12, Options{})
	for i, s := range seen {
		if lost := i >= 5 && i < 9; lost != (len(s) == 0) || !lost && s[0] != 0 {
			t.Errorf("tick %d: subjects %v", i, s)
		}
	}
	if want := []int{0, 5, 6, 7, 8, 9}; len(f.when) != len(want) {
		t.Errorf("searches at %v, want ticks %v", f.when, want)
	}
}

// One face before another: it is not taken for both, and both keep their numbers.
func TestFollowedFacesMeet(t *testing.T) {
	f := &scriptedFollower{faces: func(t time.Duration) []Face {
		k := float64(t / faceTick)
		a, b := faceAt(100+40*k, 200, 100), faceAt(900-40*k, 210, 100)
		if a.Same(b) {
			return []Face{a}
		}
		return []Face{a, b}
	}}
	seen := seenBy(t, f, 21, Options{Faces: 2})
	if seen[10] == nil || len(seen[10]) != 1 {
		t.Errorf("where they meet: %v", seen[10])
	}
	if !slices.Equal(seen[20], []int{0, 1}) {
		t.Errorf("afterwards: %v", seen)
	}
}

// A larger newcomer takes the place though searches are rare.
func TestFollowedFaceIsTakenOver(t *testing.T) {
	f := &scriptedFollower{faces: func(t time.Duration) []Face {
		if t < 3*faceTick {
			return []Face{faceAt(100, 100, 60)}
		}
		return []Face{faceAt(100, 100, 60), faceAt(500, 250, 200)}
	}}
	seen := seenBy(t, f, 30, Options{})
	if !slices.Equal(seen[15], []int{0}) || !slices.Equal(seen[29], []int{1}) {
		t.Errorf("subjects %v", seen)
	}
}

func TestFollowerFails(t *testing.T) {
	broken := errors.New("broken")
	f := &scriptedFollower{faces: func(time.Duration) []Face { return nil }, err: broken}
	err := Cut(t.Context(), ticks(5), f, testSpec, Options{}, func(*Window) error { return nil })
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// What wraps a finder must not make it one that searches each picture.
func TestWrapFinder(t *testing.T) {
	calls := 0
	bad := errors.New("bad")
	around := func(call func() error) error {
		calls++
		if err := call(); err != nil {
			return errors.Join(bad, err)
		}
		return nil
	}
	if _, ok := WrapFinder(oneFace, around).(FaceFollower); ok {
		t.Error("a finder became a follower")
	}
	frame := picture(0, 1).Frame
	if faces, err := WrapFinder(oneFace, around).FindFaces(t.Context(), frame, 1); len(faces) != 1 || err != nil {
		t.Errorf("%v, %v", faces, err)
	}
	f := &scriptedFollower{faces: func(time.Duration) []Face { return []Face{faceAt(8, 8, 6)} }}
	w, ok := WrapFinder(f, around).(FaceFollower)
	if !ok {
		t.Fatal("a follower became a finder")
	}
	if faces, err := w.SearchFaces(t.Context(), frame, Search{}); len(faces) != 1 || err != nil {
		t.Errorf("%v, %v", faces, err)
	}
	f.err = errors.New("broken")
	if _, err := w.FollowFaces(t.Context(), frame, nil); !errors.Is(err, bad) || !errors.Is(err, f.err) {
		t.Errorf("%v", err)
	}
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
}

func TestSameFace(t *testing.T) {
	a := faceAt(100, 100, 40)
	for _, c := range []struct {
		b    Face
		want bool
	}{
		{a, true},
		{faceAt(110, 100, 40), true},
		{faceAt(100, 100, 12), true}, // within it, in its middle
		{faceAt(118, 118, 12), false},
		{faceAt(140, 100, 40), false},
		{faceAt(400, 100, 40), false},
	} {
		if a.Same(c.b) != c.want || c.b.Same(a) != c.want {
			t.Errorf("%+v: want %v", c.b, c.want)
		}
	}
}

// A resting face's points are smoothed, a moving one's are those that were found.
func TestSettle(t *testing.T) {
	was := faceAt(100, 100, 100)
	if got := was.settle(faceAt(104.5, 100, 100)); got != faceAt(104.5, 100, 100) {
		t.Errorf("moved: %+v", got)
	}
	got := was.settle(faceAt(101, 100, 100)) // by a quarter of what is resting
	if x, _ := got.center(); x < 100.4 || x > 100.6 || got.LeftEye.X-75 < 0.4 || got.LeftEye.X-75 > 0.6 {
		t.Errorf("rested: %+v", got)
	}
	if got := was.settle(was); got != was {
		t.Errorf("stayed: %+v", got)
	}
}

// A picture that becomes four times as wide and as high in mid-stream, and small again, shows the same one at the same
// place: the face is followed there, at each tick, and no search is needed for it.
func TestPictureChangesItsSize(t *testing.T) {
	src := ticks(24)
	for i := range src.items {
		if f := src.items[i].Frame; i >= 8 && i < 16 {
			f.Width, f.Height, f.Pix = 4*f.Width, 4*f.Height, make([]byte, 16*len(f.Pix))
		}
	}
	follower := &scriptedFollower{faces: func(t time.Duration) []Face {
		f := faceAt(60, 40, 45)
		if t >= 8*faceTick && t < 16*faceTick {
			f = f.scaled(4, 4)
		}
		return []Face{f}
	}}
	var faces []Tracked
	cutAll(t, src, follower, testSpec, Options{OnFaces: func(_ time.Duration, fs []Tracked) {
		faces = append(faces, fs...)
	}})
	if len(faces) != 24 {
		t.Fatalf("seen at %d of 24 ticks", len(faces))
	}
	for i, f := range faces {
		want := 45.0
		if i >= 8 && i < 16 {
			want *= 4
		}
		if f.Subject != 0 || math.Abs(f.Face.W-want) > 1 {
			t.Errorf("tick %d: subject %d, %.1f pixels wide, want %.0f", i, f.Subject, f.Face.W, want)
		}
	}
	if len(follower.when) != 2 { // at the start, and after five seconds
		t.Errorf("searches at %v", follower.when)
	}
}
