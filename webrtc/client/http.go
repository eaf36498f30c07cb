package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	pion "github.com/pion/webrtc/v4"
)

// maxAnswer bounds the bodies that are read, in bytes.
const maxAnswer = 1 << 20

// Error is the refusal of a server.
type Error struct {
	Method     string
	URL        string
	Status     int
	Title      string        // of its problem+json (RFC 9457), or the status's text
	Detail     string        // likewise; "" if there was none
	RetryAfter time.Duration // 0 if the server didn't say
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s: %d %s", e.Method, e.URL, e.Status, e.Title)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// request sends one request of WHIP and reads its answer, whose status must be want. The response's body is read.
func (o *Options) request(ctx context.Context, method, to string, header http.Header, body string, want int) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	for k, v := range header {
		r.Header[k] = v
	}
	if o.Token != "" {
		r.Header.Set("Authorization", "Bearer "+o.Token)
	}
	resp, err := o.HTTP.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, "", fmt.Errorf("%s %s: reading the answer: %w", method, r.URL.Redacted(), err)
	}
	if resp.StatusCode == want {
		return resp, string(b), nil
	}
	e := &Error{Method: method, URL: r.URL.Redacted(), Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode)}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	if t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); t == "application/problem+json" {
		var p struct{ Title, Detail string }
		if json.Unmarshal(b, &p) == nil {
			if p.Title != "" {
				e.Title = p.Title
			}
			e.Detail = p.Detail
		}
	}
	return nil, "", e
}

// discover asks the endpoint for its ICE servers, which it may tell in Link headers (RFC 9725 section 4.6). One that
// doesn't answer OPTIONS has none to tell.
func (o *Options) discover(ctx context.Context) ([]pion.ICEServer, error) {
	for _, status := range []int{http.StatusNoContent, http.StatusOK} {
		resp, _, err := o.request(ctx, http.MethodOptions, o.URL, nil, "", status)
		if err == nil {
			return iceServers(resp.Header), nil
		}
		if e, ok := err.(*Error); !ok || e.Status == http.StatusUnauthorized {
			return nil, err
		}
	}
	return nil, nil
}

// iceServers reads Link headers with rel="ice-server".
func iceServers(h http.Header) []pion.ICEServer {
	var out []pion.ICEServer
	for _, l := range links(strings.Join(h.Values("Link"), ",")) {
		if !strings.EqualFold(l.params["rel"], "ice-server") {
			continue
		}
		s := pion.ICEServer{URLs: []string{l.target}}
		if u := l.params["username"]; u != "" {
			s.Username, s.Credential = u, l.params["credential"]
		}
		out = append(out, s)
	}
	return out
}

type link struct {
	target string
	params map[string]string
}

// links reads the values of Link headers (RFC 8288 section 3), up to the first that is malformed.
func links(s string) []link {
	var out []link
	for {
		s = strings.TrimLeft(s, ", \t")
		if !strings.HasPrefix(s, "<") {
			return out
		}
		target, rest, ok := strings.Cut(s[1:], ">")
		if !ok {
			return out
		}
		l := link{target, map[string]string{}}
		for s = strings.TrimLeft(rest, " \t"); strings.HasPrefix(s, ";"); s = strings.TrimLeft(s, " \t") {
			s = strings.TrimLeft(s[1:], " \t")
			end := strings.IndexAny(s, "=;, \t")
			if end < 0 {
				end = len(s)
			}
			name := strings.ToLower(s[:end])
			s = s[end:]
			value := ""
			if strings.HasPrefix(s, "=") {
				value, s = linkValue(s[1:])
			}
			if _, twice := l.params[name]; !twice {
				l.params[name] = value
			}
		}
		out = append(out, l)
	}
}

// linkValue reads a token or a quoted string (RFC 9110 section 5.6.4), and returns what follows it.
func linkValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ";, \t")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

// location is the URL of a new session, relative to that which answered in the end (RFC 9725 section 4.2).
func location(resp *http.Response) (*url.URL, error) {
	u, err := resp.Location()
	if err != nil {
		return nil, fmt.Errorf("the server opened a session without a Location that can be used: %w", err)
	}
	return u, nil
}
