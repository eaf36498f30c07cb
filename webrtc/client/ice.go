package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/pion/sdp/v3"
	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/whip"
)

const (
	typeSDP      = whip.TypeSDP
	typeFragment = whip.TypeFragment
)

// candidates are found by pion and sent by trickle.
type candidates struct {
	mu    sync.Mutex
	list  []string
	all   bool
	ready chan struct{} // capacity 1
}

func newCandidates() *candidates { return &candidates{ready: make(chan struct{}, 1)} }

// add is pion's handler; nil comes after the last.
func (c *candidates) add(x *pion.ICECandidate) {
	c.mu.Lock()
	if x == nil {
		c.all = true
	} else {
		c.list = append(c.list, strings.TrimPrefix(x.ToJSON().Candidate, "candidate:"))
	}
	c.mu.Unlock()
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *candidates) take() (list []string, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, c.list = c.list, nil
	return list, c.all
}

// trickle sends candidates as they are found (RFC 9725 section 4.3.2), until the last.
func (s *Session) trickle(c *candidates) {
	for {
		select {
		case <-c.ready:
		case <-s.ctx.Done():
			return
		}
		list, all := c.take()
		if err := s.patch(s.ctx, list, all); err != nil {
			s.mu.Lock()
			s.trickled = fmt.Errorf("sending candidates: %w", err)
			s.mu.Unlock()
			return
		}
		if all {
			return
		}
	}
}

// patch sends candidates of the current ICE session.
func (s *Session) patch(ctx context.Context, list []string, all bool) error {
	s.signal.Lock()
	defer s.signal.Unlock()
	f, err := fragment(s.pc.LocalDescription().SDP)
	if err != nil {
		return err
	}
	f.Media[0].Candidates, f.Media[0].End = list, all
	_, _, err = s.o.request(ctx, http.MethodPatch, s.url.String(), patchHeader(s.ETag()), f.String(), http.StatusNoContent)
	return err
}

func patchHeader(match string) http.Header {
	h := http.Header{"Content-Type": {typeFragment}}
	if match != "" {
		h.Set("If-Match", match)
	}
	return h
}

// Restart restarts ICE by PATCH (RFC 9725 section 4.3.3) and waits until the session is connected by the new ICE
// session. After an error it may be called again.
func (s *Session) Restart(ctx context.Context) error {
	if err := s.restart(ctx); err != nil {
		return fmt.Errorf("restarting ICE: %w", err)
	}
	return s.connected(ctx)
}

func (s *Session) restart(ctx context.Context) error {
	s.signal.Lock()
	defer s.signal.Unlock()
	offer, err := s.pc.CreateOffer(&pion.OfferOptions{
		OfferAnswerOptions: pion.OfferAnswerOptions{ICETricklingSupported: true}, ICERestart: true,
	})
	if err != nil {
		return err
	}
	// After a restart that came to nothing the offer of that one still stands: pion can't take it back, and takes no
	// second one. It differs in the credentials alone, which are the new offer's.
	if s.pc.SignalingState() != pion.SignalingStateHaveLocalOffer {
		if err := s.pc.SetLocalDescription(offer); err != nil {
			return err
		}
	}
	local, err := s.gathered(ctx)
	if err != nil {
		return err
	}
	f, err := fragment(offer.SDP)
	if err != nil {
		return err
	}
	found, err := fragment(local)
	if err != nil {
		return err
	}
	f.Media[0].Candidates = found.Candidates()
	resp, body, err := s.o.request(ctx, http.MethodPatch, s.url.String(), patchHeader("*"), f.String(), http.StatusOK)
	if err != nil {
		return err
	}
	theirs, err := whip.ParseFragment(body)
	if err != nil {
		return fmt.Errorf("the server's fragment can't be used: %w", err)
	}
	answer, err := renewed(s.answer, theirs)
	if err != nil {
		return err
	}
	if err := s.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer}); err != nil {
		return err
	}
	s.answer = answer
	s.setETag(resp.Header.Get("ETag"))
	return nil
}

// fragment is the ICE part of the client's description (RFC 8840 section 9): all is bundled in its first m-line.
func fragment(local string) (whip.Fragment, error) {
	d := &sdp.SessionDescription{}
	if err := d.UnmarshalString(local); err != nil {
		return whip.Fragment{}, err
	}
	if len(d.MediaDescriptions) == 0 {
		return whip.Fragment{}, errors.New("client: nothing was offered")
	}
	m := d.MediaDescriptions[0]
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

// renewed is an answer with the server's new ICE session in place of the old.
func renewed(answer string, f whip.Fragment) (string, error) {
	if f.Ufrag == "" {
		return "", errors.New("the server's fragment has no ICE session")
	}
	d := &sdp.SessionDescription{}
	if err := d.UnmarshalString(answer); err != nil {
		return "", err
	}
	replace := func(as []sdp.Attribute) []sdp.Attribute {
		for i, a := range as {
			switch a.Key {
			case "ice-ufrag":
				as[i].Value = f.Ufrag
			case "ice-pwd":
				as[i].Value = f.Pwd
			}
		}
		return slices.DeleteFunc(as, func(a sdp.Attribute) bool { return a.Key == "candidate" || a.Key == "end-of-candidates" })
	}
	d.Attributes = replace(d.Attributes)
	first := true
	for _, m := range d.MediaDescriptions {
		m.Attributes = replace(m.Attributes)
		if m.MediaName.Port.Value == 0 || !first {
			continue
		}
		first = false
		for _, c := range f.Candidates() {
			m.WithValueAttribute("candidate", c)
		}
	}
	b, err := d.Marshal()
	return string(b), err
}
