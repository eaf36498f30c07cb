package capture

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// What a live source keeps for a reader that is behind. Beyond it the oldest is dropped and counted.
const (
	maxQueuedFrames  = 8
	maxQueuedPixels  = 64 << 20 // bytes, so that 8K pictures do not fill the memory; one is always kept
	maxQueuedSamples = 2 * SampleRate
)

// queue is bounded, for one writer and one reader: the latest wins.
type queue struct {
	ready chan struct{} // capacity 1: something has changed

	mu      sync.Mutex
	items   []Media
	frames  int
	pixels  int
	samples int
	drops   Drops
	end     error // after the items; nil while open
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

// put adds m and drops the oldest of its kind if there are too many.
func (q *queue) put(m Media) {
	q.mu.Lock()
	if q.end != nil {
		q.mu.Unlock()
		return
	}
	q.items = append(q.items, m)
	q.count(m, 1)
	for q.frames > maxQueuedFrames || q.pixels > maxQueuedPixels && q.frames > 1 {
		q.drops.Frames++
		q.drop(func(m Media) bool { return m.Frame != nil })
	}
	for q.samples > maxQueuedSamples {
		dropped := q.drop(func(m Media) bool { return m.Samples != nil })
		q.drops.Samples += len(dropped.Samples.Data)
	}
	q.mu.Unlock()
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *queue) count(m Media, by int) {
	if m.Frame != nil {
		q.frames += by
		q.pixels += by * len(m.Frame.Pix)
	} else {
		q.samples += by * len(m.Samples.Data)
	}
}

// drop takes out the first item that is of the kind.
func (q *queue) drop(kind func(Media) bool) Media {
	for i, m := range q.items {
		if kind(m) {
			q.items = append(q.items[:i], q.items[i+1:]...)
			q.count(m, -1)
			return m
		}
	}
	return Media{}
}

// addDrops counts what was lost before it came to the queue.
func (q *queue) addDrops(d Drops) {
	q.mu.Lock()
	q.drops.Frames += d.Frames
	q.drops.Samples += d.Samples
	q.mu.Unlock()
}

// close ends the queue: after its items get returns err. Only the first close counts.
func (q *queue) close(err error) {
	q.mu.Lock()
	if q.end == nil {
		q.end = err
	}
	q.mu.Unlock()
	q.wake()
}

func (q *queue) get(ctx context.Context) (Media, error) {
	for {
		if err := context.Cause(ctx); err != nil {
			return Media{}, err
		}
		q.mu.Lock()
		if len(q.items) > 0 {
			m := q.items[0]
			q.items[0] = Media{}
			q.items = q.items[1:]
			q.count(m, -1)
			q.mu.Unlock()
			return m, nil
		}
		end := q.end
		q.mu.Unlock()
		if end != nil {
			q.wake() // for the next get
			return Media{}, end
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
		}
	}
}

// live is a feed with a goroutine of its own that fills it, so that a slow reader loses media rather than delaying it.
type live struct {
	*Feed
	start  time.Time // wall clock of media time 0
	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has ended
}

// newLive runs pump until it ends or ctx does; after the last item Read returns pump's error, io.EOF for
// nil. pump names the source in its errors and must return soon after ctx ends.
func newLive(info Info, start time.Time, pump func(ctx context.Context, l *live) error) *live {
	ctx, cancel := context.WithCancel(context.Background())
	l := &live{Feed: NewFeed(info), start: start, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		err := pump(ctx, l)
		if ctx.Err() != nil {
			err = fmt.Errorf("%s: %w", info.Name, os.ErrClosed)
		}
		l.End(err)
	}()
	return l
}

// Close ends the goroutine and waits for it.
func (l *live) Close() error {
	l.cancel()
	<-l.done
	return nil
}

// origin is the wall clock at which the source's media time is 0.
func (l *live) origin() time.Time { return l.start }

// sleepUntil waits for a wall-clock time; it returns the context's cause if that ends first.
func sleepUntil(ctx context.Context, at time.Time) error {
	d := time.Until(at)
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
