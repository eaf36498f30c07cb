package dataset

import (
	"path/filepath"
	"strings"
	"testing"

	"tandem/train/traintest"
)

func TestFER2013CSV(t *testing.T) {
	pixels := func(first string) string { return first + strings.Repeat(" 7", FER2013Side*FER2013Side-1) }
	root := traintest.Touch(t, "fer")
	traintest.WriteFile(t, filepath.Join(root, "fer2013.csv"),
		"emotion,pixels,Usage\r\n3,"+pixels("255")+",Training\r\n6,"+pixels("9")+",PublicTest\n1,1 2,PrivateTest")
	clips, _, err := Load("fer2013", root, DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"fer2013.csv#000002 fer2013  happy - train", "fer2013.csv#000003 fer2013  neutral - val",
		"fer2013.csv#000004 fer2013  disgusted - test",
	}
	for i, c := range clips {
		if describe(c) != want[i] {
			t.Errorf("%s, want %s", describe(c), want[i])
		}
	}
}

func FuzzFER2013CSV(f *testing.F) {
	for _, s := range []string{
		"", "emotion,pixels,Usage\n", "emotion,pixels,Usage\n3,1 2 3,Training\n",
		"emotion,pixels,Usage\r\n0,\"1 2\",PublicTest",
		"emotion,pixels,Usage\n9,,\n", "emotion,pixels,Usage\n-1,1,Training\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &loader{labels: DefaultLabels(), report: LoadReport{Unlabelled: map[string]int{}}}
		if err := scanFERCSV(l, strings.NewReader(string(data)), "fer2013.csv", nil); err != nil {
			return
		}
		for _, c := range l.clips {
			if end := c.Row.Offset + int64(c.Row.Length); c.Row.Offset < 0 || end > int64(len(data)) {
				t.Fatalf("pixels at %d to %d of %d bytes", c.Row.Offset, end, len(data))
			}
			if grey, err := parsePixels(data[c.Row.Offset:][:c.Row.Length]); err == nil &&
				len(grey) != FER2013Side*FER2013Side {
				t.Errorf("%d pixels", len(grey))
			}
		}
	})
}
