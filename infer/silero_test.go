package infer_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/capturetest"
	"tandem/infer"
	"tandem/pipeline"
)

// heardSpec is the shape of the embedded model's windows, but for small crops.
var heardSpec = pipeline.Spec{
	Window: 2560 * time.Millisecond, Hop: 250 * time.Millisecond, VideoFrames: 8, CropSize: 1,
	Channels: 1, CropMargin: 2,
}

// leastLevel is the silence of training, in dBFS: some voices of data sets are that soft.
const leastLevel = -70

func newSilero(tb testing.TB) *infer.Silero {
	tb.Helper()
	s, err := infer.NewSilero()
	if errors.Is(err, infer.ErrNoRuntime) || errors.Is(err, infer.ErrNoVoiceDetector) {
		tb.Skip(err)
	} else if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// voiceWindows returns in how many windows of some sound there is a voice, and how many there are.
func voiceWindows(t *testing.T, s pipeline.VoiceDetector, x []float32) (voice, all int) {
	t.Helper()
	o := pipeline.Options{Voice: s, SilenceDBFS: leastLevel}
	err := pipeline.Cut(t.Context(), capturetest.Sound(x), nil, heardSpec, o,
		func(w *pipeline.Window) error {
			if all++; w.AudioPresent {
				voice++
			}
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return voice, all
}

// seconds returns how many samples last so long.
func seconds(s float64) int { return int(s * capture.SampleRate) }

// TestFieldNoises: what was seen to count as voices on real machines.
func TestFieldNoises(t *testing.T) {
	s, r := newSilero(t), rand.New(rand.NewPCG(3, 4))
	bias := func(by float32) []float32 { return slices.Repeat([]float32{by}, seconds(9)) }
	noise := func(name string) []float32 {
		i := slices.IndexFunc(capturetest.Noises, func(n capturetest.Noise) bool { return n.Name == name })
		return capturetest.Noises[i].Make(r, seconds(9))
	}
	for name, x := range map[string][]float32{
		"a bias of 0.002":              bias(0.002),
		"a bias of 0.05":               bias(0.05),
		"hum at -41 dBFS":              capturetest.Level(noise("hum of 50 Hz"), -41),
		"hum at -20 dBFS":              capturetest.Level(noise("hum of 60 Hz"), -20),
		"hum with harmonics, -41 dBFS": capturetest.Level(noise("hum of 50 Hz with harmonics"), -41),
		"white noise at -45 dBFS":      capturetest.Level(noise("white"), -45),
		"white noise, hum, bias": capturetest.Add(bias(0.02), capturetest.Add(
			capturetest.Level(noise("white"), -45), capturetest.Level(noise("hum of 50 Hz"), -41))),
	} {
		if voice, all := voiceWindows(t, s, x); voice != 0 || all != 26 {
			t.Errorf("%s: a voice in %d of %d windows, want none of 26", name, voice, all)
		}
	}
}

// TestNoisesAreNoVoices holds the share of windows without a voice that count as voice.
func TestNoisesAreNoVoices(t *testing.T) {
	s := newSilero(t)
	falseVoice, windows := 0, 0
	for _, n := range capturetest.Noises {
		var line string
		voice, all := 0, 0
		for i, level := range []float64{-15, -25, -35, -45} {
			r := rand.New(rand.NewPCG(uint64(i), 5))
			v, a := voiceWindows(t, s, capturetest.Level(n.Make(r, seconds(10)), level))
			voice, all = voice+v, all+a
			line += fmt.Sprintf(" %d/%d at %v dBFS", v, a, level)
		}
		t.Logf("%-30s %5.1f %%:%s", n.Name, 100*float64(voice)/float64(all), line)
		falseVoice, windows = falseVoice+voice, windows+all
	}
	share := float64(falseVoice) / float64(windows)
	t.Logf("a voice in %d of %d windows without one, %.2f %%", falseVoice, windows, 100*share)
	if share > 0.02 {
		t.Errorf("a voice in %.2f %% of windows without one, more than 2 %%", 100*share)
	}
}

// voiceSets are the data sets of voices.
var voiceSets = []string{"ravdess", "emodb", "ased", "nemo", "urdu", "cremad", "tess", "java-sed"}

// voices returns up to n clips of a data set, the same every time.
func voices(t *testing.T, set string, n int) [][]float32 {
	t.Helper()
	root := os.Getenv("TANDEM_DATA")
	if root == "" {
		t.Skip("TANDEM_DATA names no folder")
	}
	var paths []string
	err := filepath.WalkDir(filepath.Join(root, set), func(path string, _ fs.DirEntry, err error) error {
		if slices.Contains([]string{".flac", ".opus"}, filepath.Ext(path)) {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Skip(err)
	}
	r := rand.New(rand.NewPCG(6, 7))
	r.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	var xs [][]float32
	for _, path := range paths[:min(n, len(paths))] {
		xs = append(xs, readSound(t, path))
	}
	return xs
}

func readSound(t *testing.T, path string) []float32 {
	t.Helper()
	src, err := capture.Open(t.Context(), path, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var x []float32
	for {
		m, err := src.Read(t.Context())
		if errors.Is(err, io.EOF) {
			return x
		} else if err != nil {
			t.Fatal(err)
		}
		if m.Samples != nil {
			x = append(x, m.Samples.Data...)
		}
	}
}

// TestVoicesAreHeard holds the share of windows of voices that do not count as one, clean and over noise 10 dB below.
func TestVoicesAreHeard(t *testing.T) {
	s := newSilero(t)
	missed, windows := map[string]int{}, map[string]int{}
	for _, set := range voiceSets {
		of, among := map[string]int{}, map[string]int{}
		for i, x := range voices(t, set, 40) {
			level := pipeline.Level(x)
			for _, under := range []string{"", "white", "pink"} {
				y := slices.Clone(x)
				if under != "" {
					j := slices.IndexFunc(capturetest.Noises, func(n capturetest.Noise) bool { return n.Name == under })
					noise := capturetest.Noises[j].Make(rand.New(rand.NewPCG(uint64(i), 8)), len(x))
					capturetest.Add(y, capturetest.Level(noise, level-10))
				}
				voice, all := voiceWindows(t, s, y)
				of[under], among[under] = of[under]+all-voice, among[under]+all
			}
		}
		for under, n := range among {
			missed[under], windows[under] = missed[under]+of[under], windows[under]+n
		}
		t.Logf("%-8s missed %d clean, %d in white, %d in pink noise at 10 dB, of %d", set, of[""], of["white"],
			of["pink"], among[""])
	}
	for under, n := range windows {
		most := 0.02
		if under == "" {
			most = 0.03 // two thirds of what is missed is of one clip
		}
		share := float64(missed[under]) / float64(n)
		t.Logf("%s: missed %d of %d windows, %.2f %%", cmp.Or(under, "clean"), missed[under], n, 100*share)
		if share > most {
			t.Errorf("%s: missed %.2f %% of the windows with a voice, more than %v %%", cmp.Or(under, "clean"),
				100*share, 100*most)
		}
	}
}

// TestBiasUnderAVoice: it changes nothing.
func TestBiasUnderAVoice(t *testing.T) {
	s := newSilero(t)
	cut := func(x []float32) (ws []*pipeline.Window) {
		err := pipeline.Cut(t.Context(), capturetest.Sound(x), nil, heardSpec, pipeline.Options{Voice: s},
			func(w *pipeline.Window) error {
				ws = append(ws, w)
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
		return ws
	}
	for _, x := range voices(t, "ravdess", 3) {
		biased := slices.Clone(x)
		for i := range biased {
			biased[i] += 0.05
		}
		a, b := cut(x), cut(biased)
		if len(a) != len(b) {
			t.Fatalf("%d windows, %d with a bias", len(a), len(b))
		}
		for i := range a {
			if !a[i].AudioPresent || !b[i].AudioPresent {
				t.Errorf("window %d: a voice %v, over a bias %v", i, a[i].AudioPresent, b[i].AudioPresent)
			}
			for j, v := range a[i].Audio {
				if d := v - b[i].Audio[j]; d > 1e-6 || d < -1e-6 {
					t.Fatalf("window %d: sample %d is %g, %g over a bias", i, j, v, b[i].Audio[j])
				}
			}
		}
	}
}

// TestSileroStreams: many at a time, each for itself, whatever another has heard; after Reset as when new.
func TestSileroStreams(t *testing.T) {
	s := newSilero(t)
	listen := func(v pipeline.VoiceStream, x []float32) (ps []float64) {
		for piece := range slices.Chunk(x, pipeline.VoicePiece) {
			p, err := v.Voice(t.Context(), piece)
			if err != nil {
				t.Error(err)
			}
			ps = append(ps, p)
		}
		return ps
	}
	sound := func(seed uint64) []float32 {
		r := rand.New(rand.NewPCG(seed, 9))
		n := capturetest.Noises[int(seed)%len(capturetest.Noises)]
		return capturetest.Level(n.Make(r, 40*pipeline.VoicePiece), -20)
	}
	var alone [4][]float64
	for i := range alone {
		alone[i] = listen(s.NewVoiceStream(), sound(uint64(i)))
	}
	var wg sync.WaitGroup
	for i := range alone {
		wg.Go(func() {
			v := s.NewVoiceStream()
			if got := listen(v, sound(uint64(i))); !slices.Equal(got, alone[i]) {
				t.Errorf("stream %d beside others: %v, alone %v", i, got, alone[i])
			}
			v.Reset()
			if got := listen(v, sound(uint64(i))); !slices.Equal(got, alone[i]) {
				t.Errorf("stream %d after Reset: %v, when new %v", i, got, alone[i])
			}
		})
	}
	wg.Wait()
}

func BenchmarkSileroSecond(b *testing.B) {
	s := newSilero(b)
	v, x := s.NewVoiceStream(), make([]float32, pipeline.VoicePiece)
	for b.Loop() {
		for range capture.SampleRate / pipeline.VoicePiece {
			if _, err := v.Voice(b.Context(), x); err != nil {
				b.Fatal(err)
			}
		}
	}
}
