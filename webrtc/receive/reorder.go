package receive

import (
	"slices"
	"time"

	"github.com/pion/rtp"
)

const (
	// maxHeld bounds the packets that wait for an earlier one: half a second of 8 Mbit/s.
	maxHeld = 512
	// newStream is a step of the sequence number that is no loss but a stream that began anew.
	newStream = 3000
)

// packet is an RTP packet and when it came.
type packet struct {
	*rtp.Packet
	arrived time.Time
}

// reorder puts packets into the order of their sequence numbers (RFC 3550 section 5.1). One that is in order passes at
// once. One that is not waits for those before it, which the receiver's NACKs may still bring, for bound at most.
type reorder struct {
	bound   time.Duration
	started bool
	next    uint16
	ssrc    uint32
	held    []packet // by sequence number, all after next

	late, duplicates, reordered int
}

// push takes a packet that came.
func (r *reorder) push(p packet) {
	d := int16(p.SequenceNumber - r.next)
	if !r.started || p.SSRC != r.ssrc || d > newStream || d < -newStream {
		// The packets held belong to another stream, and pop reports a loss, since where this one begins is not known.
		if r.started {
			r.next = p.SequenceNumber - 1
		} else {
			r.next = p.SequenceNumber
		}
		r.started, r.ssrc, r.held = true, p.SSRC, append(r.held[:0], p)
		if len(r.held) == 1 && r.next != p.SequenceNumber {
			r.held[0].arrived = p.arrived.Add(-r.bound) // nothing to wait for
		}
		return
	}
	if d < 0 {
		r.late++
		return
	}
	distance := func(h packet, d int16) int { return int(int16(h.SequenceNumber-r.next)) - int(d) }
	i, found := slices.BinarySearchFunc(r.held, d, distance)
	switch {
	case found:
		r.duplicates++
		return
	case i < len(r.held):
		r.reordered++
	}
	r.held = slices.Insert(r.held, i, p)
}

// pop takes the next packet, if there is one that need not wait; lost is how many before it were given up.
func (r *reorder) pop(now time.Time) (p packet, lost int, ok bool) {
	if len(r.held) == 0 {
		return packet{}, 0, false
	}
	p = r.held[0]
	if lost = int(p.SequenceNumber - r.next); lost > 0 && now.Before(r.due()) && len(r.held) < maxHeld {
		return packet{}, 0, false
	}
	r.held = slices.Delete(r.held, 0, 1)
	r.next = p.SequenceNumber + 1
	return p, lost, true
}

// due returns when the packets that are missing before the first one held are given up.
func (r *reorder) due() time.Time {
	// The gap was there from when the earliest of those behind it came.
	at := r.held[0].arrived
	for _, h := range r.held[1:] {
		if h.arrived.Before(at) {
			at = h.arrived
		}
	}
	return at.Add(r.bound)
}

// waiting returns until when pop has nothing unless more comes; false if there is nothing to wait for.
func (r *reorder) waiting() (time.Time, bool) {
	if len(r.held) == 0 {
		return time.Time{}, false
	}
	return r.due(), true
}
