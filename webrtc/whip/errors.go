package whip

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Error is a refusal with its HTTP status.
type Error struct {
	Status     int           // 400 to 599
	Title      string        // what kind of fault it is; empty for the status's own text
	Detail     string        // one sentence: the cause and the remedy
	RetryAfter time.Duration // rounded up to seconds; 0 for none
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.title()
	}
	return e.Detail
}

func (e *Error) title() string {
	if e.Title != "" {
		return e.Title
	}
	return http.StatusText(e.Status)
}

// refuse makes an Error of a sentence.
func refuse(status int, format string, a ...any) error {
	return &Error{Status: status, Detail: fmt.Sprintf(format, a...)}
}

// WriteError writes err as application/problem+json (RFC 9457). What is no *Error becomes 500 without its text, which
// may tell of the inside.
func WriteError(w http.ResponseWriter, err error) {
	e := &Error{Status: http.StatusInternalServerError, Detail: "the server failed: try again later"}
	errors.As(err, &e)
	body, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{"about:blank", e.title(), e.Status, e.Detail})
	if err != nil { // strings and a number always marshal
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(append(body, '\n'))
}
