// Package peer is one WebRTC connection as the server has it: it answers a WHIP client's offer, receives its tracks and
// data channels, and follows it through trickled candidates and ICE restarts.
package peer

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"
	pion "github.com/pion/webrtc/v4"
	"golang.org/x/time/rate"

	"tandem/webrtc/signal"
)

// gatherTime bounds the wait for the server's own candidates: those of its interfaces come at once, those that a STUN
// or TURN server has to give may never.
const gatherTime = 2 * time.Second

// Bounds on what a client may ask of a connection.
const (
	maxChannels      = 16 // data channels that it opens
	maxTracks        = 16 // SSRCs that it sends, over time
	patchesPerSecond = 20 // PATCH requests
	patchBurst       = 100
	restartBurst     = 5 // ICE restarts; one every two seconds over time
)

// State is the state of a connection.
type State int

// The states. A connection may go from any to any but out of Closed.
const (
	Connecting   State = iota // ICE or DTLS is under way, at first or after a restart
	Connected                 // media can flow
	Disconnected              // nothing has come for 5 s; it may come back by itself
	Failed                    // nothing has come for 20 s; an ICE restart may bring it back
	Closed                    // by Close, or by the client
)

func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Disconnected:
		return "disconnected"
	case Failed:
		return "failed"
	case Closed:
		return "closed"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Handler has the functions that are called for what happens to a connection, from Begin on. They are called from
// goroutines of their own; nil ones are left out. Close waits for them all, so they must not call it.
type Handler struct {
	// OnTrack is called with a track at its first packet. It may read in place until the track ends, at the latest with
	// Close. RTCP must be read too, or sender reports are not seen by anybody.
	OnTrack func(*pion.TrackRemote, *pion.RTPReceiver)
	// OnChannel is called with a data channel that the client opened. It must return soon.
	OnChannel func(*pion.DataChannel)
	// OnState is called for each change in turn; short-lived states may be left out. It must return soon.
	OnState func(State)
}

// Peer is one connection. Its methods may be called from any goroutine.
type Peer struct {
	n      *Network
	log    *slog.Logger
	pc     *pion.PeerConnection
	answer string   // SDP, with the server's candidates
	codecs []string // agreed on
	wanted *signal.Offer
	data   bool // data channels were agreed on

	begun, closing chan struct{} // closed by Begin and Close
	h              Handler       // not before begun is closed
	work           struct {      // counts the handlers that run
		sync.Mutex
		closed bool
		wg     sync.WaitGroup
	}
	reporting        sync.Mutex // one OnState at a time
	state            atomic.Int32
	channels, tracks atomic.Int32

	patches, restarts *rate.Limiter
	negotiating       sync.Mutex              // one change of descriptions at a time
	offer             *sdp.SessionDescription // the client's, in use; guarded by negotiating; not changed

	mu         sync.Mutex // guards what follows
	etag       string
	ufrag      string            // the client's
	candidates int               // of the client in this ICE session
	ssrcs      map[string]uint32 // of the tracks that came, by kind
}

// Answer answers an offer. It gathers the server's candidates, for at most two seconds or until ctx ends, whose cause
// it then returns. The debug messages of the connection go to log; nil for the Network's. It returns an *OfferError if
// the offer can't be answered, and ErrExhausted if it can't be now. Call Begin next.
func (n *Network) Answer(ctx context.Context, offer *signal.Offer, log *slog.Logger) (*Peer, error) {
	p := &Peer{
		n: n, log: cmp.Or(log, n.log), wanted: offer, offer: offer.Description(), ufrag: offer.Ufrag, etag: rand.Text(),
		ssrcs: map[string]uint32{}, begun: make(chan struct{}), closing: make(chan struct{}),
		patches: rate.NewLimiter(patchesPerSecond, patchBurst), restarts: rate.NewLimiter(0.5, restartBurst),
	}
	if err := p.start(ctx); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// Begin sets the functions to call for what happens, and for what already did. It is called once, and apart from
// Answer, so that h's functions can use the Peer.
func (p *Peer) Begin(h Handler) {
	p.h = h
	close(p.begun)
}

// Answer returns the SDP answer, with the server's candidates.
func (p *Peer) Answer() string { return p.answer }

// Codecs returns those agreed on: "opus", "vp8" and "h264", in the order of the answer. The client may change between
// those of a track at any time.
func (p *Peer) Codecs() []string { return slices.Clone(p.codecs) }

// HasData reports whether data channels can be opened.
func (p *Peer) HasData() bool { return p.data }

// ETag returns the name of the current ICE session.
func (p *Peer) ETag() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.etag
}

// RemoteUfrag returns the client's username fragment in the current ICE session.
func (p *Peer) RemoteUfrag() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ufrag
}

// State returns the state of the connection.
func (p *Peer) State() State { return State(p.state.Load()) }

// RequestKeyFrame asks the client for a picture that can be decoded by itself (RFC 4585 section 6.3.1).
func (p *Peer) RequestKeyFrame(ssrc uint32) error {
	return p.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: ssrc}})
}

// ChannelOptions for CreateChannel.
type ChannelOptions struct {
	Protocol   string
	Unreliable bool // unordered, and sent once
}

// CreateChannel opens a data channel; it is open when its OnOpen is called. It fails unless HasData.
func (p *Peer) CreateChannel(label string, o ChannelOptions) (*pion.DataChannel, error) {
	if !p.data {
		return nil, errors.New("the client offered no data channels")
	}
	ordered := !o.Unreliable
	init := &pion.DataChannelInit{Ordered: &ordered, Protocol: &o.Protocol}
	if o.Unreliable {
		init.MaxRetransmits = new(uint16)
	}
	return p.pc.CreateDataChannel(label, init)
}

// Close ends the connection and waits for all that runs in it, the handlers included. It may be called more than once.
func (p *Peer) Close() error {
	p.work.Lock()
	if !p.work.closed {
		p.work.closed = true
		close(p.closing)
	}
	p.work.Unlock()
	var err error
	if p.pc != nil {
		err = p.pc.GracefulClose()
	}
	p.work.wg.Wait()
	p.report(Closed)
	return err
}

func (p *Peer) isClosed() bool { return p.pc.ConnectionState() == pion.PeerConnectionStateClosed }

// run calls f once Begin has been called, unless the peer is being closed; Close waits for it.
func (p *Peer) run(f func()) {
	select {
	case <-p.begun:
	case <-p.closing:
		return
	}
	p.work.Lock()
	if p.work.closed {
		p.work.Unlock()
		return
	}
	p.work.wg.Add(1)
	p.work.Unlock()
	defer p.work.wg.Done()
	f()
}

// onState looks the state up, since pion reports each change from a goroutine of its own, in any order.
func (p *Peer) onState() {
	switch p.pc.ConnectionState() {
	case pion.PeerConnectionStateNew, pion.PeerConnectionStateConnecting:
		p.report(Connecting)
	case pion.PeerConnectionStateConnected:
		p.report(Connected)
	case pion.PeerConnectionStateDisconnected:
		p.report(Disconnected)
	case pion.PeerConnectionStateFailed:
		p.report(Failed)
	case pion.PeerConnectionStateClosed:
		p.report(Closed)
	}
}

func (p *Peer) report(s State) {
	p.reporting.Lock()
	defer p.reporting.Unlock()
	if last := p.State(); s == last || last == Closed {
		return
	}
	p.state.Store(int32(s))
	select {
	case <-p.begun:
	default: // closed without
		return
	}
	if p.h.OnState != nil {
		p.h.OnState(s)
	}
}

func (p *Peer) onTrack(t *pion.TrackRemote, r *pion.RTPReceiver) {
	// Each costs memory and goroutines that pion gives back with the connection only. Browsers send two, and two with
	// retransmissions.
	if p.tracks.Add(1) > maxTracks {
		p.log.Debug("closing a connection with too many SSRCs")
		_ = p.pc.Close()
		return
	}
	_, name, _ := strings.Cut(strings.ToLower(t.Codec().MimeType), "/")
	if !slices.Contains(p.codecs, name) { // retransmissions that nobody declared
		return
	}
	p.mu.Lock()
	p.ssrcs[t.Kind().String()] = uint32(t.SSRC())
	p.mu.Unlock()
	if p.h.OnTrack != nil {
		p.h.OnTrack(t, r)
	}
}

func (p *Peer) onChannel(d *pion.DataChannel) {
	if p.h.OnChannel == nil || p.channels.Add(1) > maxChannels {
		_ = d.Close()
		return
	}
	p.h.OnChannel(d)
}
