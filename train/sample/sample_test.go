package sample

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/train/dataset"
	"tandem/train/dataset/datasettest"
	"tandem/train/traintest"
)

// TestReasonsTravel: what is said of a skipped clip has no place on this machine, whichever of its files failed.
func TestReasonsTravel(t *testing.T) {
	dir := t.TempDir()
	good := datasettest.Clips(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	traintest.WriteFile(t, file("text.wav"), "I am a text.\n")
	traintest.WriteFile(t, file("empty.wav"), "")
	traintest.WriteFile(t, file("fer2013.csv"), "emotion,pixels,Usage\n1,1 2,Training\n")
	rows, _, err := dataset.Load("fer2013", file("fer2013.csv"), dataset.DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	still := good[1].Video
	clips := append(rows,
		dataset.Clip{Video: still, Audio: file("none.wav"), ID: "no sound"},
		dataset.Clip{Video: still, Audio: file("text.wav"), ID: "text as sound"},
		dataset.Clip{Video: still, Audio: file("empty.wav"), ID: "empty sound"},
		dataset.Clip{Video: file("none.mp4"), Audio: good[0].Audio, ID: "no picture"},
		dataset.Clip{Audio: file("none.wav"), End: time.Second, ID: "no sound, a part"},
		dataset.Clip{Audio: file("none.wav"), ID: file("none.wav")}, // as a manifest of absolute paths has it
		dataset.Clip{Video: still, Audio: file("none.wav"), ID: still + "|" + file("none.wav")},
		dataset.Clip{Video: still, End: time.Second, ID: "a part of a still"},
	)
	p, err := Prepare(t.Context(), clips, testOptions("", 1))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Skipped) != len(clips) {
		t.Fatalf("%d of %d clips are skipped", len(p.Skipped), len(clips))
	}
	for _, s := range p.Skipped {
		got := s.Reason()
		if strings.Contains(got, string(filepath.Separator)) || !strings.Contains(got, p.Clips[s.Clip].PortableID()) {
			t.Errorf("%v is told as %q", s.Err, got)
		}
	}
}

// Errors may name other files than the clip's, and one path may be the beginning of another.
func TestReasonOfOtherPaths(t *testing.T) {
	s := Skipped{Path: "/srv/a", name: "set/a", files: [2]string{"/srv/a", "/srv/a.wav"}}
	s.Err = fmt.Errorf("/srv/a.wav: %w", errors.Join(
		&fs.PathError{Op: "open", Path: "/srv/me/secret", Err: os.ErrPermission},
		&os.LinkError{Op: "link", Old: "/srv/me/x", New: "/srv/me/y", Err: os.ErrExist},
		&capture.InputError{Name: "/srv/a", Err: errors.New("no film")}))
	want := "set/a: open secret: permission denied\nlink x y: file already exists\nset/a: no film"
	if got := s.Reason(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
