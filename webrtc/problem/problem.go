// Package problem answers HTTP requests that are refused, in the form of RFC 9457.
package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Type is the media type of the answers.
const Type = "application/problem+json"

// Error is a refusal with its HTTP status.
type Error struct {
	Status     int           // 400 to 599
	Title      string        // the kind of fault; empty for the status's own text
	Detail     string        // one sentence: the cause and the remedy
	RetryAfter time.Duration // rounded up to seconds; 0 for none
}

// New returns an Error whose detail is the formatted sentence.
func New(status int, format string, a ...any) *Error {
	return &Error{Status: status, Detail: fmt.Sprintf(format, a...)}
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

// Write writes err as application/problem+json (RFC 9457). An err that wraps no *Error becomes 500 without its text,
// which may describe the inside of the server.
func Write(w http.ResponseWriter, err error) {
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
	h.Set("Content-Type", Type)
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	h.Set("Cache-Control", "no-store")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(append(body, '\n'))
}
