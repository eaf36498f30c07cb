// Package signal reads and writes the bodies of WHIP's signalling (RFC 9725): the SDP offer, fragments of trickle ICE,
// their candidates, and the ICE servers of Link headers. It knows nothing of requests and connections.
//
// Errors about what a client sent are *problem.Error with the status that it is answered by.
package signal

import "strings"

// The media types of WHIP.
const (
	TypeSDP      = "application/sdp"
	TypeFragment = "application/trickle-ice-sdpfrag" // RFC 8840
)

// OrientationURI names the RTP header extension of coordinated video orientation (CVO, 3GPP TS 26.114 section 7.4.5).
// Phones turn no picture themselves where it is agreed on, and some don't where it isn't.
const OrientationURI = "urn:3gpp:video-orientation"

// MaxBody is the size in bytes of the largest body that is read.
const MaxBody = 64 << 10

// IsAlphanumeric reports whether c is a letter or a digit of ASCII.
func IsAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isIceString reports whether s has lo to hi characters, each an ice-char (RFC 8839 section 5.1).
func isIceString(s string, lo, hi int) bool {
	for _, c := range []byte(s) {
		if !IsAlphanumeric(c) && c != '+' && c != '/' {
			return false
		}
	}
	return lo <= len(s) && len(s) <= hi
}

// isUfrag and isPwd report whether s may be an a=ice-ufrag or an a=ice-pwd (RFC 8839 section 5.4).
func isUfrag(s string) bool { return isIceString(s, 4, 256) }
func isPwd(s string) bool   { return isIceString(s, 22, 256) }

// isToken reports whether s is a token (RFC 8866 section 9) of at most 64 characters.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || strings.IndexByte(`"(),/:;<=>?@[\]`, c) >= 0 {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= 64
}
