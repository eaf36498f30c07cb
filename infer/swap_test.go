package infer_test

import (
	"errors"
	"sync"
	"testing"

	"tandem/infer"
	"tandem/infer/infertest"
	"tandem/pipeline"
)

// Whoever recognises while the model is swapped gets the one's answer or the other's, and none fails; a model of other
// windows or labels is refused, and the one in use goes on.
func TestSwap(t *testing.T) {
	s := infer.NewSwappable(loadTest(t, func(c *infer.Contract) { c.EmotionTemperature = 1 }))
	spec := s.Spec()
	window := func() *pipeline.Window {
		w := &pipeline.Window{
			Audio: make([]float32, spec.AudioSamples()), AudioPresent: true,
			Video:     make([]byte, spec.VideoFrames*spec.CropSize*spec.CropSize*spec.Channels),
			VideoMask: make([]bool, spec.VideoFrames),
		}
		for i := range w.Audio {
			w.Audio[i] = float32(i%100) / 200
		}
		return w
	}
	ask := func() float64 {
		ps, err := s.Recognize(t.Context(), []*pipeline.Window{window()})
		if err != nil {
			t.Error(err)
			return 0
		}
		return float64(ps[0].Emotion[0])
	}
	first := ask()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	got := make([]map[float64]bool, 4)
	for i := range got {
		got[i] = map[float64]bool{}
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					got[i][ask()] = true
				}
			}
		})
	}
	swap := func(change func(*infer.Contract)) {
		t.Helper()
		before, err := s.Swap(loadTest(t, change))
		if err != nil {
			t.Fatal(err)
		}
		if err := before.Close(); err != nil {
			t.Error(err)
		}
	}
	for range 5 {
		swap(func(c *infer.Contract) { c.EmotionTemperature = 1 })
		swap(func(c *infer.Contract) { c.EmotionTemperature = 100 })
	}
	close(stop)
	wg.Wait()
	last := ask()
	if last == first {
		t.Error("the new model is not used")
	}
	for _, seen := range got {
		delete(seen, first)
		delete(seen, last)
		if len(seen) > 0 {
			t.Errorf("answers of neither model: %v", seen)
		}
	}
	refusesOthers(t, s)
	if ask() != last {
		t.Error("a refused model has changed something")
	}
	end := loadTest(t, func(*infer.Contract) {})
	before, err := s.Swap(end)
	if err != nil {
		t.Fatal(err)
	}
	before.Close()
	end.Close()
}

// loadTest returns the tests' model after a change.
func loadTest(t *testing.T, change func(*infer.Contract)) *infer.Recognizer {
	t.Helper()
	c := infertest.Contract()
	change(&c)
	r, err := infer.NewRecognizer(infertest.Model(c), infer.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func refusesOthers(t *testing.T, s *infer.Swappable) {
	t.Helper()
	for name, change := range map[string]func(*infer.Contract){
		"crops": func(c *infer.Contract) { c.CropSize = 32 }, "labels": func(c *infer.Contract) { c.Genders[0] = "x" },
		"sounds": func(c *infer.Contract) { c.AnySound = !c.AnySound },
	} {
		r := loadTest(t, change)
		if _, err := s.Swap(r); !errors.Is(err, infer.ErrOther) {
			t.Errorf("other %s: %v", name, err)
		}
		r.Close()
	}
}

// Whoever asks while the speaker model is swapped gets the one's answer or the other's; a model of other mouths is
// refused, and the one in use goes on.
func TestSwapSpeaker(t *testing.T) {
	needRuntime(t)
	load := func(change func(*infer.SpeakerContract)) *infer.Speaker {
		t.Helper()
		c := infertest.SpeakerContract()
		change(&c)
		s, err := infer.NewSpeaker(infertest.SpeakerModel(c))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	gain := func(g float64) func(*infer.SpeakerContract) {
		return func(c *infer.SpeakerContract) { c.Gain, c.Bias = g, 0 }
	}
	s := infer.NewSwappableSpeaker(load(gain(1)))
	sound, faces := talkers(infertest.SpeakerContract())
	ask := func() float64 {
		odds, err := s.Speaking(t.Context(), sound, faces)
		if err != nil {
			t.Error(err)
			return 0
		}
		return odds[0][0]
	}
	first := ask()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := ask(); got != first && got != 2*first {
					t.Errorf("%v, of neither model", got)
				}
			}
		})
	}
	for i := range 6 {
		before, err := s.Swap(load(gain(float64(2 - i%2))))
		if err != nil {
			t.Fatal(err)
		}
		if err := before.Close(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	other := load(func(c *infer.SpeakerContract) { c.Mouths.Slots++ })
	if _, err := s.Swap(other); !errors.Is(err, infer.ErrOther) {
		t.Errorf("other mouths: %v", err)
	}
	other.Close()
	last := load(gain(2))
	before, err := s.Swap(last)
	if err != nil {
		t.Fatal(err)
	}
	before.Close()
	defer last.Close()
	if got := ask(); got != 2*first || first == 0 {
		t.Errorf("%v after the swap, %v before", got, first)
	}
	if s.Mouths() != infertest.SpeakerContract().Mouths {
		t.Errorf("mouths %+v", s.Mouths())
	}
}
