// Package webrtctest has what the tests of servers and agents share.
package webrtctest

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// Log keeps what a server or an agent writes, for tests to read meanwhile.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write takes what is written.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// String returns all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// FreePort returns a TCP port that nobody listens on, on any address.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
