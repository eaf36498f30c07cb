// Package access tells who a client is, and what it may do, by the token that it bears: the one of --token, those of a
// file, and JWTs of an identity provider.
package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// Rights are a set of rights.
type Rights uint8

// The rights. None includes another.
const (
	Publish Rights = 1 << iota // open sessions, change and end them
	Read                       // read sessions' events and status, and the metrics
	Admin                      // list all sessions and end them
)

// Guest are the rights of whoever has the one token of all, or comes to a server that wants none.
const Guest = Publish | Read

var rightNames = []struct {
	right Rights
	name  string
}{{Publish, "publish"}, {Read, "read"}, {Admin, "admin"}}

// String returns the names of the rights, separated by commas.
func (r Rights) String() string {
	var names []string
	for _, n := range rightNames {
		if r&n.right != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ",")
}

// parseRights reads what String writes; at least one right.
func parseRights(s string) (Rights, error) {
	var r Rights
	for name := range strings.SplitSeq(s, ",") {
		right := rightOf(name)
		if right == 0 {
			return 0, fmt.Errorf("%q is no right: there are publish, read and admin", name)
		}
		r |= right
	}
	return r, nil
}

// rightOf returns 0 for a name that is no right's.
func rightOf(name string) Rights {
	for _, n := range rightNames {
		if n.name == name {
			return n.right
		}
	}
	return 0
}

// Grant is the owner of a token, and the rights that it gives.
type Grant struct {
	Name   string // of its owner; "" for a guest
	Rights Rights
}

// May reports whether the grant has a right.
func (g Grant) May(right Rights) bool { return g.Rights&right == right }

// ErrUnknown is returned for a token that nobody gave out: who sends many guesses.
var ErrUnknown = errors.New("the token is not the server's: ask for the right one")

// ErrExpired is returned for a token that was good, or will be.
var ErrExpired = errors.New("the token is past its time, or not yet good: ask for a new one")

// Checker knows tokens.
type Checker interface {
	// Check returns what a token gives; ErrUnknown, ErrExpired, or why it can't be told now. Its text is for clients.
	Check(ctx context.Context, token string) (Grant, error)
}

// Any asks each checker in turn, and is content with the first that knows a token.
type Any []Checker

// Check does as Checker wants it.
func (a Any) Check(ctx context.Context, token string) (Grant, error) {
	err := ErrUnknown
	for _, c := range a {
		g, e := c.Check(ctx, token)
		if e == nil {
			return g, nil
		}
		if !errors.Is(e, ErrUnknown) {
			err = e
		}
	}
	return Grant{}, err
}

// digest is a token's hash, by which it is known: how long a comparison takes tells nothing of a token.
type digest [sha256.Size]byte

func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

// Shared returns the checker of the one token of all guests, which isn't "".
func Shared(token string) Checker { return shared(digestOf(token)) }

type shared digest

func (s shared) Check(_ context.Context, token string) (Grant, error) {
	if digestOf(token) != digest(s) {
		return Grant{}, ErrUnknown
	}
	return Grant{Rights: Guest}, nil
}

type grantKey struct{}

// With returns a context with a grant, for From.
func With(ctx context.Context, g Grant) context.Context { return context.WithValue(ctx, grantKey{}, g) }

// From returns the grant of the request that a context is of; the zero Grant if it has none.
func From(ctx context.Context) Grant {
	g, _ := ctx.Value(grantKey{}).(Grant)
	return g
}
