package events

import (
	"context"
	"io"
	"sync"
	"time"
)

// The data channels and their protocol.
const (
	Protocol     = "tandem.v1"
	Label        = "events"       // windows; all events if it is ordered and reliable
	ReliableName = "events-state" // start and end beside a channel that may lose messages
)

// maxBuffered is the number of bytes that may wait in a data channel before windows are left out: a second's or so.
const maxBuffered = 16 << 10

// Channel is a data channel, as far as it is used.
type Channel interface {
	SendText(string) error
	BufferedAmount() uint64
}

// Channels sends a hub's events on data channels.
type Channels struct {
	hub *Hub

	mu       sync.Mutex
	windows  Channel
	reliable Channel
	missed   int
	changed  chan struct{} // capacity 1
}

// NewChannels makes a sender without channels; what is due before there are any waits, as for any slow reader.
func NewChannels(h *Hub) *Channels { return &Channels{hub: h, changed: make(chan struct{}, 1)} }

// Use sets the channels that are open: where windows go, and where start and end do. They may be one. A later call
// replaces those of an earlier one.
func (c *Channels) Use(windows, reliable Channel) {
	c.mu.Lock()
	c.windows, c.reliable = windows, reliable
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// Missed returns how many windows were left out because a channel was full.
func (c *Channels) Missed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.missed
}

// Run sends until the hub's last event is out and delivered as far as is known, or ctx ends.
func (c *Channels) Run(ctx context.Context) {
	r := c.hub.Read()
	defer r.Close()
	var start string
	var started Channel // has had the start
	for {
		windows, reliable := c.channels()
		if windows == nil {
			select {
			case <-c.changed:
				continue
			case <-ctx.Done():
				return
			}
		}
		m, err := r.Next(ctx)
		if err != nil {
			if err == io.EOF {
				drain(ctx, reliable)
			}
			return
		}
		// The channel may have been replaced meanwhile.
		windows, reliable = c.channels()
		if m.Kind == End {
			drain(ctx, windows) // or a window could come after the end
		}
		if m.Kind == Start {
			start = string(m.JSON)
		}
		if start != "" && started != reliable {
			_ = reliable.SendText(start) // again, where a client's own channel has come late
			started = reliable
		}
		if m.Kind == Start {
			continue
		}
		to := reliable
		if m.Kind == Window {
			if to = windows; to.BufferedAmount() > maxBuffered {
				c.mu.Lock()
				c.missed++
				c.mu.Unlock()
				continue
			}
		}
		// An error means that the channel was closed: the client may open another.
		_ = to.SendText(string(m.JSON))
	}
}

func (c *Channels) channels() (windows, reliable Channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.windows, c.reliable
}

// drain waits until what was sent has been acknowledged. Pion has no event for that below its threshold for all
// channels alike, and this happens once a session.
func drain(ctx context.Context, c Channel) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for c.BufferedAmount() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
