package middleware

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"tandem/webrtc/access"
)

// A client may give ten wrong tokens, and then one in six seconds; meanwhile the right one is refused as well, others
// are not held up, and after a while all is forgotten.
func TestWrongTokensAreHeldBack(t *testing.T) {
	token, now := NewToken(access.Shared("secret")), time.Now()
	guesser, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i := range wrongTokens {
		if wait := token.judge(guesser, false, now); wait > 0 {
			t.Fatalf("guess %d has to wait %v", i, wait)
		}
	}
	for _, right := range []bool{false, true} {
		if wait := token.judge(guesser, right, now); wait != wrongInterval {
			t.Errorf("right %v has to wait %v", right, wait)
		}
	}
	if wait := token.judge(other, true, now); wait > 0 {
		t.Errorf("another client has to wait %v", wait)
	}
	now = now.Add(wrongInterval)
	if wait := token.judge(guesser, false, now); wait > 0 {
		t.Errorf("one more guess has to wait %v", wait)
	}
	if wait := token.judge(guesser, true, now); wait <= 0 {
		t.Error("there are two in the interval of one")
	}
	now = now.Add(wrongTokens * wrongInterval)
	for range wrongTokens {
		if wait := token.judge(guesser, false, now); wait > 0 {
			t.Errorf("after a while it has to wait %v", wait)
		}
	}
}

// However many clients guess, no more than a bound are remembered; who has to wait still does.
func TestGuessersAreBounded(t *testing.T) {
	token, now := NewToken(access.Shared("secret")), time.Now()
	worst := netip.MustParseAddr("192.0.2.1")
	for range wrongTokens {
		token.judge(worst, false, now)
	}
	for i := range 3 * maxGuessers {
		token.judge(netip.MustParseAddr(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)), false, now)
	}
	if n := len(token.wrong); n != maxGuessers {
		t.Errorf("%d are remembered, want %d", n, maxGuessers)
	}
	if token.judge(worst, true, now) == 0 {
		t.Error("the worst is forgotten")
	}
	token.judge(netip.MustParseAddr("192.0.2.3"), false, now.Add(time.Hour))
	if n := len(token.wrong); n != 1 {
		t.Errorf("%d are remembered after an hour", n)
	}
}
