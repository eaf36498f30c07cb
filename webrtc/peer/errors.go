package peer

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrClosed is returned for a Peer that is closed, by either side.
	ErrClosed = errors.New("the connection is closed")
	// ErrStale is returned for candidates of another ICE session than the current one.
	ErrStale = errors.New("the candidates are of another ICE session")
	// errNoCredentials is a fault of the caller: fragments without them add candidates.
	errNoCredentials = errors.New("an ICE restart needs a=ice-ufrag and a=ice-pwd")
)

// errNoCodec is wrapped by the OfferError of an offer of which the answer leaves a track out.
var errNoCodec = errors.New("a track of the offer has no codec that this server knows: " +
	"offer Opus, VP8 or H.264 in baseline, main or high profile")

// OfferError is returned for an offer that can't be answered, though signal.ParseOffer found it fit. Its text is for
// the client.
type OfferError struct{ Err error }

func (e *OfferError) Error() string { return e.Err.Error() }
func (e *OfferError) Unwrap() error { return e.Err }

func unanswerable(err error) error {
	return &OfferError{fmt.Errorf("the offer can't be answered: %w", err)}
}

// RateError is returned for a change of a connection that follows too soon on those before it.
type RateError struct {
	Wait time.Duration // until the next may be tried
}

func (e *RateError) Error() string { return "too many changes of one session: wait a little" }
