package webrtc_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pion/interceptor"
	pion "github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
	"tandem/infer/infertest"
	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/client"
	"tandem/webrtc/webrtctest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// server runs one on loopback and returns its URL; it is closed with the test, and nothing of it may stay.
func server(t testing.TB, o webrtc.Options) (*webrtc.Server, string, *webrtctest.Log) {
	t.Helper()
	rec, err := infertest.Default()
	if err != nil {
		t.Fatal(err)
	}
	faces, err := infertest.Faces()
	if err != nil {
		t.Fatal(err)
	}
	if o.Recognizer == nil {
		o.Recognizer, o.Faces = rec, faces
	}
	o.Model = "model"
	o.Network.Loopback = true
	l := &webrtctest.Log{}
	o.Log = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
	s, err := webrtc.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		s.Close()
		h.Close()
		http.DefaultClient.CloseIdleConnections()
		if t.Failed() {
			t.Log(l.String())
		}
	})
	return s, h.URL, l
}

// write encodes the test pattern into a file.
func write(t testing.TB, name string, o capture.PatternOptions) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	capturetest.WritePattern(t, path, o, av.WriterOptions{})
	return path
}

func load(t testing.TB, path string) *client.Clip {
	t.Helper()
	c, err := client.LoadClip(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// dial opens a session, which is closed with the test.
func dial(t testing.TB, o client.Options) *client.Session {
	t.Helper()
	o.Loopback = true
	s, err := client.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Close(ctx)
	})
	return s
}

// videoSource opens a session with one track of VP8 whose packets the test makes itself, with an offer as edit leaves
// it; it is closed with the test. It returns the track and the session's URL.
func videoSource(
	t *testing.T, url string, edit func(offer string) string, changes ...interceptor.Factory,
) (*pion.TrackLocalStaticRTP, string) {
	t.Helper()
	var se pion.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	var media pion.MediaEngine
	if err := media.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	registry := &interceptor.Registry{}
	for _, c := range changes {
		registry.Add(c)
	}
	api := pion.NewAPI(
		pion.WithSettingEngine(se), pion.WithMediaEngine(&media), pion.WithInterceptorRegistry(registry))
	pc, err := api.NewPeerConnection(pion.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.GracefulClose() })
	vp8 := pion.RTPCodecCapability{MimeType: pion.MimeTypeVP8, ClockRate: 90000}
	track, err := pion.NewTrackLocalStaticRTP(vp8, "video", "test")
	if err == nil {
		_, err = pc.AddTrack(track)
	}
	if err != nil {
		t.Fatal(err)
	}
	gathered := pion.GatheringCompletePromise(pc)
	offer, err := pc.CreateOffer(nil)
	if err == nil {
		err = pc.SetLocalDescription(offer)
	}
	if err != nil {
		t.Fatal(err)
	}
	<-gathered
	res, err := http.Post(url+"/whip", "application/sdp", strings.NewReader(edit(pc.LocalDescription().SDP)))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err == nil {
		err = pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: string(answer)})
	}
	if err != nil {
		t.Fatalf("%d %v: %s", res.StatusCode, err, answer)
	}
	return track, url + res.Header.Get("Location")
}

// all are the events of a session to its end.
func all(t testing.TB, s *client.Session) []pipeline.Event {
	t.Helper()
	var out []pipeline.Event
	over := time.After(40 * time.Second)
	for {
		select {
		case e, ok := <-s.Events():
			if !ok {
				return out
			}
			out = append(out, e)
		case <-over:
			t.Fatal("the events did not end")
		}
	}
}

// windows waits for the next n window events.
func windows(t testing.TB, s *client.Session, n int) []*pipeline.WindowEvent {
	t.Helper()
	var out []*pipeline.WindowEvent
	over := time.After(30 * time.Second)
	for len(out) < n {
		select {
		case e, ok := <-s.Events():
			if !ok {
				t.Fatalf("the events ended after %d of %d windows", len(out), n)
			}
			if e.Window != nil {
				out = append(out, e.Window)
			}
		case <-over:
			t.Fatalf("%d of %d windows came", len(out), n)
		}
	}
	return out
}

// publish sends a clip in the background until the test ends, or the function returned is called.
func publish(t testing.TB, s *client.Session, c *client.Clip, loop bool) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Publish(ctx, c, client.PublishOptions{Loop: loop})
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// get fetches a URL.
func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	return answered(t)(http.Get(url))
}

// answered returns the status and the body of an answer.
func answered(t testing.TB) func(*http.Response, error) (status int, body string) {
	return func(r *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(b)
	}
}

// eventually waits for something to become true.
func eventually(t testing.TB, what string, within time.Duration, f func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// metric is the value of a line of /metrics, 0 if it is not there.
func metric(t testing.TB, base, name string) float64 {
	t.Helper()
	_, body := get(t, base+"/metrics")
	for line := range strings.Lines(body) {
		var v float64
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(rest, &v); err == nil {
				return v
			}
		}
	}
	return 0
}
