package peer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/transport/v5"
	pion "github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"tandem/webrtc/peer"
	"tandem/webrtc/problem"
	"tandem/webrtc/signal"
	"tandem/webrtc/whip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what takes milliseconds on a quiet machine.
const patience = 10 * time.Second

// backend is a whip.Backend of peers, and sees what comes to them.
type backend struct {
	network *peer.Network
	packets chan packet
	states  chan peer.State
	channel chan *pion.DataChannel

	mu    sync.Mutex
	peers map[string]*session
}

type packet struct {
	mime string
	rtp  *rtp.Packet
}

type session struct {
	*peer.Peer
	id string
}

func (s *session) ID() string { return s.id }

func (s *session) AddCandidates(ctx context.Context, f signal.Fragment) error {
	return answered(s.Peer.AddCandidates(ctx, f))
}

func (s *session) Restart(ctx context.Context, f signal.Fragment) (signal.Fragment, string, error) {
	answer, etag, err := s.Peer.Restart(ctx, f)
	return answer, etag, answered(err)
}

// answered returns the error of WHIP for one of a peer.
func answered(err error) error {
	var rate *peer.RateError
	switch {
	case errors.As(err, &rate):
		return &problem.Error{Status: http.StatusTooManyRequests, Detail: rate.Error(), RetryAfter: rate.Wait}
	case errors.Is(err, peer.ErrClosed):
		return whip.ErrNoSession
	case errors.Is(err, peer.ErrStale):
		return whip.ErrStale
	}
	return err
}

func (b *backend) handler() peer.Handler {
	return peer.Handler{
		OnTrack: func(t *pion.TrackRemote, _ *pion.RTPReceiver) {
			for {
				p, _, err := t.ReadRTP()
				if err != nil {
					return
				}
				select {
				case b.packets <- packet{t.Codec().MimeType, p}:
				default:
				}
			}
		},
		OnChannel: func(d *pion.DataChannel) { b.channel <- d },
		OnState: func(s peer.State) {
			select {
			case b.states <- s:
			default:
			}
		},
	}
}

func (b *backend) Open(ctx context.Context, r whip.Request) (whip.Session, error) {
	p, err := b.network.Answer(ctx, r.Offer, nil)
	if err != nil {
		return nil, answered(err)
	}
	p.Begin(b.handler())
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &session{p, fmt.Sprintf("s%d", len(b.peers)+1)}
	b.peers[s.id] = s
	return s, nil
}

func (b *backend) find(id string) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.peers[id]
}

func (b *backend) Session(id string) (whip.Session, bool) {
	s := b.find(id)
	return s, s != nil
}

func (b *backend) Delete(_ context.Context, id string, _ bool) error {
	s := b.find(id)
	if s == nil {
		return whip.ErrNoSession
	}
	b.mu.Lock()
	delete(b.peers, id)
	b.mu.Unlock()
	return s.Close()
}

// server is the backend behind HTTP.
type server struct {
	*backend
	http *httptest.Server
	// Of its clients; nil for the loopback interface, and for no more than pion's interceptors.
	clientNet   transport.Net
	clientExtra interceptor.Factory
}

func newServer(t *testing.T, o peer.Options) *server {
	t.Helper()
	o.Loopback = o.Net == nil
	n, err := peer.NewNetwork(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{backend: &backend{
		network: n, packets: make(chan packet, 1000), states: make(chan peer.State, 100),
		channel: make(chan *pion.DataChannel, 10), peers: map[string]*session{},
	}}
	h := &whip.Handler{Backend: s.backend}
	mux := http.NewServeMux()
	mux.HandleFunc("/whip", h.ServeEndpoint)
	mux.HandleFunc("/sessions/{id}", h.ServeSession)
	s.http = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.http.Close()
		s.closePeers(t)
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t)
	})
	return s
}

func (s *server) closePeers(t *testing.T) {
	for _, p := range s.peers {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// awaitPackets waits for packets of all the types, and forgets those that came before.
func (s *server) awaitPackets(t *testing.T, mimes ...string) {
	t.Helper()
	for len(s.packets) > 0 {
		<-s.packets
	}
	got := map[string]int{}
	end := time.After(patience)
	for slices.ContainsFunc(mimes, func(m string) bool { return got[m] < 5 }) {
		select {
		case p := <-s.packets:
			got[p.mime]++
		case <-end:
			t.Fatalf("packets %v, want 5 of each of %v", got, mimes)
		}
	}
}

func (s *server) awaitState(t *testing.T, want peer.State) {
	t.Helper()
	end := time.After(patience)
	for {
		select {
		case got := <-s.states:
			if got == want {
				return
			}
		case <-end:
			t.Fatalf("the connection never was %v", want)
		}
	}
}
