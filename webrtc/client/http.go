package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/problem"
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

// request is one request of WHIP.
type request struct {
	method, url string
	header      http.Header
	body        string
}

// requester sends requests with a token; "" for none.
type requester struct {
	http  *http.Client
	token string
}

// do sends a request and reads its answer, whose status must be want; any other is an *Error. It returns the response,
// whose body is read and closed, and the body.
func (q requester) do(ctx context.Context, req request, want int) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(ctx, req.method, req.url, strings.NewReader(req.body))
	if err != nil {
		return nil, "", err
	}
	maps.Copy(r.Header, req.header)
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	resp, err := q.http.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, "", fmt.Errorf("%s %s: reading the answer: %w", req.method, r.URL.Redacted(), err)
	}
	if resp.StatusCode != want {
		return nil, "", refusalOf(resp, b)
	}
	return resp, string(b), nil
}

// refusalOf returns the error for a response of another status than it should have.
func refusalOf(resp *http.Response, body []byte) *Error {
	r := resp.Request
	e := &Error{
		Method: r.Method, URL: r.URL.Redacted(), Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode),
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	if t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); t == problem.Type {
		var p struct{ Title, Detail string }
		if json.Unmarshal(body, &p) == nil {
			if p.Title != "" {
				e.Title = p.Title
			}
			e.Detail = p.Detail
		}
	}
	return e
}

// discover asks an endpoint for its ICE servers, which it may list in Link headers (RFC 9725 section 4.6). One that
// doesn't answer OPTIONS has none.
func (q requester) discover(ctx context.Context, endpoint string) ([]pion.ICEServer, error) {
	for _, status := range []int{http.StatusNoContent, http.StatusOK} {
		resp, _, err := q.do(ctx, request{method: http.MethodOptions, url: endpoint}, status)
		if err == nil {
			return iceServers(resp.Header), nil
		}
		var refused *Error
		if !errors.As(err, &refused) || refused.Status == http.StatusUnauthorized {
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

// location returns the URL of a new session, relative to that which answered in the end (RFC 9725 section 4.2).
func location(resp *http.Response) (*url.URL, error) {
	u, err := resp.Location()
	if err != nil {
		return nil, fmt.Errorf("the server opened a session without a Location that can be used: %w", err)
	}
	return u, nil
}
