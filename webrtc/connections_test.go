package webrtc_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"tandem/webrtc"
	"tandem/webrtc/middleware"
)

// listening serves on a port of its own, as tandem serve does, until the test ends.
func listening(t testing.TB, o webrtc.Options) (address string) {
	t.Helper()
	s, _, _ := server(t, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Who asks and reads none of the answers is let go, and holds nothing.
func TestReadersThatTakeNothing(t *testing.T) {
	webrtc.SetWriteTime(t, 300*time.Millisecond)
	address := listening(t, webrtc.Options{})
	requests := strings.Repeat("GET /page/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n", 2000)
	for range 30 {
		c := connect(t, address)
		c.(*net.TCPConn).SetReadBuffer(4 << 10)
		c.SetWriteDeadline(time.Now().Add(time.Second)) // the server reads no more when it can't write
		if _, err := io.WriteString(c, requests); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	eventually(t, "they are let go", 10*time.Second, func() bool {
		return metric(t, "http://"+address, "tandem_http_connections") <= 2
	})
	if code, _ := get(t, "http://"+address+"/healthz"); code != 200 {
		t.Errorf("healthz after: %d", code)
	}
}

// Connections beyond a bound are closed at once, one address's and all together; those there are go on, and there is
// room again when they close.
func TestConnectionsAreBounded(t *testing.T) {
	loopback := middleware.Proxies{netip.MustParsePrefix("127.0.0.0/8")}
	elsewhere := middleware.Proxies{netip.MustParsePrefix("192.0.2.0/24")}
	for _, c := range []struct {
		o    webrtc.Options
		want int
	}{
		{webrtc.Options{MaxPerAddress: 1}, 48},
		{webrtc.Options{MaxPerAddress: -1, MaxSessions: 1}, 512},
		{webrtc.Options{MaxPerAddress: 1, TrustedProxies: loopback, MaxSessions: 30}, 744},
		{webrtc.Options{MaxPerAddress: 1, TrustedProxies: elsewhere}, 48},
	} {
		address := listening(t, c.o)
		base := "http://" + address
		alive := func(conn net.Conn) bool {
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				return false
			}
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			return err == nil && res.StatusCode == 200
		}
		var conns []net.Conn
		for range c.want {
			conn := connect(t, address)
			if conns = append(conns, conn); !alive(conn) {
				t.Fatalf("connection %d of %d is closed", len(conns), c.want)
			}
		}
		for range 5 {
			if alive(connect(t, address)) {
				t.Errorf("a connection beyond %d is served", c.want)
			}
		}
		if !alive(conns[0]) {
			t.Error("a connection that was there is closed")
		}
		for _, conn := range conns {
			conn.Close()
		}
		eventually(t, "there is room again", 5*time.Second, func() bool { return alive(connect(t, address)) })
		if n := metric(t, base, "tandem_http_connections_refused_total"); n < 5 {
			t.Errorf("%v refused by the metrics", n)
		}
	}
}

// A connection has one request in flight: no HTTP/2, by which it had hundreds, is spoken.
func TestNoHTTP2(t *testing.T) {
	address := listening(t, webrtc.Options{})
	c := connect(t, address)
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	line, _ := bufio.NewReader(c).ReadString('\n')
	if !strings.HasPrefix(line, "HTTP/1.1 ") || strings.HasPrefix(line, "HTTP/1.1 2") {
		t.Errorf("the preface of HTTP/2 is answered by %q", line)
	}
}
