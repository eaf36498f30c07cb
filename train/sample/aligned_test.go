package sample

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"tandem/capture"
	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/traintest"
)

// scriptedFinder answers for the wide picture and for its mirror image in turn.
type scriptedFinder struct {
	answers [][]pipeline.Face
	saw     []*capture.Frame
}

func (s *scriptedFinder) FindFaces(_ context.Context, f *capture.Frame, _ int) ([]pipeline.Face, error) {
	s.saw = append(s.saw, f)
	return s.answers[len(s.saw)-1], nil
}

func TestAlignedFinder(t *testing.T) {
	usual := canonicalFaces["fer2013"]
	picture := &capture.Frame{Width: 48, Height: 48, Pix: make([]byte, 3*48*48)}
	for i := range picture.Pix {
		picture.Pix[i] = byte(i / 3 % 48)
	}
	where := usual.in(picture)
	// A face that is right in the picture, tilted by dy at the viewer's left eye, as a finder would return it in the
	// wide picture.
	seen := func(dx, dy float64, mirrored bool) []pipeline.Face {
		f := where
		f.LeftEye.Y += dy
		moveFace(&f, 24+dx, 24)
		if mirrored {
			mirrorFace(&f, 96)
		}
		return []pipeline.Face{f}
	}
	scored := func(f []pipeline.Face, score float64) []pipeline.Face {
		f[0].Score = score
		return f
	}
	for _, tc := range []struct {
		name        string
		first, then []pipeline.Face
		dx, dy      float64 // where the left eye is to be, from its usual place
	}{
		{"both", seen(1, 2, false), seen(3, 0, true), 2, 1},
		{"only one", seen(1, 2, false), nil, 1, 2},
		{"only the mirror", nil, seen(1, 2, true), 1, 2},
		{"none", nil, nil, 0, 0},
		{"one far off", seen(40, 0, false), seen(1, 0, true), 1, 0},
		{"both far off", seen(40, 0, false), seen(-30, 0, true), 0, 0},
		{"apart, the first better", seen(-5, 0, false), scored(seen(5, 0, true), 0.5), -5, 0},
		{"apart, the second better", scored(seen(-5, 0, false), 0.5), seen(5, 0, true), 5, 0},
	} {
		s := &scriptedFinder{answers: [][]pipeline.Face{tc.first, tc.then}}
		faces, err := alignedFinder{s, usual}.FindFaces(t.Context(), picture, 1)
		if err != nil || len(faces) != 1 {
			t.Fatalf("%s: %v, %v", tc.name, faces, err)
		}
		got := faces[0]
		traintest.Near(t, tc.name+": left eye x", got.LeftEye.X, where.LeftEye.X+tc.dx, 1e-9)
		traintest.Near(t, tc.name+": left eye y", got.LeftEye.Y, where.LeftEye.Y+tc.dy, 1e-9)
		traintest.Near(t, tc.name+": right eye x", got.RightEye.X, where.RightEye.X+tc.dx, 1e-9)
		traintest.Near(t, tc.name+": mouth y", got.Mouth.Y, where.Mouth.Y, 1e-9)
		for i, f := range s.saw {
			row := f.Pix[3*96*50 : 3*96*51]
			if i == 1 {
				row = mirror(&capture.Frame{Width: 96, Height: 1, Pix: row}).Pix
			}
			if f.Width != 96 || f.Height != 96 || row[0] != 0 || row[3*(24+10)] != 10 || row[3*95] != 47 {
				t.Errorf("%s: look %d saw %d, %d, %d", tc.name, i, row[0], row[3*34], row[3*95])
			}
		}
	}
}

// TestLongCanonicalFacesAreTheMedians measures canonicalFaces again.
func TestLongCanonicalFacesAreTheMedians(t *testing.T) {
	data := traintest.Data(t)
	finder, err := infer.NewBlazeFace()
	if errors.Is(err, infer.ErrNoRuntime) || errors.Is(err, infer.ErrNoDetector) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer finder.Close()
	for name, usual := range canonicalFaces {
		clips, _, err := dataset.Load(name, filepath.Join(data, name), dataset.DefaultLabels(), nil)
		if err != nil {
			t.Fatal(err)
		}
		const n = 400
		var places [8][]float64
		for i := range n {
			src, err := OpenClip(t.Context(), &clips[i*len(clips)/n])
			if err != nil {
				t.Fatal(err)
			}
			m, err := src.Read(t.Context())
			if err := errors.Join(err, src.Close()); err != nil {
				t.Fatal(err)
			}
			faces, err := alignedFinder{finder, usual}.FindFaces(t.Context(), m.Frame, 1)
			if err != nil {
				t.Fatal(err)
			}
			if faces[0] == usual.in(m.Frame) {
				continue // not found
			}
			for j, p := range points(&faces[0]) {
				places[2*j] = append(places[2*j], p.X/float64(m.Frame.Width))
				places[2*j+1] = append(places[2*j+1], p.Y/float64(m.Frame.Height))
			}
		}
		t.Logf("%s: found %d of %d", name, len(places[0]), n)
		if len(places[0]) < n*9/10 {
			t.Errorf("%s: found only %d of %d", name, len(places[0]), n)
		}
		for j, p := range []pipeline.Point{usual.leftEye, usual.rightEye, usual.nose, usual.mouth} {
			for k, want := range []float64{p.X, p.Y} {
				slices.Sort(places[2*j+k])
				traintest.Near(t, name+" "+[]string{"left eye", "right eye", "nose", "mouth"}[j]+" "+"xy"[k:k+1],
					places[2*j+k][len(places[2*j+k])/2], want, 0.015)
			}
		}
	}
}

// A set whose options choose other labels has the same pictures.
func TestCanonicalFaceOfASetWithOptions(t *testing.T) {
	if canonicalFace("fer2013:plus") != canonicalFaces["fer2013"] || canonicalFace("ravdess") != nil {
		t.Error("the options of a set change its faces")
	}
}
