package sample

import (
	"path/filepath"
	"strings"
	"testing"

	"tandem/train/dataset"
	"tandem/train/traintest"
)

// TestFER2013RowsAreStills: a row of the csv is opened as a picture.
func TestFER2013RowsAreStills(t *testing.T) {
	pixels := func(first string) string {
		return first + strings.Repeat(" 7", dataset.FER2013Side*dataset.FER2013Side-1)
	}
	root := traintest.Touch(t, "fer")
	traintest.WriteFile(t, filepath.Join(root, "fer2013.csv"),
		"emotion,pixels,Usage\r\n3,"+pixels("255")+",Training\r\n6,"+pixels("9")+",PublicTest\n1,1 2,PrivateTest")
	clips, _, err := dataset.Load("fer2013", root, dataset.DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, first := range []byte{255, 9} {
		src, err := OpenClip(t.Context(), &clips[i])
		if err != nil {
			t.Fatal(err)
		}
		m, err := src.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f := m.Frame; f.Width != dataset.FER2013Side || len(f.Pix) != 3*dataset.FER2013Side*dataset.FER2013Side ||
			f.Pix[0] != first || f.Pix[3] != 7 || f.Pix[len(f.Pix)-1] != 7 {
			t.Errorf("picture %d: %dx%d, begins %v", i, f.Width, f.Height, f.Pix[:6])
		}
		if !src.Info().Still {
			t.Error("a row is not a still")
		}
	}
	if _, err := OpenClip(t.Context(), &clips[2]); err == nil ||
		!strings.Contains(err.Error(), "2 pixels instead of 2304") {
		t.Errorf("short row: %v", err)
	}
}
