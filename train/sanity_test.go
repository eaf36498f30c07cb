package train

import (
	"context"
	"errors"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/capture"
	"tandem/train/nn"
	"tandem/train/sample/sampletest"
)

// sane are options of a tiny network, and synthetic data that it can learn.
func sane(t *testing.T) (*Options, *Data) {
	t.Helper()
	r := tinyRecipe()
	r.Augment.Audio.Shift = 0.1
	data, err := NewData(t.Context(), sampletest.Synthetic(nn.DefaultSpec, 24, 24, 12), "")
	if err != nil {
		t.Fatal(err)
	}
	return &Options{Recipe: r, Log: func(string) {}, Progress: func(Progress) {}}, data
}

// A network that can learn learns a batch by heart, and the range test finds rates between a fall and an end of it; one
// that can't move does not, and is told.
func TestSanityTellsWhatCanLearn(t *testing.T) {
	needBackend(t)
	o, data := sane(t)
	var last Progress
	o.Progress = func(p Progress) { last = p }
	s, err := o.checkSanity(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	lines, ok := s.Findings()
	if !ok || !strings.Contains(lines[0], "learns what it is shown") {
		t.Errorf("%q, %v", lines, ok)
	}
	r := s.Rates
	if !(r.Steepest > lowestRate && r.Steepest < r.Lowest && r.Lowest < highestRate) {
		t.Errorf("falls fastest at %g, lowest at %g, diverged %v: %v", r.Steepest, r.Lowest, r.Diverged, r.Smooth)
	}
	if last.Done == 0 || last.Done > last.Total {
		t.Errorf("progress %+v", last)
	}
	page := filepath.Join(t.TempDir(), "check.html")
	if err := s.Write(page); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	// Six of each kind, each as it is and three times augmented; a voice has no crops, a still no sound.
	for part, want := range map[string]int{
		"data:audio/wav": 2 * shownOfAKind * (augmented + 1), `class="crops"`: 2 * shownOfAKind * (augmented + 1),
		"<svg ": 2, "<h3>": 3 * shownOfAKind,
	} {
		if n := strings.Count(string(b), part); n != want {
			t.Errorf("the page has %d of %s, want %d", n, part, want)
		}
	}

	o.Recipe.LearningRate = 1e-9
	var stuck Overfit
	if err := o.overfit(t.Context(), data, &stuck); err != nil || stuck.Learned {
		t.Errorf("a network that can't move: %+v, %v", stuck, err)
	}
	if lines, ok := (&Sanity{Recipe: o.Recipe, Overfit: stuck, Rates: r}).Findings(); ok ||
		!strings.Contains(lines[0], "not learned") {
		t.Errorf("%q, %v", lines, ok)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.checkSanity(ctx, data); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRateTestIsRead(t *testing.T) {
	rates := func(losses ...float64) RateTest {
		r := RateTest{Smooth: losses}
		for i := range losses {
			r.Rates = append(r.Rates, math.Pow(10, float64(i)-20))
		}
		r.read()
		return r
	}
	// Flat, then a fall by one a step between the 5th and the 10th, then a rise.
	r := rates(9, 9, 9, 9, 9, 8, 7, 6, 5, 4, 3.9, 5, 8, 20)
	if r.Lowest != r.Rates[10] || r.Steepest != r.Rates[6] {
		t.Errorf("steepest %g, lowest %g", r.Steepest, r.Lowest)
	}
	if r := rates(1, 2, 3, 4, 5, 6, 7, 8); r.Steepest != 0 {
		t.Errorf("a loss that only rises falls fastest at %g", r.Steepest)
	}
	if r := rates(3, 2); r.Steepest != 0 {
		t.Errorf("two steps have a slope of five: %+v", r)
	}
	for rate, want := range map[float64]string{1e-16: "is low", 1e-13: "recipe's is", 1e-9: "too high"} {
		s := Sanity{Rates: r, Overfit: Overfit{Emotion: []float64{1}, Gender: []float64{1}}}
		s.Recipe.LearningRate = rate
		if lines, _ := s.Findings(); !strings.Contains(lines[1], want) {
			t.Errorf("%g: %q", rate, lines[1])
		}
	}
}

// A tone stands in the row of its frequency, the highest on top.
func TestSpectrogramPlacesATone(t *testing.T) {
	const hz = 2000
	sound := make([]float32, capture.SampleRate)
	for i := range sound {
		sound[i] = float32(0.5 * math.Sin(2*math.Pi*hz*float64(i)/capture.SampleRate))
	}
	m := spectrogram(sound)
	size := m.Bounds()
	row := size.Dy() - 1 - hz*512/capture.SampleRate
	at := func(y int) uint8 { return color.GrayModel.Convert(m.At(size.Dx()/2, y)).(color.Gray).Y }
	if at(row) < 250 || at(row-20) > 50 || at(row+20) > 50 {
		t.Errorf("levels %d at 2 kHz, %d above, %d below", at(row), at(row-20), at(row+20))
	}
	if short := spectrogram(make([]float32, 10)); short.Bounds().Dx() != 1 {
		t.Errorf("ten samples make %v", short.Bounds())
	}
}
