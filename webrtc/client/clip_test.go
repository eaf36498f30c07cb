package client

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp/codecs"
	"go.uber.org/goleak"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write makes a file of the test pattern and returns its path.
func write(t testing.TB, name string, p capture.PatternOptions) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	capturetest.WritePattern(t, path, p, av.WriterOptions{})
	return path
}

// small is a pattern that costs little.
func small(length time.Duration) capture.PatternOptions {
	return capture.PatternOptions{Width: 160, Height: 120, FPS: 15, Duration: length}
}

func load(t testing.TB, p capture.PatternOptions) *Clip {
	t.Helper()
	c, err := LoadClip(context.Background(), write(t, "clip.webm", p))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoadClip(t *testing.T) {
	c := load(t, small(2*time.Second))
	if got, want := c.Codecs(), []av.Codec{av.VP8, av.Opus}; !slices.Equal(got, want) {
		t.Errorf("codecs %v, want %v", got, want)
	}
	if c.Length() < 1950*time.Millisecond || c.Length() > 2100*time.Millisecond {
		t.Errorf("length %v of a clip of 2 s", c.Length())
	}
	pictures := 0
	for i, u := range c.units {
		if i > 0 && u.at < c.units[i-1].at {
			t.Errorf("unit %d goes back in time", i)
		}
		if u.codec != av.VP8 {
			continue
		}
		pictures++
		for j, p := range u.payloads {
			if begins := (&codecs.VP8Packet{}).IsPartitionHead(p); begins != (j == 0) || len(p) > maxFragment {
				t.Errorf("picture %d, fragment %d of %d bytes: begins %v", pictures, j, len(p), begins)
			}
		}
	}
	if pictures != 30 {
		t.Errorf("%d pictures, want 30", pictures)
	}
}

// What can't be sent is refused with the command that makes it fit, and that command does.
func TestLoadClipConverts(t *testing.T) {
	t.Parallel()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("there is no ffmpeg to convert with")
	}
	pattern := small(time.Second)
	frames, pictures := write(t, "frames.mp4", pattern), write(t, "pictures.avi", pattern)
	for _, test := range []struct{ in, want string }{
		{frames, "B-frames"}, // and AAC
		{
			remux(t, ffmpeg, frames, "sound.mkv", "-c:v", "libx264", "-bf", "0", "-c:a", "copy"),
			"its sound is aac and not Opus",
		},
		{
			remux(t, ffmpeg, pictures, "pictures.mkv", "-c:v", "copy", "-c:a", "libopus"),
			"its pictures are mpeg4 and not VP8 or H.264",
		},
	} {
		in := test.in
		_, err := LoadClip(t.Context(), in)
		if !errors.Is(err, ErrClip) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", in, err, test.want)
			continue
		}
		for _, command := range strings.Split(err.Error(), "ffmpeg -i ")[1:] {
			command, _, _ = strings.Cut(command, ", ")
			args := strings.Fields(command)
			if args[0] != "INPUT" || !strings.HasPrefix(args[len(args)-1], "OUTPUT.") {
				t.Fatalf("the command %q", command)
			}
			out := remux(t, ffmpeg, in, args[len(args)-1], args[1:len(args)-1]...)
			if _, err := LoadClip(t.Context(), out); err != nil {
				t.Errorf("after %s: %v", command, err)
			}
		}
	}
}

func remux(t *testing.T, ffmpeg, in, name string, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	args = slices.Concat([]string{"-v", "error", "-i", in}, args, []string{out})
	if b, err := exec.CommandContext(t.Context(), ffmpeg, args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, b)
	}
	return out
}

func TestNewClipRefuses(t *testing.T) {
	vp8 := func(at time.Duration, key bool) av.Packet {
		return av.Packet{Codec: av.VP8, Time: at, Key: key, Payload: []byte{1, 2, 3}}
	}
	for _, test := range []struct {
		name    string
		packets []av.Packet
		want    string
	}{
		{"nothing", nil, "neither"},
		{"no key frame", []av.Packet{vp8(0, false)}, "key frame"},
		{"back in time", []av.Packet{vp8(0, true), vp8(2, false), vp8(1, false)}, "B-frames"},
		{"both", []av.Packet{vp8(0, true), {Codec: av.H264, Key: true, Payload: []byte{0, 0, 0, 1, 0x65, 1}}}, "both"},
		{"unknown", []av.Packet{{Codec: 99}}, "Codec(99)"},
	} {
		if _, err := NewClip(test.packets); !errors.Is(err, ErrClip) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// A single picture lasts a while, or a loop of it would be sent without end at once.
func TestLonePictureLasts(t *testing.T) {
	c, err := NewClip(
		[]av.Packet{{Codec: av.VP8, Key: true, Payload: []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 16, 0, 16, 0}}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Length() != 40*time.Millisecond {
		t.Errorf("it lasts %v", c.Length())
	}
}
