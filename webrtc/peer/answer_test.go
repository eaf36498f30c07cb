package peer_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pion/sdp/v3"
	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/peer"
	"tandem/webrtc/problem"
	"tandem/webrtc/signal"
)

// answer answers an offer that has just come.
func answer(ctx context.Context, n *peer.Network, offer string) (*peer.Peer, error) {
	o, err := signal.ParseOffer(offer)
	if err != nil {
		return nil, err
	}
	return n.Answer(ctx, o, nil)
}

func TestAnswerToChrome(t *testing.T) {
	s := newServer(t, peer.Options{})
	p, err := answer(t.Context(), s.network, chromeOffer())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var d sdp.SessionDescription
	if err := d.UnmarshalString(p.Answer()); err != nil {
		t.Fatal(err)
	}
	if len(d.MediaDescriptions) != 3 {
		t.Fatalf("%d m-lines in %s", len(d.MediaDescriptions), p.Answer())
	}
	codecs := func(m *sdp.MediaDescription) (out []string) {
		for _, a := range m.Attributes {
			if a.Key == "rtpmap" {
				out = append(out, a.Value)
			}
		}
		slices.Sort(out)
		return out
	}
	for i, want := range [][]string{
		{"111 opus/48000/2"},
		{
			"103 H264/90000", "104 rtx/90000", "107 H264/90000", "108 rtx/90000", "109 H264/90000", "110 rtx/90000",
			"115 H264/90000", "116 rtx/90000", "117 H264/90000", "118 rtx/90000", "39 H264/90000", "40 rtx/90000",
			"96 VP8/90000", "97 rtx/90000",
		},
	} {
		m := d.MediaDescriptions[i]
		if got := codecs(m); !slices.Equal(got, want) || len(m.MediaName.Formats) != len(want) {
			t.Errorf("m-line %d has %q (%v), want %q", i, got, m.MediaName.Formats, want)
		}
		if _, ok := m.Attribute("recvonly"); !ok {
			t.Errorf("m-line %d is not recvonly", i)
		}
	}
	if got := d.MediaDescriptions[1].MediaName.Formats[0]; got != "96" {
		t.Errorf("the client's preference is lost: %s is first", got)
	}
	if got := p.Codecs(); !slices.Equal(got, []string{"opus", "vp8", "h264"}) {
		t.Errorf("codecs %v", got)
	}
	for _, want := range []string{
		"a=rtcp-fb:96 nack\r\n", "a=rtcp-fb:96 nack pli\r\n", "a=rtcp-fb:96 goog-remb\r\n",
		"a=rtcp-fb:96 transport-cc\r\n", "a=rtcp-fb:96 ccm fir\r\n", "a=rtcp-fb:111 transport-cc\r\n",
		"a=fmtp:97 apt=96\r\n", "transport-wide-cc-extensions-01\r\n", "a=setup:active\r\n", "a=end-of-candidates\r\n",
		"a=ice-options:trickle", "a=sctp-port:5000\r\n", "a=extmap:13 urn:3gpp:video-orientation\r\n",
	} {
		if !strings.Contains(p.Answer(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, never := range []string{".local", "red/", "ulpfec", "flexfec", "simulcast", "rtp-stream-id", "b=", "ccfb"} {
		if strings.Contains(p.Answer(), never) {
			t.Errorf("%q is there", never)
		}
	}
	if !regexp.MustCompile(`a=candidate:\S+ 1 udp \d+ \S+ \d+ typ host`).MatchString(p.Answer()) {
		t.Errorf("no candidates in %s", p.Answer())
	}
	if t.Failed() {
		t.Log(p.Answer())
	}
}

// An offer of which one track has no codec of ours is refused as a whole.
func TestNoPartialAnswer(t *testing.T) {
	s := newServer(t, peer.Options{})
	offer := strings.NewReplacer("VP8/", "VP7/", "H264/", "H263/").Replace(chromeOffer())
	_, err := answer(t.Context(), s.network, offer)
	var e *problem.Error
	if !errors.As(err, &e) || e.Status != 422 || !strings.Contains(e.Detail, "VP7, H263") {
		t.Errorf("error %v, want 422 that names the codecs", err)
	}
}

func TestRefusedOffers(t *testing.T) {
	s := newServer(t, peer.Options{})
	data := chromeOffer()[strings.Index(chromeOffer(), "m=application"):]
	head, _, _ := strings.Cut(chromeOffer(), "m=audio")
	audio := chromeOffer()[strings.Index(chromeOffer(), "m=audio"):strings.Index(chromeOffer(), "m=video")]
	ten := strings.Replace(head, "BUNDLE 0 1 2", "BUNDLE 0 1 2 3 4 5 6 7 8 9", 1)
	for i := range 10 {
		ten += strings.Replace(audio, "a=mid:0", fmt.Sprintf("a=mid:%d", i), 1)
	}
	for name, c := range map[string]struct {
		offer  string
		status int
	}{
		"empty":      {"", 400},
		"garbage":    {"\x00\x01\x02", 400},
		"huge":       {chromeOffer() + strings.Repeat("a=x\r\n", 1<<20), 413},
		"no media":   {strings.Replace(head, "a=group:BUNDLE 0 1 2\r\n", "", 1), 422},
		"only data":  {strings.Replace(head, "BUNDLE 0 1 2", "BUNDLE 2", 1) + data, 422},
		"ten tracks": {ten, 422},
		"recvonly":   {strings.ReplaceAll(chromeOffer(), "sendonly", "recvonly"), 422},
		"no ufrag":   {without(chromeOffer(), "a=ice-ufrag"), 400},
	} {
		_, err := answer(t.Context(), s.network, c.offer)
		var e *problem.Error
		if !errors.As(err, &e) || e.Status != c.status {
			t.Errorf("%s: error %v, want status %d", name, err, c.status)
		}
	}
}

// Simulcast is not answered, and what then comes without a rid is still a track.
func TestSimulcast(t *testing.T) {
	s := newServer(t, peer.Options{})
	c := newClient(t, s, pion.MimeTypeVP8)
	c.change = func(offer string) string {
		return without(strings.TrimSuffix(offer, "\r\n"),
			"a=ssrc") + "\r\na=rid:h send\r\na=rid:l send\r\na=simulcast:send h;l\r\n"
	}
	c.post()
	if strings.Contains(c.answer, "simulcast") || strings.Contains(c.answer, "a=rid") {
		t.Errorf("simulcast is answered: %s", c.answer)
	}
	c.trickle()
	s.awaitPackets(t, pion.MimeTypeVP8)
}

func FuzzAnswer(f *testing.F) {
	f.Add(chromeOffer())
	f.Add(without(chromeOffer(), "a=ssrc", "a=msid", "a=rtcp-fb", "a=candidate"))
	f.Add(strings.Replace(chromeOffer(), "a=ssrc:2001", "a=rid:h send\r\na=simulcast:send h\r\na=ssrc:2001", 1))
	// These fail a restart, if pion sees them.
	f.Add(strings.Replace(chromeOffer(), "a=extmap:3 ", "a=extmap:3n ", 1))
	f.Add(strings.Replace(chromeOffer(), "a=extmap:1 urn:ietf:params:rtp-", "a=extmap:1 urn:ietf:params:rtp\x00", 1))
	n, err := peer.NewNetwork(peer.Options{Loopback: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, offer string) {
		p, err := answer(t.Context(), n, offer)
		if err != nil {
			var unfit *problem.Error
			var unanswerable *peer.OfferError
			if !errors.As(err, &unfit) && !errors.As(err, &unanswerable) {
				t.Errorf("%q: %v", offer, err)
			}
			return
		}
		trickled := []signal.FragmentMedia{{Candidates: []string{"1 1 udp 1 127.0.0.1 9 typ host"}}}
		if err := p.AddCandidates(t.Context(), signal.Fragment{Media: trickled}); err != nil {
			t.Error(err)
		}
		renewed := signal.Fragment{Ufrag: "abcd", Pwd: "P2uYro0UCOQ4zxjKXaWCBui1"}
		if _, _, err := p.Restart(t.Context(), renewed); err != nil && !errors.Is(err, peer.ErrClosed) {
			t.Errorf("%q: %v", offer, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}
