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

// without returns the offer without the lines that begin with an attribute.
func without(attribute string) string {
	var out []string
	for l := range strings.SplitSeq(signaltest.Offer(), "\r\n") {
		if !strings.HasPrefix(l, attribute) {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\r\n")
}

// change returns the offer with a text in place of another.
func change(old, by string) string { return strings.ReplaceAll(signaltest.Offer(), old, by) }

// changedVideo is a section of pictures with a text in place of another.
func changedVideo(mid int, old, by string) string {
	return strings.ReplaceAll(signaltest.Video(mid), old, by)
}

func TestParseOffer(t *testing.T) {
	const fingerprint = "a=fingerprint:sha-256 " +
		"D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F\r\n"
	opus, both := []string{"opus"}, []string{"vp8", "h264"}
	for _, c := range []struct {
		name, offer  string
		audio, video []string
		data         bool
	}{
		{"all", signaltest.Offer(), opus, both, true},
		{"by LF", change("\r\n", "\n"), opus, both, true},
		{"without its last line end", strings.TrimSuffix(signaltest.Offer(), "\r\n"), opus, both, true},
		{"active", change("a=setup:actpass", "a=setup:active"), opus, both, true},
		{"fingerprint in lower case", change("D2:FA:0E", "d2:fa:0e"), opus, both, true},
		{
			"by SHA-1", change(strings.TrimSpace(fingerprint), "a=fingerprint:SHA-1 "+strings.Repeat("0A:", 19)+"0A"),
			opus, both, true,
		},
		{"only sound", signaltest.Bundle(signaltest.Opus(0)), opus, nil, false},
		{"only pictures", signaltest.Bundle(signaltest.Video(0)), nil, both, false},
		{"both ways", change("a=sendonly\r\n", ""), opus, both, true},
		{
			"muted for good", signaltest.Bundle(signaltest.Opus(0), changedVideo(1, "sendonly", "inactive")),
			opus, nil, false,
		},
		{
			"rejected", signaltest.Bundle(signaltest.Opus(0), changedVideo(1, "m=video 9", "m=video 0")),
			opus, nil, false,
		},
		{
			"bundle-only",
			signaltest.Bundle(signaltest.Opus(0), changedVideo(1, "m=video 9", "m=video 0")+"a=bundle-only\r\n"),
			opus, both, false,
		},
		{
			"session-wide", strings.Replace(without("a=fingerprint"), "a=group", fingerprint+"a=group", 1),
			opus, both, true,
		},
		{"one codec unknown", change("VP8/", "AV1/"), opus, []string{"h264"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			offer, err := signal.ParseOffer(c.offer)
			if err != nil || !slices.Equal(offer.Audio, c.audio) || !slices.Equal(offer.Video, c.video) ||
				offer.Data != c.data || offer.Ufrag != "EsAw" {
				t.Errorf("%+v, %v", offer, err)
			}
		})
	}
}

// What is done to an offer's description doesn't change the offer.
func TestDescriptionIsACopy(t *testing.T) {
	offer, err := signal.ParseOffer(signaltest.Offer())
	if err != nil {
		t.Fatal(err)
	}
	before, err := offer.Description().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	d := offer.Description()
	media := []signal.FragmentMedia{{Candidates: []string{hostCandidate}}}
	signal.Renew(d, signal.Fragment{Ufrag: "abcd", Pwd: strings.Repeat("p", 22), Media: media})
	d.Origin.SessionVersion++
	d.MediaDescriptions = d.MediaDescriptions[1:]
	after, err := offer.Description().Marshal()
	if err != nil || string(after) != string(before) {
		t.Errorf("%v; it was\n%s, and is\n%s", err, before, after)
	}
}

// tracks returns n sections, of sound and pictures in turns.
func tracks(n int) (out []string) {
	for i := range n {
		if i%2 == 0 {
			out = append(out, signaltest.Opus(i))
		} else {
			out = append(out, signaltest.Video(i))
		}
	}
	return out
}

func TestRefusedOffers(t *testing.T) {
	candidates := strings.Repeat("a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n", signal.MaxCandidates+1)
	for _, c := range []struct {
		name, offer string
		status      int
		says        string // part of the error
	}{
		{"empty", "", 400, "empty"},
		{"white", " \r\n\t", 400, "empty"},
		{"garbage", "hello", 400, "no SDP"},
		{"JSON", `{"type":"offer","sdp":"v=0"}`, 400, "no SDP"},
		{"zeros", strings.Repeat("\x00", 1000), 400, "no SDP"},
		{"huge", signaltest.Offer() + strings.Repeat("a=xxxxxxxxx\r\n", 6000), 413, "64 KiB"},
		{"many lines", signaltest.Offer() + strings.Repeat("a=x\r\n", 2000), 422, "lines"},
		{"many candidates", signaltest.Offer() + candidates, 422, "candidates"},
		{"bad candidate", signaltest.Offer() + "a=candidate:x\r\n", 400, "candidate"},
		{"no media", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", 422, "neither audio nor video"},
		{"only data", signaltest.Bundle(signaltest.Data(0)), 422, "neither audio nor video"},
		{"two pictures", signaltest.Bundle(signaltest.Video(0), signaltest.Video(1)), 422, "2 video"},
		{"two data", signaltest.Bundle(signaltest.Opus(0), signaltest.Data(1), signaltest.Data(2)), 422, "second"},
		{"eight tracks", signaltest.Bundle(tracks(8)...), 422, "at most one of each"},
		{"ten tracks", signaltest.Bundle(tracks(10)...), 422, "8 m-lines"},
		{"only receives", change("sendonly", "recvonly"), 422, "only receive"},
		{"inactive", change("sendonly", "inactive"), 422, "only receive"},
		{
			"no codec", strings.NewReplacer("opus", "speex", "VP8", "VP9", "H264", "AV1").Replace(signaltest.Offer()),
			422, "codec",
		},
		{"no fingerprint", without("a=fingerprint"), 400, "fingerprint"},
		{"empty fingerprint", change("a=fingerprint:sha-256 D2", "a=fingerprint:\r\na=x:D2"), 400, "fingerprint"},
		{"fingerprint without digits", change("sha-256 ", "sha-256\r\na=x:"), 400, "fingerprint"},
		{"short fingerprint", change("D2:FA:", "D2:"), 400, "fingerprint"},
		{"long fingerprint", change("D2:FA:", "D2:FA:00:"), 400, "fingerprint"},
		{"odd fingerprint", change("D2:FA:", "D2:XY:"), 400, "fingerprint"},
		{"fingerprint without colons", change("D2:FA:", "D2FA:"), 400, "fingerprint"},
		{"fingerprint of another hash", change("sha-256 ", "sha-512 "), 400, "fingerprint"},
		{"fingerprint of no hash", change("sha-256 ", "sha-odd "), 400, "fingerprint"},
		{"broken second fingerprint", change("a=setup", "a=fingerprint:sha-1 00\r\na=setup"), 400, "fingerprint"},
		{"holdconn", change("a=setup:actpass", "a=setup:holdconn"), 400, "a=setup"},
		{"odd setup", change("a=setup:actpass", "a=setup:odd"), 400, "a=setup"},
		{"no ufrag", without("a=ice-ufrag"), 400, "ice-ufrag"},
		{"no pwd", without("a=ice-pwd"), 400, "ice-ufrag"},
		{"short pwd", change("P2uYro0UCOQ4zxjKXaWCBui1", "short"), 400, "ice-ufrag"},
		{"no mid", without("a=mid"), 400, "a=mid"},
		{"same mid", change("a=mid:1", "a=mid:0"), 400, "a=mid"},
		{"no bundle", without("a=group"), 422, "bundle"},
		{"no mux", without("a=rtcp-mux"), 422, "rtcp-mux"},
		{"no DTLS", change("UDP/TLS/RTP/SAVPF", "RTP/AVP"), 422, "DTLS"},
		{"other kind", change("m=video", "m=text"), 422, "neither audio nor video"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := signal.ParseOffer(c.offer)
			var e *problem.Error
			if !errors.As(err, &e) {
				t.Errorf("error %v, want status %d", err, c.status)
			} else if e.Status != c.status || !strings.Contains(e.Detail, c.says) {
				t.Errorf("status %d (%s), want %d and %q", e.Status, e.Detail, c.status, c.says)
			}
		})
	}
}

// An offer of which one track has no codec that is taken is refused as a whole, with what it has and could have.
// What is taken alone is taken beside another track, and the other way round.
func TestCodecsOfTracks(t *testing.T) {
	h264 := func(mode, profile string) string {
		return strings.NewReplacer("VP8", "VP9", "packetization-mode=1;profile-level-id=42e01f",
			"packetization-mode="+mode+";profile-level-id="+profile, "packetization-mode=0;profile-level-id=42e01f",
			"packetization-mode=2;profile-level-id=42e01f").Replace(signaltest.Video(0))
	}
	foreign := func(codec string) string {
		return strings.NewReplacer("VP8", codec, "H264", codec).Replace(signaltest.Video(0))
	}
	multiopus := strings.Replace(signaltest.Opus(1), "opus/48000/2", "multiopus/48000/6", 1)
	for _, c := range []struct {
		name, video, audio string
		says               []string // of the error; nil: it is taken
	}{
		{"VP9", foreign("VP9"), signaltest.Opus(1), []string{"pictures as VP9 ", "VP8, or H.264"}},
		{"AV1", foreign("AV1"), signaltest.Opus(1), []string{"pictures as AV1 "}},
		{"H.265", foreign("H265"), signaltest.Opus(1), []string{"pictures as H265 "}},
		{"multiopus", signaltest.Video(0), multiopus, []string{"sound as multiopus, PCMU ", "takes Opus"}},
		{"neither", foreign("VP9"), multiopus, []string{"sound as multiopus", "pictures as VP9"}},
		{"interleaved", h264("2", "42e01f"), signaltest.Opus(1), []string{"H264"}},
		{"4:4:4", h264("1", "f4001f"), signaltest.Opus(1), []string{"H264"}},
		{"odd profile", h264("1", "42e0"), signaltest.Opus(1), []string{"H264"}},
		{"FFmpeg's constrained baseline", h264("1", "422001e"), signaltest.Opus(1), nil},
		{"seven digits", h264("1", "4240020"), signaltest.Opus(1), []string{"H264"}},
		{"no profile", h264("1", ""), signaltest.Opus(1), nil},   // RFC 6184 section 8.1: baseline
		{"no mode", h264("", "42e01f"), signaltest.Opus(1), nil}, // mode 0
		{"high", h264("1", "64001f"), signaltest.Opus(1), nil},
		{"constrained high", h264("1", "640c1f"), signaltest.Opus(1), nil},
		{"main", h264("1", "4D0028"), signaltest.Opus(1), nil},
		{"mode 0", h264("0", "42e01f"), signaltest.Opus(1), nil},
		{"main in mode 0", h264("0", "4d401f"), signaltest.Opus(1), nil},
	} {
		offers := []string{signaltest.Bundle(c.video, c.audio)}
		if c.audio == signaltest.Opus(1) {
			offers = append(offers, signaltest.Bundle(c.video))
		}
		for _, offer := range offers {
			got, err := signal.ParseOffer(offer)
			var e *problem.Error
			switch {
			case c.says == nil && (err != nil || !slices.Equal(got.Video, []string{signal.H264}) || len(got.H264) != 1):
				t.Errorf("%s: %+v, %v", c.name, got, err)
			case c.says == nil:
			case !errors.As(err, &e) || e.Status != 422:
				t.Errorf("%s: error %v, want 422", c.name, err)
			default:
				for _, says := range c.says {
					if !strings.Contains(e.Detail, says) {
						t.Errorf("%s: %q is not in %q", c.name, says, e.Detail)
					}
				}
			}
		}
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
		got, err := signal.ParseOffer(offer)
		var e *problem.Error
		switch {
		case err == nil && len(got.Audio)+len(got.Video) == 0:
			t.Errorf("taken without a codec: %+v", got)
		case err != nil && (!errors.As(err, &e) || e.Status != 400 && e.Status != 413 && e.Status != 422 ||
			e.Detail == ""):
			t.Errorf("error %#v", err)
		}
	})
}
