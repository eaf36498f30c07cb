package whip

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// The codecs that are taken, by their names in OfferInfo.
const (
	Opus = "opus"
	VP8  = "vp8"
	H264 = "h264"
)

// H264Profiles are the first two bytes of a profile-level-id (RFC 6184 section 8.1) that are taken, in hex: constrained
// baseline, as browsers and as x264 write it, and baseline, as which some offer the same.
var H264Profiles = []string{"42e0", "42c0", "4200"}

// Bounds of an offer. Those of browsers with all their codecs have four m-lines and about 300 attributes.
const (
	maxOfferMedia      = 8
	maxOfferAttributes = 2000
)

// OfferInfo says what an offer has that can be taken.
type OfferInfo struct {
	Audio []string // codecs of the sound it would send, in its order of preference; nil for none
	Video []string // those of the pictures
	Data  bool     // a data channel may be opened
}

// CheckOffer tells whether an offer can be answered, and what is in it. Its errors are *Error: 400 for what is no SDP
// or lacks what any offer of WebRTC has, 422 for what can't be served.
func CheckOffer(offer string) (OfferInfo, error) {
	var info OfferInfo
	bad := func(format string, a ...any) (OfferInfo, error) {
		return OfferInfo{}, refuse(http.StatusBadRequest, "the offer "+format, a...)
	}
	unfit := func(format string, a ...any) (OfferInfo, error) {
		return OfferInfo{}, refuse(http.StatusUnprocessableEntity, "the offer "+format, a...)
	}
	if strings.TrimSpace(offer) == "" {
		return bad("is empty: send an SDP offer in the body")
	}
	if len(offer) > MaxBody {
		return OfferInfo{}, refuse(http.StatusRequestEntityTooLarge, "the offer is larger than %d KiB: send less", MaxBody>>10)
	}
	// Counted before parsing, which costs more.
	if n := strings.Count(offer, "\n"); n > maxOfferAttributes {
		return unfit("has more than %d lines: offer fewer codecs", maxOfferAttributes)
	}
	var d sdp.SessionDescription
	if err := d.UnmarshalString(offer); err != nil {
		return bad("is no SDP (RFC 8866): send what createOffer gave")
	}
	if len(d.MediaDescriptions) > maxOfferMedia {
		return unfit("has more than %d m-lines: send one audio and one video track", maxOfferMedia)
	}
	bundle, candidates := bundled(&d), 0
	mids := map[string]bool{}
	var sections, audio, video, silent int
	for i, m := range d.MediaDescriptions {
		kind := m.MediaName.Media
		mid, _ := m.Attribute("mid")
		if !isToken(mid) || mids[mid] {
			return bad("has no a=mid of its own in m-line %d: RFC 9429 section 5.2.1 wants one", i+1)
		}
		mids[mid] = true
		if rejected(m) {
			continue
		}
		sections++
		for _, a := range m.Attributes {
			if a.Key != "candidate" {
				continue
			}
			if candidates++; candidates > MaxCandidates {
				return unfit("has more than %d candidates: send fewer", MaxCandidates)
			}
			if _, err := ParseCandidate(a.Value); err != nil {
				return OfferInfo{}, err
			}
		}
		if !has(&d, m, "fingerprint") {
			return bad("has no a=fingerprint: WebRTC is encrypted by DTLS")
		}
		if ufrag, pwd := value(&d, m, "ice-ufrag"), value(&d, m, "ice-pwd"); !isIceString(ufrag, 4, 256) || !isIceString(pwd, 22, 256) {
			return bad("has no a=ice-ufrag and a=ice-pwd as RFC 8839 section 5.4 wants them")
		}
		protocol := strings.Join(m.MediaName.Protos, "/")
		if kind == "application" {
			if !strings.HasSuffix(protocol, "DTLS/SCTP") || info.Data {
				return unfit("has an m-line %d that is no data channel, or a second one: leave it out", i+1)
			}
			info.Data = true
			continue
		}
		if kind != "audio" && kind != "video" || !strings.HasSuffix(protocol, "TLS/RTP/SAVPF") && !strings.HasSuffix(protocol, "TLS/RTP/SAVP") {
			return unfit("has an m-line %d that is neither audio nor video over DTLS-SRTP: leave it out", i+1)
		}
		if _, ok := m.Attribute("rtcp-mux"); !ok {
			return unfit("has no a=rtcp-mux in m-line %d: RFC 9725 section 4.4.1 wants RTP and RTCP on one port", i+1)
		}
		if dir := direction(&d, m); dir == "recvonly" || dir == "inactive" {
			silent++
			continue
		}
		// RFC 9725 section 4.4.2: one track of a kind, or refuse.
		if kind == "audio" {
			audio++
			info.Audio = codecs(m)
		} else {
			video++
			info.Video = codecs(m)
		}
	}
	switch {
	case audio > 1 || video > 1:
		return unfit("has %d audio and %d video tracks: send at most one of each", audio, video)
	case audio+video == 0 && silent > 0:
		return unfit("would only receive: this server sends no media; offer sendonly tracks")
	case audio+video == 0:
		return unfit("has neither audio nor video: add a track")
	case len(info.Audio)+len(info.Video) == 0:
		return unfit("has no codec that this server knows: offer Opus, VP8 or H.264 constrained baseline with packetization-mode=1")
	case sections > 1:
		for _, m := range d.MediaDescriptions {
			if mid, _ := m.Attribute("mid"); !rejected(m) && !slices.Contains(bundle, mid) {
				return unfit("doesn't bundle all its m-lines: RFC 9725 section 4.4.1 wants one BUNDLE group")
			}
		}
	}
	return info, nil
}

// bundled are the mids of the offer's BUNDLE group (RFC 9143).
func bundled(d *sdp.SessionDescription) []string {
	for _, a := range d.Attributes {
		if f := strings.Fields(a.Value); a.Key == "group" && len(f) > 0 && f[0] == "BUNDLE" {
			return f[1:]
		}
	}
	return nil
}

// rejected is true for an m-line that is out of use: with port 0, which in an offer may also say bundle-only.
func rejected(m *sdp.MediaDescription) bool {
	_, bundleOnly := m.Attribute("bundle-only")
	return m.MediaName.Port.Value == 0 && !bundleOnly
}

// value is an attribute's value, of the m-line or else of the session.
func value(d *sdp.SessionDescription, m *sdp.MediaDescription, key string) string {
	if v, ok := m.Attribute(key); ok {
		return v
	}
	v, _ := d.Attribute(key)
	return v
}

func has(d *sdp.SessionDescription, m *sdp.MediaDescription, key string) bool {
	return value(d, m, key) != ""
}

func direction(d *sdp.SessionDescription, m *sdp.MediaDescription) string {
	for _, as := range [][]sdp.Attribute{m.Attributes, d.Attributes} {
		for _, a := range as {
			switch a.Key {
			case "sendrecv", "sendonly", "recvonly", "inactive":
				return a.Key
			}
		}
	}
	return "sendrecv" // RFC 8866 section 6.7
}

// codecs are the codecs of an m-line that are taken, each once, in its order.
func codecs(m *sdp.MediaDescription) []string {
	maps, params := map[string]string{}, map[string]string{}
	for _, a := range m.Attributes {
		pt, rest, _ := strings.Cut(a.Value, " ")
		switch a.Key {
		case "rtpmap":
			maps[pt] = strings.ToLower(strings.TrimSpace(rest))
		case "fmtp":
			params[pt] = rest
		}
	}
	var out []string
	for _, pt := range m.MediaName.Formats {
		name := ""
		switch mapping := maps[pt]; {
		case m.MediaName.Media == "audio" && mapping == "opus/48000/2":
			name = Opus
		case m.MediaName.Media == "video" && mapping == "vp8/90000":
			name = VP8
		case m.MediaName.Media == "video" && mapping == "h264/90000" && baseline(params[pt]):
			name = H264
		}
		if n, err := strconv.Atoi(pt); name != "" && err == nil && n >= 0 && n <= 127 && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// baseline is true for the parameters of an H.264 that is taken.
func baseline(fmtp string) bool {
	mode, profile := "", ""
	for p := range strings.SplitSeq(fmtp, ";") {
		key, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch strings.ToLower(key) {
		case "packetization-mode":
			mode = v
		case "profile-level-id":
			profile = strings.ToLower(v)
		}
	}
	return mode == "1" && len(profile) == 6 && slices.Contains(H264Profiles, profile[:4])
}
