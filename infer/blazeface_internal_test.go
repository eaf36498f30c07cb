package infer

import (
	"errors"
	"math"
	"testing"

	"tandem/capture"
	"tandem/pipeline"
)

func TestDecodeAndMerge(t *testing.T) {
	// One face of 64 canvas pixels at (72, 56) on the canvas of 128, seen by two neighbouring anchors, and another one
	// far off, seen by one: in a picture of 256 x 256.
	g := grids[0]
	scores := make([]float32, g.anchors())
	regress := make([]float32, g.anchors()*regressors)
	for i := range scores {
		scores[i] = -10
	}
	see := func(anchor int, score float32, x, y, size float64) {
		scores[anchor] = score
		cell := anchor / g.perCell
		ax, ay := (float64(cell%16)+0.5)*8, (float64(cell/16)+0.5)*8
		r := regress[anchor*regressors:]
		r[2], r[3] = float32(size), float32(size)
		for i, p := range [][2]float64{{x, y}, {x - 10, y - 10}, {x + 10, y - 10}, {x, y}, {x, y + 12}} {
			at := 2 * i
			if i > 0 {
				at += 2
			}
			r[at], r[at+1] = float32(p[0]-ax), float32(p[1]-ay)
		}
	}
	see(2*(16*7+9), 3, 72, 56, 64)
	see(2*(16*7+9)+1, 3, 74, 58, 64) // the same face, as sure
	see(0, 1, 10, 8, 16)
	see(5, -0.1, 100, 100, 30) // below the least score

	found := decode(nil, g, 128, minFaceLogit, anchorValues{scores, regress})
	if len(found) != 3 {
		t.Fatalf("%d detections, want 3", len(found))
	}
	faces := merge(found, fit(256, 256, 128, 1), 128)
	if len(faces) != 2 {
		t.Fatalf("%d faces, want 2: %+v", len(faces), faces)
	}
	want := pipeline.Face{
		X: 2 * (73 - 32), Y: 2 * (57 - 32), W: 128, H: 128, Score: 1 / (1 + math.Exp(-3)),
		LeftEye: pipeline.Point{X: 126, Y: 94}, RightEye: pipeline.Point{X: 166, Y: 94},
		Nose: pipeline.Point{X: 146, Y: 114}, Mouth: pipeline.Point{X: 146, Y: 138},
	}
	if !sameFaces(faces[0], want) {
		t.Errorf("got  %+v\nwant %+v", faces[0], want)
	}
	if faces[1].Score >= faces[0].Score || math.Abs(faces[1].W-32) > 1e-3 {
		t.Errorf("second face %+v", faces[1])
	}
}

func sameFaces(a, b pipeline.Face) bool {
	for _, d := range []float64{
		a.X - b.X, a.Y - b.Y, a.W - b.W, a.H - b.H, a.Score - b.Score,
		a.LeftEye.X - b.LeftEye.X, a.LeftEye.Y - b.LeftEye.Y, a.RightEye.X - b.RightEye.X, a.RightEye.Y - b.RightEye.Y,
		a.Nose.X - b.Nose.X, a.Nose.Y - b.Nose.Y, a.Mouth.X - b.Mouth.X, a.Mouth.Y - b.Mouth.Y,
	} {
		if !(math.Abs(d) < 1e-3) {
			return false
		}
	}
	return true
}

// A network may say anything: no number of it may hang or come out as a face.
func TestMergeNonsense(t *testing.T) {
	nan := math.NaN()
	faces := merge([]detection{
		{score: 0.9, place: [12]float64{nan, nan, nan, nan}},
		{score: 0.8, place: [12]float64{0, 0, math.Inf(1), 1}},
		{score: 0.7, place: [12]float64{0.5, 0.5, -1, 1}},
		{score: 0.6, place: [12]float64{0.5, 0.5, 0, 0}},
	}, fit(100, 100, 128, 1), 128)
	if len(faces) != 0 {
		t.Errorf("%+v", faces)
	}
}

func TestDetectorRefusesOtherModels(t *testing.T) {
	if err := Init(); err != nil {
		t.Skip(err)
	}
	front, err := readAsset("face_detection_front_128x128_barracuda.onnx", ErrNoDetector)
	if err != nil {
		t.Skip(err)
	}
	if _, err := newDetector("front", front, 256); err == nil {
		t.Error("the front network was taken for the back one")
	}
	for _, b := range [][]byte{nil, []byte("words"), front[:len(front)/2]} {
		if _, err := newDetector("broken", b, 128); err == nil {
			t.Errorf("%d bytes were taken for a network", len(b))
		}
	}
}

// The back network is loaded for the first picture that it looks at, and not before: a small picture with a face is
// none.
func TestBackDetectorIsLoadedWhenNeeded(t *testing.T) {
	f, err := NewBlazeFace()
	if errors.Is(err, ErrNoRuntime) || errors.Is(err, ErrNoDetector) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	picture := func(noFace bool) *capture.Frame {
		src := capture.NewPattern(capture.PatternOptions{NoFace: noFace, NoAudio: true, Width: 240, Height: 180})
		defer src.Close()
		m, err := src.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return m.Frame
	}
	for _, noFace := range []bool{false, true} {
		faces, err := f.FindFaces(t.Context(), picture(noFace), 1)
		if err != nil || (len(faces) == 0) != noFace {
			t.Fatalf("%d faces, %v", len(faces), err)
		}
		if loaded := f.back.session != nil; loaded != noFace {
			t.Errorf("a picture without a face: %v; the back network is loaded: %v", noFace, loaded)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.back.open(); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
