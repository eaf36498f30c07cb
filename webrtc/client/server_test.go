package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/events"
	"tandem/webrtc/problem"
	"tandem/webrtc/signal"
)

// server is as much of a WHIP server as the client needs: one session that keeps what it gets.
type server struct {
	t    *testing.T
	http *httptest.Server
	pc   *pion.PeerConnection

	// Set before the client comes.
	token   string
	refuse  func(w http.ResponseWriter, r *http.Request) bool // answers in place of the server
	answer  func(sdp string) string
	channel func(d *pion.DataChannel) // has each channel once it is open

	mu       sync.Mutex
	offer    string
	patches  []patch
	deleted  int
	packets  map[pion.RTPCodecType][]arrival
	reports  map[pion.RTPCodecType][]*rtcp.SenderReport
	restarts int
	wg       sync.WaitGroup
}

type patch struct{ match, body string }

type arrival struct {
	*rtp.Packet
	at   time.Time
	mime string
}

func newServer(t *testing.T) *server {
	s := &server{
		t: t, packets: map[pion.RTPCodecType][]arrival{}, reports: map[pion.RTPCodecType][]*rtcp.SenderReport{},
		answer: func(s string) string { return s }, channel: func(*pion.DataChannel) {},
	}
	s.http = httptest.NewServer(s)
	t.Cleanup(func() {
		s.http.Close()
		if s.pc != nil {
			s.pc.GracefulClose()
		}
		s.wg.Wait()
	})
	return s
}

func (s *server) url() string { return s.http.URL + "/whip" }

// locked gives a look at what the server has.
func (s *server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) got(k pion.RTPCodecType) []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]arrival(nil), s.packets[k]...)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.token != "" && r.Header.Get("Authorization") != "Bearer "+s.token {
		problem.Write(w, &problem.Error{Status: http.StatusUnauthorized, Detail: "who are you?"})
		return
	}
	if s.refuse != nil && s.refuse(w, r) {
		return
	}
	body, _ := io.ReadAll(r.Body)
	switch r.Method + " " + r.URL.Path {
	case "OPTIONS /whip":
		w.Header().Add("Link", `<stun:127.0.0.1:9>; rel="ice-server"`)
		w.WriteHeader(http.StatusNoContent)
	case "POST /whip":
		if r.Header.Get("Content-Type") != signal.TypeSDP {
			s.t.Errorf("Content-Type %q", r.Header.Get("Content-Type"))
		}
		answer := s.accept(string(body))
		w.Header().Set("Content-Type", signal.TypeSDP)
		w.Header().Set("Location", "sessions/one") // relative to the endpoint's folder
		w.Header().Set("ETag", `"first"`)
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, s.answer(answer))
	case "PATCH /sessions/one":
		s.patch(w, r, string(body))
	case "DELETE /sessions/one":
		s.locked(func() { s.deleted++ })
		w.WriteHeader(http.StatusOK)
		if s.pc != nil {
			s.wg.Go(func() { s.pc.Close() })
		}
	default:
		s.t.Errorf("%s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusNotFound)
	}
}

// accept makes the connection and its answer.
func (s *server) accept(offer string) string {
	m := &pion.MediaEngine{}
	check := func(err error) {
		if err != nil {
			s.t.Error(err)
		}
	}
	check(m.RegisterDefaultCodecs())
	var e pion.SettingEngine
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	pc, err := pion.NewAPI(pion.WithMediaEngine(m), pion.WithSettingEngine(e)).NewPeerConnection(pion.Configuration{})
	if err != nil {
		s.t.Error(err)
		return ""
	}
	s.locked(func() { s.pc, s.offer = pc, offer })
	pc.OnTrack(func(t *pion.TrackRemote, r *pion.RTPReceiver) {
		s.wg.Go(func() { s.readReports(t, r) })
		s.wg.Go(func() {
			for {
				p, _, err := t.ReadRTP()
				if err != nil {
					return
				}
				at := time.Now()
				s.locked(
					func() { s.packets[t.Kind()] = append(s.packets[t.Kind()], arrival{p, at, t.Codec().MimeType}) })
			}
		})
	})
	opened := func(d *pion.DataChannel) { d.OnOpen(func() { s.channel(d) }) }
	pc.OnDataChannel(opened)
	check(pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeOffer, SDP: offer}))
	if strings.Contains(offer, "m=application") && strings.Contains(s.t.Name(), "server") {
		for label, ordered := range map[string]bool{events.Label: false, events.ReliableName: true} {
			protocol := events.Protocol
			d, err := pc.CreateDataChannel(label, &pion.DataChannelInit{Ordered: &ordered, Protocol: &protocol})
			check(err)
			opened(d)
		}
	}
	return s.negotiate()
}

func (s *server) negotiate() string {
	answer, err := s.pc.CreateAnswer(nil)
	if err != nil {
		s.t.Error(err)
		return ""
	}
	gathered := pion.GatheringCompletePromise(s.pc)
	if err := s.pc.SetLocalDescription(answer); err != nil {
		s.t.Error(err)
	}
	<-gathered
	return s.pc.LocalDescription().SDP
}

func (s *server) readReports(t *pion.TrackRemote, r *pion.RTPReceiver) {
	for {
		packets, _, err := r.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			if sr, ok := p.(*rtcp.SenderReport); ok {
				s.locked(func() { s.reports[t.Kind()] = append(s.reports[t.Kind()], sr) })
			}
		}
	}
}

// patch takes candidates, or restarts ICE.
func (s *server) patch(w http.ResponseWriter, r *http.Request, body string) {
	s.locked(func() { s.patches = append(s.patches, patch{r.Header.Get("If-Match"), body}) })
	f, err := signal.ParseFragment(body)
	if err != nil {
		s.t.Error(err)
		problem.Write(w, err)
		return
	}
	if r.Header.Get("If-Match") != "*" {
		for _, c := range f.Candidates() {
			if err := s.pc.AddICECandidate(pion.ICECandidateInit{Candidate: "candidate:" + c}); err != nil {
				s.t.Error(err)
			}
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	// An offer and an answer differ in nothing that a restart changes.
	offer, err := renewed(s.offer, f)
	if err != nil {
		s.t.Error(err)
	}
	if err := s.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeOffer, SDP: offer}); err != nil {
		s.t.Error(err)
	}
	local, err := signal.LocalFragment(s.negotiate())
	if err != nil {
		s.t.Error(err)
	}
	s.locked(func() { s.restarts++ })
	w.Header().Set("Content-Type", signal.TypeFragment)
	w.Header().Set("ETag", `"second"`)
	io.WriteString(w, local.String())
}
