package av_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
)

func save(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hugePNG says that it is w x h pixels large.
func hugePNG(w, h uint32) []byte {
	be := binary.BigEndian
	head := append([]byte("IHDR"), 0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0)
	be.PutUint32(head[4:], w)
	be.PutUint32(head[8:], h)
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), head...)
	b = be.AppendUint32(b, crc32.ChecksumIEEE(head))
	return append(b, "\x00\x00\x00\x04IDAT\x00\x00\x00\x00\x00\x00\x00\x00"...)
}

const (
	words    = "This is not a film, it is but words.\n"
	playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:1/a.ts\n"
)

// Each bad input is one error, when it is opened, that names the input and the cause.
func TestBadInput(t *testing.T) {
	clip := load(t,
		write(t, "a.mp4", capture.PatternOptions{Width: 64, Height: 48, Duration: time.Second}, av.WriterOptions{}))
	noMoov := bytes.Replace(clip, []byte("moov"), []byte("xxxx"), 1)
	tests := []struct {
		name, path string
		is         error
		says       string
	}{
		{"missing", filepath.Join(t.TempDir(), "nothing.mp4"), syscall.ENOENT, "no such file"},
		{"missing file URL", "file:///nowhere/nothing.mp4", syscall.ENOENT, "no such file"},
		{"a name with a colon", "what:is this.mp4", syscall.ENOENT, "no such file"},
		{"directory", t.TempDir(), nil, "directory"},
		{"empty", save(t, "empty.mp4", nil), av.ErrNotMedia, "empty"},
		{"text", save(t, "text.mp4", []byte(strings.Repeat(words, 50))), av.ErrNotMedia, "text file"},
		{"text as txt", save(t, "notes.txt", []byte("hello\n")), av.ErrNotMedia, "text"},
		{"zeros", save(t, "zeros.mp4", make([]byte, 1<<16)), av.ErrNotMedia, ""},
		{"mp4 without moov", save(t, "cut.mp4", noMoov), av.ErrNotMedia, "moov atom not found: it is cut short"},
		{"Ogg cut in its header", save(t, "cut.ogg", []byte("OggS\x00\x02\x00\x00")), av.ErrNotMedia, "cut short"},
		{"FLAC cut in its header", save(t, "cut.flac", []byte("fLaC\x00\x00\x00\x22")), av.ErrNotMedia, "cut short"},
		{"mp4 cut in its header", save(t, "cut.mp4", clip[:300]), av.ErrNotMedia, ""},
		{"picture too large", save(t, "huge.png", hugePNG(100_000, 100_000)), av.ErrNotMedia, "image size"},
		{"list of other files", save(t, "list.m3u8", []byte(playlist)), av.ErrNotMedia, "text"},
		{"unknown scheme", "gopher9://host/x", nil, "host"},
		{"dead port", "http://127.0.0.1:1/a.mp4", syscall.ECONNREFUSED, "refused"},
		{"no such host", "http://nothing.invalid/a.mp4", nil, "nothing.invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, err := av.Open(t.Context(), tt.path, av.Options{Timeout: 5 * time.Second})
			if err == nil {
				m := readAll(t.Context(), in)
				in.Close()
				t.Fatalf("opened: %+v, %d pictures, %d of sound, %v", m.info, len(m.frames), len(m.sound), m.err)
			}
			t.Log(err)
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if !strings.HasPrefix(err.Error(), tt.path+": ") ||
				!strings.Contains(strings.ToLower(err.Error()), tt.says) {
				t.Errorf("%q does not name the input and %q", err, tt.says)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is more than one line", err)
			}
		})
	}
	t.Run("unreadable", func(t *testing.T) {
		if os.Getuid() == 0 {
			t.Skip("root may read everything")
		}
		path := save(t, "secret.mp4", clip)
		os.Chmod(path, 0)
		if _, err := av.Open(t.Context(), path, av.Options{}); !errors.Is(err, os.ErrPermission) {
			t.Errorf("error %v", err)
		}
	})
}

// What comes before the cut is decoded, and counted in Stats.
func TestCutOff(t *testing.T) {
	for _, name := range []string{"a.mp4", "a.webm", "a.mkv", "a.avi", "a.flv", "a.mpg", "a.wav"} {
		t.Run(name, func(t *testing.T) {
			p := capture.PatternOptions{Width: 160, Height: 120, Duration: 4 * time.Second, NoVideo: name == "a.wav"}
			whole := load(t, write(t, name, p, av.WriterOptions{}))
			m := read(t, save(t, name, whole[:len(whole)*6/10]), av.Options{})
			if m.err != nil {
				t.Fatal(m.err)
			}
			m.ordered(t)
			n := len(m.wave())
			if !p.NoVideo && (len(m.frames) < 30 || len(m.frames) > 90) || n < av.SampleRate || n > 7*av.SampleRate/2 {
				t.Errorf("%d pictures, %d samples", len(m.frames), n)
			}
			if name != "a.mpg" && !m.stats.Truncated { // an mpg does not say how long it is
				t.Errorf("stats %+v: not truncated", m.stats)
			}
		})
	}
}

// Bytes changed in the middle cost some pictures, no more.
func TestCorrupt(t *testing.T) {
	for _, name := range []string{"a.mp4", "a.webm", "a.mpg"} {
		t.Run(name, func(t *testing.T) {
			b := load(t,
				write(t, name, capture.PatternOptions{Width: 160, Height: 120, Duration: 4 * time.Second},
					av.WriterOptions{}))
			for i := len(b) * 6 / 10; i < len(b)*65/100; i++ {
				b[i] = byte(i * 7)
			}
			m := read(t, save(t, name, b), av.Options{})
			if m.err != nil {
				t.Fatal(m.err)
			}
			m.ordered(t)
			if len(m.frames) < 40 {
				t.Errorf("%d pictures of 100", len(m.frames))
			}
		})
	}
}

// A server that stops answering, before or amid the file, ends in ErrTimeout; a context that ends, in its cause.
func TestURL(t *testing.T) {
	clip := load(t,
		write(t, "a.webm", capture.PatternOptions{Width: 320, Height: 240, Duration: 8 * time.Second},
			av.WriterOptions{}))
	hang := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/whole.webm", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.webm", time.Time{}, bytes.NewReader(clip))
	})
	mux.HandleFunc("/never.webm", func(w http.ResponseWriter, r *http.Request) { <-hang })
	mux.HandleFunc("/half.webm", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(clip)))
		w.Write(clip[:len(clip)/2])
		w.(http.Flusher).Flush()
		<-hang
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	defer close(hang)

	if m := read(t, s.URL+"/whole.webm", av.Options{}); m.err != nil || len(m.frames) != 200 {
		t.Errorf("%d pictures, %v", len(m.frames), m.err)
	}
	if _, err := av.Open(t.Context(), s.URL+"/gone.webm", av.Options{}); err == nil ||
		!strings.Contains(err.Error(), "404") {
		t.Errorf("missing page: %v", err)
	}

	const limit = 300 * time.Millisecond
	start := time.Now()
	_, err := av.Open(t.Context(), s.URL+"/never.webm", av.Options{Timeout: limit})
	if took := time.Since(start); !errors.Is(err, av.ErrTimeout) || took < limit || took > limit+2*time.Second {
		t.Errorf("a server that hangs: %v after %v", err, took)
	}
	if err != nil && !strings.HasPrefix(err.Error(), s.URL) {
		t.Errorf("%q does not name the URL", err)
	}

	cause := errors.New("had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(cause) })
	start = time.Now()
	if _, err := av.Open(ctx, s.URL+"/never.webm", av.Options{}); !errors.Is(err, cause) ||
		time.Since(start) > time.Second {
		t.Errorf("cancelled while opening: %v after %v", err, time.Since(start))
	}

	in, err := av.Open(t.Context(), s.URL+"/half.webm", av.Options{Timeout: limit})
	if err != nil {
		t.Fatal(err)
	}
	if m := readAll(t.Context(), in); !errors.Is(m.err, av.ErrTimeout) || len(m.frames) < 20 {
		t.Errorf("a server that hangs half way: %d pictures, %v", len(m.frames), m.err)
	}
	in.Close()

	in, err = av.Open(t.Context(), s.URL+"/half.webm", av.Options{})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { in.Close() })
	start = time.Now()
	if m := readAll(t.Context(), in); !errors.Is(m.err, os.ErrClosed) || time.Since(start) > 2*time.Second {
		t.Errorf("closed while reading: %v after %v", m.err, time.Since(start))
	}
}

// The password of a URL is in no error.
func TestURLPassword(t *testing.T) {
	_, err := av.Open(t.Context(), "rtsp://me:geheim@127.0.0.1:1/cam", av.Options{Timeout: time.Second})
	if err == nil || strings.Contains(err.Error(), "geheim") || !strings.Contains(err.Error(), "127.0.0.1:1/cam") {
		t.Errorf("error %v", err)
	}
}

func TestFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "in.webm")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip("no FIFOs here: ", err)
	}
	_, err := av.Open(t.Context(), fifo, av.Options{Timeout: 100 * time.Millisecond})
	if !errors.Is(err, av.ErrTimeout) {
		t.Errorf("nobody writes: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := av.Open(ctx, fifo, av.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled: %v", err)
	}

	clip := load(t,
		write(t, "a.webm", capture.PatternOptions{Width: 64, Height: 48, Duration: 2 * time.Second},
			av.WriterOptions{}))
	feed := func(b []byte, then func()) {
		f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		f.Write(b)
		then()
		f.Close()
	}
	go feed(clip, func() {})
	if m := read(t, fifo, av.Options{}); m.err != nil || len(m.frames) != 50 {
		t.Errorf("%d pictures, %v", len(m.frames), m.err)
	}
	done := make(chan struct{})
	go feed(clip[:len(clip)/2], func() { <-done })
	if in, err := av.Open(t.Context(), fifo, av.Options{Timeout: 300 * time.Millisecond}); err == nil {
		if m := readAll(t.Context(), in); !errors.Is(m.err, av.ErrTimeout) {
			t.Errorf("a writer that stalls: %v", m.err)
		}
		in.Close()
	} else if !errors.Is(err, av.ErrTimeout) { // already while the streams were found out
		t.Error(err)
	}
	close(done)
}
