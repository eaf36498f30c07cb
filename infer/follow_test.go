package infer_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"tandem/capture"
	"tandem/pipeline"
)

// drawnSize is the size of the box in drawnFace, and drawnMiddle its middle.
func drawnSize(t *testing.T, f pipeline.FaceFinder, drawn *capture.Frame) (size float64, middle pipeline.Point) {
	t.Helper()
	faces, err := f.FindFaces(t.Context(), drawn, 1)
	if err != nil || len(faces) != 1 {
		t.Fatalf("the drawn face: %v, %v", faces, err)
	}
	return faces[0].W, middleOf(faces[0])
}

// placed pastes a drawn face so that its box is of a size about a place.
type placed struct{ x, y, size float64 }

func (p placed) into(frame, drawn *capture.Frame, size float64, middle pipeline.Point) {
	scale := p.size / size
	paste(frame, drawn, math.Floor(p.x-scale*middle.X), math.Floor(p.y-scale*middle.Y), scale)
}

// Four faces, near and far, each moving, are followed at once, and each by one number.
func TestFourFacesAreFollowed(t *testing.T) {
	f := newFaceFinder(t)
	drawn := drawnFace(t)
	size, middle := drawnSize(t, f, drawn)
	four := []placed{{120, 240, 110}, {300, 120, 34}, {420, 330, 60}, {560, 130, 26}}
	wall := room(rand.New(rand.NewPCG(4, 4)), 640, 480)
	src := &clip{width: 640, height: 480, n: 16, picture: func(i int) *capture.Frame {
		frame := copied(wall)
		for j, p := range four {
			a := 0.4*float64(i) + float64(j)
			p.x += 0.3 * p.size * math.Sin(a)
			p.y += 0.1 * p.size * math.Cos(a)
			p.into(frame, drawn, size, middle)
		}
		return frame
	}}
	ticks := followed(t, f, src, 4)
	for i, faces := range ticks[2:] {
		if len(faces) != 4 {
			t.Fatalf("tick %d: %d faces: %+v", i+2, len(faces), faces)
		}
		for k, face := range faces {
			was := ticks[2][k].Face
			if face.Subject != ticks[2][k].Subject || math.Hypot(face.Face.X-was.X, face.Face.Y-was.Y) > was.W ||
				!upright(face.Face) {
				t.Errorf("tick %d: %+v, at first %+v", i+2, face, ticks[2][k])
			}
		}
	}
}

// A small face is there beside a large one, in a picture and in a video.
func TestSmallFaceBesideLarge(t *testing.T) {
	f := newFaceFinder(t)
	drawn := drawnFace(t)
	size, middle := drawnSize(t, f, drawn)
	frame := room(rand.New(rand.NewPCG(4, 4)), 640, 480)
	for _, p := range []placed{{200, 240, 220}, {520, 150, 24}} {
		p.into(frame, drawn, size, middle)
	}
	faces, err := f.FindFaces(t.Context(), frame, 0)
	if err != nil || len(faces) != 2 {
		t.Fatalf("%+v, %v", faces, err)
	}
	src := &clip{width: 640, height: 480, n: 4, picture: func(int) *capture.Frame { return copied(frame) }}
	for i, faces := range followed(t, f, src, 2) {
		if len(faces) != 2 && i > 0 {
			t.Errorf("tick %d: %+v", i, faces)
		}
	}
}

// eyeJitter returns the standard deviation of the eyes of one resting face under noise, in sizes of the face.
func eyeJitter(t *testing.T, f pipeline.FaceFinder, frame *capture.Frame, sigma float64) float64 {
	t.Helper()
	r := rand.New(rand.NewPCG(8, 9))
	const settled = 4 // ticks until it is followed
	src := &clip{width: frame.Width, height: frame.Height, n: settled + 30, picture: func(int) *capture.Frame {
		return noisy(frame, sigma, r)
	}}
	var sum, squares [4]float64
	var size float64
	ticks := followed(t, f, src, 1)[settled:]
	for i, faces := range ticks {
		if len(faces) != 1 {
			t.Fatalf("tick %d: %d faces", i, len(faces))
		}
		face := faces[0].Face
		for k, v := range []float64{face.LeftEye.X, face.LeftEye.Y, face.RightEye.X, face.RightEye.Y} {
			sum[k] += v
			squares[k] += v * v
		}
		size += face.W
	}
	n := float64(len(ticks))
	var variance float64
	for k := range sum {
		variance += (squares[k]/n - sum[k]*sum[k]/(n*n)) / 4
	}
	return math.Sqrt(max(variance, 0)) / (size / n)
}

// searching hides that a finder can follow.
type searching struct{ pipeline.FaceFinder }

// The points of a resting face do not jitter, near or far: less than if it were searched for in each picture.
func TestRestingFaceDoesNotJitter(t *testing.T) {
	f := newFaceFinder(t)
	drawn := drawnFace(t)
	size, middle := drawnSize(t, f, drawn)
	for _, c := range []struct{ size, most float64 }{{200, 0.002}, {60, 0.003}, {26, 0.008}} {
		frame := room(rand.New(rand.NewPCG(4, 4)), 640, 480)
		placed{320, 240, c.size}.into(frame, drawn, size, middle)
		follow := eyeJitter(t, f, frame, 8)
		t.Logf("%3.0f pixels: %.2f %% of the size; searched each time: %.2f %%", c.size, 100*follow,
			100*eyeJitter(t, searching{f}, frame, 8))
		if follow > c.most {
			t.Errorf("%v pixels: the eyes move by %.4f of the size, want %v", c.size, follow, c.most)
		}
	}
}

// Two hundred faces in a picture are bounded work.
func TestTwoHundredFaces(t *testing.T) {
	f := newFaceFinder(t)
	drawn := drawnFace(t)
	size, middle := drawnSize(t, f, drawn)
	frame := blank(1600, 800)
	for i := range 200 {
		placed{40 + 80*float64(i%20), 40 + 80*float64(i/20), 40}.into(frame, drawn, size, middle)
	}
	began := time.Now()
	faces, err := f.FindFaces(t.Context(), frame, 0)
	if err != nil || len(faces) < 20 || len(faces) > 100 {
		t.Errorf("%d faces, %v", len(faces), err)
	}
	t.Logf("%d faces in %v", len(faces), time.Since(began))
	src := &clip{width: 1600, height: 800, n: 3, picture: func(int) *capture.Frame { return copied(frame) }}
	for i, faces := range followed(t, f, src, 4) {
		if len(faces) != 4 {
			t.Errorf("tick %d: %d faces followed", i, len(faces))
		}
	}
}

// What leaves the picture is there as long as its eyes and mouth are, and then it is gone: nothing is guessed.
func TestFaceLeavesThePicture(t *testing.T) {
	f := newFaceFinder(t)
	drawn := drawnFace(t)
	size, middle := drawnSize(t, f, drawn)
	wall := room(rand.New(rand.NewPCG(4, 4)), 640, 480)
	const width = 120
	src := &clip{width: 640, height: 480, n: 24, picture: func(i int) *capture.Frame {
		frame := copied(wall)
		placed{150 - 10*float64(i), 240, width}.into(frame, drawn, size, middle)
		return frame
	}}
	for i, faces := range followed(t, f, src, 1) {
		x := 150 - 10*float64(i)
		switch {
		case x >= width/2 && i > 0 && len(faces) != 1:
			t.Errorf("its middle at %v: %d faces", x, len(faces))
		case x <= width/8 && len(faces) > 0:
			t.Errorf("its middle at %v: %+v", x, faces)
		}
		for _, face := range faces {
			if face.Face.LeftEye.X < 0 || math.Abs(middleOf(face.Face).X-x) > width/4 {
				t.Errorf("its middle at %v: %+v", x, face)
			}
		}
	}
}

// A face in little light is found where it is, or not at all.
func TestFaceInTheDark(t *testing.T) {
	f := newFaceFinder(t)
	drawn := drawnFace(t)
	size, middle := drawnSize(t, f, drawn)
	found := 0
	for _, light := range []float64{0.5, 0.2, 0.1, 0.05, 0.02, 0} {
		frame := room(rand.New(rand.NewPCG(4, 4)), 640, 480)
		placed{320, 240, 90}.into(frame, drawn, size, middle)
		for i, p := range frame.Pix {
			frame.Pix[i] = byte(light * float64(p))
		}
		faces, err := f.FindFaces(t.Context(), noisy(frame, 2, rand.New(rand.NewPCG(1, 1))), 0)
		if err != nil || len(faces) > 1 {
			t.Fatalf("light %v: %+v, %v", light, faces, err)
		}
		found += len(faces)
		t.Logf("light %v: %d faces", light, len(faces))
		for _, face := range faces {
			if m := middleOf(face); light == 0 || math.Hypot(m.X-320, m.Y-240) > 20 {
				t.Errorf("light %v: %+v", light, face)
			}
		}
	}
	if found == 0 {
		t.Error("no face was found at all")
	}
}

// No face is expected anywhere that hangs or answers with one.
func TestFollowNonsense(t *testing.T) {
	f := newFaceFinder(t)
	nan, inf := math.NaN(), math.Inf(1)
	expected := []pipeline.Face{
		{},
		{W: nan, H: nan},
		{X: nan, W: 9, H: 9},
		{X: inf, W: 9, H: 9},
		{W: inf, H: inf},
		{W: 1e300, H: 1},
		{X: -1e9, Y: 1e9, W: 50, H: 50},
		{X: 100, Y: 100, W: -5, H: -5},
		{X: 3, Y: 3, W: 1, H: 1},
	}
	frame := noisy(blank(320, 240), 60, rand.New(rand.NewPCG(1, 1)))
	faces, err := f.FollowFaces(t.Context(), frame, expected)
	if err != nil || len(faces) != len(expected) {
		t.Fatalf("%v, %v", faces, err)
	}
	for i, face := range faces {
		if face.Score != 0 {
			t.Errorf("%+v: %+v", expected[i], face)
		}
	}
	if _, err := f.FollowFaces(t.Context(), &capture.Frame{Width: 2, Height: 2}, expected); err == nil {
		t.Error("no pixels were taken for a picture")
	}
}
