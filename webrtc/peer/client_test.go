package peer_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/signal"
)

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
	if err := errors.Join(m.RegisterDefaultCodecs(), pion.RegisterDefaultInterceptors(&m, r),
		pion.ConfigureTWCCHeaderExtensionSender(&m, r)); err != nil {
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
		if _, err := pc.AddTransceiverFromTrack(track,
			pion.RTPTransceiverInit{Direction: pion.RTPTransceiverDirectionSendonly}); err != nil {
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
				_ = track.WriteRTP(
					&rtp.Packet{
						Header:  rtp.Header{Version: 2, SequenceNumber: n, Timestamp: uint32(n) * 960},
						Payload: []byte{0x10, 0, 1, 2},
					},
				)
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
		if res, body := c.patch(c.etag, f.String()); res.StatusCode != http.StatusNoContent ||
			res.Header.Get("ETag") != "" {
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
	if err := c.pc.SetRemoteDescription(
		pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: strings.Join(answer, "\r\n") + "\r\n"}); err != nil {
		c.t.Fatal(err)
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
