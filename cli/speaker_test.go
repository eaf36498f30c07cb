package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/infer/infertest"
)

func TestTrainSpeakerRefuses(t *testing.T) {
	recipe := filepath.Join(t.TempDir(), "r.json")
	if err := os.WriteFile(recipe, []byte(`{"steps":0}`), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	photos := filepath.Join(dir, "m.csv")
	if err := os.WriteFile(filepath.Join(dir, "a.jpg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(photos, []byte("video,emotion,split\na.jpg,happy,train\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	photoData := "manifest=" + photos
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"known are emotions and speaker": {2, []string{"--task", "age"}},
		"does not take --epochs":         {2, []string{"--task", "speaker", "--epochs", "3"}},
		"does not take --weighting":      {2, []string{"--task", "speaker", "--weighting", "rlw"}},
		"steps 0":                        {1, []string{"--task", "speaker", "--recipe", recipe, "--data", photoData}},
		"--data NAME=PATH is missing":    {2, []string{"--task", "speaker"}},
		"no talking faces":               {1, []string{"--task", "speaker", "--data", photoData}},
	} {
		args := append([]string{"train", "--out", filepath.Join(t.TempDir(), "s.onnx")}, c.args...)
		if code, _, errs := runTandem(t, args...); code != c.code || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, %s, want %d and %q", c.args, code, errs, c.code, want)
		}
	}
}

func TestSpeakerFlagsRefuse(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.onnx")
	if err := os.WriteFile(broken, []byte("no model"), 0o644); err != nil {
		t.Fatal(err)
	}
	model := testModel(t)
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"known are auto, always, off":        {2, []string{"--speaker", "often"}},
		"of no use with --speaker off":       {2, []string{"--speaker", "off", "--speaker-model", broken}},
		"broken.onnx: model breaks tandem's": {1, []string{"--speaker-model", broken}},
		"this is no speaker model":           {1, []string{"--speaker-model", model}},
		"no such file":                       {1, []string{"--speaker-model", filepath.Join(dir, "none.onnx")}},
	} {
		args := append([]string{"analyze", "pattern:2s", "--model", model}, c.args...)
		if code, _, errs := runTandem(t, args...); code != c.code || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, %s, want %d and %q", c.args, code, errs, c.code, want)
		}
	}
}

// The start event says whether it is asked who speaks; a window says the answer where it is asked.
func TestAnalyzeSaysWhoSpeaks(t *testing.T) {
	needTraining(t)
	dir := t.TempDir()
	own := filepath.Join(dir, "speaker.onnx")
	if err := os.WriteFile(own, infertest.SpeakerModel(infertest.SpeakerContract()), 0o644); err != nil {
		t.Fatal(err)
	}
	for mode, c := range map[string]struct{ start, window bool }{
		"off": {false, false}, "auto": {true, false}, "always": {true, true},
	} {
		args := []string{"analyze", "--format", "jsonl", "pattern:4s", "--model", testModel(t), "--speaker", mode}
		if mode != "off" {
			args = append(args, "--speaker-model", own)
		}
		code, out, errs := runTandem(t, args...)
		if code != 0 {
			t.Fatalf("%s: exit code %d: %s", mode, code, errs)
		}
		start, rest, _ := strings.Cut(out, "\n")
		said, any := strings.Contains(start, `"speaker":"`+mode+`"`), strings.Contains(start, `"speaker":`)
		if said != c.start || any != c.start {
			t.Errorf("%s: %s", mode, start)
		}
		if strings.Contains(rest, `"speaking":`) != c.window {
			t.Errorf("%s: %s", mode, rest)
		}
	}
}

// Two faces of the validation split side by side, of which one speaks and one is silent: the voice is the speaker's.
func TestAnalyzeGivesTheVoiceToWhoSpeaks(t *testing.T) {
	needTraining(t, "ffmpeg")
	if dataSets == "" {
		t.Skip("TANDEM_DATA is not set: no data sets here")
	}
	clip := func(name string) string { return filepath.Join(dataSets, "java-sed", "video", name) }
	// The first picture goes on for as long as the other's clip.
	const still = "fps=30,trim=end_frame=1,tpad=stop_mode=clone:stop=-1[s];"
	beside := []string{
		"[1:v]" + still + "[0:v]fps=30[m];[m][s]hstack=shortest=1[v]",
		"[0:v]" + still + "[1:v]fps=30[m];[s][m]hstack=shortest=1[v]",
	}
	right, wrong := 0, 0
	for i, pair := range [][2]string{{"04-01-01", "09-02-03"}, {"04-02-02", "09-01-04"}, {"04-03-06", "09-04-01"}} {
		for k, sound := range []string{"0:a", "1:a"} {
			scene := filepath.Join(t.TempDir(), "scene.mp4")
			ffmpeg(t, "-i", clip(pair[0]+"_01.mp4"), "-i", clip(pair[1]+"_01.mp4"), "-filter_complex",
				beside[k], "-map", "[v]", "-map", sound, "-shortest", scene)
			r, w := 0, 0
			for _, window := range windowsOf(t, scene, "--faces", "2") {
				left := window.Face != nil && window.Face.X+window.Face.W/2 < 360
				switch {
				case !window.Audio:
				case left == (k == 0):
					r++
				default:
					w++
				}
			}
			t.Logf("scene %d with the sound of face %d: %d windows right, %d wrong", i, k, r, w)
			right, wrong = right+r, wrong+w
		}
	}
	if right < 20 || wrong > right/4 {
		t.Errorf("the voice is the speaker's in %d windows, and the other's in %d", right, wrong)
	}
}

// Scenes that make it hard to tell who speaks, of faces of the validation split: the voice is not the other's, and
// where lips cannot be read that is said.
func TestLongSpeakerOfHardScenes(t *testing.T) {
	needTraining(t, "ffmpeg")
	if dataSets == "" {
		t.Skip("TANDEM_DATA is not set: no data sets here")
	}
	clip := func(name string) string { return filepath.Join(dataSets, "java-sed", "video", name) }
	const still = "[1:v]fps=30,trim=end_frame=1,tpad=stop_mode=clone:stop=-1[s];"
	const small = "[1:v]fps=30,scale=180:-2,pad=360:270:90:60:color=gray[s];"
	const begins = time.Second // of sound that begins late
	// The talking face is on the left, the other one on the right.
	for what, c := range map[string]struct {
		other, face, both, sound string // filters
		few                      bool
	}{
		"a mouth that is covered":         {still, ",drawbox=x=135:y=172:w=90:h=60:color=white:t=fill", "", "", false},
		"a television whose sound is off": {small, "", "", "", false},
		"sound that begins late":          {still, "", "", ",atrim=start=1", false},
		"two pictures in a second":        {still, "", ",fps=2", "", true},
	} {
		own, other := 0, 0
		for _, name := range []string{"04-01-01_01.mp4", "04-02-02_01.mp4"} {
			scene := filepath.Join(t.TempDir(), "scene.mp4")
			ffmpeg(t, "-i", clip(name), "-stream_loop", "3", "-i", clip("09-01-04_01.mp4"), "-filter_complex",
				c.other+"[0:v]fps=30"+c.face+"[m];[m][s]hstack=shortest=1"+c.both+"[v];[0:a]anull"+c.sound+"[a]",
				"-map", "[v]", "-map", "[a]", "-shortest", scene)
			for _, w := range windowsOf(t, scene, "--faces", "2") {
				left := w.Face != nil && w.Face.X+w.Face.W/2 < 360
				switch {
				case w.Audio && c.sound != "" && w.T <= begins:
					t.Errorf("%s: at %v there is a voice before the sound begins", what, w.T)
				case w.Audio && left:
					own++
				case w.Audio:
					other++
				}
			}
			code, lines, errs := runTandem(t, "analyze", "--faces", "2", "--format", "rttm", scene)
			if code != 0 || strings.Contains(errs, "could not be told who speaks") != c.few ||
				c.few && (strings.Contains(lines, "subject_") || !strings.Contains(lines, "unknown")) {
				t.Errorf("%s: exit code %d, %s\n%s", what, code, errs, lines)
			}
		}
		t.Logf("%s: %d windows have the voice of the face that speaks, %d of the other", what, own, other)
		if c.few && own+other > 0 || !c.few && (own < 5 || other > own/4) {
			t.Errorf("%s: %d windows have the voice of the face that speaks, %d of the other", what, own, other)
		}
	}
}
