package whip_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/webrtc/whip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a Backend without media: it remembers what it was asked.
type backend struct {
	mu       sync.Mutex
	fail     error // of Open
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
	s := &session{id: "session-" + strconv.Itoa(len(b.opened)), etag: "tag-0", ufrag: "EsAw"}
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

func (b *backend) Delete(_ context.Context, id string) error {
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
	restarts        int
	added           []string
	fail            error
}

func (s *session) ID() string          { return s.id }
func (s *session) Answer() string      { return "v=0\r\n" }
func (s *session) ETag() string        { return s.etag }
func (s *session) RemoteUfrag() string { return s.ufrag }

func (s *session) AddCandidates(_ context.Context, f whip.Fragment) error {
	s.added = append(s.added, f.Candidates()...)
	return s.fail
}

func (s *session) Restart(_ context.Context, f whip.Fragment) (whip.Fragment, string, error) {
	if s.fail != nil {
		return whip.Fragment{}, "", s.fail
	}
	s.restarts++
	s.ufrag, s.etag = f.Ufrag, "tag-"+strconv.Itoa(s.restarts)
	return whip.Fragment{Ufrag: "srvr", Pwd: strings.Repeat("p", 22), Media: []whip.FragmentMedia{{Kind: "audio", Mid: "0", End: true}}}, s.etag, nil
}

func serve(b whip.Backend, servers ...whip.ICEServer) http.Handler {
	h := &whip.Handler{Backend: b, ICEServers: servers}
	mux := http.NewServeMux()
	mux.HandleFunc("/whip", h.ServeEndpoint)
	mux.HandleFunc("/sessions/{id}", h.ServeSession)
	return mux
}

// request does one request; headers are name, value pairs.
func request(h http.Handler, method, path, body string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// checkProblem fails the test unless the response is an error in the form of RFC 9457.
func checkProblem(t *testing.T, res *http.Response) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if ct := res.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type %q", ct)
	}
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		t.Errorf("the body is no JSON: %v", err)
	}
	if p.Type != "about:blank" || p.Title == "" || p.Status != res.StatusCode || p.Detail == "" {
		t.Errorf("the problem is %+v, with status %d", p, res.StatusCode)
	}
}

func TestOpen(t *testing.T) {
	b := &backend{}
	turn, err := whip.ParseICEServer(`turn:us%20er:pa"ss@turn.example.org:3478?transport=udp`)
	if err != nil {
		t.Fatal(err)
	}
	stun, err := whip.ParseICEServer("stun:stun.example.org")
	if err != nil {
		t.Fatal(err)
	}
	h := serve(b, stun, turn)
	offer := testOffer()
	res := request(h, "POST", "/whip?gender=0", offer, "Content-Type", "application/sdp; charset=utf-8")
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
			`<turn:turn.example.org:3478?transport=udp>; rel="ice-server"; username="us er"; credential="pa\"ss"; credential-type="password"`,
		},
	} {
		if got := res.Header.Values(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	got := b.opened[0]
	if got.Offer != offer || got.Query.Get("gender") != "0" || got.Remote != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("the backend was asked %+v", got)
	}
	if !slices.Equal(got.Info.Audio, []string{"opus"}) || !slices.Equal(got.Info.Video, []string{"vp8", "h264"}) || !got.Info.Data {
		t.Errorf("the backend was told %+v", got.Info)
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
		{name: "options", method: "OPTIONS", status: 204, want: map[string]string{"Accept-Post": "application/sdp", "Allow": "OPTIONS, POST"}},
		{name: "get", method: "GET", status: 405, want: map[string]string{"Allow": "OPTIONS, POST"}},
		{name: "head", method: "HEAD", status: 405, want: map[string]string{"Allow": "OPTIONS, POST"}},
		{name: "put", method: "PUT", status: 405, want: map[string]string{"Allow": "OPTIONS, POST"}},
		{name: "patch", method: "PATCH", status: 405, want: map[string]string{"Allow": "OPTIONS, POST"}},
		{name: "delete", method: "DELETE", status: 405, want: map[string]string{"Allow": "OPTIONS, POST"}},
		{name: "no type", method: "POST", body: testOffer(), status: 415, want: map[string]string{"Accept-Post": "application/sdp"}},
		{name: "JSON", method: "POST", body: "{}", headers: []string{"Content-Type", "application/json"}, status: 415},
		{name: "accept JSON", method: "POST", body: testOffer(), headers: append([]string{"Accept", "application/json"}, sdp...), status: 406},
		{name: "accept but SDP", method: "POST", body: testOffer(), headers: append([]string{"Accept", "*/*, application/sdp;q=0"}, sdp...), status: 406},
		{name: "accept any", method: "POST", body: testOffer(), headers: append([]string{"Accept", "text/html, */*;q=0.1"}, sdp...), status: 201},
		{name: "accept a kind", method: "POST", body: testOffer(), headers: append([]string{"Accept", "application/*"}, sdp...), status: 201},
		{name: "empty", method: "POST", headers: sdp, status: 400},
		{name: "garbage", method: "POST", body: "\x00\xff\xfegarbage", headers: sdp, status: 400},
		{name: "huge", method: "POST", body: testOffer() + strings.Repeat("a=x\r\n", 20000), headers: sdp, status: 413},
		{name: "only receives", method: "POST", body: strings.ReplaceAll(testOffer(), "sendonly", "recvonly"), headers: sdp, status: 422},
		{
			name: "full", method: "POST", body: testOffer(), headers: sdp, status: 503, want: map[string]string{"Retry-After": "3"},
			fail: &whip.Error{Status: 503, Detail: "all places are taken: come back", RetryAfter: 2100 * time.Millisecond},
		},
		{name: "fault", method: "POST", body: testOffer(), headers: sdp, status: 500, fail: errors.New("secret of the inside")},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := request(serve(&backend{fail: c.fail}), c.method, "/whip", c.body, c.headers...)
			if res.StatusCode != c.status {
				t.Fatalf("status %d, want %d", res.StatusCode, c.status)
			}
			for name, want := range c.want {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if c.status >= 400 {
				checkProblem(t, res)
			}
		})
	}
}

func TestErrorsKeepSecrets(t *testing.T) {
	res := request(serve(&backend{fail: errors.New("secret")}), "POST", "/whip", testOffer(), "Content-Type", "application/sdp")
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

const (
	trickle = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" +
		"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n" +
		"a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw network-id 1\r\n" +
		"a=end-of-candidates\r\n"
	restart = "a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n"
)

func TestSessionStatus(t *testing.T) {
	frag := []string{"Content-Type", "application/trickle-ice-sdpfrag"}
	with := func(tag string) []string { return append([]string{"If-Match", tag}, frag...) }
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		fail                     error
		status                   int
		etag                     string
		restarts, added          int
	}{
		{name: "trickle", body: trickle, headers: with(`"tag-0"`), status: 204, added: 1},
		{name: "trickle by LF", body: strings.ReplaceAll(trickle, "\r\n", "\n"), headers: with(`"tag-0"`), status: 204, added: 1},
		{name: "one of several tags", body: trickle, headers: with(`"other", "tag-0"`), status: 204, added: 1},
		{name: "trickle by star", body: trickle, headers: with("*"), status: 204, added: 1},
		{name: "no credentials", body: "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=end-of-candidates\r\n", headers: with(`"tag-0"`), status: 204},
		{name: "no tag", body: trickle, headers: frag, status: 428},
		{name: "old tag", body: trickle, headers: with(`"tag-9"`), status: 412},
		{name: "weak tag", body: trickle, headers: with(`W/"tag-0"`), status: 412},
		{name: "tag without quotes", body: trickle, headers: with(`tag-0`), status: 412},
		{name: "empty tag", body: trickle, headers: with(``), status: 412},
		{name: "wrong type", body: trickle, headers: []string{"If-Match", `"tag-0"`, "Content-Type", "application/sdp"}, status: 415},
		{name: "empty", headers: with(`"tag-0"`), status: 400},
		{name: "garbage", body: "\x00\xff", headers: with(`"tag-0"`), status: 400},
		{name: "bad candidate", body: "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp x\r\n", headers: with(`"tag-0"`), status: 400},
		{name: "huge", body: strings.Repeat("a=x:y\r\n", 10000), headers: with(`"tag-0"`), status: 413},
		{name: "restart", body: restart, headers: with("*"), status: 200, etag: `"tag-1"`, restarts: 1},
		{name: "restart by quoted star", body: restart, headers: with(`"*"`), status: 200, etag: `"tag-1"`, restarts: 1},
		{name: "other session by tag", body: restart, headers: with(`"tag-0"`), status: 422},
		{name: "restart fails", body: restart, headers: with("*"), fail: &whip.Error{Status: 429, Detail: "wait", RetryAfter: time.Second}, status: 429, restarts: 0},
		{name: "stale", body: trickle, headers: with(`"tag-0"`), fail: whip.ErrStale, status: 412, added: 1},
		{name: "unknown", path: "/sessions/nobody", body: trickle, headers: with("*"), status: 404},
		{name: "odd id", path: "/sessions/%2e%2e%2fetc", body: trickle, headers: with("*"), status: 404},
		{name: "long id", path: "/sessions/" + strings.Repeat("a", 129), body: trickle, headers: with("*"), status: 404},
		{name: "get", method: "GET", status: 405},
		{name: "head", method: "HEAD", status: 405},
		{name: "put", method: "PUT", status: 405},
		{name: "post", method: "POST", status: 405},
		{name: "options", method: "OPTIONS", status: 204},
		{name: "delete", method: "DELETE", status: 200},
		{name: "delete by an old tag", method: "DELETE", headers: []string{"If-Match", `"tag-9"`}, status: 200},
		{name: "delete unknown", method: "DELETE", path: "/sessions/nobody", status: 404},
		{name: "delete odd", method: "DELETE", path: "/sessions/a%00b", status: 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &backend{}
			h := serve(b)
			res := request(h, "POST", "/whip", testOffer(), "Content-Type", "application/sdp")
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
			res = request(h, method, path, c.body, c.headers...)
			if res.StatusCode != c.status {
				t.Fatalf("status %d, want %d", res.StatusCode, c.status)
			}
			if s.restarts != c.restarts || len(s.added) != c.added {
				t.Errorf("%d restarts and candidates %q, want %d and %d", s.restarts, s.added, c.restarts, c.added)
			}
			// RFC 9725 section 4.3.2: none after a trickle.
			if got := res.Header.Get("ETag"); got != c.etag {
				t.Errorf("ETag %q, want %q", got, c.etag)
			}
			switch {
			case c.status == 405:
				if got := res.Header.Get("Allow"); got != "DELETE, OPTIONS, PATCH" {
					t.Errorf("Allow: %q", got)
				}
				fallthrough
			case c.status >= 400:
				checkProblem(t, res)
			case c.status == 204:
				if body, _ := io.ReadAll(res.Body); len(body) > 0 {
					t.Errorf("body %q", body)
				}
			}
			if got := res.Header.Get("Accept-Patch"); (c.status == 415 || method == "OPTIONS") && got != whip.TypeFragment {
				t.Errorf("Accept-Patch: %q", got)
			}
			if c.name == "restart" {
				body, _ := io.ReadAll(res.Body)
				f, err := whip.ParseFragment(string(body))
				if err != nil || f.Ufrag != "srvr" || res.Header.Get("Content-Type") != whip.TypeFragment {
					t.Errorf("the answer is %q (%v)", body, err)
				}
			}
		})
	}
}

func TestDeleteTwice(t *testing.T) {
	h := serve(&backend{})
	path := request(h, "POST", "/whip", testOffer(), "Content-Type", "application/sdp").Header.Get("Location")
	for _, want := range []int{200, 404} {
		if res := request(h, "DELETE", path, ""); res.StatusCode != want {
			t.Errorf("status %d, want %d", res.StatusCode, want)
		}
	}
}

func TestRequireToken(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for _, c := range []struct {
		token, header string
		status        int
		challenge     string
	}{
		{"", "", 418, ""},
		{"", "Bearer what", 418, ""},
		{"s3cret", "Bearer s3cret", 418, ""},
		{"s3cret", "bearer s3cret", 418, ""},
		{"s3cret", "BEARER  s3cret", 418, ""},
		{"s3cret", "", 401, `Bearer realm="tandem"`},
		{"s3cret", "s3cret", 401, `Bearer realm="tandem"`},
		{"s3cret", "Basic s3cret", 401, `Bearer realm="tandem"`},
		{"s3cret", "Bearer", 401, `Bearer realm="tandem", error="invalid_token"`},
		{"s3cret", "Bearer s3cre", 401, `Bearer realm="tandem", error="invalid_token"`},
		{"s3cret", "Bearer s3cretx", 401, `Bearer realm="tandem", error="invalid_token"`},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{"Authorization", c.header}
		}
		res := request(whip.RequireToken(c.token, ok), "POST", "/whip", "", headers...)
		if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != c.status || got != c.challenge {
			t.Errorf("token %q, %q: status %d, %q; want %d, %q", c.token, c.header, res.StatusCode, got, c.status, c.challenge)
		}
		if res.StatusCode == 401 {
			checkProblem(t, res)
		}
	}
}

func TestCORS(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h, err := whip.CORS([]string{"https://app.example.org", "http://localhost:3000/"}, ok)
	if err != nil {
		t.Fatal(err)
	}
	ask := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type"}
	for _, c := range []struct {
		name, method string
		headers      []string
		status       int
		allow        string
	}{
		{"no browser", "POST", nil, 418, ""},
		{"same origin", "POST", []string{"Origin", "http://example.com"}, 418, ""},
		{"same origin behind a proxy", "POST", []string{"Origin", "https://public.example", "Sec-Fetch-Site", "same-origin"}, 418, ""},
		{"listed", "POST", []string{"Origin", "https://app.example.org"}, 418, "https://app.example.org"},
		{"listed, of the same site", "DELETE", []string{"Origin", "http://localhost:3000", "Sec-Fetch-Site", "same-site"}, 418, "http://localhost:3000"},
		{"listed preflight", "OPTIONS", append([]string{"Origin", "https://app.example.org"}, ask...), 204, "https://app.example.org"},
		{"listed options", "OPTIONS", []string{"Origin", "https://app.example.org"}, 418, "https://app.example.org"},
		{"other scheme", "POST", []string{"Origin", "http://app.example.org"}, 403, ""},
		{"other port", "POST", []string{"Origin", "https://app.example.org:444"}, 403, ""},
		{"foreign post", "POST", []string{"Origin", "https://evil.example"}, 403, ""},
		{"foreign patch", "PATCH", []string{"Origin", "https://evil.example"}, 403, ""},
		{"foreign delete", "DELETE", []string{"Origin", "https://evil.example"}, 403, ""},
		{"foreign preflight", "OPTIONS", append([]string{"Origin", "https://evil.example"}, ask...), 403, ""},
		{"foreign get", "GET", []string{"Origin", "https://evil.example"}, 418, ""},
		{"null", "POST", []string{"Origin", "null"}, 403, ""},
		{"foreign without origin", "POST", []string{"Sec-Fetch-Site", "cross-site"}, 403, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := request(h, c.method, "/whip", "", c.headers...)
			got := res.Header
			if res.StatusCode != c.status || got.Get("Access-Control-Allow-Origin") != c.allow {
				t.Errorf("status %d, allowed %q; want %d, %q", res.StatusCode, got.Get("Access-Control-Allow-Origin"), c.status, c.allow)
			}
			if got.Get("Vary") != "Origin" || got.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("headers %v", got)
			}
			exposed := "Location, ETag, Link, Accept-Patch, Retry-After"
			switch {
			case c.allow == "":
				for name := range maps.Keys(got) {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s is set", name)
					}
				}
			case c.status == 204:
				if got.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type, If-Match" || got.Get("Accept-Post") != whip.TypeSDP ||
					got.Get("Access-Control-Allow-Methods") != "GET, POST, PATCH, DELETE, OPTIONS" {
					t.Errorf("headers %v", got)
				}
			case got.Get("Access-Control-Expose-Headers") != exposed:
				t.Errorf("headers %v", got)
			}
			if c.status == 403 {
				checkProblem(t, res)
			}
		})
	}
	for _, bad := range []string{"*", "null", "example.org", "https://", "https://*.example.org", "https://example.org/path", "ftp://example.org", "https://u@example.org"} {
		if _, err := whip.CORS([]string{bad}, ok); err == nil {
			t.Errorf("%q is taken for an origin", bad)
		}
	}
}

func TestAllowHosts(t *testing.T) {
	h := whip.AllowHosts([]string{"tandem.example.org"}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for host, want := range map[string]int{
		"localhost:8080": 200, "LOCALHOST": 200, "me.localhost:1": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "192.168.1.4": 200,
		"tandem.example.org:443": 200, "tandem.example.org.": 200, "evil.example:8080": 421, "localhost.evil.example": 421, "127.0.0.1.nip.example": 421,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: status %d, want %d", host, w.Code, want)
		}
	}
}

func TestParseICEServer(t *testing.T) {
	for in, want := range map[string]whip.ICEServer{
		"stun:stun.example.org":                          {URLs: []string{"stun:stun.example.org:3478"}},
		"stun:[2001:db8::1]:19302":                       {URLs: []string{"stun:[2001:db8::1]:19302"}},
		"turn:u:p@turn.example.org:3478?transport=tcp":   {URLs: []string{"turn:turn.example.org:3478?transport=tcp"}, Username: "u", Credential: "p"},
		"turns:u:p%40:q@turn.example.org":                {URLs: []string{"turns:turn.example.org:5349?transport=tcp"}, Username: "u", Credential: "p@:q"},
		"turn:1700000000:a:b@198.51.100.1?transport=udp": {URLs: []string{"turn:198.51.100.1:3478?transport=udp"}, Username: "1700000000", Credential: "a:b"},
	} {
		got, err := whip.ParseICEServer(in)
		if err != nil || !slices.Equal(got.URLs, want.URLs) || got.Username != want.Username || got.Credential != want.Credential {
			t.Errorf("%s: %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "stun:", "http://stun.example.org", "turn:turn.example.org", "stun:u:p@stun.example.org", "turn:u@h", "turn::p@h", "turn:u:@h",
		"turn:u%0d%0aX:p@h", "stun:a b", "stun:host:99999", "stun:host:0", "turn:u:p@h?transport=x", "stun:host>,<evil:1", "turn:u:%zz@h",
	} {
		if got, err := whip.ParseICEServer(in); err == nil {
			t.Errorf("%q is read as %+v", in, got)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells the password: %v", in, err)
		}
	}
}

func TestIsPublic(t *testing.T) {
	for _, s := range []string{"8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:9.9.9.9"} {
		if !whip.IsPublic(netip.MustParseAddr(s)) {
			t.Errorf("%s is not public", s)
		}
	}
	for _, s := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.1.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.0.1", "192.0.2.1", "198.18.0.1",
		"224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "64:ff9b::7f00:1",
		"2002:7f00:1::", "2001::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
	} {
		if whip.IsPublic(netip.MustParseAddr(s)) {
			t.Errorf("%s is public", s)
		}
	}
}
