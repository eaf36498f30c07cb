package webrtc_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/infer/infertest"
	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/client"
	"tandem/webrtc/peer"
	"tandem/webrtc/signal"
)

// stuck is a face finder that hangs, whatever becomes of its context, until it is let go.
type stuck struct{ begun, letGo chan struct{} }

func (s stuck) FindFaces(context.Context, *capture.Frame, int) ([]pipeline.Face, error) {
	select {
	case s.begun <- struct{}{}:
	default:
	}
	<-s.letGo
	return nil, nil
}

// A session that hangs doesn't hang the server's end: Close returns in bounded time and says so.
func TestCloseIsBounded(t *testing.T) {
	webrtc.SetDrainTime(t, 200*time.Millisecond)
	rec, err := infertest.Default()
	if err != nil {
		t.Fatal(err)
	}
	faces := stuck{make(chan struct{}, 1), make(chan struct{})}
	s, url, _ := server(t, webrtc.Options{Recognizer: rec, Faces: faces})
	c := dial(t, client.Options{URL: url + "/whip"})
	publish(t, c, load(t, write(t, "a.webm", pattern)), true)
	<-faces.begun
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if !errors.Is(err, webrtc.ErrHung) {
			t.Errorf("Close: %v, want ErrHung", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Close waits for a session that hangs")
	}
	close(faces.letGo)
	if err := s.Close(); err != nil { // what hung has ended: nothing of it stays
		t.Errorf("Close after the session has ended: %v", err)
	}
}

// stuckRecognizer hangs until its context ends, as a network that takes far too long does.
type stuckRecognizer struct {
	pipeline.Recognizer
	begun chan struct{}
}

func (s stuckRecognizer) Recognize(ctx context.Context, _ []*pipeline.Window) ([]pipeline.Prediction, error) {
	select {
	case s.begun <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// A recognition that takes too long is cancelled by Close, and nothing hangs.
func TestCloseCancelsRecognition(t *testing.T) {
	webrtc.SetDrainTime(t, 200*time.Millisecond)
	rec, err := infertest.Default()
	if err != nil {
		t.Fatal(err)
	}
	stuck := stuckRecognizer{rec, make(chan struct{}, 1)}
	s, url, _ := server(t, webrtc.Options{Recognizer: stuck})
	c := dial(t, client.Options{URL: url + "/whip"})
	publish(t, c, load(t, write(t, "a.webm", pattern)), true)
	<-stuck.begun
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Close waits for a recognition that doesn't end")
	}
}

// A session that is being opened when the server is closed is waited for and turned away: nothing runs after Close.
func TestCloseWhileOpening(t *testing.T) {
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // a STUN server that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	stun := signal.ICEServer{URLs: []string{"stun:" + silent.LocalAddr().String()}}
	servers := signal.ICEServers{List: []signal.ICEServer{stun}}
	s, url, _ := server(t, webrtc.Options{Network: peer.Options{ICEServers: servers}})
	type answer struct {
		status int
		retry  string
		at     time.Time
	}
	answered := make(chan answer, 1)
	sdp := offer(t)
	go func() {
		var a answer
		defer func() { a.at = time.Now(); answered <- a }()
		res, err := http.Post(url+"/whip", "application/sdp", strings.NewReader(sdp))
		if err != nil {
			t.Error(err)
			return
		}
		res.Body.Close()
		a.status, a.retry = res.StatusCode, res.Header.Get("Retry-After")
	}()
	if _, _, err := silent.ReadFromUDP(make([]byte, 1500)); err != nil { // the server gathers its candidates
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := metric(t, url, "tandem_sessions"); n != 0 {
		t.Errorf("%v sessions after Close", n)
	}
	a := <-answered
	if a.status != 503 || a.retry == "" {
		t.Errorf("status %d, Retry-After %q; want 503", a.status, a.retry)
	}
	if n := metric(t, url, `tandem_sessions_refused_total{why="draining"}`); n != 1 {
		t.Errorf("%v refused for the drain by the metrics", n)
	}
}
