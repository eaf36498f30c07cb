package webrtc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/infer/infertest"
	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/client"
)

// request makes one and returns the status.
func request(t testing.TB, method, url, contentType, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode == 503 && res.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	return res.StatusCode
}

// offer is one that pion makes, without anybody behind it.
func offer(t testing.TB) string {
	t.Helper()
	pc, err := pion.NewPeerConnection(pion.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	for _, kind := range []pion.RTPCodecType{pion.RTPCodecTypeAudio, pion.RTPCodecTypeVideo} {
		sendOnly := pion.RTPTransceiverInit{Direction: pion.RTPTransceiverDirectionSendonly}
		if _, err := pc.AddTransceiverFromKind(kind, sendOnly); err != nil {
			t.Fatal(err)
		}
	}
	o, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return o.SDP
}

// Over a limit there is 503, under it there is room again; whoever else runs does not notice.
func TestLimits(t *testing.T) {
	clip := load(t, write(t, "a.webm", pattern))
	_, url, _ := server(t, webrtc.Options{MaxSessions: 2, MaxPerAddress: 2})
	a := dial(t, client.Options{URL: url + "/whip"})
	publish(t, a, clip, true)
	b := dial(t, client.Options{URL: url + "/whip"})
	_, err := client.Dial(t.Context(), client.Options{URL: url + "/whip", Loopback: true})
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Status != 503 || refused.RetryAfter <= 0 {
		t.Errorf("a third session: %v", err)
	}
	b.Close(t.Context())
	c := dial(t, client.Options{URL: url + "/whip"})
	c.Close(t.Context())
	windows(t, a, 2)

	_, url, _ = server(t, webrtc.Options{MaxSessions: 5, MaxPerAddress: 1})
	dial(t, client.Options{URL: url + "/whip"})
	if code := request(t, "POST", url+"/whip", "application/sdp", offer(t)); code != 503 {
		t.Errorf("a second session from one address: %d", code)
	}
}

// A flood of offers is turned away, and memory and goroutines come back.
func TestFlood(t *testing.T) {
	s, url, _ := server(t, webrtc.Options{MaxSessions: 4, MaxPerAddress: -1})
	sdp := offer(t)
	before, heapBefore := runtime.NumGoroutine(), heap()
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for range 20 {
		wg.Go(func() {
			for range 50 {
				code := request(t, "POST", url+"/whip", "application/sdp", sdp)
				mu.Lock()
				codes[code]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if codes[201] != 4 || codes[503] != 996 {
		t.Errorf("%v", codes)
	}
	if n := metric(t, url, `tandem_sessions_refused_total{why="full"}`); n != 996 {
		t.Errorf("%v refused by the metrics", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s.Drain(ctx)
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "the goroutines end", 5*time.Second, func() bool { return runtime.NumGoroutine() <= before+5 })
	if after := heap(); after > heapBefore+2<<20 {
		t.Errorf("%d KB on the heap, %d KB before", after>>10, heapBefore>>10)
	} else {
		t.Logf("%d KB on the heap, %d KB before", after>>10, heapBefore>>10)
	}
	runtime.KeepAlive(s)
}

// heap returns the bytes in use on Go's heap. The memory of pools goes with the second collection.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// Sessions end for their reasons, which log and metrics tell.
func TestEnds(t *testing.T) {
	t.Parallel()
	endsFor(t, map[string]webrtc.Options{
		"resolution": {MaxPixels: 320 * 240}, "too_long": {MaxTime: 2 * time.Second}, "bitrate": {MaxBitrate: 10_000},
		"idle": {Idle: time.Second},
	})
}

func TestLongEnds(t *testing.T) { endsFor(t, map[string]webrtc.Options{"silent": {}}) }

// endsFor opens a session by each of the options, which ends for the reason that they stand under.
func endsFor(t *testing.T, reasons map[string]webrtc.Options) {
	small := pattern
	small.Duration = 2 * time.Second
	clip := load(t, write(t, "a.webm", small))
	for reason, o := range reasons {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			_, url, log := server(t, o)
			s := dial(t, client.Options{URL: url + "/whip"})
			if reason != "silent" {
				publish(t, s, clip, true)
			}
			if reason == "idle" {
				windows(t, s, 1)
				s.Mute(true, true)
			}
			events := all(t, s)
			if len(events) == 0 || events[len(events)-1].End == nil {
				t.Errorf("%d events, without an end", len(events))
			}
			eventually(t, "the metrics know", 3*time.Second, func() bool {
				return metric(t, url, `tandem_sessions_ended_total{reason="`+reason+`"}`) == 1
			})
			if l := log.String(); !strings.Contains(l, "session ended") || !strings.Contains(l, "reason=") ||
				strings.Contains(l, "127.0.0.1") {
				t.Errorf("log: %s", l)
			}
		})
	}
}

// paddingOnly sends what senders probe the bandwidth with, and no media, until the test ends.
func paddingOnly(t *testing.T, url string) {
	t.Helper()
	track, _ := videoSource(t, url, func(offer string) string { return offer })
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for seq := uint16(0); ; seq++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				track.WriteRTP(&rtp.Packet{Header: rtp.Header{
					Version: 2, Padding: true, PaddingSize: 200, SequenceNumber: seq, Timestamp: uint32(seq) * 900,
				}})
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		wg.Wait()
	})
}

// Who sends padding alone is ended as who sends nothing.
func TestLongPaddingOnly(t *testing.T) {
	t.Parallel()
	_, url, log := server(t, webrtc.Options{})
	paddingOnly(t, url)
	eventually(t, "padding comes", 10*time.Second, func() bool {
		return metric(t, url, `tandem_rtp_packets_total{fate="received",kind="video"}`) > 100
	})
	eventually(t, "it is ended", 25*time.Second, func() bool {
		return metric(t, url, `tandem_sessions_ended_total{reason="silent"}`) == 1
	})
	if !strings.Contains(log.String(), "no media came") {
		t.Errorf("log: %s", log)
	}
}

// sizes is a clip whose pictures, all key frames, are each of another size.
func sizes(t *testing.T, n int) *client.Clip {
	t.Helper()
	var packets []av.Packet
	for i := range n {
		o := capture.PatternOptions{
			Width: 160 + 16*(i*7%24), Height: 120 + 16*(i*5%16), FPS: 15, Duration: 200 * time.Millisecond,
		}
		in, err := av.Open(t.Context(), write(t, "a.webm", o), av.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			p, err := in.ReadPacket(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if p.Codec == av.VP8 && p.Key {
				p.Payload = slices.Clone(p.Payload)
				p.Time, p.Length = time.Duration(i)*time.Second/30, time.Second/30
				packets = append(packets, p)
				break
			}
		}
		in.Close()
	}
	c, err := client.NewClip(packets)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Pictures that are all of another size, and ones that claim to be of 8K, cost whoever sends them at most their own
// session: others go on, and memory comes back.
func TestSizes(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{})
	good := dial(t, client.Options{URL: url + "/whip"})
	publish(t, good, load(t, write(t, "a.webm", pattern)), true)
	windows(t, good, 1)
	before := resident(t)

	changing := dial(t, client.Options{URL: url + "/whip", Codecs: []av.Codec{av.VP8}})
	stop := publish(t, changing, sizes(t, 48), true)
	for _, w := range windows(t, changing, 12) {
		if !w.Video {
			t.Errorf("the window at %v is blind", w.Start)
		}
	}
	stop()
	changing.Close(t.Context())

	for range 3 {
		huge := dial(t, client.Options{URL: url + "/whip", Codecs: []av.Codec{av.VP8}})
		of8K := []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x00, 0x1e, 0xe0, 0x10, 0, 0}
		clip, err := client.NewClip([]av.Packet{{Codec: av.VP8, Key: true, Payload: of8K}})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, huge, clip, true)
		events := all(t, huge)
		if len(events) == 0 || events[len(events)-1].End == nil {
			t.Errorf("%d events, without an end", len(events))
		}
	}
	eventually(t, "three sessions have ended for their resolution", 3*time.Second, func() bool {
		return metric(t, url, `tandem_sessions_ended_total{reason="resolution"}`) == 3
	})
	windows(t, good, 2)
	good.Close(t.Context())
	events := all(t, good)
	if end := events[len(events)-1].End; end == nil || end.Dropped.Windows > 0 {
		t.Errorf("the other session: %+v", end)
	}
	debug.FreeOSMemory()
	if after := resident(t); after > before+64<<20 {
		t.Errorf("%d MB resident, %d MB before", after>>20, before>>20)
	}
}

// resident is the memory that the process has, in bytes.
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// A drain ends the sessions with their end event, and takes no more.
func TestDrain(t *testing.T) {
	t.Parallel()
	clip := load(t, write(t, "a.webm", pattern))
	srv, url, _ := server(t, webrtc.Options{})
	s := dial(t, client.Options{URL: url + "/whip"})
	publish(t, s, clip, true)
	windows(t, s, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	srv.Drain(ctx)
	if ctx.Err() != nil {
		t.Error("the drain took too long")
	}
	events := all(t, s)
	if len(events) == 0 || events[len(events)-1].End == nil {
		t.Errorf("%d events, without an end", len(events))
	}
	if code := request(t, "POST", url+"/whip", "application/sdp", offer(t)); code != 503 {
		t.Errorf("a session while draining: %d", code)
	}
	if code, _ := get(t, url+"/readyz"); code != 503 {
		t.Errorf("readyz: %d", code)
	}
	if code, _ := get(t, url+"/healthz"); code != 200 {
		t.Errorf("healthz: %d", code)
	}
}

// What is wrong gets its status, and no session.
func TestBadRequests(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{Token: "secret"})
	get401, _ := get(t, url+"/metrics")
	if get401 != 401 {
		t.Errorf("metrics without the token: %d", get401)
	}
	if code, body := get(t, url+"/config"); code != 200 || !strings.Contains(body, `"token_required":true`) {
		t.Errorf("config: %d %s", code, body)
	}
	_, err := client.Dial(t.Context(), client.Options{URL: url + "/whip", Token: "wrong", Loopback: true})
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Status != 401 {
		t.Errorf("a wrong token: %v", err)
	}
	_, url, _ = server(t, webrtc.Options{})
	for _, tt := range []struct {
		method, path, contentType, body string
		want                            int
	}{
		{"POST", "/whip", "application/sdp", "", 400},
		{"POST", "/whip", "application/sdp", "garbage", 400},
		{"POST", "/whip", "application/sdp", strings.Repeat("a=x\r\n", 100_000), 413},
		{"POST", "/whip", "text/plain", offer(t), 415},
		{"PUT", "/whip", "", "", 405},
		{"GET", "/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAA", "", "", 404},
		{"GET", "/sessions/..%2f..%2fetc%2fpasswd/events", "", "", 404},
		{"DELETE", "/sessions/..%2f..%2fetc%2fpasswd", "", "", 404},
		{"DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAA", "", "", 404},
		{"PATCH", "/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAA", "application/trickle-ice-sdpfrag", "", 404},
	} {
		if got := request(t, tt.method, url+tt.path, tt.contentType, tt.body); got != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, got, tt.want)
		}
	}
	if n := metric(t, url, "tandem_sessions"); n != 0 {
		t.Errorf("%v sessions", n)
	}
}

// A network that can't answer in time costs windows of all alike, and their events say so.
func TestOverload(t *testing.T) {
	clip := load(t, write(t, "a.webm", pattern))
	rec, err := infertest.Default()
	if err != nil {
		t.Fatal(err)
	}
	faces, _ := infertest.Faces()
	_, url, _ := server(t, webrtc.Options{Recognizer: slow{rec}, Faces: faces})
	var sessions []*client.Session
	for range 3 {
		s := dial(t, client.Options{URL: url + "/whip", Codecs: []av.Codec{av.Opus}})
		publish(t, s, clip, false)
		sessions = append(sessions, s)
	}
	time.Sleep(9 * time.Second)
	var closing sync.WaitGroup
	for _, s := range sessions {
		closing.Go(func() { s.Close(t.Context()) })
	}
	closing.Wait()
	var kept, lost []int
	for _, s := range sessions {
		events := all(t, s)
		end := events[len(events)-1].End
		if end == nil || end.Dropped.Windows < 5 || end.Windows < 3 {
			t.Fatalf("%+v", end)
		}
		kept, lost = append(kept, end.Windows), append(lost, end.Dropped.Windows)
	}
	t.Logf("windows %v, dropped %v", kept, lost)
	if slices.Max(lost)-slices.Min(lost) > 4 || slices.Max(kept)-slices.Min(kept) > 4 {
		t.Errorf("not alike: windows %v, dropped %v", kept, lost)
	}
	if n := metric(t, url, `tandem_dropped_total{reason="slow",what="windows"}`); n < 5 {
		t.Errorf("%v windows dropped by the metrics", n)
	}
}

// slow takes three hops for a batch.
type slow struct{ pipeline.Recognizer }

func (s slow) Recognize(ctx context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	time.Sleep(3 * s.Spec().Hop)
	return s.Recognizer.Recognize(ctx, ws)
}
