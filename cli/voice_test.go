package cli

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/infer/infertest"
	"tandem/pipeline"
)

// dataSets is the folder of the unpacked data sets; TestMain keeps its variable from the program.
var dataSets = os.Getenv("TANDEM_DATA")

// windowsOf analyses an input and returns its window events.
func windowsOf(t *testing.T, input string, args ...string) (ws []*pipeline.WindowEvent) {
	t.Helper()
	args = append([]string{"analyze", "--format", "jsonl", "--smooth", "0", input}, args...)
	code, out, errs := runTandem(t, args...)
	if code != 0 {
		t.Fatalf("%s: exit code %d: %s", input, code, errs)
	}
	events, err := pipeline.ReadAll(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Window != nil {
			ws = append(ws, e.Window)
		}
	}
	if len(ws) == 0 {
		t.Fatalf("%s has no window", input)
	}
	return ws
}

// TestAnalyzeHearsVoicesOnly, with the embedded model: a bias, a hum and noise are no sense, and a bias under a voice
// changes nothing.
func TestAnalyzeHearsVoicesOnly(t *testing.T) {
	needTraining(t, "ffmpeg")
	if dataSets == "" {
		t.Skip("TANDEM_DATA is not set: no data sets here")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, sound := range map[string]string{
		"bias.wav":  "aevalsrc=0.002:s=16000:d=5",
		"hum.wav":   "sine=f=50:d=5,volume=-20dB",
		"white.wav": "anoisesrc=d=5:c=white:a=0.01",
	} {
		ffmpeg(t, "-f", "lavfi", "-i", sound, in(name))
		for _, w := range windowsOf(t, in(name)) {
			if w.Audio || w.Emotion != nil || w.Gender != nil {
				t.Errorf("%s: at %v audio %v, emotion %v", name, w.End, w.Audio, w.Emotion)
			}
		}
	}
	clip := filepath.Join(dataSets, "clips", "01-01-01-01-01-01-01.mp4")
	ffmpeg(t, "-i", clip, "-vn", "-ac", "1", "-c:a", "pcm_f32le", in("voice.wav"))
	ffmpeg(t, "-i", in("voice.wav"), "-af", "dcshift=0.05", "-c:a", "pcm_f32le", in("biased.wav"))
	want, got := windowsOf(t, in("voice.wav")), windowsOf(t, in("biased.wav"))
	if len(got) != len(want) {
		t.Fatalf("%d windows with a bias, %d without", len(got), len(want))
	}
	voiced := 0
	for i, w := range want {
		g := got[i]
		if w.Audio != g.Audio {
			t.Errorf("window %d: a voice %v, over a bias %v", i, w.Audio, g.Audio)
		}
		if !w.Audio || !g.Audio { // the clip begins with silence
			continue
		}
		voiced++
		if g.Emotion.Label != w.Emotion.Label || g.Gender.Label != w.Gender.Label {
			t.Errorf("window %d: %s %s over a bias, %s %s without", i, g.Emotion.Label, g.Gender.Label, w.Emotion.Label,
				w.Gender.Label)
		}
		for j, p := range w.Emotion.P {
			if math.Abs(float64(p.P-g.Emotion.P[j].P)) > 0.01 {
				t.Errorf("window %d: emotions %v over a bias, %v without", i, g.Emotion.P, w.Emotion.P)
				break
			}
		}
	}
	if voiced < len(want)/2 {
		t.Errorf("a voice in %d of the clip's %d windows", voiced, len(want))
	}
}

// A model of other sounds says so in its contract, and hears a tone.
func TestAnalyzeHearsAnySound(t *testing.T) {
	needTraining(t, "ffmpeg")
	dir := t.TempDir()
	tone := filepath.Join(dir, "tone.wav")
	ffmpeg(t, "-f", "lavfi", "-i", "sine=f=440:d=3:r=16000", tone)
	for _, anySound := range []bool{true, false} {
		c := infertest.Contract()
		c.AnySound = anySound
		model := filepath.Join(dir, fmt.Sprint(anySound, ".onnx"))
		if err := os.WriteFile(model, infertest.Model(c), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, w := range windowsOf(t, tone, "--model", model) {
			if w.Audio != anySound {
				t.Errorf("hears any sound %v: window at %v has audio %v", anySound, w.End, w.Audio)
			}
		}
	}
}
