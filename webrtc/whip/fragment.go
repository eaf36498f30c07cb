package whip

import (
	"net/http"
	"strings"
)

// Fragment is an SDP fragment of trickle ICE (RFC 8840 section 9): the credentials of an ICE session, and candidates.
type Fragment struct {
	Ufrag, Pwd string // both empty if not given
	Options    string // a=ice-options, such as "trickle"
	Lite       bool   // a=ice-lite
	Media      []FragmentMedia
}

// FragmentMedia is a section of a Fragment.
type FragmentMedia struct {
	Kind       string   // "audio", "video" or "application"; empty for a section without an m-line
	Mid        string   // empty if not given
	Candidates []string // without "candidate:"
	End        bool     // a=end-of-candidates
}

// Bounds of a fragment.
const (
	maxFragmentMedia = 16
	maxFragmentLines = 512
)

// ParseFragment reads a fragment whose lines end in CRLF or LF. What it doesn't know it skips, as RFC 8840 section 9.2
// wants. Its candidates parse by ParseCandidate; those without use to us are left out. Its errors are *Error, of
// status 400.
func ParseFragment(body string) (Fragment, error) {
	var f Fragment
	bad := func(format string, a ...any) (Fragment, error) {
		return Fragment{}, refuse(http.StatusBadRequest, "the SDP fragment is malformed: "+format, a...)
	}
	var media *FragmentMedia // the section at hand
	section := func() *FragmentMedia {
		if media == nil { // clients have been seen that leave out the m-line
			f.Media = append(f.Media, FragmentMedia{})
			media = &f.Media[0]
		}
		return media
	}
	lines, candidates, said := 0, 0, false
	for line := range strings.SplitSeq(body, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		if lines++; lines > maxFragmentLines {
			return bad("it has more than %d lines", maxFragmentLines)
		}
		if len(line) < 2 || line[1] != '=' || line[0] < 'a' || line[0] > 'z' {
			return bad("line %d is not of the form letter=value", lines)
		}
		if strings.ContainsAny(line, "\r\x00") {
			return bad("line %d has a character that no line may have", lines)
		}
		if line[0] == 'm' {
			kind, _, _ := strings.Cut(line[2:], " ")
			if kind != "audio" && kind != "video" && kind != "application" {
				return bad("line %d is of a kind that is none of audio, video and application", lines)
			}
			if len(f.Media) == maxFragmentMedia {
				return bad("it has more than %d m-lines", maxFragmentMedia)
			}
			f.Media = append(f.Media, FragmentMedia{Kind: kind})
			media = &f.Media[len(f.Media)-1]
			continue
		}
		if line[0] != 'a' {
			continue
		}
		key, value, _ := strings.Cut(line[2:], ":")
		switch key {
		case "ice-ufrag":
			if !isIceString(value, 4, 256) {
				return bad("a=ice-ufrag must have 4 to 256 letters, digits, + or /")
			}
			if f.Ufrag != "" && f.Ufrag != value {
				return bad("it has two ICE sessions: bundle all media")
			}
			f.Ufrag = value
		case "ice-pwd":
			if !isIceString(value, 22, 256) {
				return bad("a=ice-pwd must have 22 to 256 letters, digits, + or /")
			}
			if f.Pwd != "" && f.Pwd != value {
				return bad("it has two ICE sessions: bundle all media")
			}
			f.Pwd = value
		case "ice-options":
			f.Options = strings.Join(strings.Fields(value), " ")
		case "ice-lite":
			f.Lite = true
		case "mid":
			if media == nil || media.Mid != "" || !isToken(value) {
				return bad("line %d is no a=mid that follows an m-line", lines)
			}
			media.Mid = value
		case "candidate":
			if candidates++; candidates > MaxCandidates {
				return bad("it has more than %d candidates", MaxCandidates)
			}
			value = strings.TrimPrefix(value, "candidate:") // as a browser's RTCIceCandidate begins already
			ap, err := ParseCandidate(value)
			if err != nil {
				return Fragment{}, err
			}
			said = true
			if ap.IsValid() {
				s := section()
				s.Candidates = append(s.Candidates, strings.Join(strings.Fields(value), " "))
			}
		case "end-of-candidates":
			said = true
			section().End = true
		}
	}
	switch {
	case f.Ufrag != "" && f.Pwd == "" || f.Ufrag == "" && f.Pwd != "":
		return bad("a=ice-ufrag and a=ice-pwd go together")
	case f.Ufrag == "" && !said:
		return bad("it has neither candidates nor a=ice-ufrag")
	}
	return f, nil
}

// isToken is true for a short token of RFC 8866 section 9.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || strings.IndexByte(`"(),/:;<=>?@[\]`, c) >= 0 {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= 64
}

// Candidates are those of all sections.
func (f Fragment) Candidates() []string {
	var out []string
	for _, m := range f.Media {
		out = append(out, m.Candidates...)
	}
	return out
}

// String is the fragment as it is sent.
func (f Fragment) String() string {
	b := &strings.Builder{}
	attribute := func(key, value string) {
		if value != "" {
			b.WriteString("a=" + key + ":" + value + "\r\n")
		}
	}
	flag := func(set bool, key string) {
		if set {
			b.WriteString("a=" + key + "\r\n")
		}
	}
	var mids []string
	for _, m := range f.Media {
		if m.Mid != "" {
			mids = append(mids, m.Mid)
		}
	}
	if len(mids) > 0 { // RFC 8840 section 9.2 wants the group where media are bundled, and ours are
		attribute("group", "BUNDLE "+strings.Join(mids, " "))
	}
	flag(f.Lite, "ice-lite")
	attribute("ice-options", f.Options)
	attribute("ice-ufrag", f.Ufrag)
	attribute("ice-pwd", f.Pwd)
	for _, m := range f.Media {
		switch m.Kind {
		case "":
		case "application":
			b.WriteString("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n")
		default: // the port and the format mean nothing here: RFC 8840 section 9.2
			b.WriteString("m=" + m.Kind + " 9 UDP/TLS/RTP/SAVPF 0\r\n")
		}
		attribute("mid", m.Mid)
		for _, c := range m.Candidates {
			attribute("candidate", c)
		}
		flag(m.End, "end-of-candidates")
	}
	return b.String()
}
