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

// h264Parameters returns the two parameters of a=fmtp that tell formats of H.264 apart, as they stand; empty if they
// don't.
func h264Parameters(fmtp string) (mode, profile string) {
	for p := range strings.SplitSeq(fmtp, ";") {
		key, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch strings.ToLower(key) {
		case "packetization-mode":
			mode = v
		case "profile-level-id":
			profile = strings.ToLower(v)
		}
	}
	return mode, profile
}

// h264Format returns what tells one format of H.264 from another (RFC 6184 section 8.2.2), and whether it is taken.
func h264Format(fmtp string) (format string, ok bool) {
	mode, profile := h264Parameters(fmtp)
	mode, profile = cmp.Or(mode, inferredMode), cmp.Or(profile, inferredProfile)
	if _, err := hex.DecodeString(profile); err != nil || len(profile) != 6 {
		return "", false
	}
	// Mode 2 interleaves.
	ok = (mode == "0" || mode == "1") && slices.Contains(h264Profiles, profile[:2])
	return "packetization-mode=" + mode + ";profile-level-id=" + profile[:4] + "1f", ok
}

// completeH264 writes out what the formats of H.264 of an m-line leave to be inferred: pion takes none that doesn't say
// it.
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
		fmtp := ""
		if stated {
			_, fmtp, _ = strings.Cut(m.Attributes[i].Value, " ")
		}
		mode, profile := h264Parameters(fmtp)
		if mode != "" && profile != "" {
			continue
		}
		parameters := []string{strings.Trim(fmtp, "; ")}
		if mode == "" {
			parameters = append(parameters, "packetization-mode="+inferredMode)
		}
		if profile == "" {
			parameters = append(parameters, "profile-level-id="+inferredProfile)
		}
		if parameters[0] == "" {
			parameters = parameters[1:]
		}
		a := sdp.NewAttribute("fmtp", pt+" "+strings.Join(parameters, ";"))
		if stated {
			m.Attributes[i] = a
		} else {
			at[pt] = len(m.Attributes)
			m.Attributes = append(m.Attributes, a)
		}
	}
}
