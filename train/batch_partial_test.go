package train

import (
	"slices"
	"testing"
	"time"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/train/nn"
	"tandem/train/sample/sampletest"
)

// partialBatch is a batch of voices and talking faces that are augmented as little as may be.
func partialBatch(t *testing.T, share float64, change func(*Recipe)) *batch {
	t.Helper()
	r := tinyRecipe()
	r.Voices, r.Talking, r.Pairs = 200, 100, 0
	r.PartialShare, r.MixupShare, r.FrameDropout, r.SenseDropout, r.FaceBlank = share, 0, 0, 0, 0
	r.Augment.Audio.Chance = 0
	if change != nil {
		change(&r)
	}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	arch := r.Arch
	arch.Spec, arch.Emotions, arch.Genders = nn.DefaultSpec, 7, 2
	b, err := newBatcher(r, arch, sampletest.Synthetic(nn.DefaultSpec, 12, 6, 6))
	if err != nil {
		t.Fatal(err)
	}
	return b.batch(3)
}

// TestPartialShareCutsWindowsShort holds how windows are cut short, and that it is by chance.
func TestPartialShareCutsWindowsShort(t *testing.T) {
	s := nn.DefaultSpec
	if b := partialBatch(t, 0, nil); slices.Min(b.covered) < 1 {
		t.Error("a recipe that cuts nothing short cut a window short")
	}
	b := partialBatch(t, 0.5, nil)
	n, cut, least, most := s.AudioSamples(), 0, 1.0, 0.0
	for row, k := range b.audioIndex {
		if k < 0 {
			continue
		}
		audio, covered := b.audio[k*n:(k+1)*n], float64(b.covered[k])
		before := int((1-covered)*float64(n) + 0.5)
		if slices.ContainsFunc(audio[:before], func(v float32) bool { return v != 0 }) {
			t.Fatalf("row %d: sound before the %.2f of its window that is covered", row, covered)
		}
		if audio := audio[before:]; pipeline.Level(audio) < -60 {
			t.Fatalf("row %d: no sound in the %.2f of its window that is covered", row, covered)
		}
		crops := 0
		for i, c := range b.cropIndex[row] {
			if c >= 0 {
				crops++
			} else if slices.ContainsFunc(b.cropIndex[row][:i], func(c int) bool { return c >= 0 }) {
				t.Fatalf("row %d: crops %v, want those at the end", row, b.cropIndex[row])
			}
		}
		if talks := row >= 8+200; talks && crops != min(8, 1+int(covered*s.Window.Seconds()/s.FaceTick().Seconds())) {
			t.Fatalf("row %d: %d crops in the %.2f of its window that is covered", row, crops, covered)
		}
		if covered < 1 {
			cut++
			least, most = min(least, covered), max(most, covered)
		}
	}
	if cut < 120 || cut > 180 {
		t.Errorf("%d of 300 windows are cut short, want about a half", cut)
	}
	if least*s.Window.Seconds() < 0.4 || least > 0.2 || most < 0.95 {
		t.Errorf("cut windows hold from %.2f to %.2f of sound, want from 0.4 s on, up to all", least, most)
	}
}

// TestShortClipsCountAsCovered holds that the sound of a clip shorter than a window is at the window's end.
func TestShortClipsCountAsCovered(t *testing.T) {
	r := tinyRecipe()
	r.MixupShare, r.Augment.Audio.Shift, r.Augment.Audio.Chance = 0, 0, 0
	arch := r.Arch
	arch.Spec, arch.Emotions, arch.Genders = nn.DefaultSpec, 7, 2
	data := sampletest.Synthetic(nn.DefaultSpec, 12, 6, 6)
	for i := range data.Samples {
		if s := &data.Samples[i]; s.Audio != nil {
			s.Audio = s.Audio[:capture.SampleRate]
		}
	}
	batcher, err := newBatcher(r, arch, data)
	if err != nil {
		t.Fatal(err)
	}
	b, n := batcher.batch(0), nn.DefaultSpec.AudioSamples()
	for _, k := range b.audioIndex {
		if k < 0 {
			continue
		}
		audio := b.audio[k*n : (k+1)*n]
		before := n - capture.SampleRate
		if got := b.covered[k]; got != float32(capture.SampleRate)/float32(n) ||
			pipeline.Level(audio[:before]) > -200 || pipeline.Level(audio[before:]) < -60 {
			t.Fatalf("a second of sound: %.3f of the window is covered", got)
		}
	}
	for i, s := range data.Samples {
		w := data.Window(i)
		if want := time.Second; s.Audio != nil && (w.Covered != want || w.End-w.Start != want ||
			pipeline.Level(w.Audio[:n-capture.SampleRate]) > -200) {
			t.Fatalf("the window of a second of sound says %v", w.Covered)
		}
	}
}

// TestMixupOfShortWindows holds that a blend of two windows counts as covered where either is.
func TestMixupOfShortWindows(t *testing.T) {
	cut := partialBatch(t, 1, nil)
	mixed := partialBatch(t, 1, func(r *Recipe) { r.MixupShare, r.MixupAlpha = 1, 0.4 })
	n, longer := nn.DefaultSpec.AudioSamples(), 0
	for k, covered := range mixed.covered {
		first := slices.IndexFunc(mixed.audio[k*n:(k+1)*n], func(v float32) bool { return v != 0 })
		if first < int((1-covered)*float32(n))-1 {
			t.Fatalf("window %d: sound at %d, before the %.3f of it that is covered", k, first, covered)
		}
		if covered > cut.covered[k] {
			longer++
		}
	}
	if longer == 0 {
		t.Error("no blend is longer than its first window")
	}
}
