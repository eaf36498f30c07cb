package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/vnet"
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

func (b *backend) Delete(_ context.Context, id string) error {
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
		network: n, packets: make(chan packet, 1000), states: make(chan peer.State, 100), channel: make(chan *pion.DataChannel, 10),
		peers: map[string]*session{},
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

// quiet discards what pion says.
type quiet struct{}

func (quiet) NewLogger(string) logging.LeveledLogger {
	return logging.NewDefaultLeveledLoggerForScope("", logging.LogLevelDisabled, io.Discard)
}

// client is a WHIP client that sends packets of no meaning all the time.
type client struct {
	t        *testing.T
	s        *server
	pc       *pion.PeerConnection
	gathered chan string // candidates
	location string
	etag     string
	answer   string
	change   func(offer string) string // of the offer that is sent; nil for none
}

// newClient makes a client with a track for each of the types.
func newClient(t *testing.T, s *server, mimes ...string) *client {
	t.Helper()
	var e pion.SettingEngine
	e.LoggerFactory = quiet{}
	if s.clientNet != nil {
		e.SetNet(s.clientNet)
	} else {
		e.SetIncludeLoopbackCandidate(true)
		e.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	}
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	var m pion.MediaEngine
	r := &interceptor.Registry{}
	if s.clientExtra != nil {
		r.Add(s.clientExtra)
	}
	if err := errors.Join(m.RegisterDefaultCodecs(), pion.RegisterDefaultInterceptors(&m, r), pion.ConfigureTWCCHeaderExtensionSender(&m, r)); err != nil {
		t.Fatal(err)
	}
	api := pion.NewAPI(pion.WithMediaEngine(&m), pion.WithInterceptorRegistry(r), pion.WithSettingEngine(e))
	pc, err := api.NewPeerConnection(pion.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, s: s, pc: pc, gathered: make(chan string, 100)}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	t.Cleanup(func() {
		close(stop)
		writers.Wait()
		if err := pc.GracefulClose(); err != nil {
			t.Error(err)
		}
	})
	for _, mime := range mimes {
		kind, _, _ := strings.Cut(mime, "/")
		track, err := pion.NewTrackLocalStaticRTP(pion.RTPCodecCapability{MimeType: mime}, kind, "stream")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pc.AddTransceiverFromTrack(track, pion.RTPTransceiverInit{Direction: pion.RTPTransceiverDirectionSendonly}); err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for n := uint16(0); ; n++ {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				_ = track.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: n, Timestamp: uint32(n) * 960}, Payload: []byte{0x10, 0, 1, 2}})
			}
		})
	}
	pc.OnICECandidate(func(i *pion.ICECandidate) {
		if i != nil {
			c.gathered <- i.ToJSON().Candidate
		}
	})
	return c
}

// must gives what a call returned, and ends the test if that was an error.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// post sends the offer without candidates and takes the answer.
func (c *client) post() {
	c.t.Helper()
	offer := must(c.pc.CreateOffer(nil))(c.t)
	if err := c.pc.SetLocalDescription(offer); err != nil {
		c.t.Fatal(err)
	}
	text := offer.SDP
	if c.change != nil {
		text = c.change(text)
	}
	res := must(c.s.http.Client().Post(c.s.http.URL+"/whip", signal.TypeSDP, strings.NewReader(text)))(c.t)
	defer res.Body.Close()
	body := must(io.ReadAll(res.Body))(c.t)
	if res.StatusCode != http.StatusCreated {
		c.t.Fatalf("status %d: %s", res.StatusCode, body)
	}
	c.location, c.etag, c.answer = res.Header.Get("Location"), res.Header.Get("ETag"), string(body)
	if err := c.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: c.answer}); err != nil {
		c.t.Fatalf("%v in %s", err, c.answer)
	}
}

// patch sends a fragment.
func (c *client) patch(tag, body string) (*http.Response, string) {
	c.t.Helper()
	req := must(http.NewRequest("PATCH", c.s.http.URL+c.location, strings.NewReader(body)))(c.t)
	req.Header.Set("Content-Type", signal.TypeFragment)
	req.Header.Set("If-Match", tag)
	res := must(c.s.http.Client().Do(req))(c.t)
	defer res.Body.Close()
	return res, string(must(io.ReadAll(res.Body))(c.t))
}

func (c *client) credentials() (ufrag, pwd string) {
	for l := range strings.SplitSeq(c.pc.LocalDescription().SDP, "\r\n") {
		if v, ok := strings.CutPrefix(l, "a=ice-ufrag:"); ok {
			ufrag = v
		}
		if v, ok := strings.CutPrefix(l, "a=ice-pwd:"); ok {
			pwd = v
		}
	}
	return ufrag, pwd
}

// trickle sends the client's candidates one by one.
func (c *client) trickle() {
	c.t.Helper()
	ufrag, pwd := c.credentials()
	f := signal.Fragment{Ufrag: ufrag, Pwd: pwd, Media: []signal.FragmentMedia{{Kind: "audio", Mid: "0"}}}
	for n := 0; ; n++ {
		select {
		case candidate := <-c.gathered:
			f.Media[0].Candidates = []string{strings.TrimPrefix(candidate, "candidate:")}
		case <-time.After(patience):
			c.t.Fatal("no candidates")
		case <-pion.GatheringCompletePromise(c.pc):
			if len(c.gathered) > 0 {
				continue
			}
			if n == 0 {
				c.t.Fatal("no candidates")
			}
			f.Media[0].Candidates, f.Media[0].End = nil, true
		}
		if res, body := c.patch(c.etag, f.String()); res.StatusCode != http.StatusNoContent || res.Header.Get("ETag") != "" {
			c.t.Fatalf("status %d: %s", res.StatusCode, body)
		}
		if f.Media[0].End {
			return
		}
	}
}

// restart restarts ICE: candidates and all in one fragment (RFC 9725 section 4.3.3).
func (c *client) restart() {
	c.t.Helper()
	offer := must(c.pc.CreateOffer(&pion.OfferOptions{ICERestart: true}))(c.t)
	if err := c.pc.SetLocalDescription(offer); err != nil {
		c.t.Fatal(err)
	}
	<-pion.GatheringCompletePromise(c.pc)
	ufrag, pwd := c.credentials()
	f := signal.Fragment{Ufrag: ufrag, Pwd: pwd, Media: []signal.FragmentMedia{{Kind: "audio", Mid: "0", End: true}}}
	for l := range strings.SplitSeq(c.pc.LocalDescription().SDP, "\r\n") {
		if v, ok := strings.CutPrefix(l, "a=candidate:"); ok {
			f.Media[0].Candidates = append(f.Media[0].Candidates, v)
		}
	}
	res, body := c.patch("*", f.String())
	if res.StatusCode != http.StatusOK || res.Header.Get("ETag") == c.etag || res.Header.Get("ETag") == "" {
		c.t.Fatalf("status %d, ETag %s: %s", res.StatusCode, res.Header.Get("ETag"), body)
	}
	c.etag = res.Header.Get("ETag")
	fragment, err := signal.ParseFragment(body)
	if err != nil || len(fragment.Candidates()) == 0 {
		c.t.Fatalf("%q: %v", body, err)
	}
	// What is not ICE is as it was.
	var answer []string
	for l := range strings.SplitSeq(strings.TrimSuffix(c.answer, "\r\n"), "\r\n") {
		switch key, _, _ := strings.Cut(l, ":"); key {
		case "a=ice-ufrag":
			answer = append(answer, key+":"+fragment.Ufrag)
		case "a=ice-pwd":
			answer = append(answer, key+":"+fragment.Pwd)
			for _, v := range fragment.Candidates() {
				answer = append(answer, "a=candidate:"+v)
			}
		case "a=candidate", "a=end-of-candidates":
		default:
			answer = append(answer, l)
		}
	}
	if err := c.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: strings.Join(answer, "\r\n") + "\r\n"}); err != nil {
		c.t.Fatal(err)
	}
}

func TestMediaAndData(t *testing.T) {
	for _, video := range []string{pion.MimeTypeVP8, pion.MimeTypeH264} {
		t.Run(video, func(t *testing.T) {
			s := newServer(t, peer.Options{MaxBitrate: 2_500_000})
			c := newClient(t, s, pion.MimeTypeOpus, video)
			own := must(c.pc.CreateDataChannel("events", nil))(t)
			fromServer := make(chan string, 10)
			c.pc.OnDataChannel(func(d *pion.DataChannel) {
				d.OnMessage(func(m pion.DataChannelMessage) { fromServer <- d.Label() + "," + d.Protocol() + "," + string(m.Data) })
			})
			c.post()
			c.trickle()
			s.awaitState(t, peer.Connected)
			s.awaitPackets(t, pion.MimeTypeOpus, video)

			p := s.find("s1")
			if !p.HasData() || p.State() != peer.Connected || !slices.Contains(p.Codecs(), "opus") {
				t.Errorf("data %v, state %v, codecs %v", p.HasData(), p.State(), p.Codecs())
			}
			// Their channel, both ways.
			var theirs *pion.DataChannel
			select {
			case theirs = <-s.channel:
			case <-time.After(patience):
				t.Fatal("no channel")
			}
			heard := make(chan string, 1)
			theirs.OnMessage(func(m pion.DataChannelMessage) { heard <- string(m.Data) })
			if err := own.SendText("up"); err != nil {
				t.Fatal(err)
			}
			await(t, heard, "up")
			own.OnMessage(func(m pion.DataChannelMessage) { fromServer <- string(m.Data) })
			if err := theirs.SendText("down"); err != nil {
				t.Fatal(err)
			}
			await(t, fromServer, "down")
			// Ours.
			for _, unreliable := range []bool{false, true} {
				ours, err := p.CreateChannel("state", peer.ChannelOptions{Protocol: "tandem.v1", Unreliable: unreliable})
				if err != nil {
					t.Fatal(err)
				}
				if ours.Ordered() == unreliable || (ours.MaxRetransmits() != nil) != unreliable {
					t.Errorf("unreliable %v: ordered %v, retransmits %v", unreliable, ours.Ordered(), ours.MaxRetransmits())
				}
				ours.OnOpen(func() { _ = ours.SendText("hello") })
				await(t, fromServer, "state,tandem.v1,hello")
			}
			if !strings.Contains(c.answer, "b=TIAS:2500000\r\n") || !strings.Contains(c.answer, "b=AS:2500\r\n") {
				t.Errorf("no bitrate in %s", c.answer)
			}
		})
	}
}

func await(t *testing.T, c <-chan string, want string) {
	t.Helper()
	select {
	case got := <-c:
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("%q never came", want)
	}
}

func TestKeyFrameRequest(t *testing.T) {
	s := newServer(t, peer.Options{})
	c := newClient(t, s, pion.MimeTypeVP8)
	c.post()
	c.trickle()
	s.awaitPackets(t, pion.MimeTypeVP8)
	var ssrc uint32
	select {
	case p := <-s.packets:
		ssrc = p.rtp.SSRC
	case <-time.After(patience):
		t.Fatal("no packets")
	}
	asked := make(chan string, 100)
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			packets, _, err := c.pc.GetSenders()[0].ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				select {
				case asked <- fmt.Sprintf("%T", p):
				default:
				}
			}
		}
	})
	t.Cleanup(func() {
		if err := c.pc.GetSenders()[0].Stop(); err != nil {
			t.Error(err)
		}
		reader.Wait()
	})
	if err := s.find("s1").RequestKeyFrame(ssrc); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	end := time.After(patience)
	for !seen["*rtcp.PictureLossIndication"] || !seen["*rtcp.TransportLayerCC"] || !seen["*rtcp.ReceiverReport"] {
		select {
		case name := <-asked:
			seen[name] = true
		case <-end:
			t.Fatalf("the client was told %v", seen)
		}
	}
}

func TestRestart(t *testing.T) {
	for _, undeclared := range []bool{false, true} {
		t.Run(fmt.Sprintf("undeclared=%v", undeclared), func(t *testing.T) {
			s := newServer(t, peer.Options{})
			c := newClient(t, s, pion.MimeTypeOpus, pion.MimeTypeVP8)
			if undeclared { // RFC 9429 section 5.2.1 wants no a=ssrc
				c.change = func(offer string) string { return without(offer, "a=ssrc", "a=msid") }
			}
			c.post()
			c.trickle()
			s.awaitPackets(t, pion.MimeTypeOpus, pion.MimeTypeVP8)
			old := c.etag
			for range 2 {
				c.restart()
				s.awaitState(t, peer.Connected)
				s.awaitPackets(t, pion.MimeTypeOpus, pion.MimeTypeVP8)
			}
			if res, _ := c.patch(old, "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=end-of-candidates\r\n"); res.StatusCode != http.StatusPreconditionFailed {
				t.Errorf("an old ETag gives status %d", res.StatusCode)
			}
		})
	}
}

// without leaves out lines by how they begin.
func without(sdp string, prefixes ...string) string {
	var out []string
	for l := range strings.SplitSeq(sdp, "\r\n") {
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(l, p) }) {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\r\n")
}

// A connection that has failed in an outage comes back by a restart.
func TestOutage(t *testing.T) {
	peer.SetICETimes(t, 500*time.Millisecond, time.Second, 100*time.Millisecond)
	router := must(vnet.NewRouter(&vnet.RouterConfig{CIDR: "1.2.3.0/24", LoggerFactory: quiet{}}))(t)
	host := func(ip string) *vnet.Net {
		n := must(vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{ip}}))(t)
		if err := router.AddNet(n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	serverNet, clientNet := host("1.2.3.4"), host("1.2.3.5")
	var cut atomic.Bool
	router.AddChunkFilter(func(vnet.Chunk) bool { return !cut.Load() })
	if err := router.Start(); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, peer.Options{Net: serverNet, PublicOnly: true})
	s.clientNet = clientNet
	// Before the server's checks for goroutines, and after the client is closed.
	t.Cleanup(func() {
		s.closePeers(t)
		if err := router.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := newClient(t, s, pion.MimeTypeOpus, pion.MimeTypeVP8)
	c.post()
	c.trickle()
	s.awaitState(t, peer.Connected)
	s.awaitPackets(t, pion.MimeTypeOpus, pion.MimeTypeVP8)
	cut.Store(true)
	s.awaitState(t, peer.Disconnected)
	s.awaitState(t, peer.Failed)
	cut.Store(false)
	c.restart()
	s.awaitState(t, peer.Connected)
	s.awaitPackets(t, pion.MimeTypeOpus, pion.MimeTypeVP8)
}

// A restart that can't be leaves the session as it was.
func TestRefusedRestart(t *testing.T) {
	s := newServer(t, peer.Options{})
	c := newClient(t, s, pion.MimeTypeOpus)
	c.post()
	c.trickle()
	s.awaitPackets(t, pion.MimeTypeOpus)
	for _, body := range []string{
		"a=ice-ufrag:abcd\r\n", "a=ice-ufrag:ab\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n",
		"a=ice-ufrag:abcd\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:x\r\n",
	} {
		if res, _ := c.patch("*", body); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: status %d", body, res.StatusCode)
		}
	}
	s.awaitPackets(t, pion.MimeTypeOpus)
	if s.find("s1").ETag() != strings.Trim(c.etag, `"`) {
		t.Error("the ETag has changed")
	}
}

func TestPatchFlood(t *testing.T) {
	s := newServer(t, peer.Options{})
	other := newClient(t, s, pion.MimeTypeOpus)
	other.post()
	other.trickle()
	c := newClient(t, s, pion.MimeTypeVP8)
	c.post()
	ufrag, pwd := c.credentials()
	f := signal.Fragment{Ufrag: ufrag, Pwd: pwd, Media: []signal.FragmentMedia{{Kind: "video", Mid: "0"}}}
	for i := range signal.MaxCandidates {
		f.Media[0].Candidates = append(f.Media[0].Candidates, fmt.Sprintf("1 1 udp 1 127.0.0.1 %d typ host", 40000+i))
	}
	codes := map[int]int{}
	for range 300 {
		res, _ := c.patch(c.etag, f.String())
		codes[res.StatusCode]++
		if res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
			t.Fatal("no Retry-After")
		}
	}
	if codes[204] == 0 || codes[429] < 50 || codes[204]+codes[429] != 300 {
		t.Errorf("statuses %v", codes)
	}
	codes = map[int]int{}
	for i := range 20 {
		time.Sleep(60 * time.Millisecond) // so that it is restarts that are bounded, not requests
		res, _ := c.patch("*", fmt.Sprintf("a=ice-ufrag:flood%d\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n", i))
		codes[res.StatusCode]++
	}
	if codes[200] == 0 || codes[429] == 0 || codes[200]+codes[429] != 20 {
		t.Errorf("statuses of restarts %v", codes)
	}
	s.awaitPackets(t, pion.MimeTypeOpus) // the other goes on
}

func TestUDPPort(t *testing.T) {
	probe := must(net.ListenUDP("udp", &net.UDPAddr{}))(t)
	port := probe.LocalAddr().(*net.UDPAddr).Port
	probe.Close()
	s := newServer(t, peer.Options{UDPPort: port})
	for _, mime := range []string{pion.MimeTypeOpus, pion.MimeTypeVP8} {
		c := newClient(t, s, mime)
		c.post()
		for l := range strings.SplitSeq(c.answer, "\r\n") {
			if f := strings.Fields(l); strings.HasPrefix(l, "a=candidate:") && f[5] != fmt.Sprint(port) {
				t.Errorf("%s: want port %d", l, port)
			}
		}
		c.trickle()
		s.awaitPackets(t, mime)
		c.restart()
		s.awaitPackets(t, mime)
	}
	if _, err := peer.NewNetwork(peer.Options{UDPPort: port, Loopback: true}); err == nil {
		t.Error("the port is given twice")
	}
}

func TestClientGone(t *testing.T) {
	s := newServer(t, peer.Options{})
	c := newClient(t, s, pion.MimeTypeOpus)
	c.post()
	c.trickle()
	s.awaitPackets(t, pion.MimeTypeOpus)
	if err := c.pc.Close(); err != nil {
		t.Fatal(err)
	}
	s.awaitState(t, peer.Closed)
	ufrag, pwd := c.credentials()
	if res, _ := c.patch(c.etag, signal.Fragment{Ufrag: ufrag, Pwd: pwd}.String()); res.StatusCode != http.StatusNotFound {
		t.Errorf("candidates after the end: status %d", res.StatusCode)
	}
	if res, _ := c.patch("*", "a=ice-ufrag:abcd\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a restart after the end: status %d", res.StatusCode)
	}
}

// manySSRCs sends each packet by another SSRC.
type manySSRCs struct {
	interceptor.NoOp
	next uint32
}

func (m *manySSRCs) NewInterceptor(string) (interceptor.Interceptor, error) { return m, nil }

func (m *manySSRCs) BindLocalStream(_ *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		m.next++
		h.SSRC = m.next
		return w.Write(h, payload, a)
	})
}

func TestManySSRCs(t *testing.T) {
	s := newServer(t, peer.Options{})
	s.clientExtra = &manySSRCs{}
	c := newClient(t, s, pion.MimeTypeOpus)
	c.change = func(offer string) string { return without(offer, "a=ssrc") }
	c.post()
	c.trickle()
	s.awaitState(t, peer.Connected)
	s.awaitState(t, peer.Closed)
}

func TestDelete(t *testing.T) {
	s := newServer(t, peer.Options{})
	c := newClient(t, s, pion.MimeTypeOpus)
	c.post()
	c.trickle()
	s.awaitPackets(t, pion.MimeTypeOpus)
	for _, want := range []int{200, 404} {
		req := must(http.NewRequest("DELETE", s.http.URL+c.location, nil))(t)
		res := must(s.http.Client().Do(req))(t)
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("status %d, want %d", res.StatusCode, want)
		}
	}
	s.awaitState(t, peer.Closed)
}

// Candidates, restarts and the end may come all at once.
func TestConcurrency(t *testing.T) {
	s := newServer(t, peer.Options{})
	c := newClient(t, s, pion.MimeTypeOpus, pion.MimeTypeVP8)
	c.post()
	p := s.find("s1").Peer
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			f := signal.Fragment{Media: []signal.FragmentMedia{{Candidates: []string{fmt.Sprintf("1 1 udp 1 127.0.0.1 %d typ host", 50000+i)}}}}
			for range 5 {
				if err := p.AddCandidates(t.Context(), f); err != nil && !errors.Is(err, peer.ErrClosed) {
					t.Error(err)
				}
				_, _, err := p.Restart(t.Context(), signal.Fragment{Ufrag: fmt.Sprintf("abcd%d", i), Pwd: "P2uYro0UCOQ4zxjKXaWCBui1"})
				var rate *peer.RateError
				if err != nil && !errors.Is(err, peer.ErrClosed) && !errors.As(err, &rate) {
					t.Error(err)
				}
				_ = p.ETag() + p.RemoteUfrag() + p.State().String()
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			time.Sleep(50 * time.Millisecond)
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if p.State() != peer.Closed {
		t.Errorf("state %v", p.State())
	}
}

func TestCancelledAnswer(t *testing.T) {
	s := newServer(t, peer.Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the client went away")
	cancel(cause)
	if _, err := answer(ctx, s.network, chromeOffer()); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}

func TestAddresses(t *testing.T) {
	extra := "a=candidate:1 1 udp 5 192.168.7.7 5000 typ host\r\na=candidate:2 1 udp 4 9.9.9.9 5000 typ srflx raddr 0.0.0.0 rport 9\r\n" +
		"a=candidate:3 1 udp 3 abc-def.local 5000 typ host\r\na=candidate:4 1 udp 2 224.0.0.1 5000 typ host\r\na=candidate:5 1 udp 1 ::1 5000 typ host\r\n"
	for _, c := range []struct {
		public bool
		want   int
	}{{false, 2}, {true, 6}} {
		t.Run(fmt.Sprintf("public=%v", c.public), func(t *testing.T) {
			s := newServer(t, peer.Options{PublicOnly: c.public, PublicIPs: []string{"9.8.7.6"}})
			p, err := answer(t.Context(), s.network, chromeOffer()+extra)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			f, err := signal.ParseFragment("m=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + extra)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.AddCandidates(t.Context(), f); err != nil {
				t.Error(err)
			}
			usable := 0 // addresses that are well-formed, each sent twice
			for _, candidate := range strings.Split(extra, "\r\n") {
				if a, err := signal.ParseCandidate(strings.TrimPrefix(candidate, "a=candidate:")); err == nil && a.IsValid() {
					usable += 2
				}
			}
			if got := usable - p.Candidates(); got != c.want {
				t.Errorf("%d candidates refused, want %d", got, c.want)
			}
			if !strings.Contains(p.Answer(), " 9.8.7.6 ") {
				t.Errorf("the public address is not in %s", p.Answer())
			}
		})
	}
	if _, err := peer.NewNetwork(peer.Options{PublicIPs: []string{"example.org"}}); err == nil {
		t.Error("a name is taken for an address")
	}
}

// With PublicOnly a client on a private address is not answered, though it knows the server's.
func TestPublicOnlyKeepsOut(t *testing.T) {
	s := newServer(t, peer.Options{PublicOnly: true})
	c := newClient(t, s, pion.MimeTypeOpus)
	c.post()
	c.trickle()
	select {
	case <-s.packets:
		t.Error("media came from a loopback address")
	case <-time.After(2 * time.Second):
	}
	if p := s.find("s1"); p.Candidates() != 0 || p.State() == peer.Connected {
		t.Errorf("%d candidates taken, state %v", p.Candidates(), p.State())
	}
}

// pion's words, with their addresses, are for debugging only.
func TestLog(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
		t.Run(level.String(), func(t *testing.T) {
			w := &lockedWriter{}
			s := newServer(t, peer.Options{Log: slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))})
			c := newClient(t, s, pion.MimeTypeOpus)
			c.post()
			c.trickle()
			s.awaitPackets(t, pion.MimeTypeOpus)
			if err := s.find("s1").Close(); err != nil {
				t.Error(err)
			}
			if said := w.text(); (said != "") != (level == slog.LevelDebug) {
				t.Errorf("%q is said", said)
			}
		})
	}
}

type lockedWriter struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedWriter) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
