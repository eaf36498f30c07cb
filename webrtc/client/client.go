// Package client is a WHIP client (RFC 9725): it sends coded media from memory to a server as a browser would send its
// camera, and reads tandem's events from the data channels. The tests, the examples and the benchmarks stand on it.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/transport/v5"
	pion "github.com/pion/webrtc/v4"

	"tandem/capture/av"
	"tandem/pipeline"
	"tandem/webrtc/signal"
)

const (
	// gatherTime bounds the wait for the client's own candidates.
	gatherTime = 3 * time.Second
	// byeTime bounds the wait for the server to close its side after DELETE.
	byeTime = 2 * time.Second
)

// Channel is who opens the data channel for events.
type Channel int

// The ways of docs/whip.md.
const (
	ServerChannels  Channel = iota // the server opens events, and events-state for start and end
	ReliableChannel                // the client opens events, ordered and reliable: all of them come there
	LossyChannel                   // the client opens events as the server would, and the server events-state
	NoChannel                      // none is offered: no events come
)

// Options for Dial. URL alone is needed.
type Options struct {
	URL   string // of the WHIP endpoint, such as http://127.0.0.1:8080/whip
	Token string // sent as bearer token, if there is one

	// Codecs are those offered, by preference: Opus for a track of sound, VP8 and H264 for one of pictures, which can
	// change between them. Opus and VP8 if nil. See Clip.Codecs.
	Codecs  []av.Codec
	Channel Channel

	// Trickle sends the offer without candidates, and these by PATCH as they are found; else the offer waits for them.
	Trickle bool
	// Loopback offers the loopback addresses too, which reaches a server on this machine if there is no network.
	Loopback bool
	// TCP uses ICE over TCP alone, as behind a firewall that lets no UDP through.
	TCP bool
	// Relay sends by TURN servers alone.
	Relay bool
	// ICEServers are STUN and TURN servers to use; Discover asks the endpoint for more.
	ICEServers []pion.ICEServer
	Discover   bool

	HTTP *http.Client  // http.Client's own behaviour if nil
	Net  transport.Net // replaces the machine's network, in tests
}

// What ends a session, in Session.Err.
var (
	// ErrEnded: the server has ended the session.
	ErrEnded = errors.New("the server ended the session")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("the session is closed")
)

// errUnreachable is why Dial and Restart fail where ICE does.
var errUnreachable = errors.New("no connection to the server: are its UDP ports reachable from here? " +
	"a TURN server helps where they can't be")

// Session is a session at a server. Its methods may be called from any goroutine.
type Session struct {
	o      Options
	whip   requester
	pc     *pion.PeerConnection
	url    *url.URL
	audio  *track // nil if not offered
	video  *track
	events queue
	wg     sync.WaitGroup // the session's own goroutines but run

	negotiating sync.Mutex // one change of descriptions at a time
	answer      string     // in use; guarded by negotiating

	states chan struct{}           // capacity 1: the connection's state has changed
	ctx    context.Context         // ends when the session is to be torn down; its cause says why
	end    context.CancelCauseFunc // of ctx
	done   chan struct{}           // closed when it has been

	leaving atomic.Bool  // Close was called
	wall    atomic.Int64 // by how much the clock of the sender reports is wrong, in nanoseconds

	mu         sync.Mutex
	etag       string
	trickled   error // what was wrong with a PATCH
	publishing bool
	start      time.Time     // when the session's media time was 0; zero before Publish
	at         time.Duration // media time that was published up to
	network    networkStats
}

// Dial opens a session and waits until it is connected. When ctx ends before, the session is closed again.
func Dial(ctx context.Context, o Options) (*Session, error) {
	if o.Codecs == nil {
		o.Codecs = []av.Codec{av.Opus, av.VP8}
	}
	whip := requester{http: o.HTTP, token: o.Token}
	owned := o.HTTP == nil
	if owned { // of its own, so that no connection stays
		whip.http = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	servers := o.ICEServers
	if o.Discover {
		found, err := whip.discover(ctx, o.URL)
		if err != nil {
			if owned {
				whip.http.CloseIdleConnections()
			}
			return nil, err
		}
		servers = slices.Concat(servers, found)
	}
	s := &Session{o: o, whip: whip, states: make(chan struct{}, 1), done: make(chan struct{}), events: newQueue()}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	if err := s.connection(servers); err != nil {
		s.end(err)
		return nil, err
	}
	go s.run(owned)
	if err := s.open(ctx); err != nil {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), byeTime)
		defer cancel()
		_ = s.Close(bye)
		return nil, err
	}
	return s, nil
}

// run owns the connection: it tears it down when the session ends, whoever ends it.
func (s *Session) run(closeHTTP bool) {
	<-s.ctx.Done()
	_ = s.pc.GracefulClose() // nothing can be done about it
	s.wg.Wait()
	s.events.close()
	if closeHTTP {
		s.whip.http.CloseIdleConnections()
	}
	close(s.done)
}

// open offers, and waits for the connection.
func (s *Session) open(ctx context.Context) error {
	offer, err := s.pc.CreateOffer(&pion.OfferOptions{
		OfferAnswerOptions: pion.OfferAnswerOptions{ICETricklingSupported: true},
	})
	if err != nil {
		return err
	}
	found := newCandidates()
	if s.o.Trickle {
		s.pc.OnICECandidate(found.add)
	}
	if err := s.pc.SetLocalDescription(offer); err != nil {
		return err
	}
	text := offer.SDP
	if !s.o.Trickle {
		if text, err = s.gathered(ctx); err != nil {
			return err
		}
	}
	resp, answer, err := s.whip.do(ctx, request{
		method: http.MethodPost, url: s.o.URL, body: text,
		header: http.Header{"Content-Type": {signal.TypeSDP}, "Accept": {signal.TypeSDP}},
	}, http.StatusCreated)
	if err != nil {
		return err
	}
	if s.url, err = location(resp); err != nil {
		return err
	}
	s.setETag(resp.Header.Get("ETag"))
	s.answer = answer
	if err := s.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer}); err != nil {
		return fmt.Errorf("the server's answer can't be used: %w", err)
	}
	if s.o.Trickle {
		s.wg.Go(func() { s.trickle(found) })
	}
	return s.connected(ctx)
}

// gathered waits for the client's candidates, for a bounded time, and returns the description that has them.
func (s *Session) gathered(ctx context.Context) (string, error) {
	bound := time.NewTimer(gatherTime)
	defer bound.Stop()
	select {
	case <-pion.GatheringCompletePromise(s.pc):
	case <-bound.C:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-s.ctx.Done():
		return "", s.Err()
	}
	return s.pc.LocalDescription().SDP, nil
}

// connected waits until media can flow.
func (s *Session) connected(ctx context.Context) error {
	for {
		switch state := s.pc.ConnectionState(); state {
		case pion.PeerConnectionStateConnected:
			return nil
		case pion.PeerConnectionStateFailed:
			s.mu.Lock()
			defer s.mu.Unlock()
			return errors.Join(errUnreachable, s.trickled)
		}
		select {
		case <-s.states:
		case <-s.ctx.Done():
			return s.Err()
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			return errors.Join(fmt.Errorf("waiting for the connection: %w", context.Cause(ctx)), s.trickled)
		}
	}
}

// URL returns the session's, as its Location had it.
func (s *Session) URL() string { return s.url.String() }

// ETag returns the name of the current ICE session, as the server gave it; "" if it gives none.
func (s *Session) ETag() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.etag
}

func (s *Session) setETag(tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.etag = tag
}

// Codecs returns those that the server took, by the track and the codec's number.
func (s *Session) Codecs() []av.Codec {
	var out []av.Codec
	for _, t := range s.tracks() {
		out = append(out, t.codecs()...)
	}
	slices.Sort(out)
	return out
}

func (s *Session) tracks() []*track {
	return slices.DeleteFunc([]*track{s.audio, s.video}, func(t *track) bool { return t == nil })
}

// State returns the state of the connection. After Disconnected and Failed a Restart may bring it back.
func (s *Session) State() pion.PeerConnectionState { return s.pc.ConnectionState() }

// Events returns the channel of the session's events, which is closed when the session has ended. A reader that is 1024
// events behind loses the oldest; Stats counts them.
func (s *Session) Events() <-chan pipeline.Event { return s.events.c }

// Done returns a channel that is closed when the session has ended and nothing of it runs any more.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session has ended: ErrEnded or ErrClosed; nil while it runs.
func (s *Session) Err() error { return context.Cause(s.ctx) }

// Mute stops sending sound or pictures, or goes on with them; pictures from the next key frame on. Time goes on.
func (s *Session) Mute(audio, video bool) {
	for _, t := range s.tracks() {
		t.mute(cmp.Or(audio && t == s.audio, video && t == s.video))
	}
}

// ShiftClocks sets the sender's clocks from now on, by how much they are ahead of the right time, as after the
// machine's clock was set or an encoder began anew: rtp is that of the RTP timestamps, wall that of the sender reports
// (RFC 3550 sections 5.1 and 6.4.1).
func (s *Session) ShiftClocks(rtp, wall time.Duration) {
	s.wall.Store(int64(wall))
	for _, t := range s.tracks() {
		t.shiftBy(rtp)
	}
}

// now returns the time by the clock of the sender reports.
func (s *Session) now() time.Time { return time.Now().Add(time.Duration(s.wall.Load())) }

// Close ends the session at the server by DELETE, takes the events that the server still sends, and waits until
// nothing of the session runs any more. One that the server has ended it leaves alone. It may be called more than once.
func (s *Session) Close(ctx context.Context) error {
	var err error
	s.leaving.Store(true)
	if s.url != nil && s.Err() == nil {
		if err = s.delete(ctx); err == nil && s.State() == pion.PeerConnectionStateConnected {
			// What is on its way comes before the server closes its side.
			bye := time.NewTimer(byeTime)
			defer bye.Stop()
			select {
			case <-s.ctx.Done():
			case <-bye.C:
			case <-ctx.Done():
			}
		}
	}
	s.end(ErrClosed)
	<-s.done
	return err
}

// delete ends the session at the server, if there is one.
func (s *Session) delete(ctx context.Context) error {
	_, _, err := s.whip.do(ctx, request{method: http.MethodDelete, url: s.url.String()}, http.StatusOK)
	var refused *Error
	if errors.As(err, &refused) && (refused.Status == http.StatusNotFound || refused.Status == http.StatusNoContent) {
		return nil // it has ended already, or says so in its own way
	}
	return err
}
