package peer

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pion/sdp/v3"
	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/signal"
)

// start makes the connection and its answer.
func (p *Peer) start(ctx context.Context) error {
	p.cleanOffer(p.offer)
	var err error
	if p.pc, err = p.n.connection(p.log, p.keep, p.wanted.H264); err != nil {
		return err
	}
	p.pc.OnTrack(func(t *pion.TrackRemote, r *pion.RTPReceiver) { p.run(func() { p.onTrack(t, r) }) })
	p.pc.OnDataChannel(func(d *pion.DataChannel) { p.run(func() { p.onChannel(d) }) })
	p.pc.OnConnectionStateChange(func(pion.PeerConnectionState) { p.run(p.onState) })
	local, err := p.negotiate(ctx, p.offer)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		p.log.Debug("an offer can't be answered", "cause", err)
		if exhausted(err) {
			return ErrExhausted
		}
		return &OfferError{errUnanswerable}
	}
	if !strings.Contains(local, "\na=candidate:") {
		// Pion goes on without a socket that it did not get. Nobody could reach the server.
		return ErrExhausted
	}
	return p.readAnswer(local)
}

// negotiate makes an offer the remote description and returns the local one, with its candidates.
func (p *Peer) negotiate(ctx context.Context, offer *sdp.SessionDescription) (string, error) {
	text, err := offer.Marshal()
	if err != nil {
		return "", err
	}
	remote := pion.SessionDescription{Type: pion.SDPTypeOffer, SDP: string(text)}
	if err := p.pc.SetRemoteDescription(remote); err != nil {
		return "", err
	}
	answer, err := p.pc.CreateAnswer(&pion.AnswerOptions{
		OfferAnswerOptions: pion.OfferAnswerOptions{ICETricklingSupported: true},
	})
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

// readAnswer sets the codecs and channels that the local description agrees on, and the answer: the description with
// the bound on the bitrate.
func (p *Peer) readAnswer(local string) error {
	d := &sdp.SessionDescription{}
	if err := d.UnmarshalString(local); err != nil {
		return fmt.Errorf("parsing SDP: %w", err)
	}
	moveCandidates(d)
	taken := map[string]bool{} // kinds
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Port.Value == 0 {
			continue
		}
		taken[m.MediaName.Media] = true
		m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
			return a.Key == "candidate" && signal.OfRTCP(a.Value) // pion has them in any case
		})
		if m.MediaName.Media == "application" {
			p.data = true
			continue
		}
		m.WithPropertyAttribute("rtcp-mux-only") // RFC 8858, as RFC 9725 section 4.4.1 wants it
		p.addCodecs(m)
		if bits := p.n.o.MaxBitrate; bits > 0 && m.MediaName.Media == "video" {
			// Some know but the older of the two (RFC 8866 section 5.8), which counts in kbit/s.
			m.Bandwidth = append(m.Bandwidth,
				sdp.Bandwidth{Type: "AS", Bandwidth: uint64(max(bits/1000, 1))},
				sdp.Bandwidth{Type: "TIAS", Bandwidth: uint64(bits)})
		}
	}
	// All of the tracks or none: RFC 9725 section 4.4.3.
	if !taken["audio"] && p.wanted.Audio != nil || !taken["video"] && p.wanted.Video != nil {
		return &OfferError{errNoCodec}
	}
	b, err := d.Marshal()
	if err != nil {
		return fmt.Errorf("writing SDP: %w", err)
	}
	p.answer = string(b)
	return nil
}

// moveCandidates moves the candidates of rejected m-lines, where clients don't look for them, to the first in use: pion
// puts all of them into the first of all.
func moveCandidates(d *sdp.SessionDescription) {
	var candidates []sdp.Attribute
	var used *sdp.MediaDescription
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Port.Value != 0 {
			used = cmp.Or(used, m)
			continue
		}
		m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
			is := a.Key == "candidate" || a.Key == "end-of-candidates"
			if is {
				candidates = append(candidates, a)
			}
			return is
		})
	}
	if used != nil {
		used.Attributes = append(used.Attributes, candidates...)
	}
}

// addCodecs adds the codecs of an m-line of the answer to those agreed on.
func (p *Peer) addCodecs(m *sdp.MediaDescription) {
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
}

// cleanOffer removes the candidates, header extensions and streams from an offer that must not be used, and what would
// have the server send.
func (p *Peer) cleanOffer(d *sdp.SessionDescription) {
	silence(d.Attributes)
	for _, m := range d.MediaDescriptions {
		silence(m.Attributes)
		keepFirstStream(m)
		m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
			switch a.Key {
			case "candidate":
				return !p.usable(a.Value)
			case "extmap": // an odd one is not noticed by pion at first, and then fails a restart
				var e sdp.ExtMap
				return e.Unmarshal(a.String()) != nil || e.URI == nil ||
					!slices.Contains(extensions(m.MediaName.Media), e.URI.String())
			case "rid", "simulcast":
				// Not answered, so that the client sends one stream (RFC 8853 section 5.3.2), which pion then has to
				// take for one without a rid.
				return true
			}
			return false
		})
	}
}

// silence makes a track that would receive inactive: nothing is sent, and pion would promise to.
func silence(as []sdp.Attribute) {
	for i := range as {
		if as[i].Key == "recvonly" {
			as[i].Key = "inactive"
		}
	}
}

// keepFirstStream removes all sources of an m-line but the first and its retransmissions (RFC 4588 section 8.8, RFC
// 5576 section 4). Firefox declares those of every stream of simulcast, which is not answered: it then sends the first.
func keepFirstStream(m *sdp.MediaDescription) {
	var first string
	retransmits := map[string]string{} // by what is retransmitted
	original := map[string]string{}    // by what retransmits it
	for _, a := range m.Attributes {
		f := strings.Fields(a.Value)
		switch {
		case a.Key == "ssrc" && len(f) > 0 && first == "":
			first = f[0]
		case a.Key == "ssrc-group" && len(f) == 3 && f[0] == "FID":
			retransmits[f[1]], original[f[2]] = f[2], f[1]
		}
	}
	first = cmp.Or(original[first], first)
	kept := func(ssrc string) bool { return ssrc == first || ssrc == retransmits[first] }
	m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
		f := strings.Fields(a.Value)
		switch {
		case a.Key == "ssrc" && len(f) > 0:
			return !kept(f[0])
		case a.Key == "ssrc-group" && len(f) > 1:
			return !kept(f[1]) || slices.ContainsFunc(f[1:], func(ssrc string) bool { return !kept(ssrc) })
		}
		return false
	})
}

// Restart restarts ICE with the client's new credentials and candidates, and returns the server's, and the new ETag.
// After an error the old ICE session goes on.
func (p *Peer) Restart(ctx context.Context, f signal.Fragment) (signal.Fragment, string, error) {
	if f.Ufrag == "" || f.Pwd == "" {
		return signal.Fragment{}, "", errNoCredentials
	}
	if !p.patches.Allow() || !p.restarts.Allow() {
		return signal.Fragment{}, "", &RateError{2 * time.Second}
	}
	p.negotiating.Lock()
	defer p.negotiating.Unlock()
	if p.isClosed() {
		return signal.Fragment{}, "", ErrClosed
	}
	local, err := p.restart(ctx, f)
	if err != nil {
		switch {
		case p.isClosed():
			return signal.Fragment{}, "", ErrClosed
		case exhausted(err):
			return signal.Fragment{}, "", ErrExhausted
		}
		return signal.Fragment{}, "", fmt.Errorf("restarting ICE: %w", err)
	}
	answer, err := signal.LocalFragment(local)
	if err != nil {
		return signal.Fragment{}, "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.etag = rand.Text()
	return answer, p.etag, nil
}

// restart negotiates an ICE restart and returns the local description. negotiating is held.
func (p *Peer) restart(ctx context.Context, f signal.Fragment) (string, error) {
	p.mu.Lock()
	p.candidates = 0
	ssrcs := maps.Clone(p.ssrcs)
	p.mu.Unlock()
	offer := signal.Clone(p.offer)
	offer.Origin.SessionVersion++
	f.Media = []signal.FragmentMedia{{Candidates: slices.DeleteFunc(f.Candidates(), func(c string) bool {
		return !p.usable(c)
	})}}
	signal.Renew(offer, f)
	declare(offer, ssrcs)
	// The answer's codecs, streams and DTLS roles are as before (RFC 9725 section 4.3.3).
	local, err := p.negotiate(context.WithoutCancel(ctx), offer) // half of it is worse than either
	if err != nil {
		return "", err
	}
	p.offer = offer
	p.mu.Lock()
	p.ufrag = f.Ufrag
	p.mu.Unlock()
	return local, nil
}

// declare declares the tracks that came without being declared, or pion would end them in a restart.
func declare(offer *sdp.SessionDescription, ssrcs map[string]uint32) {
	for _, m := range offer.MediaDescriptions {
		if ssrc, known := ssrcs[m.MediaName.Media]; known && !signal.Rejected(m) {
			if _, declared := m.Attribute("ssrc"); !declared {
				m.WithValueAttribute("ssrc", strconv.FormatUint(uint64(ssrc), 10)+" cname:-")
			}
		}
	}
}
