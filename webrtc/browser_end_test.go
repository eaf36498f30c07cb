package webrtc_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"tandem/capture"
	"tandem/infer/infertest"
	"tandem/webrtc"
	"tandem/webrtc/peer"
)

// small is enough for a page to run.
var small = capture.PatternOptions{Width: 320, Height: 240, FPS: 15, Duration: 3 * time.Second}

// runs opens the page and starts its session.
func (b *browser) runs(t *testing.T, url string) {
	t.Helper()
	do(t, b, chromedp.Navigate(local(url)))
	b.until(t, "the page is ready", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
	js[bool](t, b, `(() => { const d = navigator.mediaDevices, g = d.getUserMedia.bind(d); window.tracks = [];
		d.getUserMedia = async (c) => { const s = await g(c); tracks.push(...s.getTracks()); return s; };
		return true; })()`)
	b.click(t, "agree")
	b.click(t, "start")
	b.until(t, "windows come", 20*time.Second, `Number(document.body.dataset.windows) >= 1`)
}

const (
	camerasOff = `tracks.length > 0 && !tracks.some((t) => t.readyState === "live")`
	waits      = `document.body.dataset.state === "reconnecting" && ` + camerasOff +
		` && document.getElementById("status").textContent.includes(%q)`
)

// process is a server with an address of its own, which can end as a program does.
type process struct {
	http *httptest.Server
	at   string
	stop func() // as SIGTERM does
	wire cable
}

// startProcess starts one at an address; "" for any.
func startProcess(t *testing.T, at string) *process {
	t.Helper()
	var l net.Listener
	eventually(t, "the address is free", 10*time.Second, func() (free bool) {
		var err error
		l, err = net.Listen("tcp", cmp.Or(at, "127.0.0.1:0"))
		return err == nil
	})
	rec, err := infertest.Default()
	if err != nil {
		t.Fatal(err)
	}
	faces, _ := infertest.Faces()
	wire := newCable(t)
	s, err := webrtc.NewServer(webrtc.Options{
		Recognizer: rec, Faces: faces, Model: "model", Network: peer.Options{Loopback: true, Net: wire},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &httptest.Server{Listener: l, Config: &http.Server{Handler: s.Handler()}}
	h.Start()
	stop := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Drain(ctx)
		h.CloseClientConnections()
		h.Close()
	}
	t.Cleanup(func() { stop(); s.Close() })
	return &process{h, l.Addr().String(), stop, wire}
}

// kill ends it without a word, as SIGKILL does: its port refuses connections, and nothing comes from it any more.
func (p *process) kill() {
	p.wire.out.Store(true)
	p.http.Listener.Close()
	p.http.CloseClientConnections()
}

// A page notices at once that its server ends, and within three seconds that it has died: it says so, with camera and
// microphone off, and opens a new session when there is a server again.
func TestLongBrowserServerGone(t *testing.T) {
	media := write(t, "a.webm", small)
	for _, c := range []struct {
		how, says string
		within    time.Duration
		end       func(p *process)
	}{
		{"terminated", "shutting down", time.Second, func(p *process) { go p.stop() }},
		{"killed", "gone away", 3 * time.Second, (*process).kill},
	} {
		t.Run(c.how, func(t *testing.T) {
			p := startProcess(t, "")
			b := startBrowser(t, media)
			b.runs(t, "http://"+p.at)
			began := time.Now()
			c.end(p)
			b.until(t, "the page notices", c.within,
				`document.body.dataset.state !== "running" && `+camerasOff)
			t.Logf("noticed after %v", time.Since(began).Round(10*time.Millisecond))
			if c.how == "killed" {
				b.until(t, "it says so", time.Second, fmt.Sprintf(waits, c.says))
			} else { // the answer to why may not come any more
				b.until(t, "it says so", 3*time.Second,
					fmt.Sprintf(waits, c.says)+" || "+fmt.Sprintf(waits, "gone away"))
			}
			b.shot(t, "gone-"+c.how)
			time.Sleep(time.Second)
			startProcess(t, p.at)
			b.until(t, "it runs again", 20*time.Second, `document.body.dataset.state === "running" && `+
				`Number(document.body.dataset.windows) >= 1 && `+
				`tracks.filter((t) => t.readyState === "live").length === 2`)
			b.clean(t, "ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET", "503")
		})
	}
	t.Run("stopped while it waits", func(t *testing.T) {
		p := startProcess(t, "")
		b := startBrowser(t, media)
		b.runs(t, "http://"+p.at)
		p.kill()
		b.until(t, "it waits", 5*time.Second, fmt.Sprintf(waits, "gone away"))
		b.click(t, "stop")
		startProcess(t, p.at)
		time.Sleep(3 * time.Second)
		if s := b.state(t); s != "ended" {
			t.Errorf("state %s after a stop", s)
		}
	})
}

// A session that ends at the server for another reason is said, and not opened anew.
func TestLongBrowserSessionEnds(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{MaxTime: 4 * time.Second})
	b := startBrowser(t, write(t, "a.webm", small))
	b.runs(t, url)
	b.until(t, "the page says why", 6*time.Second, `document.body.dataset.state === "ended" && `+camerasOff+
		` && document.getElementById("status").textContent.includes("longest time")`)
	time.Sleep(2 * time.Second)
	if s := b.state(t); s != "ended" {
		t.Errorf("state %s", s)
	}
	b.clean(t)
}

// Whichever way a page goes away, its session ends and nothing of it stays at the server, though its connection's own
// end comes before its request as often as after.
func TestLongBrowserLeavesNothing(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{MaxSessions: 3})
	b := startBrowser(t, write(t, "a.webm", small))
	stayed := 0
	for i := range 20 {
		ctx, cancel := chromedp.NewContext(b.ctx)
		defer cancel()
		tab := &browser{ctx: ctx}
		if err := chromedp.Do(ctx, chromedp.Navigate(local(url))); err != nil { // without a limit: it starts the tab
			t.Fatal(err)
		}
		tab.until(t, "the page is ready", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
		js[bool](t, tab, `(() => { const f = window.fetch; window.opened = [];
			window.fetch = async (u, o) => {
				const r = await f(u, o);
				if (o?.method === "POST") opened.push(r.headers.get("Location"));
				return r;
			};
			return true; })()`)
		tab.click(t, "agree")
		tab.click(t, "start")
		tab.until(t, "it runs", 15*time.Second, `Number(document.body.dataset.windows) >= 1`)
		if i%4 == 3 { // results of a session that was stopped are erased too
			tab.click(t, "stop")
		}
		session := url + js[string](t, tab, `opened[0]`)
		switch i % 3 {
		case 0:
			cancel()
		case 1:
			js[bool](t, tab, `(() => { location.href = "about:blank"; return true; })()`)
		case 2:
			js[bool](t, tab, `(() => { location.reload(); return true; })()`)
		}
		eventually(t, "the session ends", 8*time.Second, func() bool { return metric(t, url, "tandem_sessions") == 0 })
		time.Sleep(300 * time.Millisecond)
		if code, body := get(t, session+"/status"); code != 404 {
			t.Errorf("closing %d: %d %s", i, code, body)
			stayed++
		}
		cancel()
	}
	t.Logf("results stayed in %d of 20 closings", stayed)
}
