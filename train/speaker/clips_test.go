package speaker

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/traintest"
)

// A film is cut once: what the cache has is read, and what is damaged is cut again.
func TestPrepare(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	film := filepath.Join(dir, "film.mp4")
	traintest.WritePattern(t, film, 160, 120)
	voice := filepath.Join(dir, "voice.wav")
	traintest.WriteWAV(t, voice, traintest.Sine(200, 16000))
	traintest.WriteFile(t, filepath.Join(dir, "broken.mp4"), "no film")
	clips := []dataset.Clip{
		{Video: film, Audio: voice, ID: "film", Speaker: "a", Split: dataset.SplitTrain},
		{Video: filepath.Join(dir, "broken.mp4"), ID: "broken"},
	}
	finder := traintest.NewFinder()
	o := Options{
		Mouths: nn.DefaultMouths, CacheDir: cache, Workers: 1,
		Finder: func() (pipeline.FaceFinder, error) { return finder, nil },
	}
	prepare := func(calls bool) *Track {
		t.Helper()
		before := finder.Calls.Load()
		tracks, skipped, err := Prepare(t.Context(), clips, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(tracks) != 1 || len(skipped) != 1 || (finder.Calls.Load() > before) != calls {
			t.Fatalf("%d tracks, left out %q, faces looked for: %v", len(tracks), skipped, finder.Calls.Load() > before)
		}
		return tracks[0]
	}
	first := prepare(true)
	if first.Slots() < 12 || first.ID != "film" || first.Speaker != "a" || count(first.There) < first.Slots()/2 ||
		count(first.Voiced) < first.Slots()/2 {
		t.Errorf("%d slots, %d mouths, %d voiced", first.Slots(), count(first.There), count(first.Voiced))
	}
	if again := prepare(false); !slices.Equal(again.Sound, first.Sound) || !slices.Equal(again.Mouths, first.Mouths) {
		t.Error("the cache has another track")
	}
	files, _ := filepath.Glob(filepath.Join(cache, "*.track"))
	if len(files) != 1 {
		t.Fatalf("%d tracks in the cache", len(files))
	}
	if err := os.WriteFile(files[0], []byte(trackMagic), 0o644); err != nil {
		t.Fatal(err)
	}
	prepare(true)

	if _, _, err := Prepare(t.Context(), clips[1:], o); !errors.Is(err, ErrNoClips) {
		t.Errorf("without a clip that can be read: %v", err)
	}
	o.Finder = func() (pipeline.FaceFinder, error) { return nil, errors.New("no detector") }
	o.CacheDir = ""
	if _, _, err := Prepare(t.Context(), clips, o); !errors.Is(err, errFinder) {
		t.Errorf("without a face detector: %v", err)
	}
}
