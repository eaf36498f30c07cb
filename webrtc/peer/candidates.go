package peer

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/signal"
)

// AddCandidates adds candidates of the client for the current ICE session; those beyond signal.MaxCandidates and those
// that packets may not be sent to are left out. It returns ErrStale for a fragment of another ICE session.
func (p *Peer) AddCandidates(_ context.Context, f signal.Fragment) error {
	if !p.patches.Allow() {
		return &RateError{time.Second}
	}
	p.negotiating.Lock()
	defer p.negotiating.Unlock()
	if p.isClosed() {
		return ErrClosed
	}
	if f.Ufrag != "" && f.Ufrag != p.RemoteUfrag() {
		return ErrStale
	}
	for _, c := range f.Candidates() {
		if !p.usable(c) {
			continue
		}
		err := p.pc.AddICECandidate(pion.ICECandidateInit{Candidate: "candidate:" + c})
		if err != nil && p.isClosed() {
			return ErrClosed
		}
		if err != nil {
			return fmt.Errorf("adding a candidate: %w", err)
		}
	}
	return nil
}

// usable reports whether a candidate of the client may be used, and counts those that may.
func (p *Peer) usable(candidate string) bool {
	ap, err := signal.ParseCandidate(candidate)
	if err != nil || !ap.IsValid() {
		return false
	}
	if !p.mayReach(ap.Addr()) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.candidates++
	return p.candidates <= signal.MaxCandidates
}

// mayReach reports whether packets may be sent to an address that the client names.
func (p *Peer) mayReach(a netip.Addr) bool {
	a = a.Unmap()
	if p.n.o.PublicOnly {
		return signal.IsPublic(a)
	}
	return !a.IsMulticast() && !a.IsUnspecified() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// keep is mayReach for pion, which calls it for those candidates too that it learns of by their packets.
func (p *Peer) keep(ip net.IP) bool {
	a, ok := netip.AddrFromSlice(ip)
	return ok && p.mayReach(a)
}
