package signal

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/ice/v4"

	"tandem/webrtc/problem"
)

// MaxCandidates is the largest number of candidates in an offer or a fragment.
const MaxCandidates = 64

// maxCandidateLine is the length in bytes of the longest candidate; those of browsers have about 150.
const maxCandidateLine = 1024

// ParseCandidate reads the value of an a=candidate attribute (RFC 8839 section 5.1) and returns its address. It returns
// the invalid AddrPort for one that is well-formed and of no use to us: of another transport than UDP or another
// component than RTP, of an unknown type, or with a name (as of mDNS) for an address. RFC 9725 section 4.3.2 has those
// dropped in silence.
func ParseCandidate(value string) (netip.AddrPort, error) {
	var none netip.AddrPort
	malformed := problem.New(http.StatusBadRequest, "a candidate is malformed: see RFC 8839 section 5.1")
	if len(value) > maxCandidateLine {
		return none, malformed
	}
	// foundation component transport priority address port "typ" type ...
	fields := strings.Fields(value)
	if len(fields) < 8 || fields[6] != "typ" || !isIceString(fields[0], 1, 32) {
		return none, malformed
	}
	component, err1 := strconv.ParseUint(fields[1], 10, 16)
	_, err2 := strconv.ParseUint(fields[3], 10, 32)
	port, err3 := strconv.ParseUint(fields[5], 10, 16)
	if err1 != nil || err2 != nil || err3 != nil || component == 0 {
		return none, malformed
	}
	addr, err := netip.ParseAddr(fields[4])
	if err != nil || !strings.EqualFold(fields[2], "udp") || component != 1 || port == 0 {
		return none, nil
	}
	switch fields[7] {
	case "host", "srflx", "prflx", "relay":
	default:
		return none, nil
	}
	if _, err := ice.UnmarshalCandidate(strings.Join(fields, " ")); err != nil {
		return none, malformed
	}
	return netip.AddrPortFrom(addr.WithZone("").Unmap(), uint16(port)), nil
}

// isPassive reports whether a candidate that parses is one of TCP that waits to be connected to (RFC 6544 section 4.5).
func isPassive(value string) bool {
	c, err := ice.UnmarshalCandidate(strings.Join(strings.Fields(value), " "))
	return err == nil && c.TCPType() == ice.TCPTypePassive && c.Component() == ice.ComponentRTP
}

// PreferCandidates returns an SDP description with the candidates of an address before the others, where it has any,
// and those of TCP last. In ICE their order says nothing, but some clients, such as FFmpeg, try the first alone: the
// address by which a client reached the server for its request is the best that they can try.
func PreferCandidates(description string, address netip.Addr) string {
	lines := strings.SplitAfter(description, "\n")
	var at []int // of the candidates
	var preferred, others, tcp []string
	for i, line := range lines {
		value, ok := strings.CutPrefix(line, "a=candidate:")
		if !ok {
			continue
		}
		at = append(at, i)
		ap, err := ParseCandidate(value)
		switch {
		case err == nil && ap.IsValid() && ap.Addr() == address:
			preferred = append(preferred, line)
		case isPassive(value):
			tcp = append(tcp, line)
		default:
			others = append(others, line)
		}
	}
	for i, line := range slices.Concat(preferred, others, tcp) {
		lines[at[i]] = line
	}
	return strings.Join(lines, "")
}

// notGlobal are the ranges of the IANA special-purpose registries (RFC 6890) that netip has no name for, and those
// that embed an IPv4 address, which may be any.
var notGlobal = func() (out []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// IsPublic reports whether an address is global: not private, nor of the machine or its link, nor special otherwise.
func IsPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range notGlobal {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
