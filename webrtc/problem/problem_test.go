package problem_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"tandem/webrtc/problem"
	"tandem/webrtc/problem/problemtest"
)

// An error is answered with its status, in whatever it is wrapped; others become 500 and stay secret.
func TestWrite(t *testing.T) {
	const failed = `{"type":"about:blank","title":"Internal Server Error","status":500,` +
		`"detail":"the server failed: try again later"}` + "\n"
	full := &problem.Error{Status: 503, Detail: "come back", RetryAfter: 2100 * time.Millisecond}
	const come = `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"come back"}` + "\n"
	for _, c := range []struct {
		err    error
		status int
		retry  string
		body   string
	}{
		{full, 503, "3", come},
		{fmt.Errorf("wrapped: %w", full), 503, "3", come},
		{
			&problem.Error{Status: 404, Title: "Gone fishing", Detail: "no"}, 404, "",
			`{"type":"about:blank","title":"Gone fishing","status":404,"detail":"no"}` + "\n",
		},
		{
			problem.New(400, "%d is odd", 3), 400, "",
			`{"type":"about:blank","title":"Bad Request","status":400,"detail":"3 is odd"}` + "\n",
		},
		{errors.New("secret of the inside"), 500, "", failed},
	} {
		w := httptest.NewRecorder()
		problem.Write(w, c.err)
		if got := w.Body.String(); w.Code != c.status || w.Header().Get("Retry-After") != c.retry || got != c.body {
			t.Errorf("%v: %d, Retry-After %q, %s", c.err, w.Code, w.Header().Get("Retry-After"), got)
		}
		problemtest.Check(t, w.Result())
	}
}
