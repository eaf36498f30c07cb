package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
)

// Of two tracks of sound the one with a voice is taken though the container prefers the other; the start event names
// both, and --audio-track takes the other.
func TestAudioTrackWithTheVoice(t *testing.T) {
	model := testModel(t)
	dir := t.TempDir()
	clip, two := filepath.Join(dir, "clip.mkv"), filepath.Join(dir, "two.mkv")
	capturetest.WritePattern(t, clip, capture.PatternOptions{Duration: 4 * time.Second}, av.WriterOptions{})
	ffmpeg(t, "-f", "lavfi", "-i", "anoisesrc=c=pink:a=0.1:r=16000:d=4", "-i", clip, "-map", "1:v", "-map", "0:a",
		"-map", "1:a", "-c:v", "copy", "-c:a", "pcm_s16le", "-disposition:a:0", "default", "-disposition:a:1", "0",
		"-metadata:s:a:1", "language=jpn", two)
	voices := func(stdout string) int { return strings.Count(stdout, `"audio":true`) }
	code, stdout, stderr := runTandem(t, "analyze", "--format", "jsonl", "--model", model, two)
	if code != 0 || voices(stdout) < 5 || !strings.Contains(stdout, `"audio_track":2,"audio_tracks":[{"track":1,`) ||
		!strings.Contains(stderr, "several tracks of sound") || !strings.Contains(stderr, "2 (jpn, pcm_s16le") {
		t.Errorf("exit code %d, %d windows with a voice\n%s\n%s", code, voices(stdout), stderr, stdout)
	}
	code, stdout, stderr = runTandem(t, "analyze", "--format", "jsonl", "--model", model, "--audio-track", "1", two)
	if code != 0 || voices(stdout) > 0 || !strings.Contains(stdout, `"audio_track":1`) ||
		strings.Contains(stderr, "several tracks") {
		t.Errorf("exit code %d, %d windows with a voice\n%s\n%s", code, voices(stdout), stderr, stdout)
	}
	code, stdout, _ = runTandem(t, "analyze", "--format", "jsonl", "--model", model, "--audio-track", "ja", two)
	if code != 0 || voices(stdout) < 5 {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	code, stdout, stderr = runTandem(t, "analyze", "--model", model, "--audio-track", "de", two, clip)
	if code != 1 || !strings.Contains(stderr, `no such audio track "de": there are 1 (pcm_s16le`) {
		t.Errorf("exit code %d\n%s\n%s", code, stderr, stdout)
	}
	if code, stdout, _ = runTandem(t, "analyze", "--format", "jsonl", "--model", model, clip); code != 0 ||
		strings.Contains(stdout, "audio_track") {
		t.Errorf("one track: exit code %d\n%s", code, stdout)
	}
}

// Two channels that cancel each other are heard all the same, and it is said.
func TestOppositeChannels(t *testing.T) {
	model := testModel(t)
	dir := t.TempDir()
	clip, wrong := filepath.Join(dir, "clip.wav"), filepath.Join(dir, "wrong.wav")
	p := capture.PatternOptions{Duration: 4 * time.Second, NoVideo: true}
	capturetest.WritePattern(t, clip, p, av.WriterOptions{})
	ffmpeg(t, "-i", clip, "-filter_complex", "[0:a]pan=stereo|c0=c0|c1=-1*c0", wrong)
	code, stdout, stderr := runTandem(t, "analyze", "--format", "jsonl", "--model", model, wrong)
	if code != 0 || strings.Count(stdout, `"audio":true`) < 5 || !strings.Contains(stderr, "cancel each other") {
		t.Errorf("exit code %d\n%s\n%s", code, stderr, stdout)
	}
}

// The page of a run stands beside its results, and is of one input.
func TestAnalyzeReport(t *testing.T) {
	model := testModel(t)
	page := filepath.Join(t.TempDir(), "page.html")
	code, stdout, stderr := runTandem(t, "analyze", "--model", model, "--report", page, "--format", "csv", "pattern:4s")
	b, err := os.ReadFile(page)
	if code != 0 || err != nil || !strings.Contains(string(b), "Subject 0") ||
		!strings.Contains(stdout, "source,t") {
		t.Errorf("exit code %d, %v, %s\n%s\n%s", code, err, stderr, stdout, b)
	}
	if strings.Contains(string(b), "data:image") {
		t.Error("the page has a picture that was not asked for")
	}
	code, _, stderr = runTandem(t, "analyze", "--model", model, "--report", page, "--pictures", "pattern:4s")
	if b, err = os.ReadFile(page); code != 0 || err != nil || !strings.Contains(string(b), "data:image/jpeg") {
		t.Errorf("with --pictures: exit code %d, %v, %s\n%s", code, err, stderr, b)
	}
	code, stdout, _ = runTandem(t, "analyze", "--model", model, "--format", "eaf", "pattern:2s")
	if code != 0 || !strings.Contains(stdout, `TIER_ID="subject 0 emotion"`) {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	for want, args := range map[string][]string{
		"writes one page": {"--report", page, "a", "b"}, "add --out-dir": {"--format", "textgrid", "a", "b"},
		"--pictures is of --report": {"--pictures", "a"},
		"nowhere":                   {"--report", filepath.Join(page, "nowhere", "x.html"), "pattern:1s"},
	} {
		if code, _, stderr := runTandem(t, append([]string{"analyze", "--model", model}, args...)...); code == 0 ||
			!strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
}
