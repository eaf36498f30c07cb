package signal

import (
	"slices"
	"strings"

	"github.com/pion/sdp/v3"
)

// transportAttributes are those of a bundle's one transport (RFC 8859 section 5: the categories IDENTICAL and
// TRANSPORT), as far as they matter to us.
var transportAttributes = []string{
	"ice-ufrag", "ice-pwd", "ice-options", "fingerprint", "setup", "rtcp-mux", "rtcp-mux-only",
}

// bundled returns the mids of the offer's BUNDLE group (RFC 9143).
func bundled(d *sdp.SessionDescription) []string {
	for _, a := range d.Attributes {
		if f := strings.Fields(a.Value); a.Key == "group" && len(f) > 0 && f[0] == "BUNDLE" {
			return f[1:]
		}
	}
	return nil
}

// shareTransport gives the m-lines of a bundle what they lack of its transport, from that which stands for all: the
// first of the group. Clients that keep to RFC 9143 section 7.1.3 name it there alone, as the example of RFC 9725
// section 4.2 does.
func shareTransport(d *sdp.SessionDescription) {
	mids := bundled(d)
	byMid := func(mid string) *sdp.MediaDescription {
		i := slices.IndexFunc(d.MediaDescriptions, func(m *sdp.MediaDescription) bool {
			v, ok := m.Attribute("mid")
			return ok && v == mid
		})
		if i < 0 {
			return nil
		}
		return d.MediaDescriptions[i]
	}
	var tagged *sdp.MediaDescription
	for _, mid := range mids {
		m := byMid(mid)
		if m == nil || Rejected(m) {
			continue
		}
		if tagged == nil {
			tagged = m
			continue
		}
		for _, key := range transportAttributes {
			if value(d, m, key) != "" || has(m, key) || m.MediaName.Media == "application" && key[:4] == "rtcp" {
				continue
			}
			for _, a := range tagged.Attributes {
				if a.Key == key {
					m.Attributes = append(m.Attributes, a)
				}
			}
		}
	}
}

func has(m *sdp.MediaDescription, key string) bool {
	_, ok := m.Attribute(key)
	return ok
}
