package sample

import (
	"context"
	"image"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/capturetest"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/traintest"
)

// readAll reads a clip's pictures and sound; the sound in one piece from 0.
func readAll(t *testing.T, c dataset.Clip) (frames []*capture.Frame, sound []float32) {
	t.Helper()
	src, err := OpenClip(t.Context(), &c)
	if err != nil {
		t.Fatal(err)
	}
	frames, runs := capturetest.ReadAll(t, src)
	for _, r := range runs {
		at := samplesIn(r.Time)
		if at != len(sound) {
			t.Fatalf("sound goes on at sample %d instead of %d", at, len(sound))
		}
		sound = append(sound, r.Data...)
	}
	return frames, sound
}

// TestPartOfAVideo: a part has the frames and the sound that the whole has between its times.
func TestPartOfAVideo(t *testing.T) {
	path := traintest.WriteDialog(t)
	whole, sound := readAll(t, dataset.Clip{Video: path})
	const start, end = 2200 * time.Millisecond, 3700 * time.Millisecond
	crop := image.Rect(100, 20, 300, 200)
	part, voice := readAll(t, dataset.Clip{Video: path, Start: start, End: end, Crop: crop})
	i := 0
	for _, f := range whole {
		if f.Time < start || f.Time >= end {
			continue
		}
		if i >= len(part) {
			t.Fatalf("%d pictures are too few", len(part))
		}
		got := part[i]
		if got.Time != f.Time-start || got.Width != 200 || got.Height != 180 {
			t.Fatalf("picture %d at %v, %d×%d", i, got.Time, got.Width, got.Height)
		}
		for _, p := range []image.Point{{0, 0}, {199, 0}, {77, 33}, {199, 179}} {
			if got.Pix[3*(p.Y*200+p.X)+1] != f.Pix[3*((p.Y+20)*320+p.X+100)+1] {
				t.Fatalf("picture %d differs at %v", i, p)
			}
		}
		i++
	}
	if i != len(part) || i != 38 {
		t.Errorf("%d pictures, the whole has %d between", len(part), i)
	}
	if len(voice) != samplesIn(end-start) {
		t.Fatalf("%d samples of sound", len(voice))
	}
	for k, v := range voice {
		if math.Abs(float64(v-sound[k+samplesIn(start)])) > 1e-6 {
			t.Fatalf("sample %d is %g instead of %g", k, v, sound[k+samplesIn(start)])
		}
	}

	// To the end; and with the sound of another file.
	if rest, _ := readAll(t, dataset.Clip{Video: path, Start: 5 * time.Second}); len(rest) != 25 ||
		rest[0].Time > 40*time.Millisecond {
		t.Errorf("%d pictures from 5 s on, the first at %v", len(rest), rest[0].Time)
	}
	wav := filepath.Join(t.TempDir(), "a.wav")
	traintest.WriteWAV(t, wav, traintest.Sine(300, 8000))
	frames, other := readAll(t, dataset.Clip{Video: path, Audio: wav, Start: start, End: end})
	if len(frames) != 38 || len(other) != 8000 ||
		math.Abs(float64(other[100])*32768-float64(traintest.Sine(300, 8000)[100])) > 1 {
		t.Errorf("%d pictures, %d samples", len(frames), len(other))
	}
}

// sizedFinder notes the size of the pictures it is shown.
type sizedFinder struct {
	traintest.FixedFinder
	size *image.Point
}

func (f sizedFinder) make() (pipeline.FaceFinder, error) { return f, nil }

func (f sizedFinder) FindFaces(ctx context.Context, p *capture.Frame, most int) ([]pipeline.Face, error) {
	*f.size = image.Pt(p.Width, p.Height)
	return f.FixedFinder.FindFaces(ctx, p, most)
}

// TestDialogsAreCut cuts clips of IEMOCAP and CREMA-D, as their loaders list them, from files of the releases' formats.
func TestDialogsAreCut(t *testing.T) {
	dialogs := traintest.Touch(t, "IEMOCAP_full_release")
	traintest.WritePattern(t, filepath.Join(dialogs, "Session1/dialog/avi/DivX/Ses01F_impro01.avi"), 720, 480)
	traintest.WriteFile(t, filepath.Join(dialogs, "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"),
		"[2.5000 - 4.1000]\tSes01F_impro01_F000\tneu\t[\n[9.0000 - 10.0000]\tSes01F_impro01_M000\tneu\t[\n")
	traintest.WriteWAV(t, filepath.Join(dialogs, "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"),
		traintest.Sine(220, 25600))
	crema := traintest.Touch(t, "CREMA-D")
	traintest.WritePattern(t, filepath.Join(crema, "VideoFlash/1001_DFA_ANG_XX.flv"), 480, 360)
	traintest.WriteWAV(t, filepath.Join(crema, "AudioWAV/1001_DFA_ANG_XX.wav"), traintest.Sine(220, 6*16000))
	for _, tc := range []struct {
		set, root string
		windows   int
		size      image.Point
		skipped   string
	}{
		// 1.6 s and 6 s in windows of 0.64 s, one every 0.16 s.
		{"iemocap", dialogs, 7, image.Pt(224, 224), "Ses01F_impro01_M000"},
		{"cremad", crema, 34, image.Pt(480, 360), ""},
	} {
		clips, _, err := dataset.Load(tc.set, tc.root, dataset.DefaultLabels(), nil)
		if err != nil {
			t.Fatal(err)
		}
		f := sizedFinder{traintest.NewFinder(), new(image.Point)}
		p, err := Prepare(t.Context(), clips, Options{
			Spec: traintest.Spec, Finder: f.make, CacheDir: t.TempDir(), Workers: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Samples) < tc.windows-1 || len(p.Samples) > tc.windows+1 || *f.size != tc.size {
			t.Errorf("%s: %d windows, want %d; pictures of %v", tc.set, len(p.Samples), tc.windows, *f.size)
		}
		for i, s := range p.Samples {
			if s.Audio == nil || s.Video == nil {
				t.Errorf("%s: window %d has sound %v, pictures %v", tc.set, i, s.Audio != nil, s.Video != nil)
			}
		}
		// One utterance lies behind the end of its dialog.
		if tc.skipped != "" && (len(p.Skipped) != 1 || !strings.Contains(p.Skipped[0].Err.Error(), tc.skipped)) ||
			tc.skipped == "" && p.Skipped != nil {
			t.Errorf("%s: skipped %v", tc.set, p.Skipped)
		}
	}
}

func TestPartErrors(t *testing.T) {
	path := traintest.WriteDialog(t)
	src, err := OpenClip(t.Context(), &dataset.Clip{Video: path, Crop: image.Rect(400, 0, 500, 100)})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for err == nil {
		_, err = src.Read(t.Context())
	}
	if !strings.Contains(err.Error(), "dialog.mkv") || !strings.Contains(err.Error(), "320×240") {
		t.Error(err)
	}
	still := filepath.Join(t.TempDir(), "a.png")
	traintest.WritePNG(t, still, 32)
	if _, err := OpenClip(t.Context(), &dataset.Clip{Video: still, End: time.Second}); err == nil ||
		!strings.Contains(err.Error(), "a.png") {
		t.Errorf("a part of a picture: %v", err)
	}
}

// TestPartsOfAFileAreCutOut: a row's start and end are those of its sound.
func TestPartsOfAFileAreCutOut(t *testing.T) {
	dir := t.TempDir()
	traintest.WriteWAV(t, filepath.Join(dir, "talk.wav"), traintest.Sine(220, 48000))
	path := filepath.Join(dir, "mine.csv")
	traintest.WriteFile(t, path, "video,audio,dataset,speaker,gender,emotion,split,age,race,start,end\n"+
		",talk.wav,,,,happy,,31,Asian,0.5,1.25\n,talk.wav,,,,sad,,,,2,\n,talk.wav,,,,,,,,,\n")
	clips, _, err := dataset.Load("manifest", path, dataset.DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{48000, 12000, 16000} {
		if _, sound := readAll(t, clips[i]); len(sound) != want {
			t.Errorf("%s: %d samples, want %d", clips[i].ID, len(sound), want)
		}
	}
}
