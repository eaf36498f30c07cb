// Package problemtest helps to test handlers whose errors are in the form of RFC 9457.
package problemtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Do lets a handler answer one request, and returns its response; headers are name, value pairs.
func Do(h http.Handler, method, path, body string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// Check fails the test unless the response is an error in the form of RFC 9457.
func Check(t testing.TB, res *http.Response) {
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
