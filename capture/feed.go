package capture

import (
	"context"
	"fmt"
	"io"
	"os"
)

// Feed is a live Source that others put media into, such as what comes from a network. Any number of goroutines may
// put; one reads.
type Feed struct {
	*queue
	info Info
}

// NewFeed returns a feed that info describes. It is live, whatever info.Live is.
func NewFeed(info Info) *Feed {
	info.Live = true
	return &Feed{queue: newQueue(), info: info}
}

// Put adds an item, which the reader then owns. It never waits: if the reader is behind, the oldest item of the same
// modality is dropped and counted. After End or Close it does nothing.
func (f *Feed) Put(m Media) { f.put(m) }

// AddDrops counts what was lost before it came to the feed.
func (f *Feed) AddDrops(d Drops) { f.addDrops(d) }

// End ends the feed: after the last item Read returns err, which names the feed as those of every Source do, io.EOF for
// nil. Only the first End counts.
func (f *Feed) End(err error) {
	if err == nil {
		err = io.EOF
	}
	f.close(err)
}

// Info returns what was given to NewFeed, with Live set.
func (f *Feed) Info() Info { return f.info }

// Read returns the next item; see Source.
func (f *Feed) Read(ctx context.Context) (Media, error) { return f.get(ctx) }

// Drops returns what was lost.
func (f *Feed) Drops() Drops {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drops
}

// Close ends the feed, as End does with os.ErrClosed.
func (f *Feed) Close() error {
	f.End(fmt.Errorf("%s: %w", f.info.Name, os.ErrClosed))
	return nil
}
