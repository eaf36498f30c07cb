package infer_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/capture"
	"tandem/infer"
	"tandem/pipeline"
)

// middleOf returns the middle of a face's box.
func middleOf(f pipeline.Face) pipeline.Point { return pipeline.Point{X: f.X + f.W/2, Y: f.Y + f.H/2} }

// farFace is a face cut out with some of what is around it, and where it is in there.
type farFace struct {
	picture *capture.Frame
	face    pipeline.Face
}

// farFaces reads faces, n at most, and finds where they are.
func farFaces(t *testing.T, f *infer.BlazeFace, pattern string, n int) []farFace {
	t.Helper()
	var faces []farFace
	for _, file := range samples(t, pattern, n) {
		picture := frames(t, file, 1, 0)[0]
		if found, err := f.FindFaces(t.Context(), picture, 1); err != nil {
			t.Fatal(err)
		} else if len(found) == 1 {
			faces = append(faces, farFace{picture, found[0]})
		}
	}
	return faces
}

// farSizes are sizes of a face's box in pixels.
var farSizes = []float64{34, 22, 17}

// recall pastes faces, by size, into rooms of 640x480 and returns how many are found, and the median distance of
// their eyes from where they are, in sizes.
func recall(t *testing.T, f *infer.BlazeFace, faces []farFace, size float64) (found int, off float64) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(size)))
	var offs []float64
	for _, far := range faces {
		scale := size / max(far.face.W, far.face.H)
		frame := room(r, 640, 480)
		x := math.Floor(r.Float64() * (640 - scale*float64(far.picture.Width)))
		y := math.Floor(r.Float64() * (480 - scale*float64(far.picture.Height)))
		paste(frame, far.picture, x, y, scale)
		got, err := f.FindFaces(t.Context(), frame, 0)
		if err != nil {
			t.Fatal(err)
		}
		is := func(p pipeline.Point) pipeline.Point { return pipeline.Point{X: x + scale*p.X, Y: y + scale*p.Y} }
		middle := is(middleOf(far.face))
		for _, g := range got {
			if m := middleOf(g); math.Hypot(m.X-middle.X, m.Y-middle.Y) < size/2 {
				found++
				eye, left := is(far.face.LeftEye), g.LeftEye
				offs = append(offs, math.Hypot(left.X-eye.X, left.Y-eye.Y)/size)
				break
			}
		}
	}
	slices.Sort(offs)
	if len(offs) == 0 {
		return 0, math.NaN()
	}
	return found, offs[len(offs)/2]
}

// foundFarFaces pastes n faces of each set. Those with what is around a face are found all; those cut out along their
// edge, which stand in a room as a stamp does, are harder, and FairFace's are turned and covered too.
func foundFarFaces(t *testing.T, n int) {
	t.Helper()
	f := newFaceFinder(t)
	for _, c := range []struct {
		pattern string
		want    [3]int // of 30, by farSizes
	}{
		{"java-sed/video/*.mp4", [3]int{30, 30, 29}},
		{"fairface/val/*.jpg", [3]int{26, 24, 21}},
		{"utkface/*.jpg", [3]int{30, 30, 28}},
	} {
		t.Run(c.pattern, func(t *testing.T) {
			faces := farFaces(t, f, c.pattern, n)
			for i, size := range farSizes {
				found, off := recall(t, f, faces, size)
				t.Logf("%2.0f pixels: %d of %d found, eyes off by %.3f of the size", size, found, len(faces), off)
				if missed := len(faces) - found; missed > (30-c.want[i])*n/30 || off > 0.08 {
					t.Errorf("%v pixels: %d of %d found, eyes off by %.3f", size, found, len(faces), off)
				}
			}
		})
	}
}

func TestFarFacesInData(t *testing.T)     { foundFarFaces(t, 10) }
func TestLongFarFacesInData(t *testing.T) { foundFarFaces(t, 30) }

// noFalseFaces draws pictures without a face, n for each seed, and expects a face in one of a thousand at most.
func noFalseFaces(t *testing.T, n int, seeds ...uint64) {
	t.Helper()
	f := newFaceFinder(t)
	kinds := []struct {
		name string
		draw func(r *rand.Rand, w, h int) *capture.Frame
	}{{"room", room}, {"texture", texture}, {"hand", hand}}
	sizes := [][2]int{{640, 480}, {480, 640}, {320, 240}, {800, 450}}
	wrong := 0
	for _, seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 7))
		for i := range n {
			kind, size := kinds[i%len(kinds)], sizes[i/len(kinds)%len(sizes)]
			faces, err := f.FindFaces(t.Context(), kind.draw(r, size[0], size[1]), 0)
			if err != nil {
				t.Fatal(err)
			}
			if len(faces) > 0 {
				wrong++
				t.Logf("seed %d, picture %d, a %s: %+v", seed, i, kind.name, faces)
			}
		}
	}
	if all := n * len(seeds); wrong > all/1000 {
		t.Errorf("%d of %d pictures without a face have one", wrong, all)
	}
}

func TestNoFalseFaces(t *testing.T)     { noFalseFaces(t, 60, 33) }
func TestLongNoFalseFaces(t *testing.T) { noFalseFaces(t, 1000, 7, 21, 33) }
