package agent

import (
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tandem/webrtc/events"
	"tandem/webrtc/webrtctest"
)

func TestSubjects(t *testing.T) {
	for name, want := range map[string]string{
		"ann": "ann", "": "_", "a.b c*d>": "a_b_c_d_", "Zoë": "Zoë", "a\r\nPUB x 1": "a__PUB_x_1", "\x00": "_",
	} {
		if got := subjectToken(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
	for _, tt := range []struct{ server, subject, want string }{
		{"nats://localhost:4222", DefaultSubject, ""},
		{"tls://u:p@example.org", "a", ""},
		{"http://example.org", "a", "URL of a NATS server"},
		{"nats:secret", "a", "URL of a NATS server"},
		{"nats://localhost", "a..b", `subject "a..b"`},
		{"nats://localhost", "", `subject ""`},
		{"nats://localhost", "a.>", `subject "a.>"`},
	} {
		err := CheckNATS(tt.server, tt.subject)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %q: %v, want %q", tt.server, tt.subject, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the URL: %v", err)
		}
	}
}

// Events that come while there is no server, at the start or later, arrive when there is one; too many are lost, and
// the log says so.
func TestLongNATS(t *testing.T) {
	binary := webrtctest.Program(t, "github.com/nats-io/nats-server/v2@v2.15.3")
	port := webrtctest.FreePort(t)
	url := fmt.Sprintf("nats://ann:secret@127.0.0.1:%d", port)
	start := func() (kill func()) {
		cmd := exec.CommandContext(t.Context(), binary, "-a", "127.0.0.1", "-p", fmt.Sprint(port), "--user", "ann",
			"--pass", "secret")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	}
	said := &webrtctest.Log{}
	log := slog.New(slog.NewTextHandler(said, nil))
	c, err := openNATS(url, log)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNATS(c)
	j := &job{a: &Agent{o: Options{Subject: DefaultSubject}, nats: c}, key: jobKey{room: "a room"}, log: log}
	s := newSubject(j, "ann.1")
	kill := start()
	sub, err := nats.Connect(url, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	got := make(chan *nats.Msg, 1000)
	if _, err := sub.ChanSubscribe("tandem.v1.>", got); err != nil {
		t.Fatal(err)
	}
	next := func(want string) {
		t.Helper()
		select {
		case m := <-got:
			if string(m.Data) != want || m.Subject != "tandem.v1.a_room.ann_1" {
				t.Fatalf("%s: %.40q, want %q", m.Subject, m.Data, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no event arrived: %s", said)
		}
	}
	// The subscriber is there before the publisher has found the server again.
	if err := sub.FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	s.publish(events.Message{JSON: []byte("1")})
	next("1")
	kill()
	seen := time.Now().Add(10 * time.Second)
	for ; c.IsConnected() || sub.IsConnected(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(seen) {
			t.Fatal("the loss of the server is not seen")
		}
	}
	s.publish(events.Message{JSON: []byte("2")})
	large := []byte(strings.Repeat("3", 1<<19))
	for range 3 {
		s.publish(events.Message{JSON: large})
	}
	if n := strings.Count(said.String(), "not published"); n != 1 {
		t.Errorf("%d lines of events lost, want 1: %s", n, said)
	}
	kill = start()
	defer kill()
	next("2")
	next(string(large))
	if n := strings.Count(said.String(), "no NATS server"); n != 1 {
		t.Errorf("%d lines of servers lost, want 1: %s", n, said)
	}
	if strings.Contains(said.String(), "secret") {
		t.Errorf("the log has the password: %s", said)
	}
}
