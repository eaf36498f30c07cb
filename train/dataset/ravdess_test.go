package dataset

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/train/traintest"
)

// TestRAVDESSForms: a take is one clip, whichever of its three forms are there.
func TestRAVDESSForms(t *testing.T) {
	root := traintest.Touch(t, "set",
		// All three.
		"Actor_02/01-01-03-01-01-01-02.mp4", "Actor_02/02-01-03-01-01-01-02.mp4", "Actor_02/03-01-03-01-01-01-02.wav",
		// Picture and sound, apart.
		"Actor_02/02-01-04-01-01-01-02.mp4", "Actor_02/03-01-04-01-01-01-02.wav",
		// One of them.
		"Actor_02/02-01-05-01-01-01-02.mp4", "Actor_02/03-01-06-01-01-01-02.wav",
		// A song, and a file that macOS leaves beside another.
		"Actor_02/03-02-03-01-01-01-02.wav", "Actor_02/._03-01-07-01-01-01-02.wav",
	)
	for _, tc := range []struct {
		name    string
		want    []string // ID | Video | Audio
		ignored int
	}{
		{"ravdess", []string{
			"01-01-03-01-01-01-02.mp4|01-01-03-01-01-01-02.mp4|",
			"02-01-04-01-01-01-02.mp4|02-01-04-01-01-01-02.mp4|03-01-04-01-01-01-02.wav",
			"02-01-05-01-01-01-02.mp4|02-01-05-01-01-01-02.mp4|", "03-01-06-01-01-01-02.wav||03-01-06-01-01-01-02.wav",
		}, 3},
		{"ravdess:audio", []string{
			"03-01-03-01-01-01-02.wav||03-01-03-01-01-01-02.wav", "03-01-04-01-01-01-02.wav||03-01-04-01-01-01-02.wav",
			"03-01-06-01-01-01-02.wav||03-01-06-01-01-01-02.wav",
		}, 5},
		{"ravdess:video", []string{
			"02-01-03-01-01-01-02.mp4|02-01-03-01-01-01-02.mp4|", "02-01-04-01-01-01-02.mp4|02-01-04-01-01-01-02.mp4|",
			"02-01-05-01-01-01-02.mp4|02-01-05-01-01-01-02.mp4|",
		}, 5},
		{"ravdess:both", []string{"01-01-03-01-01-01-02.mp4|01-01-03-01-01-01-02.mp4|"}, 7},
	} {
		clips, report, err := Load(tc.name, root, DefaultLabels(), nil)
		if err != nil {
			t.Fatal(err)
		}
		name := func(path string) string {
			if path == "" {
				return ""
			}
			return filepath.Base(path)
		}
		var got []string
		for _, c := range clips {
			got = append(got, name(c.ID)+"|"+name(c.Video)+"|"+name(c.Audio))
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s:\n%s\nwant\n%s", tc.name, strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
		}
		if report.Ignored != tc.ignored {
			t.Errorf("%s: %d ignored, want %d", tc.name, report.Ignored, tc.ignored)
		}
		// Of an actor's 60 takes those that are not there are named.
		if len(report.Missing) != 60-len(clips) || !strings.Contains(report.Missing[0], "??-01-01-01-01-01-02") {
			t.Errorf("%s: %d missing, the first %s", tc.name, len(report.Missing), report.Missing[0])
		}
	}
}
