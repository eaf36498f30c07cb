package av_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
)

// A media file whose header is text is none for that, though its first pixels are letters too.
func TestGreyPictures(t *testing.T) {
	const w, h = 64, 32
	grey := strings.Repeat("~", w*h*3)
	yuv := strings.Repeat("~", w*h) + strings.Repeat("xx", w*h/4)
	for name, data := range map[string]string{
		"a.y4m":   fmt.Sprintf("YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420jpeg\nFRAME\n%sFRAME\n%s", w, h, yuv, yuv),
		"a.ppm":   fmt.Sprintf("P6\n# a remark\n%d %d\n255\n%s", w, h, grey),
		"a.pgm":   fmt.Sprintf("P5 %d %d 255\n%s", w, h, grey[:w*h]),
		"a.pam":   fmt.Sprintf("P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n%s", w, h, grey),
		"no name": fmt.Sprintf("P6\n%d %d\n255\n%s", w, h, grey),
		"sphere.wav": "NIST_1A\n   1024\nchannel_count -i 1\nsample_rate -i 16000\nsample_n_bytes -i 2\n" +
			"sample_byte_format -s2 01\nsample_sig_bits -i 16\nsample_coding -s3 pcm\nend_head\n",
	} {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(data, "NIST") {
				data += strings.Repeat(" ", 1024-len(data)) + strings.Repeat("~~", av.SampleRate)
			}
			m := read(t, save(t, name, []byte(data)), av.Options{})
			if m.err != nil || len(m.frames) == 0 && len(m.sound) == 0 {
				t.Fatalf("%+v, %v", m.info, m.err)
			}
			for _, f := range m.frames {
				if v := f.Pix[0]; f.Width != w || f.Height != h || v < 100 || v > 160 {
					t.Errorf("%d x %d, %d", f.Width, f.Height, v)
				}
			}
		})
	}
	for _, text := range []string{"P6 is a model of camera.\n", "YUV4MPEG2\n", "P7\nis another\n"} {
		if _, err := av.Open(t.Context(), save(t, "a.txt", []byte(text)), av.Options{}); err == nil ||
			!strings.Contains(err.Error(), "text file") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLocalPath(t *testing.T) {
	for input, want := range map[string]string{
		"a.mp4": "a.mp4", "file:///a%20b.mp4": "/a b.mp4", "FILE:///a.mp4": "/a.mp4", "file:/a.mp4": "/a.mp4",
		"file://localhost/a.mp4": "/a.mp4", "file:///100%.mp4": "/100%.mp4", "file:///what?.mp4": "/what?.mp4",
		"file:a.mp4": "file:a.mp4", "file://a.mp4": "a.mp4", "-": "/dev/stdin", "./-": "./-",
	} {
		if got := av.LocalPath(input); got != want {
			t.Errorf("%s: %s, want %s", input, got, want)
		}
		if av.IsURL(input) {
			t.Errorf("%s is taken for a URL", input)
		}
	}
	clip := load(t, write(t, "a.webm",
		capture.PatternOptions{Width: 64, Height: 48, Duration: time.Second}, av.WriterOptions{}))
	m := read(t, "file://"+strings.ReplaceAll(save(t, "a clip.webm", clip), " ", "%20"), av.Options{})
	if m.err != nil || len(m.frames) != 25 {
		t.Errorf("%d pictures, %v", len(m.frames), m.err)
	}
}

// withStdin returns this program, to be run to read standard input; name says in errors which it was.
func withStdin(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReadsStandardInput$")
	cmd.Env = append(os.Environ(), "TANDEM_TEST_READS="+name)
	return cmd
}

// TestReadsStandardInput is the program that TestStandardInput starts.
func TestReadsStandardInput(t *testing.T) {
	if os.Getenv("TANDEM_TEST_READS") == "" {
		return
	}
	in, err := av.Open(t.Context(), "-", av.Options{Timeout: 5 * time.Second})
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	defer in.Close()
	m := readAll(t.Context(), in)
	fmt.Println("pictures:", len(m.frames), m.err)
}

func TestStandardInput(t *testing.T) {
	p := capture.PatternOptions{Width: 64, Height: 48, Duration: time.Second}
	webm := write(t, "a.webm", p, av.WriterOptions{})
	mp4 := indexBehind(t)
	redirected := func(path string) *os.File {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	piped := withStdin(t, "pipe")
	piped.Stdin = bytes.NewReader(load(t, webm))
	file := withStdin(t, "file") // can be sought in, so that the index may be anywhere
	file.Stdin = redirected(mp4)
	behind := withStdin(t, "behind")
	behind.Stdin = bytes.NewReader(load(t, indexBehind(t)))
	none := withStdin(t, "none")
	for cmd, want := range map[*exec.Cmd]string{
		piped: "pictures: 25 <nil>", file: "pictures: 75 <nil>", none: "error: -: ", behind: "faststart",
	} {
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v %s, want %q", cmd.Env[len(cmd.Env)-1], err, out, want)
		}
	}
}

// indexBehind returns an MP4 of 75 pictures, too large to be held at once, whose index is at its end.
func indexBehind(t *testing.T) string {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("SKIPPED: no ffmpeg program to put the index behind with")
	}
	front := write(t, "front.mp4", capture.PatternOptions{Width: 320, Height: 240, Duration: 3 * time.Second},
		av.WriterOptions{})
	path := filepath.Join(t.TempDir(), "behind.mp4")
	if out, err := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-i", front, "-c:v", "copy", "-c:a",
		"pcm_s16be", "-ac", "2", "-ar", "48000", "-f", "mov", path).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return path
}

// A server without ranges is like a pipe: an MP4 with its index behind is not read, one with its index in front is.
func TestIndexBehind(t *testing.T) {
	serve := func(clip []byte) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(clip) }))
		t.Cleanup(s.Close)
		return s.URL
	}
	in, err := av.Open(t.Context(), serve(load(t, indexBehind(t))), av.Options{})
	if err == nil {
		err = readAll(t.Context(), in).err
		in.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "index (moov) is at its end") ||
		!strings.Contains(err.Error(), "faststart") {
		t.Errorf("error %v", err)
	}
	clip := load(t, write(t, "front.mp4", capture.PatternOptions{Width: 64, Height: 48, Duration: time.Second},
		av.WriterOptions{}))
	if m := read(t, serve(clip), av.Options{}); m.err != nil || len(m.frames) != 25 {
		t.Errorf("with its index in front: %d pictures, %v", len(m.frames), m.err)
	}
}

// A sender by UDP that stops says nothing of it: what is known is for how long nothing came.
func TestUDPStops(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("SKIPPED: no ffmpeg program to send with")
	}
	path := write(t, "a.mkv", capture.PatternOptions{Width: 320, Height: 240, Duration: 3 * time.Second},
		av.WriterOptions{})
	const url = "udp://127.0.0.1:39157"
	send := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-re", "-i", path, "-c:v", "mpeg2video", "-c:a",
		"mp2", "-f", "mpegts", url+"?pkt_size=1316")
	time.AfterFunc(300*time.Millisecond, func() { send.Run() })
	in, err := av.Open(t.Context(), url, av.Options{Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	m := readAll(t.Context(), in)
	if !errors.Is(m.err, av.ErrTimeout) || !strings.Contains(m.err.Error(), "no data for 2s") || len(m.frames) < 10 {
		t.Errorf("%d pictures, %v", len(m.frames), m.err)
	}
}
