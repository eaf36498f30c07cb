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
	"tandem/train/nn"
	"tandem/train/traintest"
)

// A finder that could not be made may come as a nil pointer in an interface, which is not nil.
func TestFinderThatCannotBeMadeIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no detector here")
	_, err := Prepare(t.Context(), []dataset.Clip{{Audio: path, ID: "a.wav"}}, Options{Spec: nn.DefaultSpec, Finder: func() (pipeline.FaceFinder, error) {
		return (*infer.BlazeFace)(nil), broken
	}, Workers: 1})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the finder's error", err)
	}
}

func TestPrepareCutsAsThePipelineDoes(t *testing.T) {
	defer goleak.VerifyNone(t)
	clips := datasettest.Clips(t)
	calls, last := 0, 0
	p, err := Prepare(t.Context(), clips, Options{Spec: traintest.Spec, Finder: traintest.NewFinder().Make, Workers: 2, Progress: func(done, total int) {
		calls++
		if total != len(clips) || done < last {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	}})
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
		err = pipeline.Cut(t.Context(), src, traintest.NewFinder(), traintest.Spec, pipeline.Options{Faces: 1, SilenceDBFS: SilenceDBFS}, func(w *pipeline.Window) error {
			if i >= len(p.Samples) {
				t.Fatalf("clip %d has more windows than the %d samples", c, len(p.Samples))
			}
			got := p.Window(i)
			for k := range w.Audio {
				if math.Abs(float64(w.Audio[k]-got.Audio[k])) > 1.0/65536 {
					t.Fatalf("clip %d, window %d, sample %d is %g instead of %g", c, n, k, got.Audio[k], w.Audio[k])
				}
			}
			if p.Samples[i].Clip != c || got.AudioPresent != w.AudioPresent || !slices.Equal(got.Video, w.Video) || !slices.Equal(got.VideoMask, w.VideoMask) {
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
	if len(p.Skipped) != 2 || !strings.Contains(p.Skipped[0].Err.Error(), ErrNoSense.Error()) || p.Skipped[1].Path != clips[4].Video ||
		!strings.Contains(p.Skipped[1].Err.Error(), "d.mp4") {
		t.Errorf("skipped %v", p.Skipped)
	}
}

func TestPrepareOfAShortVoicePads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "short.wav")
	traintest.WriteWAV(t, path, traintest.Sine(300, 4000))
	p, err := Prepare(t.Context(), []dataset.Clip{{Audio: path, ID: "short"}}, Options{Spec: traintest.Spec, Finder: traintest.NewFinder().Make, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Samples) != 1 {
		t.Fatalf("%d samples", len(p.Samples))
	}
	if a := p.Samples[0].Audio; len(a) != traintest.Spec.AudioSamples() || !slices.Equal(a[:4000], traintest.Sine(300, 4000)) || slices.Max(a[4000:]) != 0 {
		t.Error("the sound is not the file's with silence behind")
	}
}

func TestPrepareOfAVerySoftVoice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "soft.wav")
	soft := traintest.Sine(300, 19200)
	for i := range soft {
		soft[i] = int16(math.Round(float64(soft[i]) / 16384 * 22)) // -66 dBFS, silent for a live pipeline
	}
	traintest.WriteWAV(t, path, soft)
	p, err := Prepare(t.Context(), []dataset.Clip{{Audio: path, ID: "soft"}}, Options{Spec: traintest.Spec, Finder: traintest.NewFinder().Make, Workers: 1})
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
		"fails":          traintest.FixedFinder{Looks: new(atomic.Int64), Err: broken}.Make,
	} {
		if _, err := Prepare(t.Context(), clips, Options{Spec: traintest.Spec, Finder: finder, CacheDir: t.TempDir(), Workers: 2}); !errors.Is(err, broken) {
			t.Errorf("finder %s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cache := t.TempDir()
	_, err := Prepare(ctx, clips, Options{Spec: traintest.Spec, Finder: traintest.NewFinder().Make, CacheDir: cache, Workers: 1, Progress: func(int, int) { cancel(stop) }})
	if !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
	// What was done before is kept.
	p, err := Prepare(t.Context(), clips, Options{Spec: traintest.Spec, Finder: traintest.NewFinder().Make, CacheDir: cache, Workers: 1})
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
	_, err := Prepare(t.Context(), clips, Options{Spec: traintest.Spec, Finder: traintest.NewFinder().Make, Workers: 2})
	if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), "11 of the 40 of mine") || !strings.Contains(err.Error(), "00.wav") {
		t.Errorf("11 unreadable clips: %v", err)
	}
	if p, err := Prepare(t.Context(), clips[1:], Options{Spec: traintest.Spec, Finder: traintest.NewFinder().Make, Workers: 2}); err != nil || len(p.Skipped) != 10 {
		t.Errorf("10 unreadable clips: %v", err)
	}
}

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
	// A face that is right in the picture, tilted by dy at the viewer's left eye, as a finder would tell it in the wide picture.
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

// TestCanonicalFacesAreTheMedians measures canonicalFaces again.
func TestCanonicalFacesAreTheMedians(t *testing.T) {
	data := traintest.Data(t)
	if testing.Short() {
		t.Skip("detects a thousand faces")
	}
	finder, err := infer.NewBlazeFace()
	if errors.Is(err, infer.ErrNoRuntime) || errors.Is(err, infer.ErrNoDetector) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer finder.Close()
	for name, usual := range canonicalFaces {
		clips, _, err := dataset.Load(name, filepath.Join(data, name), dataset.DefaultLabels())
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
				traintest.Near(t, name+" "+[]string{"left eye", "right eye", "nose", "mouth"}[j]+" "+"xy"[k:k+1], places[2*j+k][len(places[2*j+k])/2], want, 0.015)
			}
		}
	}
}

// TestEveryVoiceOfRAVDESSIsHeard: some are recorded so softly that a live pipeline takes them for silence.
func TestEveryVoiceOfRAVDESSIsHeard(t *testing.T) {
	clips, _, err := dataset.Load("ravdess", filepath.Join(traintest.Data(t), "ravdess"), dataset.DefaultLabels())
	if err != nil {
		t.Fatal(err)
	}
	p, err := Prepare(t.Context(), clips, Options{Spec: nn.DefaultSpec, Finder: traintest.NewFinder().Make, CacheDir: t.TempDir(), Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Skipped {
		t.Error(s.Err)
	}
}
