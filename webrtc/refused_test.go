package webrtc

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tandem/webrtc/peer"
	"tandem/webrtc/problem"
)

// The errors of a connection are answered as WHIP wants it, whatever they are wrapped in; others stay.
func TestRefusal(t *testing.T) {
	other := errors.New("secret of the inside")
	for _, c := range []struct {
		err    error
		status int // 0 for no problem
		detail string
		wait   time.Duration
	}{
		{&peer.OfferError{Err: errors.New("the offer is odd")}, 422, "the offer is odd", 0},
		{
			&peer.RateError{Wait: 2 * time.Second}, 429, "too many changes of one session: wait a little",
			2 * time.Second,
		},
		{peer.ErrExhausted, 503, "the server's machine is at its limits: try again in a while", 10 * time.Second},
		{peer.ErrClosed, 404, "there is no such session: it may have ended; open a new one", 0},
		{peer.ErrStale, 412, "the ICE session has been restarted since: use the newest ETag", 0},
		{other, 0, "", 0},
		{nil, 0, "", 0},
	} {
		for _, err := range []error{c.err, fmt.Errorf("wrapped: %w", c.err)} {
			if c.err == nil {
				err = nil
			}
			got := refusal(err)
			var p *problem.Error
			switch {
			case c.status == 0:
				if got != err {
					t.Errorf("%v becomes %v", err, got)
				}
			case !errors.As(got, &p) || p.Status != c.status || p.Detail != c.detail || p.RetryAfter != c.wait:
				t.Errorf("%v becomes %#v, want status %d", err, got, c.status)
			}
		}
	}
}
