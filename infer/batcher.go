package infer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tandem/pipeline"
)

// Batcher shares one recognizer among many live streams: whatever windows are due when a worker is free go through
// the network together. A window that cannot be recognised before its stream's next one is due is given up, so that a
// machine with too much to do loses windows rather than time; the streams that were served longest ago go first, so
// that all lose alike.
type Batcher struct {
	rec   pipeline.Recognizer
	limit int
	hop   time.Duration

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ready  chan struct{} // capacity 1: there may be requests

	workers int
	busy    atomic.Int64 // nanoseconds that all workers have spent on batches

	mu      sync.Mutex
	waiting []*request
	turn    int // counts batches
}

// request is the batch of windows that one stream waits for. The batcher's mutex guards it until a worker takes it.
type request struct {
	stream  *Stream
	windows []*pipeline.Window
	expires time.Time
	done    chan struct{} // closed with the answer
	answer  []pipeline.Prediction
	err     error
}

// NewBatcher starts workers goroutines, each with one batch of about limit windows at most at a time; 0 stands for 1
// worker and 32 windows. Close ends them. The recognizer stays the caller's to close.
func NewBatcher(rec pipeline.Recognizer, workers, limit int) *Batcher {
	if limit <= 0 {
		limit = defaultMaxBatch
	}
	b := &Batcher{
		rec: rec, limit: limit, hop: rec.Spec().Hop, workers: max(workers, 1), ready: make(chan struct{}, 1),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	for range b.workers {
		b.wg.Go(b.work)
	}
	return b
}

// Close ends the workers and waits for them. Whoever still waits gets ErrClosed.
func (b *Batcher) Close() error {
	b.cancel()
	b.wg.Wait()
	return nil
}

// Busy returns how long a worker has been at work on batches since the start, in the mean over all workers: its
// difference over a time, divided by that time, is the share of it that was used. It is time of the clock, so that a
// machine whose cores do other work as well is the busier for it.
func (b *Batcher) Busy() time.Duration {
	return time.Duration(b.busy.Load()) / time.Duration(b.workers)
}

// Stream is the recognizer of one live stream; it has at most one request at a time.
type Stream struct {
	b      *Batcher
	served int // the turn of its last batch
}

// Stream makes a recognizer for one more stream.
func (b *Batcher) Stream() *Stream { return &Stream{b: b} }

// Spec is the shape of the windows.
func (s *Stream) Spec() pipeline.Spec { return s.b.rec.Spec() }

// Labels names the outputs.
func (s *Stream) Labels() pipeline.Labels { return s.b.rec.Labels() }

// Recognize waits for its turn. After one hop it gives up with pipeline.ErrLate, since the next window is due then.
func (s *Stream) Recognize(ctx context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	b := s.b
	r := &request{stream: s, windows: ws, expires: time.Now().Add(b.hop), done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, r)
	b.mu.Unlock()
	b.wake()
	expired := time.NewTimer(b.hop)
	defer expired.Stop()
	for {
		select {
		case <-r.done:
			return r.answer, r.err
		case <-ctx.Done():
			b.withdraw(r)
			return nil, context.Cause(ctx)
		case <-b.ctx.Done():
			return nil, ErrClosed
		case <-expired.C:
			if b.withdraw(r) {
				return nil, fmt.Errorf("%w: waited for %v", pipeline.ErrLate, b.hop)
			}
			// A worker has it already: the answer is nearly there, and dropping it would save nothing.
		}
	}
}

func (b *Batcher) wake() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// withdraw takes a request out of the queue; it returns false if a worker took it before.
func (b *Batcher) withdraw(r *request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waiting, r)
	if i < 0 {
		return false
	}
	b.waiting = slices.Delete(b.waiting, i, i+1)
	return true
}

// take removes the requests of the next batch from the queue.
func (b *Batcher) take() []*request {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	// One whose time is over is left for its own timer.
	live := slices.DeleteFunc(slices.Clone(b.waiting), func(r *request) bool { return now.After(r.expires) })
	slices.SortStableFunc(live, func(a, c *request) int { return a.stream.served - c.stream.served })
	n := 0
	for i, r := range live {
		if n += len(r.windows); i > 0 && n > b.limit {
			live = live[:i]
			break
		}
	}
	if len(live) == 0 {
		return nil
	}
	b.turn++
	for _, r := range live {
		r.stream.served = b.turn
		b.waiting = slices.Delete(b.waiting, slices.Index(b.waiting, r), slices.Index(b.waiting, r)+1)
	}
	if len(b.waiting) > 0 {
		b.wake() // for another worker, or this one again
	}
	return live
}

func (b *Batcher) work() {
	for {
		select {
		case <-b.ready:
		case <-b.ctx.Done():
			return
		}
		for batch := b.take(); len(batch) > 0; batch = b.take() {
			start := time.Now()
			b.recognize(batch)
			b.busy.Add(int64(time.Since(start)))
		}
	}
}

// recognize answers the requests of one batch.
func (b *Batcher) recognize(batch []*request) {
	var ws []*pipeline.Window
	for _, r := range batch {
		ws = append(ws, r.windows...)
	}
	ps, err := b.rec.Recognize(b.ctx, ws)
	if err == nil && len(ps) != len(ws) {
		err = fmt.Errorf("the recognizer gave %d predictions for %d windows", len(ps), len(ws))
	}
	if err != nil && len(batch) > 1 && b.ctx.Err() == nil {
		// One stream's window must not spoil the others'.
		for _, r := range batch {
			b.recognize([]*request{r})
		}
		return
	}
	for _, r := range batch {
		if err != nil {
			r.err = err
		} else {
			r.answer, ps = ps[:len(r.windows):len(r.windows)], ps[len(r.windows):]
		}
		close(r.done)
	}
}
