package whip_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/webrtc/problem"
	"tandem/webrtc/problem/problemtest"
	"tandem/webrtc/signal"
	"tandem/webrtc/signal/signaltest"
	"tandem/webrtc/whip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a Backend without media: it remembers what it was asked.
type backend struct {
	mu       sync.Mutex
	fail     error // of Open
	answer   string
	opened   []whip.Request
	sessions map[string]*session
}

func (b *backend) Open(_ context.Context, r whip.Request) (whip.Session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return nil, b.fail
	}
	b.opened = append(b.opened, r)
	s := &session{
		id: "session-" + strconv.Itoa(len(b.opened)), etag: "tag-0", ufrag: "EsAw",
		answer: cmp.Or(b.answer, "v=0\r\n"),
	}
	if b.sessions == nil {
		b.sessions = map[string]*session{}
	}
	b.sessions[s.id] = s
	return s, nil
}

func (b *backend) Session(id string) (whip.Session, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.sessions[id]
	return s, ok
}

func (b *backend) Delete(_ context.Context, id string, _ bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.sessions[id]; !ok {
		return whip.ErrNoSession
	}
	delete(b.sessions, id)
	return nil
}

type session struct {
	id, etag, ufrag string
	answer          string
	restarts        int
	added           []string
	fail            error
}

func (s *session) ID() string          { return s.id }
func (s *session) Answer() string      { return s.answer }
func (s *session) ETag() string        { return s.etag }
func (s *session) RemoteUfrag() string { return s.ufrag }

func (s *session) AddCandidates(_ context.Context, f signal.Fragment) error {
	s.added = append(s.added, f.Candidates()...)
	return s.fail
}

func (s *session) Restart(_ context.Context, f signal.Fragment) (signal.Fragment, string, error) {
	if s.fail != nil {
		return signal.Fragment{}, "", s.fail
	}
	s.restarts++
	s.ufrag, s.etag = f.Ufrag, "tag-"+strconv.Itoa(s.restarts)
	return signal.Fragment{
		Ufrag: "srvr",
		Pwd:   strings.Repeat("p", 22),
		Media: []signal.FragmentMedia{{Kind: "audio", Mid: "0", End: true}},
	}, s.etag, nil
}

func serve(b whip.Backend, servers ...signal.ICEServer) http.Handler {
	h := &whip.Handler{Backend: b, ICEServers: func(*http.Request) []signal.ICEServer { return servers }}
	mux := http.NewServeMux()
	mux.HandleFunc("/whip", h.ServeEndpoint)
	mux.HandleFunc("/sessions/{id}", h.ServeSession)
	return mux
}

func TestOpen(t *testing.T) {
	b := &backend{}
	turn, err := signal.ParseICEServer(`turn:us%20er:pa"ss@turn.example.org:3478?transport=udp`)
	if err != nil {
		t.Fatal(err)
	}
	stun, err := signal.ParseICEServer("stun:stun.example.org")
	if err != nil {
		t.Fatal(err)
	}
	h := serve(b, stun, turn)
	offer := signaltest.Offer()
	res := problemtest.Do(h, "POST", "/whip?gender=0", offer, "Content-Type", "application/sdp; charset=utf-8")
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("status %d", res.StatusCode)
	}
	body, _ := io.ReadAll(res.Body)
	if string(body) != "v=0\r\n" {
		t.Errorf("body %q", body)
	}
	for name, want := range map[string][]string{
		"Content-Type": {"application/sdp"},
		"Location":     {"/sessions/session-1"},
		"ETag":         {`"tag-0"`},
		"Accept-Patch": {"application/trickle-ice-sdpfrag"},
		"Link": {
			`<stun:stun.example.org:3478>; rel="ice-server"`,
			`<turn:turn.example.org:3478?transport=udp>; rel="ice-server"; username="us er"; credential="pa\"ss"; ` +
				`credential-type="password"`,
		},
	} {
		if got := res.Header.Values(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	got := b.opened[0]
	want, err := signal.ParseOffer(offer)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Offer, want) || got.Query.Get("gender") != "0" ||
		got.Remote != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("the backend was asked %+v", got)
	}
	if !slices.Equal(got.Offer.Audio, []string{"opus"}) || !slices.Equal(got.Offer.Video, []string{"vp8", "h264"}) ||
		!got.Offer.Data {
		t.Errorf("the backend was told %+v", got.Offer)
	}
}

func TestEndpointStatus(t *testing.T) {
	sdp := []string{"Content-Type", "application/sdp"}
	for _, c := range []struct {
		name, method, body string
		headers            []string
		fail               error
		status             int
		want               map[string]string // headers
	}{
		{
			name: "options", method: "OPTIONS", status: 200,
			want: map[string]string{"Accept-Post": "application/sdp", "Allow": "GET, HEAD, OPTIONS, POST"},
		},
		{name: "get", method: "GET", status: 204},
		{name: "head", method: "HEAD", status: 204},
		{name: "put", method: "PUT", status: 405, want: map[string]string{"Allow": "GET, HEAD, OPTIONS, POST"}},
		{name: "patch", method: "PATCH", status: 405, want: map[string]string{"Allow": "GET, HEAD, OPTIONS, POST"}},
		{name: "delete", method: "DELETE", status: 405, want: map[string]string{"Allow": "GET, HEAD, OPTIONS, POST"}},
		{
			name: "no type", method: "POST", body: signaltest.Offer(), status: 415,
			want: map[string]string{"Accept-Post": "application/sdp"},
		},
		{name: "JSON", method: "POST", body: "{}", headers: []string{"Content-Type", "application/json"}, status: 415},
		{
			name: "accept JSON", method: "POST", body: signaltest.Offer(),
			headers: append([]string{"Accept", "application/json"}, sdp...), status: 406,
		},
		{
			name: "accept but SDP", method: "POST", body: signaltest.Offer(),
			headers: append([]string{"Accept", "*/*, application/sdp;q=0"}, sdp...), status: 406,
		},
		{
			name: "accept any", method: "POST", body: signaltest.Offer(),
			headers: append([]string{"Accept", "text/html, */*;q=0.1"}, sdp...), status: 201,
		},
		{
			name: "accept a kind", method: "POST", body: signaltest.Offer(),
			headers: append([]string{"Accept", "application/*"}, sdp...), status: 201,
		},
		{name: "empty", method: "POST", headers: sdp, status: 400},
		{name: "garbage", method: "POST", body: "\x00\xff\xfegarbage", headers: sdp, status: 400},
		{
			name: "huge", method: "POST", body: signaltest.Offer() + strings.Repeat("a=x\r\n", 20000), headers: sdp,
			status: 413,
		},
		{
			name: "only receives", method: "POST", body: strings.ReplaceAll(signaltest.Offer(), "sendonly", "recvonly"),
			headers: sdp, status: 422,
		},
		{
			name: "full", method: "POST", body: signaltest.Offer(), headers: sdp, status: 503,
			want: map[string]string{"Retry-After": "3"},
			fail: &problem.Error{
				Status: 503, Detail: "all places are taken: come back", RetryAfter: 2100 * time.Millisecond,
			},
		},
		{
			name: "fault", method: "POST", body: signaltest.Offer(), headers: sdp, status: 500,
			fail: errors.New("secret of the inside"),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := problemtest.Do(serve(&backend{fail: c.fail}), c.method, "/whip", c.body, c.headers...)
			if res.StatusCode != c.status {
				t.Fatalf("status %d, want %d", res.StatusCode, c.status)
			}
			for name, want := range c.want {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if c.status >= 400 {
				problemtest.Check(t, res)
			}
		})
	}
}

func TestErrorsKeepSecrets(t *testing.T) {
	res := problemtest.Do(serve(&backend{fail: errors.New("secret")}), "POST", "/whip", signaltest.Offer(),
		"Content-Type", "application/sdp")
	if body, _ := io.ReadAll(res.Body); strings.Contains(string(body), "secret") {
		t.Errorf("the client reads %s", body)
	}
}

// A body whose length is not said is bounded too.
func TestHugeChunked(t *testing.T) {
	srv := httptest.NewServer(serve(&backend{}))
	defer srv.Close()
	body := struct{ io.Reader }{strings.NewReader(strings.Repeat("a=x\r\n", 20000))} // hides the length
	res, err := srv.Client().Post(srv.URL+"/whip", "application/sdp", body)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}

// sessionCase is a request about a session, and its answer.
type sessionCase struct {
	name, method, path, body string // PATCH and the session's, if not given
	headers                  []string
	fail                     error // of the session
	status                   int
	etag                     string
	restarts, added          int
}

func TestPatch(t *testing.T) {
	frag := []string{"Content-Type", "application/trickle-ice-sdpfrag"}
	with := func(tag string) []string { return append([]string{"If-Match", tag}, frag...) }
	for _, c := range []sessionCase{
		{name: "trickle", body: signaltest.Trickle, headers: with(`"tag-0"`), status: 204, added: 1},
		{
			name: "trickle by LF", body: strings.ReplaceAll(signaltest.Trickle, "\r\n", "\n"), headers: with(`"tag-0"`),
			status: 204, added: 1,
		},
		{
			name: "one of several tags", body: signaltest.Trickle, headers: with(`"other", "tag-0"`), status: 204,
			added: 1,
		},
		{name: "trickle by star", body: signaltest.Trickle, headers: with("*"), status: 204, added: 1},
		{
			name: "no credentials", body: "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=end-of-candidates\r\n",
			headers: with(`"tag-0"`), status: 204,
		},
		{name: "no tag", body: signaltest.Trickle, headers: frag, status: 428},
		{name: "old tag", body: signaltest.Trickle, headers: with(`"tag-9"`), status: 412},
		{name: "weak tag", body: signaltest.Trickle, headers: with(`W/"tag-0"`), status: 412},
		{name: "tag without quotes", body: signaltest.Trickle, headers: with(`tag-0`), status: 412},
		{name: "empty tag", body: signaltest.Trickle, headers: with(``), status: 412},
		{
			name: "wrong type", body: signaltest.Trickle,
			headers: []string{"If-Match", `"tag-0"`, "Content-Type", "application/sdp"}, status: 415,
		},
		{name: "empty", headers: with(`"tag-0"`), status: 400},
		{name: "garbage", body: "\x00\xff", headers: with(`"tag-0"`), status: 400},
		{
			name: "bad candidate", body: "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp x\r\n",
			headers: with(`"tag-0"`), status: 400,
		},
		{name: "huge", body: strings.Repeat("a=x:y\r\n", 10000), headers: with(`"tag-0"`), status: 413},
		{name: "restart", body: signaltest.Restart, headers: with("*"), status: 200, etag: `"tag-1"`, restarts: 1},
		{
			name: "restart by quoted star", body: signaltest.Restart, headers: with(`"*"`), status: 200,
			etag: `"tag-1"`, restarts: 1,
		},
		{
			name: "restart by tag", body: signaltest.Restart, headers: with(`"tag-0"`), status: 200, etag: `"tag-1"`,
			restarts: 1,
		},
		{name: "restart by an old tag", body: signaltest.Restart, headers: with(`"tag-9"`), status: 412},
		{
			name: "restart fails", body: signaltest.Restart, headers: with("*"),
			fail: &problem.Error{Status: 429, Detail: "wait", RetryAfter: time.Second}, status: 429, restarts: 0,
		},
		{name: "stale", body: signaltest.Trickle, headers: with(`"tag-0"`), fail: whip.ErrStale, status: 412, added: 1},
	} {
		t.Run(c.name, func(t *testing.T) { checkSession(t, c) })
	}
}

func TestSessionStatus(t *testing.T) {
	with := []string{"If-Match", "*", "Content-Type", "application/trickle-ice-sdpfrag"}
	for _, c := range []sessionCase{
		{name: "unknown", path: "/sessions/nobody", body: signaltest.Trickle, headers: with, status: 404},
		{name: "odd id", path: "/sessions/%2e%2e%2fetc", body: signaltest.Trickle, headers: with, status: 404},
		{
			name: "long id", path: "/sessions/" + strings.Repeat("a", 129), body: signaltest.Trickle,
			headers: with, status: 404,
		},
		{name: "get", method: "GET", status: 204},
		{name: "head", method: "HEAD", status: 204},
		{name: "get unknown", method: "GET", path: "/sessions/nobody", status: 404},
		{name: "put", method: "PUT", status: 405},
		{name: "post", method: "POST", status: 405},
		{name: "options", method: "OPTIONS", status: 200},
		{name: "delete", method: "DELETE", status: 200},
		{name: "delete by an old tag", method: "DELETE", headers: []string{"If-Match", `"tag-9"`}, status: 200},
		{name: "delete unknown", method: "DELETE", path: "/sessions/nobody", status: 404},
		{name: "delete odd", method: "DELETE", path: "/sessions/a%00b", status: 404},
	} {
		t.Run(c.name, func(t *testing.T) { checkSession(t, c) })
	}
}

// checkSession opens a session, makes a request about it, and compares what became of it.
func checkSession(t *testing.T, c sessionCase) {
	t.Helper()
	b := &backend{}
	h := serve(b)
	res := problemtest.Do(h, "POST", "/whip", signaltest.Offer(), "Content-Type", "application/sdp")
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("opening: status %d", res.StatusCode)
	}
	s := b.sessions["session-1"]
	s.fail = c.fail
	method, path := c.method, c.path
	if method == "" {
		method = "PATCH"
	}
	if path == "" {
		path = res.Header.Get("Location")
	}
	res = problemtest.Do(h, method, path, c.body, c.headers...)
	if res.StatusCode != c.status {
		t.Fatalf("status %d, want %d", res.StatusCode, c.status)
	}
	if s.restarts != c.restarts || len(s.added) != c.added {
		t.Errorf("%d restarts and candidates %q, want %d and %d", s.restarts, s.added, c.restarts, c.added)
	}
	checkSessionAnswer(t, c, method, res)
}

// checkSessionAnswer compares the headers and the body of an answer about a session.
func checkSessionAnswer(t *testing.T, c sessionCase, method string, res *http.Response) {
	t.Helper()
	// RFC 9725 section 4.3.2: none after a trickle.
	if got := res.Header.Get("ETag"); got != c.etag {
		t.Errorf("ETag %q, want %q", got, c.etag)
	}
	switch {
	case c.status == 405:
		if got := res.Header.Get("Allow"); got != "DELETE, GET, HEAD, OPTIONS, PATCH" {
			t.Errorf("Allow: %q", got)
		}
		fallthrough
	case c.status >= 400:
		problemtest.Check(t, res)
	case c.status == 204:
		if body, _ := io.ReadAll(res.Body); len(body) > 0 {
			t.Errorf("body %q", body)
		}
	}
	if got := res.Header.Get("Accept-Patch"); (c.status == 415 || method == "OPTIONS") &&
		got != signal.TypeFragment {
		t.Errorf("Accept-Patch: %q", got)
	}
	if c.name == "restart" {
		body, _ := io.ReadAll(res.Body)
		f, err := signal.ParseFragment(string(body))
		if err != nil || f.Ufrag != "srvr" || res.Header.Get("Content-Type") != signal.TypeFragment {
			t.Errorf("the answer is %q (%v)", body, err)
		}
	}
}

func TestDeleteTwice(t *testing.T) {
	h := serve(&backend{})
	path := problemtest.Do(h, "POST", "/whip", signaltest.Offer(), "Content-Type",
		"application/sdp").Header.Get("Location")
	for _, want := range []int{200, 404} {
		if res := problemtest.Do(h, "DELETE", path, ""); res.StatusCode != want {
			t.Errorf("status %d, want %d", res.StatusCode, want)
		}
	}
}
