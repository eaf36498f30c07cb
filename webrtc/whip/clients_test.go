package whip_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tandem/webrtc/signal/signaltest"
)

// Requests as clients write them, whatever they add to what RFC 9725 wants.
func TestRequestsOfClients(t *testing.T) {
	b := &backend{answer: "v=0\r\n"}
	srv := httptest.NewServer(serve(b))
	defer srv.Close()
	address := strings.TrimPrefix(srv.URL, "http://")
	offer, gone := signaltest.Offer(), "/sessions/session-1"
	for _, c := range []struct {
		client, method, path, headers, body string
		status                              int
	}{
		{
			"FFmpeg", "POST", "/whip", "User-Agent: Lavf/62.3.100|Accept: */*|Connection: close|Icy-MetaData: 1|" +
				"Cache-Control: no-cache|Content-Type: application/sdp|Authorization: Bearer token", offer, 201,
		},
		{
			"OBS Studio", "POST", "/whip", "User-Agent: Mozilla/5.0 (OBS-Studio/31.0.3; Windows x86_64; en-US)|" +
				"Accept: */*|Content-Type: application/sdp|Authorization: Bearer token", offer, 201,
		},
		{"GStreamer, whipclientsink", "POST", "/whip", "accept: */*|content-type: application/sdp", offer, 201},
		{
			"whip-client, of Meetecho", "POST", "/whip", "Accept-Encoding: gzip, deflate|Connection: Keep-Alive|" +
				"Content-Type: application/sdp", offer, 201,
		},
		{
			"whip.js, in Chromium", "POST", "/whip", "Accept: */*|Accept-Encoding: gzip, deflate, br, zstd|" +
				"Accept-Language: de-DE,de;q=0.9|Content-Type: application/sdp|sec-ch-ua-platform: \"Linux\"",
			offer, 201,
		},
		{
			"one with a charset", "POST", "/whip", "Accept: application/sdp|" +
				"Content-Type: application/sdp;charset=UTF-8", offer, 201,
		},
		{"one in upper case", "POST", "/whip", "Accept: */*|Content-Type: Application/SDP", offer, 201},
		{
			"OBS Studio", "DELETE", gone,
			"User-Agent: Mozilla/5.0 (OBS-Studio/31.0.3; Linux x86_64; en-US)|Accept: */*", "", 200,
		},
		{
			"FFmpeg", "DELETE", "/sessions/session-2", "User-Agent: Lavf/62.3.100|Accept: */*|Connection: close|" +
				"Cache-Control: no-cache|Authorization: Bearer token", "", 200,
		},
		{ // the tag is not looked at
			"whip-client, of Meetecho", "DELETE", "/sessions/session-3", `If-Match: "tag-7"|Connection: Keep-Alive`,
			"", 200,
		},
		{
			"whip-client, of Meetecho", "PATCH", "/sessions/session-4",
			`If-Match: "tag-0"|Content-Type: application/trickle-ice-sdpfrag`, signaltest.Trickle, 204,
		},
		{
			"whip.js, restart", "PATCH", "/sessions/session-5",
			"If-Match: *|Content-Type: application/trickle-ice-sdpfrag", signaltest.Restart, 200,
		},
		{
			"whip.js, whose page may not read the ETag", "PATCH", "/sessions/session-6",
			"Content-Type: application/trickle-ice-sdpfrag", signaltest.Trickle, 428,
		},
		{"a probe of the endpoint", "OPTIONS", "/whip", "Accept: */*", "", 200},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		headers := strings.ReplaceAll(c.headers, "|", "\r\n")
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Length: %d\r\n\r\n%s",
			c.method, c.path, address, headers, len(c.body), c.body)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", c.client, err)
		}
		body, _ := io.ReadAll(res.Body)
		conn.Close()
		if res.StatusCode != c.status {
			t.Errorf("%s, %s: status %d: %s", c.client, c.method, res.StatusCode, body)
		}
	}
}

// The candidate of the address by which the client came stands first, for those that try one alone.
func TestAddressOfTheRequestIsFirst(t *testing.T) {
	const (
		other = "a=candidate:1 1 udp 2 172.17.0.1 9 typ host\r\n"
		local = "a=candidate:2 1 udp 1 127.0.0.1 9 typ host\r\n"
	)
	srv := httptest.NewServer(serve(&backend{answer: "m=audio 9 X 0\r\n" + other + local}))
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	res, err := http.Post(srv.URL+"/whip", "application/sdp", strings.NewReader(signaltest.Offer()))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != "m=audio 9 X 0\r\n"+local+other {
		t.Errorf("status %d: %s", res.StatusCode, body)
	}
}
