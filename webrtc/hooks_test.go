package webrtc_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/webrtc"
	"tandem/webrtc/access"
	"tandem/webrtc/client"
	"tandem/webrtc/webhook"
)

// The operator's URL hears of a session's start and of its end, by posts whose signatures hold.
func TestWebhook(t *testing.T) {
	type post struct {
		body   []byte
		signed bool
	}
	posts := make(chan post, 8)
	h := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		want := http.Header{}
		signed := err == nil && webhook.HMAC("hook-secret")(want, b) == nil &&
			r.Header.Get(webhook.SignatureHeader) == want.Get(webhook.SignatureHeader)
		posts <- post{b, signed}
	}))
	defer h.Close()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("ward-3 publish,read publish-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := access.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, url, log := server(t, webrtc.Options{
		Access: known, Instance: "a", Webhook: h.URL, WebhookSecret: "hook-secret",
	})
	next := func() (e struct {
		V                                            int
		Type, Session, Instance, Name, Cause, Reason string
		Time                                         time.Time
		Seconds                                      *float64
		Windows                                      int
		Dropped                                      map[string]int
	},
	) {
		t.Helper()
		select {
		case p := <-posts:
			if err := json.Unmarshal(p.body, &e); err != nil || !p.signed {
				t.Errorf("signed %v, %v: %s", p.signed, err, p.body)
			}
			if e.V != 1 || e.Instance != "a" || e.Name != "ward-3" || time.Since(e.Time).Abs() > time.Minute {
				t.Errorf("%s", p.body)
			}
			return e
		case <-time.After(20 * time.Second):
			t.Fatal("no event came")
			return e
		}
	}
	began := time.Now()
	session := dial(t, client.Options{URL: url + "/whip", Token: "publish-token"})
	start := next()
	if start.Type != "session_started" || !strings.HasSuffix(session.URL(), start.Session) || start.Seconds != nil {
		t.Errorf("%+v", start)
	}
	publish(t, session, load(t, write(t, "a.webm", pattern)), true)
	windows(t, session, 2)
	if err := session.Close(t.Context()); err != nil {
		t.Error(err)
	}
	end := next()
	if end.Type != "session_ended" || end.Session != start.Session || end.Cause != "deleted" ||
		end.Reason != "ended by the client" || end.Windows < 2 || len(end.Dropped) != 3 ||
		end.Time.Before(start.Time) ||
		end.Seconds == nil || *end.Seconds <= 0 || *end.Seconds > time.Since(began).Seconds() {
		t.Errorf("%+v", end)
	}
	// The session that the server ends is told of before Close returns.
	dial(t, client.Options{URL: url + "/whip", Token: "publish-token"})
	next()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if len(posts) != 1 || next().Cause != "shutdown" {
		t.Error("the session that the server ended is not told of")
	}
	if said := log.String(); strings.Contains(said, "hook-secret") {
		t.Errorf("the log has the secret: %s", said)
	}
}

// A receiver that answers nothing delays no session, and the server's end by its bound alone.
func TestLongWebhookThatHangs(t *testing.T) {
	hold := make(chan struct{})
	h := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer h.Close()
	defer close(hold)
	s, url, log := server(t, webrtc.Options{Webhook: h.URL, WebhookSecret: "s"})
	began := time.Now()
	session := dial(t, client.Options{URL: url + "/whip"})
	if err := session.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d > 4*time.Second { // less than one post may take
		t.Errorf("the session took %v", d)
	}
	began = time.Now()
	s.Close()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("the end took %v", d)
	}
	if said := log.String(); !strings.Contains(said, "did not reach the webhook") {
		t.Errorf("nothing is said of it: %s", said)
	}
}

// docs/deploy.md has every cause of an end that the webhook may name.
func TestDocsNameTheCauses(t *testing.T) {
	b, err := os.ReadFile("../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, row, _ := strings.Cut(string(b), "\n| `cause` |")
	row, _, _ = strings.Cut(row, "\n")
	for _, cause := range webrtc.Causes() {
		if !strings.Contains(row, "`"+cause+"`") {
			t.Errorf("docs/deploy.md does not name the cause %s", cause)
		}
	}
}
