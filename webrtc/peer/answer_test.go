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

// chromeOffer is an offer as Chrome makes it for a page that sends camera and microphone and opens a data channel.
func chromeOffer() string {
	common := func(mid int) string {
		return strings.Join([]string{
			"c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0",
			"a=candidate:1521601408 1 udp 2122260223 3f1c8c0a-2f0e-4f2a-9c44-0a1b2c3d4e5f.local 54321 typ host generation 0 network-id 1",
			"a=candidate:2799512213 1 tcp 1518280447 192.0.2.10 9 typ host tcptype active generation 0 network-id 1",
			"a=ice-ufrag:9uB2", "a=ice-pwd:Hc9YpQk1n0bRsvTf2uWxZaLe", "a=ice-options:trickle",
			"a=fingerprint:sha-256 49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E",
			"a=setup:actpass", fmt.Sprintf("a=mid:%d", mid),
		}, "\r\n") + "\r\n"
	}
	lines := []string{
		"v=0", "o=- 5839473829104857362 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1 2", "a=extmap-allow-mixed", "a=msid-semantic: WMS stream",
		"m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", common(0) + "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
		"a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
		"a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
		"a=sendonly", "a=msid:stream audio", "a=rtcp-mux", "a=rtcp-rsize", "a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc",
		"a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000",
		"a=rtpmap:8 PCMA/8000", "a=rtpmap:13 CN/8000", "a=rtpmap:110 telephone-event/48000", "a=rtpmap:126 telephone-event/8000",
		"a=ssrc:1001 cname:Zm9vYmFyYmF6", "a=ssrc:1001 msid:stream audio",
	}
	type codec struct {
		pt         int
		name, fmtp string
	}
	var formats, attributes []string
	for _, c := range []codec{
		{96, "VP8/90000", ""},
		{103, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"},
		{107, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f"},
		{109, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"},
		{115, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"},
		{117, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"},
		{39, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f"},
		{45, "AV1/90000", "level-idx=5;profile=0;tier=0"},
		{98, "VP9/90000", "profile-id=0"},
		{100, "VP9/90000", "profile-id=2"},
		{49, "H265/90000", "level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST"},
	} {
		formats = append(formats, fmt.Sprint(c.pt), fmt.Sprint(c.pt+1))
		attributes = append(attributes, fmt.Sprintf("a=rtpmap:%d %s", c.pt, c.name))
		for _, fb := range []string{"goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"} {
			attributes = append(attributes, fmt.Sprintf("a=rtcp-fb:%d %s", c.pt, fb))
		}
		if c.fmtp != "" {
			attributes = append(attributes, fmt.Sprintf("a=fmtp:%d %s", c.pt, c.fmtp))
		}
		attributes = append(attributes, fmt.Sprintf("a=rtpmap:%d rtx/90000", c.pt+1), fmt.Sprintf("a=fmtp:%d apt=%d", c.pt+1, c.pt))
	}
	lines = append(lines, "m=video 9 UDP/TLS/RTP/SAVPF "+strings.Join(formats, " ")+" 123 124 119",
		common(1)+"a=extmap:14 urn:ietf:params:rtp-hdrext:toffset", "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
		"a=extmap:13 urn:3gpp:video-orientation", "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
		"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
		"a=sendonly", "a=msid:stream video", "a=rtcp-mux", "a=rtcp-rsize")
	lines = append(lines, attributes...)
	lines = append(lines, "a=rtpmap:123 red/90000", "a=rtpmap:124 rtx/90000", "a=fmtp:124 apt=123", "a=rtpmap:119 ulpfec/90000",
		"a=ssrc-group:FID 2001 2002", "a=ssrc:2001 cname:Zm9vYmFyYmF6", "a=ssrc:2001 msid:stream video", "a=ssrc:2002 cname:Zm9vYmFyYmF6",
		"a=ssrc:2002 msid:stream video",
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel", common(2)+"a=sctp-port:5000", "a=max-message-size:262144", "")
	return strings.Join(lines, "\r\n")
}

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
		{"103 H264/90000", "104 rtx/90000", "109 H264/90000", "110 rtx/90000", "96 VP8/90000", "97 rtx/90000"},
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
		"a=rtcp-fb:96 nack\r\n", "a=rtcp-fb:96 nack pli\r\n", "a=rtcp-fb:96 goog-remb\r\n", "a=rtcp-fb:96 transport-cc\r\n", "a=rtcp-fb:96 ccm fir\r\n",
		"a=rtcp-fb:111 transport-cc\r\n", "a=fmtp:97 apt=96\r\n", "transport-wide-cc-extensions-01\r\n", "a=setup:active\r\n", "a=end-of-candidates\r\n",
		"a=ice-options:trickle", "a=sctp-port:5000\r\n",
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

// An m-line without a codec of ours is rejected alone.
func TestPartialAnswer(t *testing.T) {
	s := newServer(t, peer.Options{})
	offer := strings.NewReplacer("VP8/", "VP7/", "H264/", "H263/").Replace(chromeOffer())
	p, err := answer(t.Context(), s.network, offer)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := p.Codecs(); !slices.Equal(got, []string{"opus"}) || !strings.Contains(p.Answer(), "m=video 0 ") {
		t.Errorf("codecs %v in %s", got, p.Answer())
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
		return without(strings.TrimSuffix(offer, "\r\n"), "a=ssrc") + "\r\na=rid:h send\r\na=rid:l send\r\na=simulcast:send h;l\r\n"
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
		if err := p.AddCandidates(t.Context(), signal.Fragment{Media: []signal.FragmentMedia{{Candidates: []string{"1 1 udp 1 127.0.0.1 9 typ host"}}}}); err != nil {
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
