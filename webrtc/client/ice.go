package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/pion/sdp/v3"
	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/signal"
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
	s.negotiating.Lock()
	defer s.negotiating.Unlock()
	f, err := signal.LocalFragment(s.pc.LocalDescription().SDP)
	if err != nil {
		return err
	}
	f.Media[0].Candidates, f.Media[0].End = list, all
	_, _, err = s.whip.do(ctx, s.patchRequest(s.ETag(), f), http.StatusNoContent)
	return err
}

// patchRequest returns the request that sends a fragment; match is its If-Match, if there is one.
func (s *Session) patchRequest(match string, f signal.Fragment) request {
	r := request{
		method: http.MethodPatch, url: s.url.String(), body: f.String(),
		header: http.Header{"Content-Type": {signal.TypeFragment}},
	}
	if match != "" {
		r.header.Set("If-Match", match)
	}
	return r
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
	s.negotiating.Lock()
	defer s.negotiating.Unlock()
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
	f, err := signal.LocalFragment(offer.SDP)
	if err != nil {
		return err
	}
	found, err := signal.LocalFragment(local)
	if err != nil {
		return err
	}
	f.Media[0].Candidates = found.Candidates()
	resp, body, err := s.whip.do(ctx, s.patchRequest("*", f), http.StatusOK)
	if err != nil {
		return err
	}
	theirs, err := signal.ParseFragment(body)
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

// renewed returns an answer with the server's new ICE session in place of the old.
func renewed(answer string, f signal.Fragment) (string, error) {
	if f.Ufrag == "" {
		return "", errors.New("the server's fragment has no ICE session")
	}
	d := &sdp.SessionDescription{}
	if err := d.UnmarshalString(answer); err != nil {
		return "", err
	}
	signal.Renew(d, f)
	b, err := d.Marshal()
	return string(b), err
}
