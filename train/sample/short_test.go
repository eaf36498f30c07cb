package sample

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/traintest"
)

// TestShortClipsEndTheirWindow holds where the sound of a clip shorter than a window is, when it is cut and when it
// comes from the cache, and that one of too little is skipped for that.
func TestShortClipsEndTheirWindow(t *testing.T) {
	spec := traintest.Spec
	spec.Window, spec.Partial = 2560*time.Millisecond, true
	dir, cache := t.TempDir(), t.TempDir()
	var clips []dataset.Clip
	lengths := []time.Duration{500 * time.Millisecond, 2 * time.Second, 2560 * time.Millisecond, 300 * time.Millisecond}
	for i, d := range lengths {
		path := filepath.Join(dir, string(rune('a'+i))+".wav")
		traintest.WriteWAV(t, path, traintest.Sine(300, samplesIn(d)))
		clips = append(clips, dataset.Clip{Audio: path, ID: filepath.Base(path), Dataset: "mine"})
	}
	for run, cached := range []int{0, 3} {
		p, err := Prepare(t.Context(), clips, Options{Spec: spec, Finder: traintest.NewFinder().Make, CacheDir: cache})
		if err != nil {
			t.Fatal(err)
		}
		if p.Cached != cached || len(p.Samples) != 3 {
			t.Fatalf("run %d: %d samples, %d clips cached", run, len(p.Samples), p.Cached)
		}
		for i := range p.Samples {
			w, n := p.Window(i), samplesIn(lengths[i])
			covered := lengths[i]
			if covered == spec.Window {
				covered = 0
			}
			before := len(w.Audio) - n
			if len(p.Samples[i].Audio) != n || w.Covered != covered || w.End-w.Start != lengths[i] {
				t.Errorf("run %d: %v of sound give %d samples, and a window that covers %v from %v", run, lengths[i],
					len(p.Samples[i].Audio), w.Covered, w.Start)
			}
			if pipeline.Level(w.Audio[:before]) > -200 || pipeline.Level(w.Audio[before:]) < -20 {
				t.Errorf("run %d: %v of sound are not the window's end", run, lengths[i])
			}
		}
		if len(p.Skipped) != 1 || !errors.Is(p.Skipped[0].Err, pipeline.ErrTooShort) {
			t.Errorf("run %d: skipped are %v", run, p.Skipped)
		}
		full := spec
		full.Partial = false
		q, err := Prepare(t.Context(), clips, Options{Spec: full, Finder: traintest.NewFinder().Make, CacheDir: cache})
		if err != nil {
			t.Fatal(err)
		}
		w := q.Window(0)
		if len(q.Samples) != 4 || w.Covered != 0 || pipeline.Level(w.Audio[:capture.SampleRate/4]) < -20 {
			t.Errorf("for full windows %d samples, the first covers %v", len(q.Samples), w.Covered)
		}
	}
}
