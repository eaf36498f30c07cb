package events_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/pipeline"
	"tandem/webrtc/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	start = pipeline.Event{Start: &pipeline.StartEvent{Source: "s", Emotions: []string{"neutral", "happy"}}}
	end   = pipeline.Event{End: &pipeline.EndEvent{}}
)

func window(i int) pipeline.Event {
	return pipeline.Event{Window: &pipeline.WindowEvent{T: time.Duration(i) * time.Second}}
}

func emit(t *testing.T, h *events.Hub, es ...pipeline.Event) {
	t.Helper()
	for _, e := range es {
		if err := h.Emit(e); err != nil {
			t.Fatal(err)
		}
	}
}

// rest are the kinds of what a reader still gets, by their first letters.
func rest(t *testing.T, r *events.Reader) string {
	t.Helper()
	var out []byte
	for {
		m, err := r.Next(t.Context())
		if err == io.EOF {
			return string(out)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pipeline.ParseEvent(m.JSON); err != nil {
			t.Error(err)
		}
		out = append(out, m.Kind[0])
	}
}

// Readers that come early, late and after the end get what they should; a slow one loses the oldest windows alone.
func TestHub(t *testing.T) {
	h := events.NewHub(false)
	early := h.Read()
	emit(t, h, start, window(1), window(2))
	late := h.Read()
	emit(t, h, window(3))
	slow := h.Read()
	for i := range 40 {
		emit(t, h, window(4+i))
	}
	if _, _, ok := h.CSV(); ok {
		t.Error("a CSV before the end")
	}
	emit(t, h, end)
	h.Close()
	emit(t, h, window(99)) // nobody hears it
	after := h.Read()
	sixteen := strings.Repeat("w", 16)
	for name, got := range map[string]string{"early": rest(t, early), "late": rest(t, late), "slow": rest(t, slow)} {
		if want := "s" + sixteen + "e"; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := rest(t, after); got != "se" {
		t.Errorf("after the end: %s", got)
	}
	if h.Missed() != 43-16+41-16+40-16 {
		t.Errorf("%d missed", h.Missed())
	}
	if csv, cut, ok := h.CSV(); !ok || cut || strings.Count(string(csv), "\n") != 44 {
		t.Errorf("%s", csv)
	}
	if slow.Close() != nil || slow.Close() == nil {
		t.Error("closing twice")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := events.NewHub(false).Read().Next(ctx); err != why {
		t.Error(err)
	}
}

// channel is a data channel in memory; one that is stuck takes nothing.
type channel struct {
	mu    sync.Mutex
	sent  []string
	stuck bool
}

func (c *channel) SendText(s string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, s)
	return nil
}

func (c *channel) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}

func (c *channel) BufferedAmount() uint64 {
	if c.stuck {
		return 1 << 20
	}
	return 0
}

// Start and end go by the reliable channel, windows by the other; a channel that is full loses windows and holds
// nothing up.
func TestChannels(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		h := events.NewHub(false)
		c := events.NewChannels(h)
		// One that is stuck is waited for until the context ends; the other ends by itself.
		bound := 20 * time.Second
		if stuck {
			bound = 2 * time.Second
		}
		ctx, cancel := context.WithTimeout(t.Context(), bound)
		done := make(chan struct{})
		go func() { defer close(done); c.Run(ctx) }()
		emit(t, h, start)
		windows, reliable := &channel{stuck: stuck}, &channel{}
		c.Use(windows, reliable)
		time.Sleep(50 * time.Millisecond) // until it reads
		for i := range 5 {
			emit(t, h, window(i))
			time.Sleep(5 * time.Millisecond)
		}
		emit(t, h, end)
		h.Close()
		<-done
		cancel()
		want, missed := 5, 0
		if stuck {
			want, missed = 0, 5
		}
		if len(windows.sent) != want || c.Missed() != missed || len(reliable.sent) != 2 {
			t.Errorf("stuck %v: %d windows, %d missed, %d others", stuck, len(windows.sent), c.Missed(),
				len(reliable.sent))
		}
	}
	// Without a channel it ends with its context.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	events.NewChannels(events.NewHub(false)).Run(ctx)
}

// A client's own channel that comes after the server's were in use takes their place, and begins with the start.
func TestLateChannel(t *testing.T) {
	h := events.NewHub(false)
	c := events.NewChannels(h)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	emit(t, h, start)
	theirs, own := &channel{}, &channel{}
	c.Use(theirs, theirs)
	for theirs.count() < 1 {
		time.Sleep(time.Millisecond)
	}
	c.Use(own, own)
	emit(t, h, window(0))
	emit(t, h, end)
	h.Close()
	<-done
	if own.count() != 3 || !strings.Contains(own.sent[0], `"type":"start"`) || theirs.count() != 1 {
		t.Errorf("%v; on the server's %v", own.sent, theirs.sent)
	}
}

// Server-sent events are as the standard has them, and a reader that goes is let go.
func TestSSE(t *testing.T) {
	h := events.NewHub(false)
	s := httptest.NewServer(http.HandlerFunc(h.ServeSSE))
	defer s.Close()
	defer http.DefaultClient.CloseIdleConnections()
	emit(t, h, start)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	} else {
		res.Body.Close()
	}
	cancel()
	time.AfterFunc(100*time.Millisecond, func() {
		h.Emit(window(1))
		h.Emit(end)
		h.Close()
	})
	res, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.Header.Get("Content-Type") != "text/event-stream" ||
		!strings.Contains(string(b), "event: start\ndata: {\"v\":1,") ||
		!strings.Contains(string(b), "}\n\nevent: window\ndata: {") ||
		!strings.HasSuffix(string(b), "}\n\n") {
		t.Errorf("%v\n%s", res.Header, b)
	}
}

// Only so many readers hold a connection at a time; the next is told to wait, and one that goes makes room.
func TestSSELimit(t *testing.T) {
	h := events.NewHub(false)
	s := httptest.NewServer(http.HandlerFunc(h.ServeSSE))
	defer s.Close()
	defer http.DefaultClient.CloseIdleConnections()
	open := func() *http.Response {
		t.Helper()
		res, err := http.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	first := open()
	for range 15 {
		res := open()
		defer res.Body.Close()
		if res.StatusCode != 200 {
			t.Fatalf("status %d", res.StatusCode)
		}
	}
	res := open()
	res.Body.Close()
	if got := res.Header; res.StatusCode != 503 || got.Get("Retry-After") == "" ||
		got.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the 17th: %d, %v", res.StatusCode, got)
	}
	first.Body.Close()
	for range 100 {
		res = open()
		defer res.Body.Close()
		if res.StatusCode == 200 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if res.StatusCode != 200 {
		t.Errorf("after one has gone: %d", res.StatusCode)
	}
	h.Close()
}
