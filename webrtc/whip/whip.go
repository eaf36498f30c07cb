// Package whip is the HTTP handler of WHIP (RFC 9725): it opens, changes and ends sessions that a Backend runs, and
// knows nothing of media.
package whip

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"tandem/webrtc/middleware"
	"tandem/webrtc/problem"
	"tandem/webrtc/signal"
)

// SessionPath precedes the session's id in the Location of a new session.
const SessionPath = "/sessions/"

// Request asks for a session.
type Request struct {
	Offer  *signal.Offer
	Remote netip.Addr // the HTTP client; the zero Addr if not known
	Query  url.Values // of the endpoint's URL
}

// Backend runs sessions. Its methods are called from many goroutines. An error that wraps a *problem.Error
// becomes that status, any other 500 without its text.
type Backend interface {
	// Open starts a session and returns it with its answer ready. It returns soon; ctx is the HTTP request's.
	Open(ctx context.Context, r Request) (Session, error)
	// Session finds a running session. The id is as it stood in the URL, of at most 128 of the characters of base64url.
	Session(id string) (Session, bool)
	// Delete ends a running session, or erases what is left of one that has ended; with erase it does both. It returns
	// ErrNoSession if there is neither.
	Delete(ctx context.Context, id string, erase bool) error
}

// Session is one running session. Its methods are called from many goroutines.
type Session interface {
	ID() string
	// Answer is the SDP that answers the offer, with all of the server's candidates (RFC 9725 section 4.3.2).
	Answer() string
	// ETag names the current ICE session, without quotes; it changes with each ICE restart.
	ETag() string
	// RemoteUfrag is the username fragment of the client in the current ICE session.
	RemoteUfrag() string
	// AddCandidates takes candidates for the current ICE session. It returns ErrStale if the fragment names another.
	AddCandidates(ctx context.Context, f signal.Fragment) error
	// Restart starts a new ICE session, and returns the server's side of it and its ETag. After an error the old ICE
	// session goes on.
	Restart(ctx context.Context, f signal.Fragment) (answer signal.Fragment, etag string, err error)
}

// Errors of a Backend or a Session.
var (
	// ErrNoSession: there is no such session.
	ErrNoSession error = problem.New(http.StatusNotFound,
		"there is no such session: it may have ended; open a new one")
	// ErrStale: the request is about an ICE session that an ICE restart has ended.
	ErrStale error = problem.New(http.StatusPreconditionFailed,
		"the ICE session has been restarted since: use the newest ETag")
)

// Handler answers the requests of WHIP.
type Handler struct {
	Backend    Backend
	ICEServers func(*http.Request) []signal.ICEServer // for the client of a request, in Link headers; nil for none
}

// What the endpoint and a session answer, for Allow.
const (
	endpointMethods = "GET, HEAD, OPTIONS, POST"
	sessionMethods  = "DELETE, GET, HEAD, OPTIONS, PATCH"
)

// ServeEndpoint is the handler of the endpoint, by custom /whip.
func (h *Handler) ServeEndpoint(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		if err := h.open(w, r); err != nil {
			problem.Write(w, err)
		}
	case http.MethodOptions:
		// RFC 9725 section 4.2; a preflight gets no ICE servers (section 4.6), but CORS answers those before us.
		h.link(w.Header(), r)
		w.Header().Set("Allow", endpointMethods)
		w.Header().Set("Accept-Post", signal.TypeSDP)
		w.WriteHeader(http.StatusOK)
	case http.MethodGet, http.MethodHead: // RFC 9725 section 4.1: there, and nothing to read
		w.WriteHeader(http.StatusNoContent)
	default:
		middleware.NotAllowed(w, endpointMethods, "open a session with POST")
	}
}

// ServeSession is the handler of a session; the id is the request's path value "id".
func (h *Handler) ServeSession(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method {
	case http.MethodPatch:
		err = h.patch(w, r)
	case http.MethodDelete:
		// An entity tag doesn't matter here: RFC 9725 section 4.3.1.
		if id := r.PathValue("id"); !validID(id) {
			err = ErrNoSession
		} else if err = h.Backend.Delete(r.Context(), id, r.URL.Query().Get("erase") == "1"); err == nil {
			w.WriteHeader(http.StatusOK)
		}
	case http.MethodOptions:
		w.Header().Set("Allow", sessionMethods)
		w.Header().Set("Accept-Patch", signal.TypeFragment)
		w.WriteHeader(http.StatusOK)
	case http.MethodGet, http.MethodHead: // there, and nothing to read: RFC 9725 section 4.1
		if _, err = h.find(r); err == nil {
			w.WriteHeader(http.StatusNoContent)
		}
	default:
		middleware.NotAllowed(w, sessionMethods, "change a session with PATCH, end it with DELETE")
	}
	if err != nil {
		problem.Write(w, err)
	}
}

func (h *Handler) link(header http.Header, r *http.Request) {
	if h.ICEServers == nil {
		return
	}
	for _, s := range h.ICEServers(r) {
		for _, l := range s.Links() {
			header.Add("Link", l)
		}
	}
}

// open answers POST on the endpoint.
func (h *Handler) open(w http.ResponseWriter, r *http.Request) error {
	if err := checkType(r, signal.TypeSDP); err != nil {
		w.Header().Set("Accept-Post", signal.TypeSDP)
		return err
	}
	if !accepts(r.Header.Values("Accept"), signal.TypeSDP) {
		return problem.New(http.StatusNotAcceptable,
			"the answer is %s: allow it in Accept", signal.TypeSDP)
	}
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	offer, err := signal.ParseOffer(body)
	if err != nil {
		return err
	}
	req := Request{Offer: offer, Query: r.URL.Query()}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		req.Remote = ap.Addr().Unmap().WithZone("")
	}
	s, err := h.Backend.Open(r.Context(), req)
	if err != nil {
		return err
	}
	header := w.Header()
	h.link(header, r)
	header.Set("Content-Type", signal.TypeSDP)
	header.Set("Location", SessionPath+url.PathEscape(s.ID()))
	header.Set("ETag", strconv.Quote(s.ETag()))
	header.Set("Accept-Patch", signal.TypeFragment)
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, signal.PreferCandidates(s.Answer(), localAddr(r))) // who is gone is timed out
	return nil
}

// localAddr returns the server's address that a request came to; the zero Addr if it is not known.
func localAddr(r *http.Request) netip.Addr {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if ap, err := netip.ParseAddrPort(a.String()); err == nil {
			return ap.Addr().Unmap().WithZone("")
		}
	}
	return netip.Addr{}
}

// find returns the running session of a request.
func (h *Handler) find(r *http.Request) (Session, error) {
	if id := r.PathValue("id"); validID(id) {
		if s, ok := h.Backend.Session(id); ok {
			return s, nil
		}
	}
	return nil, ErrNoSession
}

// patch answers PATCH on a session: candidates, or an ICE restart.
func (h *Handler) patch(w http.ResponseWriter, r *http.Request) error {
	s, err := h.find(r)
	if err != nil {
		return err
	}
	if err := checkType(r, signal.TypeFragment); err != nil {
		w.Header().Set("Accept-Patch", signal.TypeFragment) // RFC 5789 section 2.2
		return err
	}
	tags := r.Header.Values("If-Match")
	if len(tags) == 0 {
		return problem.New(http.StatusPreconditionRequired,
			`If-Match is missing: send the session's ETag, or "*" to restart ICE`)
	}
	if !match(strings.Join(tags, ","), s.ETag()) {
		return problem.New(http.StatusPreconditionFailed,
			"If-Match is not the ETag of the current ICE session: use the newest one")
	}
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	f, err := signal.ParseFragment(body)
	if err != nil {
		return err
	}
	if f.Ufrag == "" || f.Ufrag == s.RemoteUfrag() {
		if err := s.AddCandidates(r.Context(), f); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	// New credentials restart ICE. RFC 9725 section 4.3.3 wants "*" for it; the ETag of the session that they replace,
	// which some clients send, says as much: candidates of the new one come after its ETag is known.
	answer, etag, err := s.Restart(r.Context(), f)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", signal.TypeFragment)
	w.Header().Set("ETag", strconv.Quote(etag))
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, answer.String())
	return nil
}

// validID reports whether an id may be a session's. Any other need not be looked up, nor logged.
func validID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for _, c := range []byte(id) {
		if !signal.IsAlphanumeric(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// match evaluates If-Match by the strong comparison (RFC 9110 section 13.1.1). The star counts in quotes too: figure
// 4 of RFC 9725 has it so.
func match(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		switch strings.TrimSpace(tag) {
		case "*", `"*"`, strconv.Quote(etag):
			return true
		}
	}
	return false
}

func checkType(r *http.Request, want string) error {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || t != want {
		return problem.New(http.StatusUnsupportedMediaType,
			"the body must be %s: say so in Content-Type", want)
	}
	return nil
}

// readBody reads at most signal.MaxBody bytes.
func readBody(w http.ResponseWriter, r *http.Request) (string, error) {
	tooLarge := problem.New(http.StatusRequestEntityTooLarge,
		"the body is larger than %d KiB: send less", signal.MaxBody>>10)
	if r.ContentLength > signal.MaxBody {
		w.Header().Set("Connection", "close") // rather than reading it all
		return "", tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, signal.MaxBody))
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		w.Header().Set("Connection", "close")
		return "", tooLarge
	case err != nil:
		return "", problem.New(http.StatusBadRequest, "the body broke off: send it again")
	}
	return string(body), nil
}

// accepts evaluates Accept: the most specific range that a type is in decides (RFC 9110 section 12.5.1).
func accepts(header []string, want string) bool {
	major, _, _ := strings.Cut(want, "/")
	all := strings.Join(header, ",")
	if strings.TrimSpace(all) == "" {
		return true
	}
	best, ok := 0, false
	for part := range strings.SplitSeq(all, ",") {
		t, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		rank := map[string]int{"*/*": 1, major + "/*": 2, want: 3}[t]
		if rank > best {
			q, err := strconv.ParseFloat(params["q"], 64)
			best, ok = rank, err != nil || q > 0
		}
	}
	return ok
}
