package client

import (
	"sync"

	"tandem/pipeline"
)

// maxQueued is how many events a reader may be behind.
const maxQueued = 1024

// queue hands events to a reader that may be slow.
type queue struct {
	c chan pipeline.Event
	*queueState
}

type queueState struct {
	sync.Mutex
	closed                bool
	taken, missed, broken int
}

func newQueue() queue { return queue{make(chan pipeline.Event, maxQueued), &queueState{}} }

// parse takes a message of a data channel.
func (q queue) parse(b []byte) {
	e, err := pipeline.ParseEvent(b)
	q.Lock()
	defer q.Unlock()
	if err != nil {
		q.broken++
		return
	}
	if q.closed {
		return
	}
	q.taken++
	for {
		select {
		case q.c <- e:
			return
		default:
		}
		select { // the oldest
		case <-q.c:
			q.missed++
		default:
		}
	}
}

func (q queue) close() {
	q.Lock()
	defer q.Unlock()
	q.closed = true
	close(q.c)
}
