package signal

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"tandem/webrtc/problem"
)

// The codecs that are taken, by their names in Offer.
const (
	Opus = "opus"
	VP8  = "vp8"
	H264 = "h264"
)

// takenAudio and takenVideo name the codecs of each kind for clients whose offer has none of them.
const (
	takenAudio = "Opus (48 kHz, two channels)"
	takenVideo = "VP8, or H.264 in baseline, main or high profile"
)

// Bounds of an offer. Those of browsers with all their codecs have four m-lines and about 300 attributes.
const (
	maxOfferMedia      = 8
	maxOfferAttributes = 2000
	maxOfferH264       = 12 // formats of H.264; browsers have eight at most
	maxNamed           = 8  // codecs that an error names
)

// Offer is a client's SDP offer that can be answered. Make one with ParseOffer.
type Offer struct {
	Audio []string // codecs of the sound it would send, in its order of preference; nil for none
	Video []string // those of the pictures
	H264  []string // the formats of its H.264 that are taken, as the parameters of a=fmtp (RFC 6184 section 8.1)
	Data  bool     // a data channel may be opened
	Ufrag string   // the client's username fragment, of all its media, since they are bundled

	description *sdp.SessionDescription
}

// Description returns a copy of the parsed SDP, which the caller may change.
func (o *Offer) Description() *sdp.SessionDescription { return Clone(o.description) }

// ParseOffer reads an offer and checks that it can be answered. Its errors are *problem.Error: 400 for a text that is
// no SDP or lacks what any offer of WebRTC has, 413 for one that is too large, 422 for one that can't be served.
func ParseOffer(text string) (*Offer, error) {
	if strings.TrimSpace(text) == "" {
		return nil, badOffer("is empty: send an SDP offer in the body")
	}
	if len(text) > MaxBody {
		return nil, problem.New(http.StatusRequestEntityTooLarge,
			"the offer is larger than %d KiB: send less", MaxBody>>10)
	}
	// Counted before parsing, which costs more.
	if n := strings.Count(text, "\n"); n > maxOfferAttributes {
		return nil, unfitOffer("has more than %d lines: offer fewer codecs", maxOfferAttributes)
	}
	if !strings.HasSuffix(text, "\n") { // some clients trim it
		text += "\r\n"
	}
	d := &sdp.SessionDescription{}
	if err := d.UnmarshalString(text); err != nil {
		return nil, badOffer("is no SDP (RFC 8866): send what createOffer gave")
	}
	if len(d.MediaDescriptions) > maxOfferMedia {
		return nil, unfitOffer("has more than %d m-lines: send one audio and one video track", maxOfferMedia)
	}
	shareTransport(d)
	for _, m := range d.MediaDescriptions {
		completeH264(m)
	}
	p := offerParser{d: d, offer: Offer{Ufrag: ufrag(d), description: d}, mids: map[string]bool{}}
	for i, m := range d.MediaDescriptions {
		if err := p.section(i+1, m); err != nil {
			return nil, err
		}
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return &p.offer, nil
}

// badOffer and unfitOffer return the errors for an offer that is malformed, and for one that can't be served.
func badOffer(format string, a ...any) error {
	return problem.New(http.StatusBadRequest, "the offer "+format, a...)
}

func unfitOffer(format string, a ...any) error {
	return problem.New(http.StatusUnprocessableEntity, "the offer "+format, a...)
}

// offerParser is an Offer that is being read.
type offerParser struct {
	d          *sdp.SessionDescription
	offer      Offer
	mids       map[string]bool
	candidates int
	sections   int // in use
	audio      int // tracks that it would send
	video      int
	silent     int      // tracks that it would not send
	foreign    []string // what it offers for the tracks that have no codec of ours
}

// section reads the n-th m-line, counted from 1.
func (p *offerParser) section(n int, m *sdp.MediaDescription) error {
	mid, _ := m.Attribute("mid")
	if !isToken(mid) || p.mids[mid] {
		return badOffer("has no a=mid of its own in m-line %d: RFC 9429 section 5.2.1 wants one", n)
	}
	p.mids[mid] = true
	if Rejected(m) {
		return nil
	}
	p.sections++
	if err := p.transport(m); err != nil {
		return err
	}
	if m.MediaName.Media == "application" {
		if !strings.HasSuffix(protocol(m), "DTLS/SCTP") || p.offer.Data {
			return unfitOffer("has an m-line %d that is no data channel, or a second one: leave it out", n)
		}
		p.offer.Data = true
		return nil
	}
	return p.track(n, m)
}

// transport checks the part of a section that all kinds have: candidates, DTLS and ICE.
func (p *offerParser) transport(m *sdp.MediaDescription) error {
	for _, a := range m.Attributes {
		if a.Key != "candidate" {
			continue
		}
		if p.candidates++; p.candidates > MaxCandidates {
			return unfitOffer("has more than %d candidates: send fewer", MaxCandidates)
		}
		if _, err := ParseCandidate(a.Value); err != nil {
			return err
		}
	}
	if err := p.dtls(m); err != nil {
		return err
	}
	if !isUfrag(value(p.d, m, "ice-ufrag")) || !isPwd(value(p.d, m, "ice-pwd")) {
		return badOffer("has no a=ice-ufrag and a=ice-pwd as RFC 8839 section 5.4 wants them")
	}
	return nil
}

// dtls checks what a section, or the session for it, says of DTLS: the certificate's fingerprints and who begins.
func (p *offerParser) dtls(m *sdp.MediaDescription) error {
	if value(p.d, m, "fingerprint") == "" {
		return badOffer("has no a=fingerprint: WebRTC is encrypted by DTLS")
	}
	for _, a := range slices.Concat(p.d.Attributes, m.Attributes) {
		switch a.Key {
		case "fingerprint":
			if !isFingerprint(a.Value) {
				return badOffer("has an a=fingerprint that is none: RFC 8122 section 5 has its form")
			}
		case "setup":
			// An offer that holds the connection (RFC 4145 section 4) asks for none.
			if !slices.Contains([]string{"actpass", "active", "passive"}, a.Value) {
				return badOffer("has an a=setup that is neither actpass nor active: RFC 9725 section 4.4.4 wants these")
			}
		}
	}
	return nil
}

// fingerprintLengths are the hash functions of certificates (RFC 8122 section 5) that DTLS here can check, with the
// bytes of their values. MD2 and MD5 must not be used.
var fingerprintLengths = map[string]int{"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}

// isFingerprint reports whether s may be an a=fingerprint. Digits in lower case, which the grammar doesn't have, are
// sent by some.
func isFingerprint(s string) bool {
	f := strings.Fields(s)
	if len(f) != 2 {
		return false
	}
	b, err := hex.DecodeString(strings.ReplaceAll(f[1], ":", ""))
	n := fingerprintLengths[strings.ToLower(f[0])]
	return err == nil && n > 0 && len(b) == n && len(f[1]) == 3*n-1
}

// track reads an m-line of sound or pictures.
func (p *offerParser) track(n int, m *sdp.MediaDescription) error {
	kind := m.MediaName.Media
	overDTLS := strings.HasSuffix(protocol(m), "TLS/RTP/SAVPF") || strings.HasSuffix(protocol(m), "TLS/RTP/SAVP")
	if kind != "audio" && kind != "video" || !overDTLS {
		return unfitOffer("has an m-line %d that is neither audio nor video over DTLS-SRTP: leave it out", n)
	}
	if _, ok := m.Attribute("rtcp-mux"); !ok {
		return unfitOffer("has no a=rtcp-mux in m-line %d: RFC 9725 section 4.4.1 wants RTP and RTCP on one port", n)
	}
	if dir := direction(p.d, m); dir == "recvonly" || dir == "inactive" {
		p.silent++
		return nil
	}
	// RFC 9725 section 4.4.2: one track of a kind, or refuse.
	if kind == "audio" {
		p.audio++
		if p.offer.Audio, _ = codecs(m); p.offer.Audio == nil {
			p.foreign = append(p.foreign, "sound as "+offeredCodecs(m)+" (this server takes "+takenAudio+")")
		}
	} else {
		p.video++
		if p.offer.Video, p.offer.H264 = codecs(m); p.offer.Video == nil {
			p.foreign = append(p.foreign, "pictures as "+offeredCodecs(m)+" (this server takes "+takenVideo+")")
		}
	}
	return nil
}

// check checks the m-lines together.
func (p *offerParser) check() error {
	switch {
	case p.audio > 1 || p.video > 1:
		return unfitOffer("has %d audio and %d video tracks: send at most one of each", p.audio, p.video)
	case p.audio+p.video == 0 && p.silent > 0:
		return unfitOffer("would only receive: this server sends no media; offer sendonly tracks")
	case p.audio+p.video == 0:
		return unfitOffer("has neither audio nor video: add a track")
	case len(p.foreign) > 0:
		// RFC 9725 section 4.4.3: all of the offer or nothing of it.
		return unfitOffer(
			"has no codec that this server knows for a track: %s; offer one of these, or leave the track out",
			strings.Join(p.foreign, "; and "),
		)
	case p.sections > 1:
		bundle := bundled(p.d)
		for _, m := range p.d.MediaDescriptions {
			if mid, _ := m.Attribute("mid"); !Rejected(m) && !slices.Contains(bundle, mid) {
				return unfitOffer("doesn't bundle all its m-lines: RFC 9725 section 4.4.1 wants one BUNDLE group")
			}
		}
	}
	return nil
}

func protocol(m *sdp.MediaDescription) string { return strings.Join(m.MediaName.Protos, "/") }

// ufrag returns the username fragment of a description whose media are all bundled.
func ufrag(d *sdp.SessionDescription) string {
	for _, m := range d.MediaDescriptions {
		if v, ok := m.Attribute("ice-ufrag"); ok {
			return v
		}
	}
	v, _ := d.Attribute("ice-ufrag")
	return v
}

// Rejected reports whether an m-line is out of use: with port 0, which in an offer may also say bundle-only.
func Rejected(m *sdp.MediaDescription) bool {
	_, bundleOnly := m.Attribute("bundle-only")
	return m.MediaName.Port.Value == 0 && !bundleOnly
}

// value returns an attribute's value, of the m-line or else of the session; empty if it is missing.
func value(d *sdp.SessionDescription, m *sdp.MediaDescription, key string) string {
	if v, ok := m.Attribute(key); ok {
		return v
	}
	v, _ := d.Attribute(key)
	return v
}

// direction returns the direction of an m-line, by its attribute or else by the session's.
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

// codecs returns the codecs of an m-line that are taken, each once, in its order, and the formats of its H.264.
func codecs(m *sdp.MediaDescription) (names, h264 []string) {
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
	for _, pt := range m.MediaName.Formats {
		if n, err := strconv.Atoi(pt); err != nil || n < 0 || n > 127 {
			continue
		}
		name := ""
		switch mapping := maps[pt]; {
		case m.MediaName.Media == "audio" && mapping == "opus/48000/2":
			name = Opus
		case m.MediaName.Media == "video" && mapping == "vp8/90000":
			name = VP8
		case m.MediaName.Media == "video" && mapping == "h264/90000":
			format, ok := h264Format(params[pt])
			if !ok || len(h264) == maxOfferH264 {
				continue
			}
			if name = H264; !slices.Contains(h264, format) {
				h264 = append(h264, format)
			}
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, h264
}

// offeredCodecs returns the names of an m-line's codecs, for an error: each once, without those that only protect
// others.
func offeredCodecs(m *sdp.MediaDescription) string {
	var names []string
	for _, a := range m.Attributes {
		_, mapping, _ := strings.Cut(a.Value, " ")
		name, _, _ := strings.Cut(strings.TrimSpace(mapping), "/")
		helper := slices.Contains(
			[]string{"rtx", "red", "ulpfec", "flexfec-03", "cn", "telephone-event"},
			strings.ToLower(name),
		)
		if a.Key == "rtpmap" && !helper && isToken(name) && !slices.Contains(names, name) && len(names) < maxNamed {
			names = append(names, name)
		}
	}
	if names == nil {
		return "no codec by name"
	}
	return strings.Join(names, ", ")
}
