package sample

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"tandem/capture"
	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/dataset/datasettest"
	"tandem/train/traintest"
)

// A finder that could not be made may come as a nil pointer in an interface, which is not nil.
func TestFinderThatCannotBeMadeIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no detector here")
	finder := func() (pipeline.FaceFinder, error) { return (*infer.BlazeFace)(nil), broken }
	_, err := Prepare(t.Context(), []dataset.Clip{{Audio: path, ID: "a.wav"}},
		Options{Spec: traintest.Spec, Finder: finder, Workers: 1})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the finder's error", err)
	}
}

func TestPrepareCutsAsThePipelineDoes(t *testing.T) {
	defer goleak.VerifyNone(t)
	clips := datasettest.Clips(t)
	calls, last := 0, 0
	p, err := Prepare(t.Context(), clips, Options{
		Spec: traintest.Spec, Finder: traintest.NewFinder().Make, Workers: 2,
		Progress: func(done, total int) {
			calls++
			if total != len(clips) || done < last {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			last = done
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != len(clips) || calls < len(clips) {
		t.Errorf("%d calls of progress, the last with %d", calls, last)
	}
	i := 0
	for c := range clips[:3] {
		src, err := OpenClip(t.Context(), &clips[c])
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		o := pipeline.Options{Faces: 1, SilenceDBFS: SilenceDBFS}
		err = pipeline.Cut(t.Context(), src, traintest.NewFinder(), traintest.Spec, o, func(w *pipeline.Window) error {
			if i >= len(p.Samples) {
				t.Fatalf("clip %d has more windows than the %d samples", c, len(p.Samples))
			}
			got := p.Window(i)
			for k := range w.Audio {
				if math.Abs(float64(w.Audio[k]-got.Audio[k])) > 1.0/65536 {
					t.Fatalf("clip %d, window %d, sample %d is %g instead of %g", c, n, k, got.Audio[k], w.Audio[k])
				}
			}
			if p.Samples[i].Clip != c || got.AudioPresent != w.AudioPresent ||
				!slices.Equal(got.Video, w.Video) || !slices.Equal(got.VideoMask, w.VideoMask) {
				t.Errorf("clip %d, window %d differs", c, n)
			}
			i++
			n++
			return nil
		})
		if err := errors.Join(err, src.Close()); err != nil {
			t.Fatal(err)
		}
		if want := []int{4, 1, 4}[c]; n != want {
			t.Errorf("clip %d has %d windows, want %d", c, n, want)
		}
	}
	if i != len(p.Samples) {
		t.Errorf("%d samples, the pipeline has %d windows", len(p.Samples), i)
	}
	if s := p.Samples[4]; !s.Still || len(s.Video) != CropBytes(traintest.Spec) || s.Audio != nil {
		t.Errorf("the picture gave still %v, %d bytes", s.Still, len(s.Video))
	}
	if a, b := p.Samples[0].Audio, p.Samples[1].Audio; &a[2560] != &b[0] {
		t.Error("windows of one clip do not share their sound")
	}
	for _, s := range p.Samples[5:] {
		if s.Audio == nil || slices.Contains(s.VideoMask, false) {
			t.Errorf("picture with voice: sound %v, faces %v", s.Audio != nil, s.VideoMask)
		}
	}
	if len(p.Skipped) != 2 || !strings.Contains(p.Skipped[0].Err.Error(), ErrNoModality.Error()) ||
		p.Skipped[1].Path != clips[4].Video || !strings.Contains(p.Skipped[1].Err.Error(), "d.mp4") {
		t.Errorf("skipped %v", p.Skipped)
	}
}

func TestPrepareOfAShortVoicePads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "short.wav")
	traintest.WriteWAV(t, path, traintest.Sine(300, 4000))
	p, err := Prepare(t.Context(), []dataset.Clip{{Audio: path, ID: "short"}}, testOptions("", 1))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Samples) != 1 {
		t.Fatalf("%d samples", len(p.Samples))
	}
	want := make([]float32, 4000)
	for i, v := range traintest.Sine(300, 4000) {
		want[i] = float32(v) / 32768
	}
	new(capture.HighPass).Filter(want, want)
	a := p.Samples[0].Audio
	if len(a) != traintest.Spec.AudioSamples() || slices.ContainsFunc(a[4000:], func(v int16) bool { return v != 0 }) {
		t.Fatal("the sound is not as long as the file's with silence behind")
	}
	for i, v := range want {
		if math.Abs(float64(a[i])-float64(v)*32768) > 1 {
			t.Fatalf("sample %d is %d, of the filtered file %v", i, a[i], v*32768)
		}
	}
}

func TestPrepareOfAVerySoftVoice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "soft.wav")
	soft := traintest.Sine(300, 19200)
	for i := range soft {
		soft[i] = int16(math.Round(float64(soft[i]) / 16384 * 22)) // -66 dBFS, silent for a live pipeline
	}
	traintest.WriteWAV(t, path, soft)
	p, err := Prepare(t.Context(), []dataset.Clip{{Audio: path, ID: "soft"}}, testOptions("", 1))
	if err != nil || len(p.Samples) != 4 {
		t.Fatalf("%v, %d samples", err, len(p.Samples))
	}
}

func TestPrepareFailures(t *testing.T) {
	defer goleak.VerifyNone(t)
	clips := datasettest.Clips(t)
	broken := errors.New("no such detector")
	for name, finder := range map[string]func() (pipeline.FaceFinder, error){
		"cannot be made": func() (pipeline.FaceFinder, error) { return nil, broken },
		"fails":          traintest.FixedFinder{Calls: new(atomic.Int64), Err: broken}.Make,
	} {
		if _, err := Prepare(t.Context(), clips, Options{
			Spec: traintest.Spec, Finder: finder, CacheDir: t.TempDir(), Workers: 2,
		}); !errors.Is(err, broken) {
			t.Errorf("finder %s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cache := t.TempDir()
	_, err := Prepare(ctx, clips, Options{
		Spec: traintest.Spec, Finder: traintest.NewFinder().Make, CacheDir: cache,
		Workers: 1, Progress: func(int, int) { cancel(stop) },
	})
	if !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
	// What was done before is kept.
	p, err := Prepare(t.Context(), clips, testOptions(cache, 1))
	if err != nil || p.Cached == 0 {
		t.Errorf("after a cancelled run: %v, %d from the cache", err, p.Cached)
	}
}

func TestPrepareRefusesADataSetThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	var clips []dataset.Clip
	for i := range 40 {
		path := filepath.Join(dir, fmt.Sprintf("%02d.wav", i))
		if i < 11 {
			traintest.WriteFile(t, path, "I am a text.\n")
		} else {
			traintest.WriteWAV(t, path, traintest.Sine(float64(200+i), 12000))
		}
		clips = append(clips, dataset.Clip{Audio: path, ID: path, Dataset: "mine"})
	}
	_, err := Prepare(t.Context(), clips, testOptions("", 2))
	if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), "11 of the 40 of mine") ||
		!strings.Contains(err.Error(), "00.wav") {
		t.Errorf("11 unreadable clips: %v", err)
	}
	if p, err := Prepare(t.Context(), clips[1:], testOptions("", 2)); err != nil || len(p.Skipped) != 10 {
		t.Errorf("10 unreadable clips: %v", err)
	}
}

// TestEveryVoiceOfRAVDESSIsHeard: some are recorded so softly that a live pipeline takes them for silence.
func TestEveryVoiceOfRAVDESSIsHeard(t *testing.T) {
	clips, _, err := dataset.Load("ravdess", filepath.Join(traintest.Data(t), "ravdess"), dataset.DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Prepare(t.Context(), clips, Options{
		Spec: fullSpec, Finder: traintest.NewFinder().Make, CacheDir: t.TempDir(), Workers: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Skipped {
		t.Error(s.Err)
	}
}
