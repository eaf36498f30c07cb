package webrtc_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/infer"
	"tandem/infer/infertest"
	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/access"
	"tandem/webrtc/client"
)

// The operator sees all sessions and whose they are, and ends any; nobody else does. Its events stay.
func TestAdmin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	const list = "ward-3 publish,read publish-token\nops admin admin-token\n"
	if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := access.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, url, _ := server(t, webrtc.Options{Token: "guest-token", Access: known, MaxSessions: 9})
	ask := func(method, path, token string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return answered(t)(http.DefaultClient.Do(r))
	}
	clip := load(t, write(t, "a.webm", pattern))
	named := dial(t, client.Options{URL: url + "/whip", Token: "publish-token"})
	publish(t, named, clip, true)
	windows(t, named, 1)
	dial(t, client.Options{URL: url + "/whip", Token: "guest-token"})
	for _, token := range []string{"publish-token", "guest-token"} {
		for _, method := range []string{"GET", "DELETE"} {
			path := "/admin/sessions"
			if method == "DELETE" {
				path = strings.Replace(named.URL(), url+"/", "/admin/", 1)
			}
			if code, body := ask(method, path, token); code != 403 {
				t.Errorf("%s by %s: %d %s", method, token, code, body)
			}
		}
	}
	var got struct {
		Sessions []struct {
			ID, Name, State string
			Windows         int
		}
		Max int `json:"max_sessions"`
	}
	code, body := ask("GET", "/admin/sessions", "admin-token")
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 || len(got.Sessions) != 2 || got.Max != 9 {
		t.Fatalf("%d %s", code, body)
	}
	if s := got.Sessions[0]; s.Name != "ward-3" || s.State != "running" || s.Windows < 1 ||
		!strings.HasSuffix(named.URL(), s.ID) || got.Sessions[1].Name != "" {
		t.Errorf("%+v", got)
	}
	end := "/admin/sessions/" + got.Sessions[0].ID
	for _, want := range []int{204, 404} {
		if code, body := ask("DELETE", end, "admin-token"); code != want {
			t.Errorf("DELETE: %d %s, want %d", code, body, want)
		}
	}
	if events := all(t, named); events[len(events)-1].End == nil {
		t.Error("no end event came")
	}
	code, body = ask("GET", strings.TrimPrefix(named.URL(), url)+"/status", "publish-token")
	if code != 200 || !strings.Contains(body, `"cause":"operator"`) {
		t.Errorf("status: %d %s", code, body)
	}
	if code, _ := ask("POST", end, "admin-token"); code != 405 {
		t.Errorf("POST: %d", code)
	}
}

// A model that is swapped under a running session drops nothing of it; sessions after it name the new one.
func TestModelSwappedUnderASession(t *testing.T) {
	load2 := func() *infer.Recognizer {
		t.Helper()
		r, err := infer.NewRecognizer(infer.DefaultModel(), infer.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	faces, err := infertest.Faces()
	if err != nil {
		t.Fatal(err)
	}
	first, second := load2(), load2()
	defer second.Close()
	swap := infer.NewSwappable(first)
	s, url, _ := server(t, webrtc.Options{Recognizer: swap, Faces: faces, Pipeline: pipeline.DefaultOptions()})
	defer s.Close() // before the model
	clip := load(t, write(t, "a.webm", pattern))
	running := dial(t, client.Options{URL: url + "/whip", Channel: client.ReliableChannel})
	publish(t, running, clip, true)
	before := windows(t, running, 3)[2]
	old, err := swap.Swap(second)
	if err != nil {
		t.Fatal(err)
	}
	s.SetModel("other", "fp32")
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	last := before.T
	for _, w := range windows(t, running, 8) {
		if last >= swap.Spec().Window && w.T-last != swap.Spec().Hop { // partial ones come in the first
			t.Errorf("from %v to %v", last, w.T)
		}
		last = w.T
	}
	later := dial(t, client.Options{URL: url + "/whip", Channel: client.ReliableChannel})
	publish(t, later, clip, true)
	if e := <-later.Events(); e.Start == nil || e.Start.Model != "other" {
		t.Errorf("a later session starts by %+v", e.Start)
	}
}
