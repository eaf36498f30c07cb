package signal

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/pion/stun/v4"
)

// ICEServer is a STUN or TURN server, in the form of WebRTC's RTCIceServer.
type ICEServer struct {
	URLs       []string `json:"urls"` // RFC 7064, RFC 7065
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// ParseICEServer reads "stun:host:port", or "turn:user:password@host:port?transport=udp" (also turns:), where user and
// password may have %-escapes. The port may be left out. Its errors do not repeat the password.
func ParseICEServer(s string) (ICEServer, error) {
	fail := func(why string) (ICEServer, error) {
		return ICEServer{}, fmt.Errorf("%s; want stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT?transport=udp", why)
	}
	scheme, rest, _ := strings.Cut(s, ":")
	var out ICEServer
	at := strings.LastIndex(rest, "@")
	turn := scheme == "turn" || scheme == "turns"
	if turn != (at >= 0) {
		return fail(fmt.Sprintf("%q servers take a user and a password, and only they", "turn:"))
	}
	if at >= 0 {
		user, password, _ := strings.Cut(rest[:at], ":")
		var err1, err2 error
		out.Username, err1 = url.PathUnescape(user)
		out.Credential, err2 = url.PathUnescape(password)
		readable := err1 == nil && err2 == nil && printable(out.Username+out.Credential)
		if !readable || out.Username == "" || out.Credential == "" {
			return fail("the user or the password is missing or not readable")
		}
		rest = rest[at+1:]
	}
	uri, err := stun.ParseURI(scheme + ":" + rest)
	if err != nil {
		return fail(fmt.Sprintf("%q of a scheme %q can't be read (%v)", rest, scheme, err))
	}
	if uri.Port < 1 || uri.Port > 65535 || !printable(uri.Host) || strings.ContainsAny(uri.Host, "<>\" ") {
		return fail(fmt.Sprintf("%q is no host and port", rest))
	}
	out.URLs = []string{uri.String()}
	return out, nil
}

// printable reports whether s has only printable characters of ASCII.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// Links returns the values of its Link headers (RFC 9725 section 4.6), one a URL.
func (s ICEServer) Links() []string {
	var out []string
	quote := func(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
	for _, u := range s.URLs {
		l := "<" + u + `>; rel="ice-server"`
		if s.Username != "" {
			l += "; username=" + quote(s.Username) + "; credential=" + quote(s.Credential)
			l += `; credential-type="password"`
		}
		out = append(out, l)
	}
	return out
}
