package signal_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tandem/webrtc/problem"
	"tandem/webrtc/signal"
	"tandem/webrtc/signal/signaltest"
)

func TestParseOffer(t *testing.T) {
	many := func(n int) (out []string) {
		for i := range n {
			if i%2 == 0 {
				out = append(out, signaltest.Opus(i))
			} else {
				out = append(out, signaltest.Video(i))
			}
		}
		return out
	}
	without := func(attribute string) string {
		var out []string
		for l := range strings.SplitSeq(signaltest.Offer(), "\r\n") {
			if !strings.HasPrefix(l, attribute) {
				out = append(out, l)
			}
		}
		return strings.Join(out, "\r\n")
	}
	change := func(old, by string) string { return strings.ReplaceAll(signaltest.Offer(), old, by) }
	candidates := strings.Repeat("a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n", signal.MaxCandidates+1)
	for _, c := range []struct {
		name, offer  string
		status       int    // 0 for none
		says         string // part of the error
		audio, video []string
		data         bool
	}{
		{name: "all", offer: signaltest.Offer(), audio: []string{"opus"}, video: []string{"vp8", "h264"}, data: true},
		{name: "by LF", offer: change("\r\n", "\n"), audio: []string{"opus"}, video: []string{"vp8", "h264"}, data: true},
		{name: "only sound", offer: signaltest.Bundle(signaltest.Opus(0)), audio: []string{"opus"}},
		{name: "only pictures", offer: signaltest.Bundle(signaltest.Video(0)), video: []string{"vp8", "h264"}},
		{name: "both ways", offer: change("a=sendonly\r\n", ""), audio: []string{"opus"}, video: []string{"vp8", "h264"}, data: true},
		{name: "muted for good", offer: signaltest.Bundle(signaltest.Opus(0), strings.ReplaceAll(signaltest.Video(1), "sendonly", "inactive")), audio: []string{"opus"}},
		{name: "rejected", offer: signaltest.Bundle(signaltest.Opus(0), strings.ReplaceAll(signaltest.Video(1), "m=video 9", "m=video 0")), audio: []string{"opus"}},
		{
			name: "bundle-only", offer: signaltest.Bundle(signaltest.Opus(0), strings.ReplaceAll(signaltest.Video(1), "m=video 9", "m=video 0")+"a=bundle-only\r\n"),
			audio: []string{"opus"}, video: []string{"vp8", "h264"},
		},
		{
			name: "session-wide", offer: strings.Replace(without("a=fingerprint"), "a=group",
				"a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F\r\na=group", 1),
			audio: []string{"opus"}, video: []string{"vp8", "h264"}, data: true,
		},
		{name: "one codec unknown", offer: change("VP8/", "AV1/"), audio: []string{"opus"}, video: []string{"h264"}, data: true},
		{name: "empty", offer: "", status: 400, says: "empty"},
		{name: "white", offer: " \r\n\t", status: 400, says: "empty"},
		{name: "garbage", offer: "hello", status: 400, says: "no SDP"},
		{name: "JSON", offer: `{"type":"offer","sdp":"v=0"}`, status: 400, says: "no SDP"},
		{name: "zeros", offer: strings.Repeat("\x00", 1000), status: 400, says: "no SDP"},
		{name: "huge", offer: signaltest.Offer() + strings.Repeat("a=xxxxxxxxx\r\n", 6000), status: 413, says: "64 KiB"},
		{name: "many lines", offer: signaltest.Offer() + strings.Repeat("a=x\r\n", 2000), status: 422, says: "lines"},
		{name: "many candidates", offer: signaltest.Offer() + candidates, status: 422, says: "candidates"},
		{name: "bad candidate", offer: signaltest.Offer() + "a=candidate:x\r\n", status: 400, says: "candidate"},
		{name: "no media", offer: "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", status: 422, says: "neither audio nor video"},
		{name: "only data", offer: signaltest.Bundle(signaltest.Data(0)), status: 422, says: "neither audio nor video"},
		{name: "two pictures", offer: signaltest.Bundle(signaltest.Video(0), signaltest.Video(1)), status: 422, says: "2 video"},
		{name: "two data", offer: signaltest.Bundle(signaltest.Opus(0), signaltest.Data(1), signaltest.Data(2)), status: 422, says: "second"},
		{name: "eight tracks", offer: signaltest.Bundle(many(8)...), status: 422, says: "at most one of each"},
		{name: "ten tracks", offer: signaltest.Bundle(many(10)...), status: 422, says: "8 m-lines"},
		{name: "only receives", offer: change("sendonly", "recvonly"), status: 422, says: "only receive"},
		{name: "inactive", offer: change("sendonly", "inactive"), status: 422, says: "only receive"},
		{name: "no codec", offer: strings.NewReplacer("opus", "speex", "VP8", "VP9", "H264", "AV1").Replace(signaltest.Offer()), status: 422, says: "codec"},
		{name: "no fingerprint", offer: without("a=fingerprint"), status: 400, says: "fingerprint"},
		{name: "no ufrag", offer: without("a=ice-ufrag"), status: 400, says: "ice-ufrag"},
		{name: "no pwd", offer: without("a=ice-pwd"), status: 400, says: "ice-ufrag"},
		{name: "short pwd", offer: change("P2uYro0UCOQ4zxjKXaWCBui1", "short"), status: 400, says: "ice-ufrag"},
		{name: "no mid", offer: without("a=mid"), status: 400, says: "a=mid"},
		{name: "same mid", offer: change("a=mid:1", "a=mid:0"), status: 400, says: "a=mid"},
		{name: "no bundle", offer: without("a=group"), status: 422, says: "bundle"},
		{name: "no mux", offer: without("a=rtcp-mux"), status: 422, says: "rtcp-mux"},
		{name: "no DTLS", offer: change("UDP/TLS/RTP/SAVPF", "RTP/AVP"), status: 422, says: "DTLS"},
		{name: "other kind", offer: change("m=video", "m=text"), status: 422, says: "neither audio nor video"},
		{name: "high profile", offer: strings.ReplaceAll(signaltest.Bundle(strings.ReplaceAll(signaltest.Video(0), "VP8", "VP9")), "42e01f", "64001f"), status: 422, says: "codec"},
	} {
		t.Run(c.name, func(t *testing.T) {
			info, err := signal.ParseOffer(c.offer)
			var e *problem.Error
			switch {
			case c.status == 0:
				if err != nil || !slices.Equal(info.Audio, c.audio) || !slices.Equal(info.Video, c.video) ||
					info.Data != c.data {
					t.Errorf("%+v, %v", info, err)
				}
			case !errors.As(err, &e):
				t.Errorf("error %v, want status %d", err, c.status)
			case e.Status != c.status || !strings.Contains(e.Detail, c.says):
				t.Errorf("status %d (%s), want %d and %q", e.Status, e.Detail, c.status, c.says)
			}
		})
	}
}

func FuzzOffer(f *testing.F) {
	f.Add(signaltest.Offer())
	f.Add(signaltest.Bundle(signaltest.Opus(0)))
	f.Add(
		signaltest.Bundle(
			strings.ReplaceAll(signaltest.Video(0), "m=video 9",
				"m=video 0") + "a=bundle-only\r\na=simulcast:send h;l\r\na=rid:h send\r\n",
		),
	)
	f.Add("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\nm=audio 9 UDP/TLS/RTP/SAVPF\n")
	f.Fuzz(func(t *testing.T, offer string) {
		info, err := signal.ParseOffer(offer)
		var e *problem.Error
		switch {
		case err == nil && len(info.Audio)+len(info.Video) == 0:
			t.Errorf("taken without a codec: %+v", info)
		case err != nil && (!errors.As(err, &e) || e.Status != 400 && e.Status != 413 && e.Status != 422 || e.Detail == ""):
			t.Errorf("error %#v", err)
		}
	})
}
