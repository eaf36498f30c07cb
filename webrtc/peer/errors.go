package peer

import (
	"errors"
	"net"
	"syscall"
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

// ErrExhausted is returned where the machine gives the server no more sockets, so that a client can't be answered now.
var ErrExhausted = errors.New("no sockets are left")

// errUnanswerable is wrapped by the OfferError of an offer that pion refuses; why, in pion's words, is logged.
var errUnanswerable = errors.New("the offer can't be answered: it contradicts itself, or has what no browser offers; " +
	"send what createOffer gave")

// errNoCodec is wrapped by the OfferError of an offer of which the answer leaves a track out.
var errNoCodec = errors.New("a track of the offer has no codec that this server knows: " +
	"offer Opus, VP8 or H.264 in baseline, main or high profile")

// OfferError is returned for an offer that can't be answered, though signal.ParseOffer found it fit. Its text is for
// the client.
type OfferError struct{ Err error }

func (e *OfferError) Error() string { return e.Err.Error() }
func (e *OfferError) Unwrap() error { return e.Err }

// exhausted reports whether an error of pion's is of a machine that gives no more sockets. Pion doesn't wrap all that
// the system says, so that it is asked too.
func exhausted(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	probe, err := net.ListenUDP("udp", nil)
	if err != nil {
		return true
	}
	_ = probe.Close()
	return false
}

// RateError is returned for a change of a connection that follows too soon on those before it.
type RateError struct {
	Wait time.Duration // until the next may be tried
}

func (e *RateError) Error() string { return "too many changes of one session: wait a little" }
