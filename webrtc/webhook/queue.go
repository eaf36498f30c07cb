package webhook

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxQueue is how many events may wait. When there are more the oldest is lost.
const maxQueue = 256

// What tests make shorter.
var (
	// tryTime is how long after an event it is tried to deliver it: a receiver may be replaced meanwhile.
	tryTime = time.Minute
	// firstWait is the time from the first try to the second. It doubles with each, up to maxWait.
	firstWait = 500 * time.Millisecond
	maxWait   = 8 * time.Second
	// flushTime bounds the wait for a receiver at the end.
	flushTime = 3 * time.Second
)

// complainTime is the least time between two lines of the log.
const complainTime = 10 * time.Second

// Queue delivers events one after the other, in their order, and tries again where a receiver fails for a while. A nil
// Queue takes events and does nothing.
type Queue struct {
	poster   *Poster
	log      *slog.Logger
	count    func(delivered bool)
	complain rate.Sometimes

	ctx    context.Context // of all posts
	cancel context.CancelFunc
	end    func() // has no further event taken
	ending chan struct{}
	ended  chan struct{}

	mu      sync.Mutex
	waiting []event
	closed  bool
	added   chan struct{} // capacity 1: there is something in waiting, or closed is set
}

type event struct {
	body []byte
	at   time.Time
}

// NewQueue makes a Queue whose Close closes the poster too. count is called for each event: it was delivered, or is
// given up.
func NewQueue(p *Poster, log *slog.Logger, count func(delivered bool)) *Queue {
	q := &Queue{
		poster: p, log: log, count: count, complain: rate.Sometimes{Interval: complainTime},
		ending: make(chan struct{}), ended: make(chan struct{}), added: make(chan struct{}, 1),
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.end = sync.OnceFunc(func() {
		q.mu.Lock()
		q.closed = true
		q.mu.Unlock()
		close(q.ending)
		q.tell()
	})
	go q.run()
	return q
}

// Send queues an event. It never waits.
func (q *Queue) Send(body []byte) {
	if q == nil {
		return
	}
	q.mu.Lock()
	closed, full := q.closed, len(q.waiting) == maxQueue
	if full {
		q.waiting = q.waiting[1:]
	}
	if !closed {
		q.waiting = append(q.waiting, event{body, time.Now()})
	}
	q.mu.Unlock()
	switch {
	case closed:
		q.lose("the server has ended")
	case full:
		q.lose("too many events wait: the receiver is too slow, or gone")
	}
	q.tell()
}

// Close delivers what waits, for at most 3 s, and gives the rest up.
func (q *Queue) Close() {
	if q == nil {
		return
	}
	q.end()
	timer := time.AfterFunc(flushTime, q.cancel)
	defer timer.Stop()
	<-q.ended
	q.cancel()
	q.poster.Close()
}

func (q *Queue) tell() {
	select {
	case q.added <- struct{}{}:
	default:
	}
}

func (q *Queue) run() {
	defer close(q.ended)
	for {
		e, ok := q.next()
		if !ok {
			return
		}
		q.deliver(e)
	}
}

// next waits for an event; false: none will come.
func (q *Queue) next() (event, bool) {
	for {
		q.mu.Lock()
		if len(q.waiting) > 0 {
			e := q.waiting[0]
			q.waiting = q.waiting[1:]
			q.mu.Unlock()
			return e, true
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return event{}, false
		}
		<-q.added
	}
}

// deliver tries until it succeeds or there is no more time. When the end begins the wait for the next try is over.
func (q *Queue) deliver(e event) {
	if time.Since(e.at) > tryTime {
		q.lose("the receiver was too slow, or gone, for too long")
		return
	}
	ending := q.ending
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		err := q.poster.Post(q.ctx, e.body)
		if err == nil {
			q.count(true)
			return
		}
		if !passing(err) || q.ctx.Err() != nil || time.Since(e.at)+wait > tryTime {
			q.lose(err.Error())
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-q.ctx.Done():
		case <-ending:
			ending = nil
		}
		timer.Stop()
	}
}

// lose counts an event that is given up.
func (q *Queue) lose(cause string) {
	q.count(false)
	q.complain.Do(func() { q.log.Warn("an event did not reach the webhook", "cause", cause) })
}
