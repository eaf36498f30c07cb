package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// How the keys of an identity provider are fetched.
const (
	maxKeys     = 1 << 20 // bytes
	fetchTime   = 10 * time.Second
	refreshTime = 15 * time.Minute
	// unknownTime is how often a key that isn't known has them fetched again: by whom it came does not matter.
	unknownTime = 30 * time.Second
	// clockSlack is how far the provider's clock and this one may be apart.
	clockSlack = 30 * time.Second
)

// JWTOptions say which JWTs (RFC 7519) are taken. URL and Audience are needed.
type JWTOptions struct {
	URL      string // of the provider's keys, a JWK set (RFC 7517)
	Audience string // that must be among "aud", or tokens for other services were taken
	Issuer   string // that "iss" must be; "" for any
	Log      *slog.Logger
}

// JWT takes JWTs that are signed by a key of a provider: by RSA, ECDSA or Ed25519, never by a shared secret. "exp" and
// "sub" must be there; "scope" (RFC 8693 section 4.2) names the rights, separated by blanks, among whatever else.
type JWT struct {
	keys   keyfunc.Keyfunc
	parser *jwt.Parser
}

// NewJWT fetches the keys, and again from time to time until ctx ends.
func NewJWT(ctx context.Context, o JWTOptions) (*JWT, error) {
	if u, err := url.Parse(o.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%q: want a URL, such as https://id.example.org/.well-known/jwks.json", o.URL)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	context.AfterFunc(ctx, transport.CloseIdleConnections)
	must := false
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{o.URL}, keyfunc.Override{
		Client:      &http.Client{Transport: limited{transport}},
		HTTPTimeout: fetchTime, RefreshInterval: refreshTime,
		NoErrorReturnFirstHTTPReq: &must,
		RateLimitWaitMax:          time.Millisecond, RefreshUnknownKID: rate.NewLimiter(rate.Every(unknownTime), 1),
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) {
			return func(_ context.Context, err error) {
				o.Log.Warn("the keys of JWTs could not be fetched again: those that were go on", "cause", err)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("fetching the keys of JWTs: %w", err)
	}
	options := []jwt.ParserOption{
		jwt.WithAudience(o.Audience), jwt.WithExpirationRequired(), jwt.WithLeeway(clockSlack),
		jwt.WithValidMethods([]string{
			"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
		}),
	}
	if o.Issuer != "" {
		options = append(options, jwt.WithIssuer(o.Issuer))
	}
	return &JWT{keys, jwt.NewParser(options...)}, nil
}

// claims are those that are looked at.
type claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope"`
}

// Check does as Checker wants it.
func (j *JWT) Check(ctx context.Context, token string) (Grant, error) {
	if strings.Count(token, ".") != 2 { // another kind of token
		return Grant{}, ErrUnknown
	}
	var c claims
	_, err := j.parser.ParseWithClaims(token, &c, j.keys.KeyfuncCtx(ctx))
	switch {
	// The signature is looked at first, so that these were the provider's.
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet):
		return Grant{}, ErrExpired
	case err != nil || c.Subject == "":
		return Grant{}, ErrUnknown
	}
	g := Grant{Name: c.Subject}
	for _, name := range strings.Fields(c.Scope) {
		g.Rights |= rightOf(name)
	}
	return g, nil
}

// limited bounds the bodies that are read.
type limited struct{ http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxKeys), resp.Body}
	}
	return resp, err
}
