package signal

import (
	"net/http"
	"strings"

	"tandem/webrtc/problem"
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

// ParseFragment reads a fragment whose lines end in CRLF or LF. Unknown lines and attributes are skipped, as RFC 8840
// section 9.2 wants. Its candidates parse by ParseCandidate; those without use to us are left out, but for passive ones
// of TCP, which a client can use. Its errors are *problem.Error of status 400.
func ParseFragment(body string) (Fragment, error) {
	var p fragmentParser
	for line := range strings.SplitSeq(body, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		if err := p.line(line); err != nil {
			return Fragment{}, err
		}
	}
	switch f := p.Fragment; {
	case (f.Ufrag == "") != (f.Pwd == ""):
		return Fragment{}, malformedFragment("a=ice-ufrag and a=ice-pwd go together")
	case f.Ufrag == "" && !p.hasCandidates:
		return Fragment{}, malformedFragment("it has neither candidates nor a=ice-ufrag")
	}
	return p.Fragment, nil
}

func malformedFragment(format string, a ...any) error {
	return problem.New(http.StatusBadRequest, "the SDP fragment is malformed: "+format, a...)
}

// fragmentParser is a Fragment that is being read.
type fragmentParser struct {
	Fragment
	lines, candidates int
	hasCandidates     bool // candidates of any use or none, or their end
}

func (p *fragmentParser) line(line string) error {
	if p.lines++; p.lines > maxFragmentLines {
		return malformedFragment("it has more than %d lines", maxFragmentLines)
	}
	if len(line) < 2 || line[1] != '=' || line[0] < 'a' || line[0] > 'z' {
		return malformedFragment("line %d is not of the form letter=value", p.lines)
	}
	if strings.ContainsAny(line, "\r\x00") {
		return malformedFragment("line %d has a character that no line may have", p.lines)
	}
	switch line[0] {
	case 'm':
		return p.media(line[2:])
	case 'a':
		key, value, _ := strings.Cut(line[2:], ":")
		return p.attribute(key, value)
	}
	return nil
}

// media begins a section with the value of its m-line.
func (p *fragmentParser) media(value string) error {
	kind, _, _ := strings.Cut(value, " ")
	if kind != "audio" && kind != "video" && kind != "application" {
		return malformedFragment("line %d is of a kind that is none of audio, video and application", p.lines)
	}
	if len(p.Media) == maxFragmentMedia {
		return malformedFragment("it has more than %d m-lines", maxFragmentMedia)
	}
	p.Media = append(p.Media, FragmentMedia{Kind: kind})
	return nil
}

// section returns the section at hand.
func (p *fragmentParser) section() *FragmentMedia {
	if len(p.Media) == 0 { // clients have been seen that leave out the m-line
		p.Media = append(p.Media, FragmentMedia{})
	}
	return &p.Media[len(p.Media)-1]
}

func (p *fragmentParser) attribute(key, value string) error {
	switch key {
	case "ice-ufrag":
		if !isUfrag(value) {
			return malformedFragment("a=ice-ufrag must have 4 to 256 letters, digits, + or /")
		}
		return setOnce(&p.Ufrag, value)
	case "ice-pwd":
		if !isPwd(value) {
			return malformedFragment("a=ice-pwd must have 22 to 256 letters, digits, + or /")
		}
		return setOnce(&p.Pwd, value)
	case "ice-options":
		p.Options = strings.Join(strings.Fields(value), " ")
	case "ice-lite":
		p.Lite = true
	case "mid":
		if len(p.Media) == 0 || p.section().Mid != "" || !isToken(value) {
			return malformedFragment("line %d is no a=mid that follows an m-line", p.lines)
		}
		p.section().Mid = value
	case "candidate":
		return p.candidate(value)
	case "end-of-candidates":
		p.hasCandidates = true
		p.section().End = true
	}
	return nil
}

// setOnce sets a credential of the one ICE session that a fragment has.
func setOnce(credential *string, value string) error {
	if *credential != "" && *credential != value {
		return malformedFragment("it has two ICE sessions: bundle all media")
	}
	*credential = value
	return nil
}

func (p *fragmentParser) candidate(value string) error {
	if p.candidates++; p.candidates > MaxCandidates {
		return malformedFragment("it has more than %d candidates", MaxCandidates)
	}
	value = strings.TrimPrefix(value, "candidate:") // as a browser's RTCIceCandidate begins already
	address, err := ParseCandidate(value)
	if err != nil {
		return err
	}
	p.hasCandidates = true
	if address.IsValid() || isPassive(value) {
		s := p.section()
		s.Candidates = append(s.Candidates, strings.Join(strings.Fields(value), " "))
	}
	return nil
}

// Candidates returns those of all sections.
func (f Fragment) Candidates() []string {
	var out []string
	for _, m := range f.Media {
		out = append(out, m.Candidates...)
	}
	return out
}

// String returns the fragment as it is sent.
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
