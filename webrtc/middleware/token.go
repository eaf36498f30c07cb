package middleware

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"tandem/webrtc/access"
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

// Token checks the tokens of requests. Who guesses is held back: a client that gave too many wrong ones is answered 429
// to whatever it gives, so that the answer tells nothing of it.
type Token struct {
	known access.Checker // nil: every request is a guest's

	mu    sync.Mutex
	wrong map[netip.Addr]time.Time // by ClientKey: when all that it gave is forgotten
}

// NewToken returns the check by those who know tokens; nil lets everybody in as a guest.
func NewToken(known access.Checker) *Token {
	return &Token{known: known, wrong: map[netip.Addr]time.Time{}}
}

// Needed reports whether there are tokens.
func (t *Token) Needed() bool { return t.known != nil }

// Given returns what the token of a request gives (RFC 6750 section 2.1), and nothing for none. The error is for the
// client: a *problem.Error of status 401 for a token that is wrong, and 429 if there were too many.
func (t *Token) Given(r *http.Request) (access.Grant, error) {
	if t.known == nil {
		return access.Grant{Rights: access.Guest}, nil
	}
	given, bearer := bearerToken(r)
	if !bearer {
		return access.Grant{}, nil
	}
	if given == "" { // no guess
		return access.Grant{}, &problem.Error{Status: http.StatusUnauthorized, Detail: access.ErrUnknown.Error()}
	}
	g, err := t.known.Check(r.Context(), given)
	// One that was good once is no guess.
	if wait := t.judge(clientOf(r), !errors.Is(err, access.ErrUnknown), time.Now()); wait > 0 {
		return access.Grant{}, &problem.Error{
			Status: http.StatusTooManyRequests, RetryAfter: wait,
			Detail: "too many wrong tokens came from this address: wait a little, and send the right one",
		}
	}
	if err != nil {
		return access.Grant{}, &problem.Error{Status: http.StatusUnauthorized, Detail: err.Error()}
	}
	return g, nil
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

// Require passes on requests whose token gives a right, with the grant in their context (access.From), and answers 401,
// 403 or 429 to the rest.
func (t *Token) Require(right access.Rights, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, err := t.Given(r)
		_, bearer := bearerToken(r)
		var refused *problem.Error
		const challenge = `Bearer realm="tandem"`
		switch {
		case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", challenge+`, error="invalid_token"`)
		case err == nil && t.known != nil && !bearer:
			w.Header().Set("WWW-Authenticate", challenge)
			err = &problem.Error{
				Status: http.StatusUnauthorized, Detail: "a token is needed: send it as Authorization: Bearer TOKEN",
			}
		case err == nil && !g.May(right):
			w.Header().Set("WWW-Authenticate", challenge+fmt.Sprintf(`, error="insufficient_scope", scope="%v"`, right))
			err = problem.New(http.StatusForbidden,
				"the token doesn't give the right to %v: ask for one that does", right)
		}
		if err != nil {
			problem.Write(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(access.With(r.Context(), g)))
	})
}

// bearerToken returns the credentials of Authorization, and whether their scheme is Bearer.
func bearerToken(r *http.Request) (token string, bearer bool) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(given), strings.EqualFold(scheme, "Bearer")
}
