package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tandem/pipeline"
	"tandem/webrtc/client"
)

// dialTime bounds how long a session may take to be connected, on a machine that has other work.
const dialTime = 20 * time.Second

// publisher is a session to which a clip is sent, over and over.
type publisher struct {
	*client.Session
	stop          context.CancelFunc
	wg            sync.WaitGroup
	windows, both atomic.Int64 // events that came, and those with both senses
	ended         atomic.Bool  // the end event came

	mu  sync.Mutex
	err error // why it ended too early
}

// dial opens a session and begins to publish. take, unless nil, sees each event.
func dial(ctx context.Context, clip *client.Clip, o client.Options, take func(pipeline.Event)) (*publisher, error) {
	o.Loopback, o.Codecs = true, clip.Codecs()
	dialing, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	s, err := client.Dial(dialing, o)
	if err != nil {
		return nil, err
	}
	p := &publisher{Session: s}
	publishing, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	p.wg.Go(func() {
		for e := range s.Events() {
			if w := e.Window; w != nil {
				p.windows.Add(1)
				if w.Audio && w.Video {
					p.both.Add(1)
				}
			}
			if e.End != nil {
				p.ended.Store(true)
			}
			if take != nil {
				take(e)
			}
		}
	})
	p.wg.Go(func() {
		if err := s.Publish(publishing, clip, client.PublishOptions{Loop: true}); publishing.Err() == nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.err = fmt.Errorf("a session ended too early: %w", err)
		}
	})
	return p, nil
}

// failed returns why publishing ended too early; nil if it has not.
func (p *publisher) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// closeTime bounds how long the end of a session may take.
const closeTime = 10 * time.Second

// close ends the session and waits for all of it.
func (p *publisher) close() error {
	p.stop()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := p.Close(ctx)
	p.wg.Wait()
	return err
}

// closeAll ends sessions, all at a time.
func closeAll(list []*publisher) error {
	faults := make([]error, len(list))
	var wg sync.WaitGroup
	for i, p := range list {
		wg.Go(func() { faults[i] = p.close() })
	}
	wg.Wait()
	return errors.Join(faults...)
}

// publishers are the sessions of a point.
type publishers struct {
	clip *client.Clip
	url  string
	list []*publisher

	mu        sync.Mutex
	recording bool
	latencies []time.Duration
}

// start opens n sessions. They are spread over a hop and over the clip, as those of people would be.
func (l *publishers) start(ctx context.Context, n int) error {
	for i := range n {
		if i > 0 {
			if err := sleep(ctx, spread); err != nil {
				return err
			}
		}
		p, err := dial(ctx, l.clip, client.Options{URL: l.url}, l.take)
		if err != nil {
			return err
		}
		l.list = append(l.list, p)
	}
	return nil
}

// spread is the time between the beginnings of two sessions.
const spread = 137 * time.Millisecond

// take takes the latency of an event.
func (l *publishers) take(e pipeline.Event) {
	if e.Window == nil || e.Window.Latency == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.recording {
		l.latencies = append(l.latencies, *e.Window.Latency)
	}
}

// record begins or ends the taking of latencies, and returns those taken.
func (l *publishers) record(on bool) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recording = on
	return l.latencies
}

func (l *publishers) failed() error {
	for _, p := range l.list {
		if err := p.failed(); err != nil {
			return err
		}
	}
	return nil
}

// bytes returns the number of bytes that all sessions have sent.
func (l *publishers) bytes() (n int) {
	for _, p := range l.list {
		st := p.Stats()
		n += st.Audio.Bytes + st.Video.Bytes
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
