package dataset

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/train/traintest"
)

// shared is a manifest in which anna is in two splits.
func shared(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	traintest.WriteWAV(t, filepath.Join(dir, "a.wav"), traintest.Sine(220, 16000))
	traintest.WriteWAV(t, filepath.Join(dir, "b.wav"), traintest.Sine(230, 16000))
	traintest.WriteWAV(t, filepath.Join(dir, "c.wav"), traintest.Sine(240, 16000))
	path := filepath.Join(dir, "m.csv")
	traintest.WriteFile(t, path, strings.Join(ManifestColumns, ",")+
		"\n,a.wav,m,anna,f,happy,train\n,b.wav,m,anna,f,happy,val\n,c.wav,m,ben,m,sad,train\n")
	return path
}

func TestSharedSpeakersAreRefused(t *testing.T) {
	o := Options{Data: []string{"manifest=" + shared(t)}, Labels: DefaultLabels()}
	_, err := LoadAll(o)
	if !errors.Is(err, ErrSharedSpeakers) || !strings.Contains(err.Error(), "anna (train, val)") ||
		strings.Contains(err.Error(), "ben") ||
		!strings.Contains(err.Error(), "--allow-speaker-overlap") {
		t.Errorf("not refused as it should be: %v", err)
	}
	o.AllowSpeakerOverlap = true
	var lines []string
	o.Log = func(line string) { lines = append(lines, line) }
	s, err := LoadAll(o)
	if err != nil || !slices.Equal(s.Shared, []string{"anna (train, val)"}) || s.SplitBy != "" {
		t.Errorf("%+v, %v", s, err)
	}
	if !strings.Contains(strings.Join(lines, "\n"), "1 speakers stand in several splits") {
		t.Errorf("said %q", lines)
	}
	// To divide by clip is to ask for it.
	o.AllowSpeakerOverlap, o.SplitBy = false, ByAuthors
	if s, err = LoadAll(o); err != nil || s.SplitBy != ByAuthors {
		t.Errorf("by %s: %v", ByAuthors, err)
	}
	o.SplitBy = BySpeaker
	if _, err = LoadAll(o); !errors.Is(err, ErrSharedSpeakers) {
		t.Errorf("by speaker: %v", err)
	}
}
