package webrtc_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/webrtc"
	"tandem/webrtc/access"
	"tandem/webrtc/peer"
	"tandem/webrtc/signal"
)

// Each path wants its right, and no other helps; the answer names it. TURN servers know clients by the token's name.
func TestRights(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	const list = "ward-3 publish publish-token\nwatch read read-token\nops admin admin-token\n"
	if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := access.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	turn := signal.ICEServers{List: []signal.ICEServer{{URLs: []string{"turn:127.0.0.1:9"}}}, Secret: "s"}
	s, _, _ := server(t, webrtc.Options{
		Token: "guest-token", Access: known, Network: peer.Options{ICEServers: turn},
	})
	ask := func(method, path, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w
	}
	const session = "/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, c := range []struct{ method, path, right string }{
		{"GET", "/whip", "publish"},
		{"DELETE", session, "publish"},
		{"PATCH", session, "publish"},
		{"POST", session + "/leave", "publish"},
		{"GET", session + "/events", "read"},
		{"GET", session + "/events.csv", "read"},
		{"GET", session + "/status", "read"},
		{"GET", "/metrics", "read"},
	} {
		for _, token := range []string{"publish-token", "read-token", "admin-token", "guest-token"} {
			w := ask(c.method, c.path, token)
			has := strings.HasPrefix(token, c.right) || token == "guest-token" && c.right != "admin"
			if refused := w.Code == http.StatusForbidden; refused == has {
				t.Errorf("%s %s with %s: %d", c.method, c.path, token, w.Code)
			} else if refused && (!strings.Contains(w.Body.String(), "right to "+c.right) ||
				!strings.Contains(w.Header().Get("WWW-Authenticate"), `scope="`+c.right+`"`)) {
				t.Errorf("%s %s with %s: %v %s", c.method, c.path, token, w.Header(), w.Body)
			}
		}
	}
	for token, name := range map[string]string{
		"publish-token": "ward-3", "guest-token": "client", "read-token": "", "wrong": "",
	} {
		w := ask("GET", "/config", token)
		var got struct {
			ICE []signal.ICEServer `json:"ice_servers"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.ICE) > 0 != (name != "") ||
			name != "" && !strings.HasSuffix(got.ICE[0].Username, ":"+name) {
			t.Errorf("/config with %s: %s", token, w.Body)
		}
	}
	link := ask("OPTIONS", "/whip", "publish-token").Header().Get("Link")
	if !strings.Contains(link, `:ward-3"; credential=`) {
		t.Errorf("Link: %s", link)
	}
}
