package av

import (
	"context"
	"errors"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSameLanguage(t *testing.T) {
	for _, same := range [][2]string{
		{"eng", "en"},
		{"ger", "de"},
		{"deu", "DE"},
		{"fre", "fra"},
		{"zh", "chi"},
		{"en-US", "eng"},
		{"en_GB", "en"},
		{"tlh", "tlh"},
		{"klingon?", "Klingon?"},
	} {
		if !sameLanguage(same[0], same[1]) {
			t.Errorf("%s is not %s", same[0], same[1])
		}
	}
	for _, other := range [][2]string{{"eng", "de"}, {"e", "en"}, {"dan", "deu"}, {"", "en"}} {
		if sameLanguage(other[0], other[1]) {
			t.Errorf("%s is %s", other[0], other[1])
		}
	}
}

// Of several tracks the one is read that is asked for, by number or language; one that is not there is an error that
// names those that are.
func TestAudioTracks(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("skipped: no ffmpeg here")
	}
	path := filepath.Join(t.TempDir(), "two.mkv")
	if b, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=f=440:d=1:r=16000", "-f", "lavfi",
		"-i", "sine=f=2000:d=1:r=48000", "-map", "0:a", "-map", "1:a", "-c:a:0", "pcm_s16le", "-c:a:1", "flac",
		"-ac:a:1", "2", "-metadata:s:a:1", "language=ger",
		"-metadata:s:a:1", "title=Regie", "-disposition:a:0", "default",
		path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	for wanted, want := range map[string]struct {
		number int
		hz     float64
	}{"": {1, 440}, "1": {1, 440}, "2": {2, 2000}, "de": {2, 2000}, "deu": {2, 2000}} {
		in, err := Open(t.Context(), path, Options{AudioTrack: wanted})
		if err != nil {
			t.Fatalf("%q: %v", wanted, err)
		}
		i := in.Info()
		if i.AudioTrack != want.number || len(i.AudioTracks) != 2 || i.AudioTracks[1].Title != "Regie" ||
			i.AudioTracks[1].Channels != 2 || i.AudioTracks[1].Codec != "flac" {
			t.Errorf("%q: %+v", wanted, i)
		}
		if hz := frequency(t, in); math.Abs(hz-want.hz) > 10 {
			t.Errorf("%q: a tone of %.0f Hz, want %.0f", wanted, hz, want.hz)
		}
		in.Close()
	}
	for _, wanted := range []string{"3", "0", "-1", "fr", "deutsch"} {
		_, err := Open(t.Context(), path, Options{AudioTrack: wanted})
		if !errors.Is(err, ErrNoTrack) || !strings.Contains(err.Error(), `1 (pcm_s16le, 1 channel); 2 (ger, flac, 2 `+
			`channels, "Regie")`) {
			t.Errorf("%q: %v", wanted, err)
		}
	}
	in, err := Open(t.Context(), path, Options{NoAudio: true, AudioTrack: "9"})
	if err == nil {
		in.Close()
		t.Error("a file of sound alone opens without its sound")
	}
}

// frequency counts how often the sound rises through zero in a second.
func frequency(t *testing.T, in *Input) (hz float64) {
	t.Helper()
	last, n := float32(0), 0
	for {
		m, err := in.Read(context.Background())
		if err != nil {
			return hz / float64(n) * SampleRate
		}
		for _, v := range m.Samples.Data {
			if last < 0 && v >= 0 {
				hz++
			}
			last = v
			n++
		}
	}
}
