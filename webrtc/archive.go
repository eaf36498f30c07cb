package webrtc

import (
	"slices"
	"sync"
	"time"

	"tandem/webrtc/events"
)

const (
	// keepTime is how long the events of a session are kept after its end.
	keepTime = 10 * time.Minute
	// maxKept bounds how many ended sessions are kept; the oldest go first.
	maxKept = 64
)

// record has the results of a session, while it runs and after.
type record struct {
	hub    *events.Hub
	status func() status
}

// archive keeps the records of sessions that have ended, each for a time of its own clock, whether or not anybody asks.
type archive struct {
	keep time.Duration

	mu   sync.Mutex
	kept map[string]entry
	ids  []string // oldest first
}

type entry struct {
	record
	timer *time.Timer // erases it
}

func newArchive(keep time.Duration) *archive { return &archive{keep: keep, kept: map[string]entry{}} }

// add keeps the record of a session that has ended.
func (a *archive) add(id string, r record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ids) >= maxKept {
		a.drop(a.ids[0])
	}
	a.kept[id] = entry{r, time.AfterFunc(a.keep, func() { a.erase(id) })}
	a.ids = append(a.ids, id)
}

func (a *archive) find(id string) (record, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.kept[id]
	return e.record, ok
}

// erase erases a record, and reports whether there was one.
func (a *archive) erase(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.drop(id)
}

// drop is erase with the mutex held.
func (a *archive) drop(id string) bool {
	e, ok := a.kept[id]
	if ok {
		e.timer.Stop()
		delete(a.kept, id)
		a.ids = slices.DeleteFunc(a.ids, func(other string) bool { return other == id })
	}
	return ok
}

// close erases everything, and leaves no timer behind.
func (a *archive) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.ids) > 0 {
		a.drop(a.ids[0])
	}
}
