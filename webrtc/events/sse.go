package events

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"tandem/webrtc/problem"
)

// keepAlive is how often a comment is sent where nothing else is, so that proxies keep the connection and a reader
// that has gone is noticed.
const keepAlive = 15 * time.Second

// retryAfter is when a reader that was turned away may try again.
const retryAfter = 10 * time.Second

// ServeSSE sends the hub's events as server-sent events (WHATWG HTML section 9.2): `event` is the event's type, `data`
// its JSON. It returns after the end event, or when the reader has gone. How long a reader may take nothing is w's to
// say.
// Over maxSSE readers at a time are turned away: each holds a connection and a queue.
func (h *Hub) ServeSSE(w http.ResponseWriter, r *http.Request) {
	if !h.join() {
		problem.Write(w, &problem.Error{
			Status: http.StatusServiceUnavailable, RetryAfter: retryAfter,
			Detail: fmt.Sprintf("%d read the events of this session already: close one first", maxSSE),
		})
		return
	}
	defer h.leave()
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would hold events back
	c := http.NewResponseController(w)
	reader := h.Read()
	defer reader.Close()
	send := func(format string, args ...any) error {
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return err
		}
		return c.Flush()
	}
	if send(": tandem\n\n") != nil {
		return
	}
	for {
		ctx, cancel := context.WithTimeoutCause(r.Context(), keepAlive, errQuiet)
		m, err := reader.Next(ctx)
		cancel()
		switch {
		case errors.Is(err, errQuiet):
			err = send(": \n\n")
		case err == nil:
			err = send("event: %s\ndata: %s\n\n", m.Kind, m.JSON)
		}
		if err != nil {
			return
		}
	}
}

// join takes a reader's place, if there is one.
func (h *Hub) join() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams >= maxSSE {
		return false
	}
	h.streams++
	return true
}

func (h *Hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams--
}

var errQuiet = errors.New("nothing to send")
