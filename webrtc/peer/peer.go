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
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"
	pion "github.com/pion/webrtc/v4"
	"golang.org/x/time/rate"

	"tandem/webrtc/whip"
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

// ErrClosed is returned for a Peer that is closed, by either side. To WHIP there is no such session then.
var ErrClosed = whip.ErrNoSession

// State is how a connection stands.
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

// Handler is told what happens to a connection, from Begin on. Its functions are called from goroutines of their own;
// nil ones are left out. Close waits for them all, so they must not call it.
type Handler struct {
	// OnTrack has a track from its first packet on. It may read in place until the track ends, at the latest with
	// Close. RTCP must be read too, or sender reports are not seen by anybody.
	OnTrack func(*pion.TrackRemote, *pion.RTPReceiver)
	// OnChannel has a data channel that the client opened. It must return soon.
	OnChannel func(*pion.DataChannel)
	// OnState is called for each change in turn; short-lived states may be left out. It must return soon.
	OnState func(State)
}

// Peer is one connection. Its methods may be called from any goroutine.
type Peer struct {
	n      *Network
	log    *slog.Logger
	pc     *pion.PeerConnection
	info   whip.OfferInfo
	answer string
	codecs []string
	data   bool

	refused atomic.Int64

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
	signal            sync.Mutex // one change of descriptions at a time
	offer             string     // the client's, in use; guarded by signal

	mu         sync.Mutex // guards what follows
	etag       string
	ufrag      string // the client's
	candidates int    // of the client in this ICE session
	ssrcs      map[string]uint32
}

// Answer answers an offer. It gathers the server's candidates, for at most two seconds or until ctx ends. What the
// connection has to say at debug level goes to log; nil for the Network's. Its errors are *whip.Error where the offer
// is at fault. Call Begin next.
func (n *Network) Answer(ctx context.Context, offer string, log *slog.Logger) (*Peer, error) {
	info, err := whip.CheckOffer(offer)
	if err != nil {
		return nil, err
	}
	p := &Peer{
		n: n, log: cmp.Or(log, n.log), info: info, ssrcs: map[string]uint32{},
		begun: make(chan struct{}), closing: make(chan struct{}),
		patches: rate.NewLimiter(patchesPerSecond, patchBurst), restarts: rate.NewLimiter(0.5, restartBurst),
	}
	if err := p.start(ctx, offer); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// Begin has h told of what happens, and of what already did. It is called once, and apart from Answer, so that h's
// functions can use the Peer.
func (p *Peer) Begin(h Handler) {
	p.h = h
	close(p.begun)
}

func (p *Peer) start(ctx context.Context, offer string) error {
	d, err := parse(offer)
	if err != nil {
		return err
	}
	p.cleanOffer(d)
	if p.offer, err = format(d); err != nil {
		return err
	}
	p.ufrag, p.etag = ufrag(d), rand.Text()
	if p.pc, err = p.n.connection(p.log, p.keep); err != nil {
		return err
	}
	p.pc.OnTrack(func(t *pion.TrackRemote, r *pion.RTPReceiver) { p.run(func() { p.onTrack(t, r) }) })
	p.pc.OnDataChannel(func(d *pion.DataChannel) { p.run(func() { p.onChannel(d) }) })
	p.pc.OnConnectionStateChange(func(pion.PeerConnectionState) { p.run(p.onState) })
	local, err := p.negotiate(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return &whip.Error{Status: http.StatusUnprocessableEntity, Detail: "the offer can't be answered: " + err.Error()}
	}
	return p.readAnswer(local)
}

// negotiate makes p.offer the remote description and returns the local one, with its candidates.
func (p *Peer) negotiate(ctx context.Context) (string, error) {
	if err := p.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeOffer, SDP: p.offer}); err != nil {
		return "", err
	}
	answer, err := p.pc.CreateAnswer(&pion.AnswerOptions{OfferAnswerOptions: pion.OfferAnswerOptions{ICETricklingSupported: true}})
	if err != nil {
		return "", err
	}
	// Not before SetRemoteDescription, which begins gathering anew in an ICE restart.
	gathered := pion.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(answer); err != nil {
		return "", err
	}
	bound := time.NewTimer(gatherTime)
	defer bound.Stop()
	select {
	case <-gathered:
	case <-bound.C:
		p.log.Debug("going on without the candidates that are still being gathered")
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	local := p.pc.LocalDescription()
	if local == nil {
		return "", ErrClosed
	}
	return local.SDP, nil
}

// readAnswer finds out what was agreed on, and adds the bound on the bitrate.
func (p *Peer) readAnswer(local string) error {
	d, err := parse(local)
	if err != nil {
		return err
	}
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Port.Value == 0 {
			continue
		}
		if m.MediaName.Media == "application" {
			p.data = true
			continue
		}
		for _, a := range m.Attributes {
			if a.Key != "rtpmap" {
				continue
			}
			_, name, _ := strings.Cut(a.Value, " ")
			name, _, _ = strings.Cut(strings.ToLower(name), "/")
			if name != "rtx" && !slices.Contains(p.codecs, name) {
				p.codecs = append(p.codecs, name)
			}
		}
		if bits := p.n.o.MaxBitrate; bits > 0 && m.MediaName.Media == "video" {
			// Some know but the older of the two (RFC 8866 section 5.8), which counts in kbit/s.
			m.Bandwidth = append(m.Bandwidth,
				sdp.Bandwidth{Type: "AS", Bandwidth: uint64(max(bits/1000, 1))}, sdp.Bandwidth{Type: "TIAS", Bandwidth: uint64(bits)})
		}
	}
	if len(p.codecs) == 0 {
		return &whip.Error{
			Status: http.StatusUnprocessableEntity,
			Detail: "the offer has no codec that this server knows: offer Opus, VP8 or H.264 constrained baseline with packetization-mode=1",
		}
	}
	p.answer, err = format(d)
	return err
}

// Answer is the SDP answer, with the server's candidates.
func (p *Peer) Answer() string { return p.answer }

// Info is what the client offered.
func (p *Peer) Info() whip.OfferInfo { return p.info }

// Codecs are those agreed on: "opus", "vp8" and "h264", in the order of the answer. The client may change between
// those of a track at any time.
func (p *Peer) Codecs() []string { return slices.Clone(p.codecs) }

// HasData tells whether data channels can be opened.
func (p *Peer) HasData() bool { return p.data }

// Refused is the number of candidates that were not used because their address is one that the server must not be
// sent to: with PublicOnly any that is not public.
func (p *Peer) Refused() int { return int(p.refused.Load()) }

// ETag names the current ICE session.
func (p *Peer) ETag() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.etag
}

// RemoteUfrag is the client's username fragment in the current ICE session.
func (p *Peer) RemoteUfrag() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ufrag
}

// State is how the connection stands.
func (p *Peer) State() State { return State(p.state.Load()) }

// AddCandidates takes candidates of the client for the current ICE session; those beyond whip.MaxCandidates are left
// out. It returns whip.ErrStale for a fragment of another ICE session.
func (p *Peer) AddCandidates(_ context.Context, f whip.Fragment) error {
	if !p.patches.Allow() {
		return tooMany(time.Second)
	}
	p.signal.Lock()
	defer p.signal.Unlock()
	if p.isClosed() {
		return ErrClosed
	}
	if f.Ufrag != "" && f.Ufrag != p.RemoteUfrag() {
		return whip.ErrStale
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

// Restart restarts ICE with the client's new credentials and candidates, and returns the server's, and the new ETag.
func (p *Peer) Restart(ctx context.Context, f whip.Fragment) (whip.Fragment, string, error) {
	if f.Ufrag == "" || f.Pwd == "" {
		return whip.Fragment{}, "", &whip.Error{Status: http.StatusBadRequest, Detail: "an ICE restart needs a=ice-ufrag and a=ice-pwd"}
	}
	if !p.patches.Allow() || !p.restarts.Allow() {
		return whip.Fragment{}, "", tooMany(2 * time.Second)
	}
	p.signal.Lock()
	defer p.signal.Unlock()
	if p.isClosed() {
		return whip.Fragment{}, "", ErrClosed
	}
	old := p.offer
	local, err := p.restart(ctx, f)
	if err != nil {
		p.offer = old
		if p.isClosed() {
			return whip.Fragment{}, "", ErrClosed
		}
		return whip.Fragment{}, "", fmt.Errorf("restarting ICE: %w", err)
	}
	answer, err := localFragment(local)
	if err != nil {
		return whip.Fragment{}, "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.etag = rand.Text()
	return answer, p.etag, nil
}

func (p *Peer) restart(ctx context.Context, f whip.Fragment) (string, error) {
	d, err := parse(p.offer)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	p.candidates = 0
	ssrcs := maps.Clone(p.ssrcs)
	p.mu.Unlock()
	var candidates []string
	for _, c := range f.Candidates() {
		if p.usable(c) {
			candidates = append(candidates, c)
		}
	}
	renew(d, f, candidates, ssrcs)
	if p.offer, err = format(d); err != nil {
		return "", err
	}
	// The answer's codecs, streams and DTLS roles are as before (RFC 9725 section 4.3.3).
	local, err := p.negotiate(context.WithoutCancel(ctx)) // half of it is worse than either
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	p.ufrag = f.Ufrag
	p.mu.Unlock()
	return local, nil
}

func tooMany(wait time.Duration) error {
	return &whip.Error{Status: http.StatusTooManyRequests, Detail: "too many changes of one session: wait a little", RetryAfter: wait}
}

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

// run calls f once Begin was called, unless the peer is being closed; Close waits for it.
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

// usable tells whether a candidate of the client may be used, and counts it.
func (p *Peer) usable(candidate string) bool {
	ap, err := whip.ParseCandidate(candidate)
	if err != nil || !ap.IsValid() {
		return false
	}
	if !p.mayReach(ap.Addr()) {
		p.refused.Add(1)
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.candidates++
	return p.candidates <= whip.MaxCandidates
}

// mayReach tells whether packets may be sent to an address that the client names.
func (p *Peer) mayReach(a netip.Addr) bool {
	a = a.Unmap()
	if p.n.o.PublicOnly {
		return whip.IsPublic(a)
	}
	return !a.IsMulticast() && !a.IsUnspecified() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// keep is mayReach for pion, which asks it of those candidates too that it learns of by their packets.
func (p *Peer) keep(ip net.IP) bool {
	a, ok := netip.AddrFromSlice(ip)
	return ok && p.mayReach(a)
}

// cleanOffer takes out of an offer what must not be used.
func (p *Peer) cleanOffer(d *sdp.SessionDescription) {
	for _, m := range d.MediaDescriptions {
		m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
			switch a.Key {
			case "candidate":
				return !p.usable(a.Value)
			case "extmap": // an odd one is not noticed by pion at first, and then fails a restart
				var e sdp.ExtMap
				return e.Unmarshal(a.String()) != nil || e.URI == nil || e.URI.String() != sdp.TransportCCURI
			case "rid", "simulcast":
				// Not answered, so that the client sends one stream (RFC 8853 section 5.3.2), which pion then has to
				// take for one without a rid.
				return true
			}
			return false
		})
	}
}

func parse(text string) (*sdp.SessionDescription, error) {
	d := &sdp.SessionDescription{}
	if err := d.UnmarshalString(text); err != nil {
		return nil, fmt.Errorf("parsing SDP: %w", err)
	}
	return d, nil
}

func format(d *sdp.SessionDescription) (string, error) {
	b, err := d.Marshal()
	if err != nil {
		return "", fmt.Errorf("writing SDP: %w", err)
	}
	return string(b), nil
}

// ufrag is the username fragment of a description whose media are all bundled.
func ufrag(d *sdp.SessionDescription) string {
	for _, m := range d.MediaDescriptions {
		if v, ok := m.Attribute("ice-ufrag"); ok {
			return v
		}
	}
	v, _ := d.Attribute("ice-ufrag")
	return v
}

// renew makes of an offer that of an ICE restart. The tracks that came without being declared are declared, or pion
// would end them.
func renew(d *sdp.SessionDescription, f whip.Fragment, candidates []string, ssrcs map[string]uint32) {
	d.Origin.SessionVersion++
	credentials := func(as []sdp.Attribute) {
		for i, a := range as {
			switch a.Key {
			case "ice-ufrag":
				as[i].Value = f.Ufrag
			case "ice-pwd":
				as[i].Value = f.Pwd
			}
		}
	}
	credentials(d.Attributes)
	first := true
	for _, m := range d.MediaDescriptions {
		credentials(m.Attributes)
		m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
			return a.Key == "candidate" || a.Key == "end-of-candidates"
		})
		if m.MediaName.Port.Value == 0 {
			if _, ok := m.Attribute("bundle-only"); !ok {
				continue
			}
		}
		if first {
			for _, c := range candidates {
				m.WithValueAttribute("candidate", c)
			}
			first = false
		}
		if ssrc, known := ssrcs[m.MediaName.Media]; known {
			if _, declared := m.Attribute("ssrc"); !declared {
				m.WithValueAttribute("ssrc", strconv.FormatUint(uint64(ssrc), 10)+" cname:-")
			}
		}
	}
}

// localFragment is the ICE part of a description: what its first m-line in use has.
func localFragment(local string) (whip.Fragment, error) {
	d, err := parse(local)
	if err != nil {
		return whip.Fragment{}, err
	}
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Port.Value == 0 {
			continue
		}
		var f whip.Fragment
		f.Ufrag, _ = m.Attribute("ice-ufrag")
		f.Pwd, _ = m.Attribute("ice-pwd")
		media := whip.FragmentMedia{Kind: m.MediaName.Media, End: true}
		media.Mid, _ = m.Attribute("mid")
		for _, a := range m.Attributes {
			if a.Key == "candidate" {
				media.Candidates = append(media.Candidates, a.Value)
			}
		}
		f.Media = []whip.FragmentMedia{media}
		return f, nil
	}
	return whip.Fragment{}, errors.New("the local description has no media")
}
