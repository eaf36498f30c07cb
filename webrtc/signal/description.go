package signal

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pion/sdp/v3"
)

// Clone returns a copy of a description whose m-lines and attributes may be changed and added to.
func Clone(d *sdp.SessionDescription) *sdp.SessionDescription {
	c := *d
	c.Attributes = slices.Clone(d.Attributes)
	c.MediaDescriptions = make([]*sdp.MediaDescription, len(d.MediaDescriptions))
	for i, m := range d.MediaDescriptions {
		media := *m
		media.Attributes = slices.Clone(m.Attributes)
		c.MediaDescriptions[i] = &media
	}
	return &c
}

// OfRTCP reports whether a candidate is of RTCP's component (RFC 8839 section 5.1), which there is none of where RTP
// and RTCP share a port.
func OfRTCP(candidate string) bool {
	f := strings.Fields(candidate)
	return len(f) > 1 && f[1] == "2"
}

// LocalFragment returns the ICE part of an SDP description of our own (RFC 8840 section 9): its credentials, options
// and candidates, of the first m-line in use for all, since they are bundled. The candidates are taken for complete.
func LocalFragment(description string) (Fragment, error) {
	d := &sdp.SessionDescription{}
	if err := d.UnmarshalString(description); err != nil {
		return Fragment{}, fmt.Errorf("parsing SDP: %w", err)
	}
	for _, m := range d.MediaDescriptions {
		if Rejected(m) {
			continue
		}
		var f Fragment
		f.Ufrag, _ = m.Attribute("ice-ufrag")
		f.Pwd, _ = m.Attribute("ice-pwd")
		f.Options = value(d, m, "ice-options") // as in the answer: RFC 9725 section 4.3.3
		media := FragmentMedia{Kind: m.MediaName.Media, End: true}
		media.Mid, _ = m.Attribute("mid")
		for _, m := range d.MediaDescriptions { // pion has them in the first m-line, be it in use or not
			for _, a := range m.Attributes {
				if a.Key == "candidate" && !OfRTCP(a.Value) {
					media.Candidates = append(media.Candidates, a.Value)
				}
			}
		}
		f.Media = []FragmentMedia{media}
		return f, nil
	}
	return Fragment{}, errors.New("the local description has no media")
}

// Renew puts the ICE session of a fragment, with its candidates, in place of that of the peer's description d, as an
// ICE restart does: everything else stays (RFC 9725 section 4.3.3).
func Renew(d *sdp.SessionDescription, f Fragment) {
	d.Attributes = renewAttributes(d.Attributes, f)
	first := true
	for _, m := range d.MediaDescriptions {
		m.Attributes = renewAttributes(m.Attributes, f)
		if Rejected(m) || !first {
			continue
		}
		first = false
		for _, c := range f.Candidates() {
			m.WithValueAttribute("candidate", c)
		}
	}
}

// renewAttributes replaces the credentials and drops the old candidates.
func renewAttributes(as []sdp.Attribute, f Fragment) []sdp.Attribute {
	for i, a := range as {
		switch a.Key {
		case "ice-ufrag":
			as[i].Value = f.Ufrag
		case "ice-pwd":
			as[i].Value = f.Pwd
		}
	}
	return slices.DeleteFunc(as, func(a sdp.Attribute) bool {
		return a.Key == "candidate" || a.Key == "end-of-candidates"
	})
}
