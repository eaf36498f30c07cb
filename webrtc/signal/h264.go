package signal

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/pion/sdp/v3"
)

// h264Profiles are the first bytes of a profile-level-id (RFC 6184 section 8.1), in hex, of what the decoder decodes:
// baseline, main and high, with any of their constraints.
var h264Profiles = []string{"42", "4d", "64"}

// What a format of H.264 is that doesn't say it (RFC 6184 section 8.1): single NAL unit mode, and level 1 of baseline.
const (
	inferredMode    = "0"
	inferredProfile = "42000a"
)

// h264Parameters splits a=fmtp into the two parameters that tell formats of H.264 apart, empty where it doesn't state
// them, and the others.
func h264Parameters(fmtp string) (mode, profile string, others []string) {
	for p := range strings.SplitSeq(fmtp, ";") {
		p = strings.TrimSpace(p)
		key, v, _ := strings.Cut(p, "=")
		switch strings.ToLower(key) {
		case "":
		case "packetization-mode":
			mode = v
		case "profile-level-id":
			profile = strings.ToLower(v)
		default:
			others = append(others, p)
		}
	}
	// FFmpeg 8 writes its own flag for constrained baseline, 0x200, where a byte with flags of H.264 belongs.
	if len(profile) == 7 && profile[:5] == "42200" {
		profile = "42e0" + profile[5:]
	}
	return mode, profile, others
}

// h264Format returns what tells one format of H.264 from another (RFC 6184 section 8.2.2), and whether it is taken.
func h264Format(fmtp string) (format string, ok bool) {
	mode, profile, _ := h264Parameters(fmtp)
	mode, profile = cmp.Or(mode, inferredMode), cmp.Or(profile, inferredProfile)
	if _, err := hex.DecodeString(profile); err != nil || len(profile) != 6 {
		return "", false
	}
	// Mode 2 interleaves.
	ok = (mode == "0" || mode == "1") && slices.Contains(h264Profiles, profile[:2])
	return "packetization-mode=" + mode + ";profile-level-id=" + profile[:4] + "1f", ok
}

// completeH264 writes out what the formats of H.264 of an m-line leave to be inferred, and in the right form: pion
// takes none else.
func completeH264(m *sdp.MediaDescription) {
	at := map[string]int{} // of each payload type, its a=fmtp
	var formats []string
	for i, a := range m.Attributes {
		pt, rest, _ := strings.Cut(a.Value, " ")
		switch {
		case a.Key == "fmtp":
			at[pt] = i
		case a.Key == "rtpmap" && strings.EqualFold(strings.TrimSpace(rest), "h264/90000"):
			formats = append(formats, pt)
		}
	}
	for _, pt := range formats {
		i, stated := at[pt]
		if !stated {
			i = len(m.Attributes)
			m.Attributes = append(m.Attributes, sdp.Attribute{})
			at[pt] = i
		}
		_, fmtp, _ := strings.Cut(m.Attributes[i].Value, " ")
		mode, profile, parameters := h264Parameters(fmtp)
		parameters = append(parameters, "packetization-mode="+cmp.Or(mode, inferredMode),
			"profile-level-id="+cmp.Or(profile, inferredProfile))
		m.Attributes[i] = sdp.NewAttribute("fmtp", pt+" "+strings.Join(parameters, ";"))
	}
}
