package pipeline

import (
	"context"
	"sync"
)

// queue joins two stages, one goroutine at each end. Offline, push waits for room, so nothing is lost. Live,
// push never waits: when the queue is full the oldest item goes, and pop passes over items that have become
// stale, as long as there is something after them. dropped is called for each item that goes.
type queue[T any] struct {
	limit   int
	live    bool
	stale   func(T) bool // live
	dropped func(T)      // live; called with the lock held

	mu          sync.Mutex
	items       []T
	closed      bool
	ready, room chan struct{} // signals, of capacity 1
}

func newQueue[T any](limit int, live bool, stale func(T) bool, dropped func(T)) *queue[T] {
	return &queue[T]{
		limit: limit, live: live, stale: stale, dropped: dropped,
		ready: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// push adds an item, or returns the context's cause.
func (q *queue[T]) push(ctx context.Context, v T) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		q.mu.Lock()
		if q.live && len(q.items) >= q.limit {
			q.drop()
		}
		if len(q.items) < q.limit {
			q.items = append(q.items, v)
			q.mu.Unlock()
			signal(q.ready)
			return nil
		}
		q.mu.Unlock()
		select {
		case <-q.room:
		case <-ctx.Done():
		}
	}
}

// pop takes the oldest item. It returns false after the last of a closed queue, and the context's cause when
// ctx ends.
func (q *queue[T]) pop(ctx context.Context) (v T, ok bool, err error) {
	for {
		if ctx.Err() != nil {
			return v, false, context.Cause(ctx)
		}
		q.mu.Lock()
		for q.live && len(q.items) > 1 && q.stale(q.items[0]) {
			q.drop()
		}
		if len(q.items) > 0 {
			v = q.take()
			q.mu.Unlock()
			signal(q.room)
			return v, true, nil
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return v, false, nil
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
		}
	}
}

func (q *queue[T]) drop() { q.dropped(q.take()) }

func (q *queue[T]) take() T {
	v := q.items[0]
	n := copy(q.items, q.items[1:])
	clear(q.items[n:])
	q.items = q.items[:n]
	return v
}

// close ends the queue: nothing more is pushed.
func (q *queue[T]) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	signal(q.ready)
}
