package webrtc_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"tandem/webrtc"
)

// BenchmarkConnection measures the memory that one HTTP connection of 300 holds, on both ends of it, which are in one
// process here: one that has asked nothing, one that has its answer, and one that asks on and reads nothing.
func BenchmarkConnection(b *testing.B) {
	const n = 300
	request := "GET /page/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for _, c := range []struct {
		name, send string
		read       bool
	}{
		{"silent", "", false},
		{"answered", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", true},
		{"unread", strings.Repeat(request, 50), false},
	} {
		b.Run(c.name, func(b *testing.B) {
			address := listening(b, webrtc.Options{MaxPerAddress: -1})
			for b.Loop() {
				before := inUse()
				conns := make([]net.Conn, n)
				for i := range conns {
					conns[i] = dialFor(b, address, c.send, c.read)
				}
				time.Sleep(200 * time.Millisecond) // the last have been read by then
				b.ReportMetric((inUse()-before)/n, "B/connection")
				for _, conn := range conns {
					conn.Close()
				}
				time.Sleep(200 * time.Millisecond)
			}
		})
	}
}

// dialFor opens a connection, sends a text, and reads the head of the answer.
func dialFor(b *testing.B, address, send string, read bool) net.Conn {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		b.Fatal(err)
	}
	if _, err := io.WriteString(conn, send); err != nil {
		b.Fatal(err)
	}
	if read {
		if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 200"))); err != nil {
			b.Fatal(err)
		}
	}
	return conn
}

// inUse returns the bytes that heap and stacks take.
func inUse() float64 {
	runtime.GC()
	runtime.GC() // what the first finalizes
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
