package eval

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/train/dataset/datasettest"
	"tandem/train/traintest"
)

// TestReportHasNoLocalPaths: neither file of a report names a place on this machine, though a clip's separate sound
// file cannot be read.
func TestReportHasNoLocalPaths(t *testing.T) {
	clips := datasettest.Clips(t)
	media := filepath.Dir(clips[0].Audio)
	clips[2].Audio = filepath.Join(media, "none.wav") // of a still that can be read
	r, err := Evaluate(t.Context(), levelRecognizer{traintest.Spec}, traintest.NewFinder().Make, clips,
		Options{Split: SplitAll})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Skipped) != 3 {
		t.Errorf("skipped %q, want 3", r.Skipped)
	}
	dir := t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.json", "report.html"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), media) || !strings.Contains(string(text), "ab: ") {
			t.Errorf("%s names the folder %s, or not the clip ab", name, media)
		}
	}
}
