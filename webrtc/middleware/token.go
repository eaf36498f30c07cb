package middleware

import (
	"crypto/sha256"
	"crypto/subtle"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"tandem/webrtc/problem"
)

// How often one client may give a wrong token: so often at once, and then one for each interval.
const (
	wrongTokens   = 10
	wrongInterval = 6 * time.Second
	// maxGuessers bounds the clients whose wrong tokens are remembered. The one of them that may try again first is
	// forgotten for another.
	maxGuessers = 4096
)

// Token is a server's token. Who guesses it is held back: a client that gave too many wrong ones is answered 429 to
// whatever it gives, so that the answer tells nothing of it. The empty token lets everybody in.
type Token struct {
	token string

	mu    sync.Mutex
	wrong map[netip.Addr]time.Time // by ClientKey: when all that it gave is forgotten
}

// NewToken returns the server's token.
func NewToken(token string) *Token { return &Token{token: token, wrong: map[netip.Addr]time.Time{}} }

// Given reports whether a request bears the token (RFC 6750 section 2.1); every request bears the empty one. The error,
// a *problem.Error of status 429, is for a client that gave too many others.
func (t *Token) Given(r *http.Request) (bool, error) {
	if t.token == "" {
		return true, nil
	}
	given, bearer := bearerToken(r)
	if !bearer || given == "" {
		return false, nil
	}
	// Hashes are of one length, so that the time of the comparison depends on nothing of the token.
	got, want := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(t.token))
	right := subtle.ConstantTimeCompare(got[:], want[:]) == 1
	if wait := t.judge(clientOf(r), right, time.Now()); wait > 0 {
		return false, &problem.Error{
			Status: http.StatusTooManyRequests, RetryAfter: wait,
			Detail: "too many wrong tokens came from this address: wait a little, and send the right one",
		}
	}
	return right, nil
}

// judge counts a wrong token, and returns how long the client has to wait, right or wrong, if it gave too many.
func (t *Token) judge(client netip.Addr, right bool, now time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	forgotten, known := t.wrong[client]
	if !known || forgotten.Before(now) {
		forgotten = now
	}
	if wait := forgotten.Sub(now) - (wrongTokens-1)*wrongInterval; wait > 0 {
		return wait
	}
	if right {
		return 0
	}
	if !known && len(t.wrong) >= maxGuessers {
		t.forget(now)
	}
	t.wrong[client] = forgotten.Add(wrongInterval)
	return 0
}

// forget makes room: it drops all that are forgotten by now, or else the one that is first.
func (t *Token) forget(now time.Time) {
	var first netip.Addr
	least := time.Duration(math.MaxInt64)
	for client, forgotten := range t.wrong {
		left := forgotten.Sub(now)
		if left <= 0 {
			delete(t.wrong, client)
		}
		if left < least {
			first, least = client, left
		}
	}
	if len(t.wrong) >= maxGuessers {
		delete(t.wrong, first)
	}
}

// Require passes on requests that bear the token and answers 401 to the rest, or 429.
func (t *Token) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		right, err := t.Given(r)
		if right {
			next.ServeHTTP(w, r)
			return
		}
		if err != nil {
			problem.Write(w, err)
			return
		}
		challenge, detail := `Bearer realm="tandem"`, "a token is needed: send it as Authorization: Bearer TOKEN"
		if _, bearer := bearerToken(r); bearer {
			challenge += `, error="invalid_token"`
			detail = "the token is not the server's: ask for the right one"
		}
		w.Header().Set("WWW-Authenticate", challenge)
		problem.Write(w, &problem.Error{Status: http.StatusUnauthorized, Detail: detail})
	})
}

// bearerToken returns the credentials of Authorization, and whether their scheme is Bearer.
func bearerToken(r *http.Request) (token string, bearer bool) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(given), strings.EqualFold(scheme, "Bearer")
}
