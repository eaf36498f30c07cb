package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tandem/capture/av"
)

// PublishOptions for Publish. The zero value sends a clip once, in real time.
type PublishOptions struct {
	Loop bool // from the start again, until ctx ends; the time goes on without a jump
	// Speed is how many media seconds are sent in a second; 1 if 0. The receiver's clock goes faster by that much, as
	// by no camera.
	Speed float64
}

// Publish sends a clip, each packet when its time has come, and returns at the clip's end. What the server took no
// codec for is left out. It returns ctx's cause when ctx ends, and Err when the session does; a connection that is
// lost changes nothing. One clip can be published at a time; the next follows on in time.
func (s *Session) Publish(ctx context.Context, c *Clip, o PublishOptions) error {
	speed := o.Speed
	if speed == 0 {
		speed = 1
	}
	if !(speed >= 0.01 && speed <= 100) {
		return fmt.Errorf("client: a speed of %v: give 0.01 to 100", o.Speed)
	}
	out := map[av.Codec]*track{}
	for _, codec := range c.codecs {
		for _, t := range s.tracks() {
			if t.takes(codec) {
				out[codec] = t
			}
		}
	}
	if len(out) == 0 {
		return errNoCodec
	}
	from, at, err := s.begin()
	if err != nil {
		return err
	}
	defer s.finish(&at)
	wait := waiter{ctx: ctx, s: s, timer: time.NewTimer(0)}
	defer wait.timer.Stop()
	first := at
	due := func(t time.Duration) time.Time { return from.Add(time.Duration(float64(t-first) / speed)) }
	for base := at; ; base += c.length {
		for i := range c.units {
			u := &c.units[i]
			t := out[u.codec]
			if t == nil {
				continue
			}
			at = base + u.at // what follows a clip that is cut short takes the place of the rest
			if err := wait.until(due(at)); err != nil {
				return err
			}
			t.send(u, at)
		}
		at = base + c.length
		if err := wait.until(due(at)); err != nil {
			return err
		}
		if !o.Loop {
			return nil
		}
	}
}

// errPublishing is returned by Publish while another clip is being published.
var errPublishing = errors.New("client: a clip is being published already: " +
	"wait for its end, or end it by its context")

// begin returns now, on the wall and on the session's clock. Both go on between clips.
func (s *Session) begin() (time.Time, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.Err(); err != nil {
		return time.Time{}, 0, err
	}
	if s.publishing {
		return time.Time{}, 0, errPublishing
	}
	s.publishing = true
	now := time.Now()
	if s.start.IsZero() {
		s.start = now
	}
	at := max(s.at, now.Sub(s.start))
	if d := now.Sub(s.start) - s.at; d < seamTime { // right behind the last, even if that ended a little late
		at = s.at
	}
	return now, at, nil
}

// seamTime is the time between two clips below which there is no gap between them.
const seamTime = 10 * time.Millisecond

// finish ends a publication that has come as far as at.
func (s *Session) finish(at *time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publishing = false
	s.at = *at
}

type waiter struct {
	ctx   context.Context
	s     *Session
	timer *time.Timer
}

// until waits for a time, unless it has passed.
func (w *waiter) until(t time.Time) error {
	w.timer.Reset(max(time.Until(t), 0))
	select {
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	case <-w.s.ctx.Done():
		return w.s.Err()
	case <-w.timer.C:
	}
	// A timer that is due may be chosen over a context that has ended.
	return context.Cause(w.ctx)
}
