package webhook

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/webrtc/webrtctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faster makes the times of queues shorter for one test.
func faster(t *testing.T, try, first, flush time.Duration) {
	a, b, c := tryTime, firstWait, flushTime
	tryTime, firstWait, flushTime = try, first, flush
	t.Cleanup(func() { tryTime, firstWait, flushTime = a, b, c })
}

// fates counts what became of events.
type fates struct{ delivered, lost atomic.Int32 }

func (f *fates) count(delivered bool) {
	if delivered {
		f.delivered.Add(1)
	} else {
		f.lost.Add(1)
	}
}

// receiver runs an HTTP server and a queue for it, both until the test ends.
func receiver(t *testing.T, h http.HandlerFunc) (*Queue, *fates, *webrtctest.Log) {
	t.Helper()
	s := httptest.NewServer(h)
	l, f := &webrtctest.Log{}, &fates{}
	at := strings.Replace(s.URL, "http://", "http://user:pass-word@", 1)
	q := NewQueue(NewPoster(at, HMAC("the-secret")), slog.New(slog.NewTextHandler(l, nil)), f.count)
	t.Cleanup(func() {
		q.Close()
		s.Close()
		if said := l.String(); strings.Contains(said, "the-secret") || strings.Contains(said, "pass-word") {
			t.Errorf("the log has a secret: %s", said)
		}
	})
	return q, f, l
}

// The example of GitHub's page on validating webhook deliveries.
func TestHMAC(t *testing.T) {
	h := http.Header{}
	if err := HMAC("It's a Secret to Everybody")(h, []byte("Hello, World!")); err != nil {
		t.Fatal(err)
	}
	const want = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if got := h.Get(SignatureHeader); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCheckURL(t *testing.T) {
	for s, good := range map[string]bool{
		"https://example.org/hook?x=1": true, "http://127.0.0.1:1": true, "ftp://example.org": false,
		"example.org": false, "http://": false, "http://a b": false, "": false,
	} {
		if err := CheckURL(s); (err == nil) != good {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// A receiver that is being replaced gets all events, each once, in their order.
func TestQueueTriesAgain(t *testing.T) {
	faster(t, time.Minute, time.Millisecond, time.Second)
	var mu sync.Mutex
	var got []string
	fails := 0
	q, f, l := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if fails++; fails <= 3 || err != nil {
			w.WriteHeader([]int{503, 429, 500}[fails-1])
			return
		}
		got = append(got, string(b)+r.Header.Get("Content-Type"))
	})
	for i := range 5 {
		q.Send(fmt.Appendf(nil, "%d ", i))
	}
	q.Close()
	want := "0 application/json1 application/json2 application/json3 application/json4 application/json"
	if have := strings.Join(got, ""); have != want || f.delivered.Load() != 5 || f.lost.Load() != 0 {
		t.Errorf("%q came; %d delivered, %d lost", have, f.delivered.Load(), f.lost.Load())
	}
	if said := l.String(); said != "" {
		t.Errorf("it complains: %s", said)
	}
	q.Send([]byte("late"))
	q.Close()
	if f.lost.Load() != 1 {
		t.Errorf("after the end %d are lost", f.lost.Load())
	}
	var none *Queue
	none.Send(nil)
	none.Close()
}

// What a receiver refuses is not sent again, and nothing is sent where it redirects to.
func TestQueueGivesUpWhatIsRefused(t *testing.T) {
	faster(t, time.Minute, time.Millisecond, time.Second)
	for _, status := range []int{400, 401, 404, 302, 307, 308} {
		var asked atomic.Int32
		q, f, l := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		q.Send([]byte("{}"))
		q.Send([]byte("{}"))
		q.Close()
		said := l.String()
		if asked.Load() != 2 || f.lost.Load() != 2 || strings.Count(said, fmt.Sprint(status)) != 1 {
			t.Errorf("%d: asked %d times, %d lost: %s", status, asked.Load(), f.lost.Load(), said)
		}
	}
}

// An event is tried for a bounded time.
func TestQueueGivesUpInTime(t *testing.T) {
	faster(t, 50*time.Millisecond, 10*time.Millisecond, 10*time.Second)
	lost := make(chan bool, 1)
	p := NewPoster("http://127.0.0.1:1/", HMAC("s")) // where nobody listens
	q := NewQueue(p, slog.New(slog.DiscardHandler), func(delivered bool) { lost <- !delivered })
	defer q.Close()
	q.Send([]byte("{}"))
	if !<-lost {
		t.Error("it was delivered")
	}
}

// A receiver that answers nothing holds up neither who sends nor, for long, the end; what is lost is counted, said once
// and never queued without bound.
func TestQueueIsBounded(t *testing.T) {
	faster(t, time.Minute, time.Millisecond, 50*time.Millisecond)
	hold, came := make(chan struct{}), make(chan struct{}, 1)
	q, f, l := receiver(t, func(http.ResponseWriter, *http.Request) {
		select {
		case came <- struct{}{}:
		default:
		}
		<-hold
	})
	defer close(hold)
	q.Send([]byte("first"))
	<-came
	began := time.Now()
	for range maxQueue + 10 {
		q.Send([]byte("{}"))
	}
	if d := time.Since(began); d > time.Second || f.lost.Load() != 10 {
		t.Errorf("sending took %v, %d lost", d, f.lost.Load())
	}
	began = time.Now()
	q.Close()
	if d := time.Since(began); d > 2*time.Second || f.lost.Load() != maxQueue+11 {
		t.Errorf("the end took %v, %d lost", d, f.lost.Load())
	}
	if said := l.String(); strings.Count(said, "\n") != 1 {
		t.Errorf("it says %s", said)
	}
}

// Errors tell nothing of the URL.
func TestPostErrorsHaveNoURL(t *testing.T) {
	failing := errors.New("no key")
	for _, p := range []*Poster{
		NewPoster("http://user:pass-word@127.0.0.1:1/?key=pass-word", HMAC("s")),
		NewPoster("http://pass-word\x7f/", HMAC("s")),
		NewPoster("http://127.0.0.1:1/", func(http.Header, []byte) error { return failing }),
	} {
		if err := p.Post(t.Context(), nil); err == nil || strings.Contains(err.Error(), "pass-word") {
			t.Errorf("%v", err)
		}
	}
}
