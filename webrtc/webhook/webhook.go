// Package webhook posts JSON to the URL of an operator's program, signed so that the program can tell whose it is.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// postTime bounds one request, with its answer.
	postTime = 5 * time.Second
	// answerBytes is how much of an answer is read, so that its connection may serve again.
	answerBytes = 4 << 10
)

// SignatureHeader has the signature of HMAC, under the name that GitHub's webhooks made common.
const SignatureHeader = "X-Hub-Signature-256"

// Signer adds to a request's header what proves that its body is the sender's.
type Signer func(h http.Header, body []byte) error

// HMAC signs by SignatureHeader: "sha256=" and the body's HMAC-SHA256 (RFC 2104) under the secret, in lower-case hex.
func HMAC(secret string) Signer {
	return func(h http.Header, body []byte) error {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write(body)
		h.Set(SignatureHeader, "sha256="+hex.EncodeToString(m.Sum(nil)))
		return nil
	}
}

// CheckURL refuses what is no http or https URL with a host.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q: want an http or https URL", s)
	}
	return nil
}

// Poster posts bodies to one URL. Any number of goroutines may use one.
type Poster struct {
	url    string
	sign   Signer
	client *http.Client
}

// NewPoster makes a Poster for a URL that CheckURL takes.
func NewPoster(url string, sign Signer) *Poster {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return &Poster{url: url, sign: sign, client: &http.Client{
		Transport: transport,
		// What is signed for the operator's URL goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the connections that wait to be used again.
func (p *Poster) Close() { p.client.CloseIdleConnections() }

// Post posts a body once, for at most 5 s. An answer other than 2xx is an error, a redirect too. Errors name no URL,
// which may have a password.
func (p *Poster) Post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return bare(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if err := p.sign(r.Header, body); err != nil {
		return err
	}
	res, err := p.client.Do(r)
	if err != nil {
		return bare(err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, answerBytes) // the status has come, and says it all
	if res.StatusCode/100 != 2 {
		return &statusError{res.StatusCode}
	}
	return nil
}

// bare returns the cause of an error without the URL.
func bare(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// statusError is an answer other than 2xx.
type statusError struct{ status int }

func (e *statusError) Error() string {
	text := fmt.Sprintf("it answers %d %s", e.status, http.StatusText(e.status))
	if e.status/100 == 3 {
		text += ": redirects are not followed, give the URL that it leads to"
	}
	return text
}

// passing reports whether a later try may do better.
func passing(err error) bool {
	var s *statusError
	return !errors.As(err, &s) || s.status >= 500 || s.status == http.StatusTooManyRequests ||
		s.status == http.StatusRequestTimeout
}
