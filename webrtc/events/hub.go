// Package events hands a session's events to whoever reads them: data channels, server-sent events, and a CSV for when
// it has ended.
package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"

	"tandem/pipeline"
)

// Bounds on what is kept of one session.
const (
	maxQueued = 16       // windows that a reader may be behind, about four seconds
	maxCSV    = 16 << 20 // bytes: about a day of one face
	maxSSE    = 16       // readers of server-sent events at a time
)

// Kind is the type of an event, as it stands in its JSON.
type Kind string

// The kinds.
const (
	Start  Kind = "start"
	Window Kind = "window"
	End    Kind = "end"
)

// Message is one event as JSON. It is shared: do not write to it.
type Message struct {
	Kind Kind
	JSON []byte
}

// Hub takes the events of one session and gives them to any number of readers. A reader that is slow loses windows,
// the oldest first, and never the start or the end; it never holds up the session.
type Hub struct {
	mu      sync.Mutex
	start   *Message
	end     *Message
	closed  bool
	readers []*Reader
	streams int // readers of server-sent events
	csv     bytes.Buffer
	rows    pipeline.EventWriter
	cut     bool // the CSV lacks its end
	missed  int
}

// NewHub makes a hub; raw adds the CSV's columns for pipeline.Options.Raw.
func NewHub(raw bool) *Hub {
	h := &Hub{}
	h.rows = pipeline.NewCSVWriter(&h.csv, raw)
	return h
}

// Emit takes the next event, as pipeline.Run's emit.
func (h *Hub) Emit(e pipeline.Event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	m := &Message{Window, b}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	switch {
	case e.Start != nil:
		m.Kind, h.start = Start, m
	case e.End != nil:
		m.Kind, h.end = End, m
	}
	if h.csv.Len() > maxCSV {
		h.cut = true
	} else if err := h.rows.Write(e); err != nil {
		return err
	}
	for _, r := range h.readers {
		r.put(m)
	}
	return nil
}

// Close ends the events. Readers get what is queued, then io.EOF.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, r := range h.readers {
		r.wake()
	}
}

// CSV returns the session's windows as docs/output.md has them, once it has ended; cut: the session was too long to
// be kept whole. It is shared: do not write to it.
func (h *Hub) CSV() (csv []byte, cut, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		return nil, false, false
	}
	return h.csv.Bytes(), h.cut, true
}

// Missed returns how many windows slow readers have lost.
func (h *Hub) Missed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.missed
}

// Reader reads a hub's events. One goroutine may use it.
type Reader struct {
	h     *Hub
	queue []*Message // guarded by the hub's mutex
	ready chan struct{}
}

// Read adds a reader, which begins with the start event, if that has been, and goes on with what comes now. One that
// comes after the end gets start and end.
func (h *Hub) Read() *Reader {
	r := &Reader{h: h, ready: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.start != nil {
		r.queue = append(r.queue, h.start)
	}
	if h.end != nil {
		r.queue = append(r.queue, h.end)
	}
	h.readers = append(h.readers, r)
	return r
}

// put is called with the hub's mutex held.
func (r *Reader) put(m *Message) {
	windows, oldest := 0, -1
	for i, q := range r.queue {
		if q.Kind == Window {
			windows++
			if oldest < 0 {
				oldest = i
			}
		}
	}
	if m.Kind == Window && windows >= maxQueued {
		r.queue = slices.Delete(r.queue, oldest, oldest+1)
		r.h.missed++
	}
	r.queue = append(r.queue, m)
	r.wake()
}

func (r *Reader) wake() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// Next waits for the next event. It returns io.EOF after the last, and ctx's cause when ctx ends.
func (r *Reader) Next(ctx context.Context) (Message, error) {
	for {
		r.h.mu.Lock()
		if len(r.queue) > 0 {
			m := r.queue[0]
			r.queue = slices.Delete(r.queue, 0, 1)
			r.h.mu.Unlock()
			return *m, nil
		}
		closed := r.h.closed
		r.h.mu.Unlock()
		if closed {
			return Message{}, io.EOF
		}
		select {
		case <-r.ready:
		case <-ctx.Done():
			return Message{}, context.Cause(ctx)
		}
	}
}

// Close takes the reader off the hub.
func (r *Reader) Close() error {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	i := slices.Index(r.h.readers, r)
	if i < 0 {
		return errors.New("events: the reader is closed already")
	}
	r.h.readers = slices.Delete(r.h.readers, i, i+1)
	return nil
}
