package middleware_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tandem/webrtc/middleware"
)

// A reader that takes nothing of an answer is let go. One that takes it slowly gets all of it, and so does one of a
// stream whose silence is longer than the bound, whose connection then serves the next request.
func TestWriteDeadlines(t *testing.T) {
	const bound, long = 600 * time.Millisecond, 64 << 20
	ended := make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.Copy(w, io.LimitReader(zeros{}, long))
		ended <- err
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			io.WriteString(w, "event\n")
			http.NewResponseController(w).Flush()
			time.Sleep(bound * 3 / 2)
		}
		io.WriteString(w, "end\n")
	})
	s := httptest.NewServer(middleware.WriteDeadlines(bound, mux))
	defer s.Close()
	ask := func(path string) (net.Conn, *bufio.Reader) {
		t.Helper()
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		return c, bufio.NewReader(c)
	}

	began := time.Now()
	ask("/long")
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a reader that takes nothing is sent everything")
		}
	case <-time.After(10 * time.Second):
		t.Error("a reader that takes nothing is held")
	}
	t.Logf("let go after %v", time.Since(began).Round(10*time.Millisecond))

	_, slow := ask("/long")
	began = time.Now()
	res, err := http.ReadResponse(slow, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for buffer := make([]byte, 1<<20); ; {
		m, err := io.ReadFull(res.Body, buffer)
		n += int64(m)
		if err != nil {
			break
		}
		time.Sleep(bound / 15)
	}
	if took := time.Since(began); n != long || took < 3*bound {
		t.Errorf("a slow reader got %d of %d bytes in %v", n, long, took)
	}

	c, stream := ask("/stream")
	for range 2 {
		res, err := http.ReadResponse(stream, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); err != nil || strings.Count(string(b), "event\n") != 3 {
			t.Errorf("the stream was %q: %v", b, err)
		}
		io.WriteString(c, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
