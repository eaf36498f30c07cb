package signal

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pion/stun/v4"
)

// ICEServer is a STUN or TURN server, in the form of WebRTC's RTCIceServer.
type ICEServer struct {
	URLs       []string `json:"urls"` // RFC 7064, RFC 7065
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// isTURN reports whether it relays, and so wants credentials.
func (s ICEServer) isTURN() bool { return len(s.URLs) > 0 && strings.HasPrefix(s.URLs[0], "turn") }

// ICEServers are those of a server and its clients. The TURN servers among them that have no credentials share a secret
// with the server, by which they take those that it makes.
type ICEServers struct {
	List   []ICEServer
	Secret string        // "" for none
	Life   time.Duration // of the credentials made
}

// Check returns an error for a TURN server that has neither credentials nor a secret, and for a secret without use.
func (s ICEServers) Check() error {
	shared := slices.ContainsFunc(s.List, func(i ICEServer) bool { return i.isTURN() && i.Username == "" })
	switch {
	case shared && s.Secret == "":
		return errors.New("a TURN server has neither a user with a password nor a secret to make them by")
	case !shared && s.Secret != "":
		return errors.New("there is a secret, and no TURN server without a user and a password")
	}
	return nil
}

// For returns the list as it is told to one client, whose name may be of letters, digits and "._-". Credentials are
// made as coturn's use-auth-secret and others take them, by the TURN REST API (draft-uberti-behave-turn-rest-00 section
// 2.2): the user is the Unix time of their end and the name, and the password the user's HMAC-SHA1.
func (s ICEServers) For(name string, now time.Time) []ICEServer {
	out := slices.Clone(s.List)
	user := fmt.Sprintf("%d:%s", now.Add(s.Life).Unix(), name)
	mac := hmac.New(sha1.New, []byte(s.Secret))
	mac.Write([]byte(user))
	password := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for i := range out {
		if out[i].isTURN() && out[i].Username == "" {
			out[i].Username, out[i].Credential = user, password
		}
	}
	return out
}

// ParseICEServer reads "stun:host:port", "turn:host:port?transport=udp" (also turns:), whose credentials are made by a
// secret, or "turn:user:password@host:port?transport=udp", where user and password may have %-escapes. The port may be
// left out. Its errors do not repeat the password.
func ParseICEServer(s string) (ICEServer, error) {
	fail := func(why string) (ICEServer, error) {
		return ICEServer{}, fmt.Errorf(
			"%s; want stun:HOST:PORT, turn:HOST:PORT or turn:USER:PASSWORD@HOST:PORT?transport=udp", why)
	}
	scheme, rest, _ := strings.Cut(s, ":")
	var out ICEServer
	at := strings.LastIndex(rest, "@")
	if at >= 0 && scheme != "turn" && scheme != "turns" {
		return fail(`only "turn:" servers take a user and a password`)
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
