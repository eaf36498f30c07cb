package peer_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pion/sdp/v3"

	"tandem/webrtc/peer"
	"tandem/webrtc/signal"
	"tandem/webrtc/signal/signaltest"
)

// Offers as clients write them are answered with all their tracks, and without simulcast.
func TestAnswerToSpecimens(t *testing.T) {
	s := newServer(t, peer.Options{})
	for _, c := range []struct {
		name   string
		codecs []string
		data   bool
	}{
		{"chromium", []string{"opus", "vp8", "h264"}, true},
		{"chromium-simulcast", []string{"opus", "vp8", "h264"}, true},
		{"firefox", []string{"opus", "vp8"}, true},
		{"firefox-simulcast", []string{"opus", "vp8"}, true},
		{"safari", []string{"opus", "h264", "vp8"}, true},
		{"gstreamer", []string{"vp8", "opus"}, false},
		{"whipclientsink", []string{"h264", "vp8", "opus"}, false},
		{"libdatachannel", []string{"h264", "opus"}, true},
		{"obs", []string{"opus", "h264"}, false},
		{"ffmpeg", []string{"opus", "h264"}, false},
		{"ffmpeg-rtx", []string{"opus", "h264"}, false},
		{"rfc9725", []string{"opus", "vp8"}, false},
		{"aiortc", []string{"opus", "vp8", "h264"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := answer(t.Context(), s.network, signaltest.Specimen(c.name))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if got := p.Codecs(); !slices.Equal(got, c.codecs) || p.HasData() != c.data {
				t.Errorf("codecs %v, want %v; data %v", got, c.codecs, p.HasData())
			}
			ofRTCP := regexp.MustCompile(`(?m)^a=candidate:\S+ 2 `)
			if strings.Count(p.Answer(), "a=rtcp-mux-only\r\n") != 2 || ofRTCP.MatchString(p.Answer()) {
				t.Errorf("RTP and RTCP are not on one port alone: %s", p.Answer())
			}
			n := strings.Count(p.Answer(), "a=recvonly\r\n") // RFC 9725 section 4.2, of sendrecv too
			if n != 2 || regexp.MustCompile(`a=(sendonly|inactive)`).MatchString(p.Answer()) {
				t.Errorf("%d tracks are recvonly: %s", n, p.Answer())
			}
			if regexp.MustCompile(`m=\w+ 0 `).MatchString(p.Answer()) || strings.Contains(p.Answer(), "simulcast") {
				t.Errorf("the answer is %s", p.Answer())
			}
		})
	}
}

// H.264 of every profile that is decoded is in the answer, in both ways of putting it into packets.
func TestAnswerToH264(t *testing.T) {
	s := newServer(t, peer.Options{})
	for _, format := range []string{
		"packetization-mode=1;profile-level-id=64001f", "packetization-mode=1;profile-level-id=640c1f",
		"packetization-mode=0;profile-level-id=4d001f", "packetization-mode=0;profile-level-id=42e01f",
		"packetization-mode=1;profile-level-id=4D4028",
		"packetization-mode=1", "profile-level-id=42c01f", "max-br=1000; ", // the rest is to be inferred
		"packetization-mode=1;profile-level-id=422001e", // of FFmpeg 8
	} {
		video := strings.NewReplacer("VP8", "VP9", "packetization-mode=1;profile-level-id=42e01f", format,
			"packetization-mode=0;profile-level-id=42e01f", "packetization-mode=2").Replace(signaltest.Video(1))
		p, err := answer(t.Context(), s.network, signaltest.Bundle(signaltest.Opus(0), video))
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		stated := regexp.MustCompile(`(?m)^a=fmtp:102 .*packetization-mode=[01];profile-level-id=[0-9a-f]{6}\r$`)
		if !slices.Equal(p.Codecs(), []string{"opus", "h264"}) || !stated.MatchString(p.Answer()) ||
			!strings.Contains(p.Answer(), "a=rtpmap:102 H264/90000") {
			t.Errorf("%s: codecs %v in %s", format, p.Codecs(), p.Answer())
		}
		p.Close()
	}
}

// The server's candidates are in an m-line that is in use, whichever is rejected, and after a restart too.
func TestCandidatesInUsedSection(t *testing.T) {
	s := newServer(t, peer.Options{})
	silent := strings.NewReplacer("VP8", "VP9", "H264", "AV1", "sendonly", "inactive").Replace(signaltest.Video(0))
	p, err := answer(t.Context(), s.network, signaltest.Bundle(silent, signaltest.Opus(1)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	video, audio, _ := strings.Cut(p.Answer(), "m=audio")
	if strings.Contains(video, "candidate") || !strings.Contains(audio, "a=candidate:") {
		t.Errorf("the answer is %s", p.Answer())
	}
	f, _, err := p.Restart(t.Context(), signal.Fragment{Ufrag: "abcd", Pwd: "P2uYro0UCOQ4zxjKXaWCBui1"})
	if err != nil || len(f.Candidates()) == 0 || f.Ufrag == "" || f.Media[0].Mid != "1" {
		t.Errorf("after a restart: %+v, %v", f, err)
	}
}

// The answer promises to send nothing, whatever the client would receive (RFC 9725 section 4.2).
func TestAnswerSendsNothing(t *testing.T) {
	s := newServer(t, peer.Options{})
	with := func(direction string) string {
		video := strings.Replace(signaltest.Video(1), "a=sendonly\r\n", direction, 1)
		return signaltest.Bundle(signaltest.Opus(0), video)
	}
	for name, offer := range map[string]string{
		"recvonly": with("a=recvonly\r\n"), "inactive": with("a=inactive\r\n"),
		"of the session": strings.Replace(with(""), "t=0 0\r\n", "t=0 0\r\na=recvonly\r\n", 1),
	} {
		p, err := answer(t.Context(), s.network, offer)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if a := p.Answer(); strings.Contains(a, "a=send") || strings.Count(a, "a=recvonly") != 1 ||
			strings.Count(a, "a=inactive") != 1 {
			t.Errorf("%s: %s", name, a)
		}
		p.Close()
	}
}

// Of several streams the first stays, with its retransmissions, whichever of them the offer names first.
func TestKeepFirstStream(t *testing.T) {
	for _, c := range []struct{ name, lines, want string }{
		{
			"Firefox", "ssrc:1 cname:a|ssrc:2 cname:a|ssrc:3 cname:a|ssrc:4 cname:a|" +
				"ssrc-group:FID 1 2|ssrc-group:FID 3 4",
			"ssrc:1 cname:a|ssrc:2 cname:a|ssrc-group:FID 1 2",
		},
		{
			"SIM group", "ssrc-group:SIM 1 3|ssrc-group:FID 1 2|ssrc-group:FID 3 4|" +
				"ssrc:1 cname:a|ssrc:2 cname:a|ssrc:3 cname:a",
			"ssrc-group:FID 1 2|ssrc:1 cname:a|ssrc:2 cname:a",
		},
		{
			"retransmissions first", "ssrc:2 cname:a|ssrc:1 cname:a|ssrc-group:FID 1 2",
			"ssrc:2 cname:a|ssrc:1 cname:a|ssrc-group:FID 1 2",
		},
		{"one", "ssrc:1 cname:a|ssrc:1 msid:b c|sendonly:", "ssrc:1 cname:a|ssrc:1 msid:b c|sendonly:"},
		{"none", "rid:h send", "rid:h send"},
	} {
		m := &sdp.MediaDescription{}
		for l := range strings.SplitSeq(c.lines, "|") {
			key, value, _ := strings.Cut(l, ":")
			m.WithValueAttribute(key, value)
		}
		peer.KeepFirstStream(m)
		var got []string
		for _, a := range m.Attributes {
			got = append(got, a.Key+":"+a.Value)
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
