package sample

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/traintest"
)

// loudVoice takes what is louder than -20 dBFS for a voice, or fails by err.
type loudVoice struct{ err error }

func (v loudVoice) NewVoiceStream() pipeline.VoiceStream { return v }
func (v loudVoice) Reset()                               {}

func (v loudVoice) Voice(_ context.Context, piece []float32) (float64, error) {
	if pipeline.Level(piece) > -20 {
		return 1, v.err
	}
	return 0, v.err
}

// Windows in which no voice is heard are left out of a clip that has others; a clip that has no others is kept, since
// its label says that it is of a voice.
func TestPrepareMasksWhatIsNoVoice(t *testing.T) {
	dir := t.TempDir()
	loud := traintest.Sine(300, 80000)
	for i := range loud[32000:] {
		loud[32000+i] /= 32 // 3 s at -40 dBFS
	}
	soft := traintest.Sine(300, 80000)
	for i := range soft {
		soft[i] /= 32
	}
	traintest.WriteWAV(t, filepath.Join(dir, "loud.wav"), loud)
	traintest.WriteWAV(t, filepath.Join(dir, "soft.wav"), soft)
	clips := []dataset.Clip{
		{Audio: filepath.Join(dir, "loud.wav"), ID: "loud"}, {Audio: filepath.Join(dir, "soft.wav"), ID: "soft"},
	}
	unheard := 0
	count := func(o Options) (n [2]int) {
		t.Helper()
		p, err := Prepare(t.Context(), clips, o)
		if err != nil || len(p.Skipped) > 0 {
			t.Fatal(err, p.Skipped)
		}
		for _, s := range p.Samples {
			n[s.Clip]++
		}
		unheard = p.Unheard
		return n
	}
	o := testOptions(filepath.Join(dir, "cache"), 2) // which keeps the two ways of cutting apart
	without := count(o)
	if unheard != 0 {
		t.Errorf("%d clips without a voice, by no detector", unheard)
	}
	o.Voice = func() (pipeline.VoiceDetector, error) { return loudVoice{}, nil }
	with := count(o)
	if with[0] == 0 || with[0] >= without[0] || with[1] != without[1] {
		t.Errorf("%v windows where voices are told, %v where not", with, without)
	}
	if count(o); unheard != 1 {
		t.Errorf("%d clips without a voice, want the soft one, from the cache too", unheard)
	}
}

func TestPrepareWithoutAVoiceDetector(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	traintest.WriteWAV(t, path, traintest.Sine(300, 48000))
	broken := errors.New("no detector here")
	for name, voice := range map[string]func() (pipeline.VoiceDetector, error){
		"cannot be made": func() (pipeline.VoiceDetector, error) { return (*infer.Silero)(nil), broken },
		"fails":          func() (pipeline.VoiceDetector, error) { return loudVoice{broken}, nil },
	} {
		o := testOptions("", 1)
		o.Voice = voice
		clips := slices.Repeat([]dataset.Clip{{Audio: path, ID: "a"}}, 3)
		if _, err := Prepare(t.Context(), clips, o); !errors.Is(err, broken) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
