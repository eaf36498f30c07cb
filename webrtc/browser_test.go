package webrtc_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/peer"
	"tandem/webrtc/signal"
)

// A person opens the page, agrees, and sees; then pauses, stops, erases, reloads, and closes the tab.
func TestLongBrowser(t *testing.T) {
	media := write(t, "a.webm", capture.PatternOptions{Width: 640, Height: 480, FPS: 25, Duration: 10 * time.Second})
	_, url, _ := server(t, webrtc.Options{Pipeline: pipeline.DefaultOptions(), MaxSessions: 1})
	b := startBrowser(t, media)
	do(t, b, chromedp.Navigate(local(url)))
	b.consents(t)
	b.seesResults(t)
	b.mutes(t)
	b.choosesAnew(t)
	b.fitsScreens(t)
	b.stopsAndErases(t, url)
	b.leaves(t, url)
	b.clean(t)
}

// consents starts the session, which takes consent.
func (b *browser) consents(t *testing.T) {
	t.Helper()
	b.until(t, "the page knows the emotions", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
	b.shot(t, "consent")
	if !js[bool](t, b, `document.getElementById("start").disabled && !document.getElementById("self").srcObject`) {
		t.Error("it starts without consent")
	}
	for _, id := range []string{"view", "results", "history", "stop", "csv"} {
		if b.sees(t, id) {
			t.Errorf("%s shows before the start", id)
		}
	}
	b.click(t, "start")
	if s := b.state(t); s != "idle" {
		t.Errorf("state %s without consent", s)
	}
	b.click(t, "agree")
	b.click(t, "start")
	b.until(t, "windows come", 20*time.Second, `Number(document.body.dataset.windows) >= 8`)
	if s := b.state(t); s != "running" {
		t.Errorf("state %s", s)
	}
}

// seesResults checks all that the page shows of a session that runs.
func (b *browser) seesResults(t *testing.T) {
	t.Helper()
	for what, expression := range map[string]string{
		"an emotion":  `document.body.dataset.emotion !== "" && document.querySelector("#bars .top") !== null`,
		"both senses": `document.body.dataset.senses === "voice face"`,
		"words for them": `/voice and face/.test(document.getElementById("senses").textContent) && ` +
			`/^4 of the last 4 answers used face and voice; each covers the last 2.6 seconds/` +
			`.test(document.getElementById("share").textContent)`,
		"a box":         `document.querySelectorAll(".box").length === 1`,
		"the latency":   `/come \d+ ms after/.test(document.getElementById("latency").textContent)`,
		"the chart":     `document.querySelector("#chart canvas") !== null`,
		"the start":     `!document.getElementById("csv").disabled`,
		"what was lost": `/lost/i.test(document.getElementById("drops").textContent)`,
		"sums of scores": `Math.abs([...document.querySelectorAll("#bars .value")]` +
			`.reduce((s, v) => s + parseInt(v.textContent), 0) - 100) < 5`,
	} {
		b.until(t, what, 5*time.Second, expression)
	}
	b.shot(t, "desktop")
}

// mutes mutes microphone and camera in turn.
func (b *browser) mutes(t *testing.T) {
	t.Helper()
	b.click(t, "mute-mic")
	b.until(t, "the voice is gone", 8*time.Second, `document.body.dataset.senses === "face"`)
	b.click(t, "mute-mic")
	b.click(t, "mute-camera")
	b.until(t, "the face is gone", 8*time.Second, `document.body.dataset.senses === "voice"`)
	b.click(t, "mute-camera")
	b.until(t, "both are back", 8*time.Second, `document.body.dataset.senses === "voice face"`)
}

// choosesAnew chooses other codecs and leaves out gender, each of which opens the session anew.
func (b *browser) choosesAnew(t *testing.T) {
	t.Helper()
	for _, c := range []string{"video/H264", "video/VP8"} {
		js[bool](t, b, fmt.Sprintf(`(() => { const c = document.getElementById("codec"); c.value = %q; `+
			`c.dispatchEvent(new Event("change")); return true; })()`, c))
		b.until(t, "a new session", 10*time.Second, `Number(document.body.dataset.windows || 0) < 3`)
		b.until(t, "windows with "+c, 15*time.Second, `Number(document.body.dataset.windows) >= 3`)
	}
	b.click(t, "no-gender")
	b.until(t, "a new session", 10*time.Second, `Number(document.body.dataset.windows || 0) < 3`)
	b.until(t, "windows without gender", 15*time.Second,
		`Number(document.body.dataset.windows) >= 3 && `+
			`getComputedStyle(document.getElementById("gender")).display === "none"`)
}

// fitsScreens looks at the page on narrow screens, and in the dark.
func (b *browser) fitsScreens(t *testing.T) {
	t.Helper()
	for _, width := range []int64{320, 390} {
		do(t, b, chromedp.EmulateViewport(width, 844, chromedp.EmulateScale(2)))
		time.Sleep(300 * time.Millisecond)
		if w := js[int64](t, b, "document.documentElement.scrollWidth"); w > width {
			t.Errorf("%d pixels wide on a screen of %d", w, width)
		}
		b.shot(t, fmt.Sprintf("phone-%d", width))
	}
	do(t, b, chromedp.EmulateViewport(1280, 900))
	b.dark(t)
	time.Sleep(1500 * time.Millisecond)
	b.shot(t, "dark")
}

// stopsAndErases ends the session by Escape, and the next by its erasure.
func (b *browser) stopsAndErases(t *testing.T, url string) {
	t.Helper()
	js[bool](t, b, `dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"}))`)
	b.until(t, "it has stopped", 5*time.Second, `document.body.dataset.state === "ended"`)
	eventually(t, "the session is gone", 5*time.Second, func() bool { return metric(t, url, "tandem_sessions") == 0 })
	b.click(t, "start")
	b.until(t, "it runs again", 15*time.Second, `document.body.dataset.state === "running"`)
	b.click(t, "erase")
	b.until(t, "it is erased", 5*time.Second,
		`document.body.dataset.state === "ended" && document.getElementById("csv").disabled`)
}

// leaves reloads the page and goes elsewhere: either ends the session within seconds.
func (b *browser) leaves(t *testing.T, url string) {
	t.Helper()
	for _, leave := range []string{`location.reload()`, `window.location = "about:blank"`} {
		b.until(t, "the page is there", 5*time.Second, `document.getElementById("start") !== null`)
		js[bool](t, b, `(() => {
			const a = document.getElementById("agree"); if (!a.checked) a.click(); return true; })()`)
		b.click(t, "start")
		b.until(t, "it runs", 15*time.Second, `document.body.dataset.state === "running"`)
		js[bool](t, b, `(() => { `+leave+`; return true; })()`)
		eventually(t, "the session is gone after "+leave, 5*time.Second,
			func() bool { return metric(t, url, "tandem_sessions") == 0 })
		time.Sleep(500 * time.Millisecond)
	}
}

// What is wrong is said, with what helps.
func TestLongBrowserFaults(t *testing.T) {
	media := write(t, "a.webm", capture.PatternOptions{Width: 320, Height: 240, FPS: 15, Duration: 3 * time.Second})
	start := func(t *testing.T, b *browser, url string) {
		do(t, b, chromedp.Navigate(local(url)))
		b.until(t, "the page is ready", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
		b.click(t, "agree")
		b.click(t, "start")
	}
	says := func(t *testing.T, b *browser, text string) {
		t.Helper()
		b.until(t, "the page says "+text, 15*time.Second,
			fmt.Sprintf(`document.body.dataset.state === "error" && !document.getElementById("problem").hidden && `+
				`document.getElementById("problem").textContent.includes(%q)`, text))
	}
	t.Run("no devices", func(t *testing.T) {
		_, url, _ := server(t, webrtc.Options{})
		b := startBrowser(t, "")
		start(t, b, url)
		b.until(t, "an error", 10*time.Second, `document.body.dataset.state === "error"`)
		text := js[string](t, b, `document.getElementById("problem").textContent`)
		if !strings.Contains(text, "Connect one") && !strings.Contains(text, "Allow it") {
			t.Errorf("the page says %q", text)
		}
		b.shot(t, "no-devices")
	})
	t.Run("full", func(t *testing.T) {
		_, url, _ := server(t, webrtc.Options{MaxSessions: 1})
		if code := request(t, "POST", url+"/whip", "application/sdp", offer(t)); code != 201 {
			t.Fatal(code)
		}
		b := startBrowser(t, media)
		start(t, b, url)
		says(t, b, "All places are taken: try again in a while. You can try again in")
	})
	t.Run("too many of one address", func(t *testing.T) {
		_, url, _ := server(t, webrtc.Options{MaxPerAddress: 1})
		if code := request(t, "POST", url+"/whip", "application/sdp", offer(t)); code != 201 {
			t.Fatal(code)
		}
		b := startBrowser(t, media)
		start(t, b, url)
		says(t, b, "1 sessions run from this address already: end one first. You can try again in")
		if js[bool](t, b, `document.getElementById("problem").textContent.includes("full")`) {
			t.Error("the page says that the server is full")
		}
	})
	t.Run("token", func(t *testing.T) {
		turn := signal.ICEServer{URLs: []string{"turn:127.0.0.1:9?transport=udp"}, Username: "u", Credential: "p"}
		_, url, _ := server(t, webrtc.Options{
			Token:   "secret",
			Network: peer.Options{ICEServers: signal.ICEServers{List: []signal.ICEServer{turn}}},
		})
		b := startBrowser(t, media)
		start(t, b, url)
		says(t, b, "wants a token")
		js[bool](t, b, `(() => { const P = RTCPeerConnection; window.asked = [];
			window.RTCPeerConnection = class extends P { constructor(c) { super(c); asked.push(c.iceServers); } };
			return true; })()`)
		js[bool](t, b, `(document.getElementById("token").value = "secret") !== ""`)
		b.click(t, "start")
		b.until(t, "it runs with the token", 15*time.Second, `document.body.dataset.state === "running"`)
		got := js[[][]signal.ICEServer](t, b, `asked`)
		if want := [][]signal.ICEServer{{turn}}; !reflect.DeepEqual(got, want) {
			t.Errorf("its ICE servers are %v, not %v", got, want)
		}
	})
}

// However fast the choices and buttons are used, there is one session at most, and none without consent.
func TestLongBrowserOneSession(t *testing.T) {
	media := write(t, "a.webm", capture.PatternOptions{Width: 320, Height: 240, FPS: 15, Duration: 3 * time.Second})
	_, url, _ := server(t, webrtc.Options{MaxSessions: 5})
	b := startBrowser(t, media)
	do(t, b, chromedp.Navigate(local(url)))
	b.until(t, "the page is ready", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
	// All that is opened and asked; a POST takes a while.
	js[bool](t, b, `(() => { const f = window.fetch, d = navigator.mediaDevices, g = d.getUserMedia.bind(d);
		window.asked = []; window.opened = []; window.tracks = []; window.$ = (id) => document.getElementById(id);
		window.fetch = async (u, o) => {
			asked.push([o?.method ?? "GET", u].join(" "));
			const r = await f(u, o);
			if (o?.method === "POST") {
				opened.push(r.headers.get("Location"));
				await new Promise((go) => setTimeout(go, 500));
			}
			return r;
		};
		d.getUserMedia = async (c) => { const s = await g(c); tracks.push(...s.getTracks()); return s; };
		return true; })()`)
	script := func(s string) { t.Helper(); js[bool](t, b, `(() => { `+s+`; return true; })()`) }
	runs := func(what string) {
		t.Helper()
		b.until(t, what, 15*time.Second,
			`document.body.dataset.state === "running" && Number(document.body.dataset.windows) >= 2`)
		if n := metric(t, url, "tandem_sessions"); n != 1 {
			t.Errorf("%s: %v sessions", what, n)
		}
		if n := js[int](t, b, `tracks.filter((t) => t.readyState === "live").length`); n != 2 {
			t.Errorf("%s: %d live tracks", what, n)
		}
	}
	ended := func(what string) {
		t.Helper()
		b.until(t, what, 5*time.Second,
			`document.body.dataset.state === "ended" && !tracks.some((t) => t.readyState === "live")`)
		eventually(t, what+": no session", 5*time.Second, func() bool { return metric(t, url, "tandem_sessions") == 0 })
	}
	b.click(t, "agree")
	b.click(t, "start")
	runs("it runs")
	script(`$("codec").value = "video/VP8"; $("codec").dispatchEvent(new Event("change")); $("no-gender").click()`)
	b.until(t, "a new session", 10*time.Second, `Number(document.body.dataset.windows || 0) < 2`)
	runs("two choices at once")
	script(`$("agree").click(); $("agree").click()`)
	ended("consent was withdrawn, and given again")
	b.click(t, "start")
	runs("it runs again")
	b.click(t, "agree")
	ended("consent was withdrawn")
	if !js[bool](t, b, `$("start").disabled`) {
		t.Error("it would start without consent")
	}
	b.click(t, "agree")

	b.click(t, "start")
	b.until(t, "a POST is on its way", 10*time.Second, `asked.at(-1).startsWith("POST")`)
	b.click(t, "stop")
	// The server may have no session yet, whose end the page waits for.
	b.until(t, "what was being opened is deleted", 10*time.Second, `asked.at(-1).startsWith("DELETE")`)
	ended("it was stopped while it connected")
	asked := js[int](t, b, `asked.length`)
	time.Sleep(2500 * time.Millisecond) // longer than between two looks at the status
	if more := js[[]string](t, b, fmt.Sprintf(`asked.slice(%d)`, asked)); len(more) > 0 {
		t.Errorf("after the stop it asks %v", more)
	}

	b.click(t, "start")
	runs("it runs once more")
	script(`$("stop").click(); $("erase").click()`)
	ended("it was erased")
	for _, path := range js[[]string](t, b, `opened`) {
		eventually(t, "the results are erased: "+path, 5*time.Second, func() bool {
			code, _ := get(t, url+path+"/events.csv")
			return code == 404
		})
	}
	b.clean(t)
}

// A tab that goes away without a word does not keep its place: one that is closed gives it back within seconds, as the
// browser closes the connection; one that crashes says nothing, and its session ends as one whose connection was lost.
func TestLongBrowserTabGone(t *testing.T) {
	media := write(t, "a.webm", capture.PatternOptions{Width: 320, Height: 240, FPS: 15, Duration: 3 * time.Second})
	_, url, _ := server(t, webrtc.Options{MaxSessions: 1})
	b := startBrowser(t, media)
	for _, c := range []struct {
		what   string
		within time.Duration
		leave  func(tab *browser, cancel func())
	}{
		{"closed", 5 * time.Second, func(_ *browser, cancel func()) { cancel() }},
		{"crashed", 60 * time.Second, func(tab *browser, _ func()) {
			ctx, cancel := context.WithTimeout(tab.ctx, time.Second) // there is no answer
			defer cancel()
			chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
				_, err := cdp.Call(ctx, t, cdppage.Crash, cdp.Empty{})
				return err
			}))
		}},
	} {
		ctx, cancel := chromedp.NewContext(b.ctx)
		defer cancel()
		tab := &browser{ctx: ctx}
		if err := chromedp.Do(ctx, chromedp.Navigate(local(url))); err != nil { // without a limit: it starts the tab
			t.Fatal(err)
		}
		tab.until(t, "the page is ready", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
		// The page's own goodbye never leaves.
		js[bool](t, tab, `(() => { navigator.sendBeacon = () => true; return true; })()`)
		tab.click(t, "agree")
		tab.click(t, "start")
		tab.until(t, "it runs", 15*time.Second,
			`document.body.dataset.state === "running" && Number(document.body.dataset.windows) >= 2`)
		start := time.Now()
		c.leave(tab, cancel)
		eventually(t, "the session is gone after its tab "+c.what, c.within,
			func() bool { return metric(t, url, "tandem_sessions") == 0 })
		t.Logf("%s: the session was gone after %v", c.what, time.Since(start).Round(100*time.Millisecond))
		if n := metric(t, url, `tandem_sessions_ended_total{reason="deleted"}`); n != 0 {
			t.Errorf("%s: a DELETE came", c.what)
		}
	}
}

// After an interruption the page finds a new way by a restart of ICE, and its session goes on: the same one, whose
// windows are numbered on.
func TestLongBrowserReconnects(t *testing.T) {
	media := write(t, "a.webm", capture.PatternOptions{Width: 320, Height: 240, FPS: 15, Duration: 3 * time.Second})
	c := newCable(t)
	_, url, _ := server(t, webrtc.Options{MaxSessions: 1, Network: peer.Options{Net: c}})
	b := startBrowser(t, media)
	do(t, b, chromedp.Navigate(local(url)))
	b.until(t, "the page is ready", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
	// The session's requests show whether ICE is restarted, and whether another session is opened.
	js[bool](t, b, `(() => { const f = window.fetch; window.asked = [];
		window.fetch = (u, o) => {
			asked.push([o?.method ?? "GET", o?.headers?.["If-Match"] ?? ""].join(" ").trim());
			return f(u, o);
		};
		return true; })()`)
	b.click(t, "agree")
	b.click(t, "start")
	b.until(t, "windows come", 20*time.Second, `Number(document.body.dataset.windows) >= 2`)
	c.out.Store(true)
	b.until(t, "the page notices", 20*time.Second, `document.body.dataset.state === "reconnecting"`)
	b.until(t, "it restarts ICE", 20*time.Second, `asked.includes("PATCH *")`)
	before := js[int64](t, b, `Number(document.body.dataset.windows)`)
	c.out.Store(false)
	b.until(t, "it runs again", 20*time.Second, `document.body.dataset.state === "running"`)
	b.until(t, "windows come again", 20*time.Second,
		fmt.Sprintf(`Number(document.body.dataset.windows) > %d`, before+2))
	if n := js[int64](t, b, `asked.filter((r) => r.startsWith("POST")).length`); n != 1 {
		t.Errorf("%d sessions were opened", n)
	}
	b.clean(t)
}

// A real clip through a real browser: a face and a voice, and the gender that the data set says.
func TestLongBrowserRealClip(t *testing.T) {
	dir := os.Getenv("TANDEM_DATA")
	if dir == "" {
		t.Skip("TANDEM_DATA is not set")
	}
	media := filepath.Join(dir, "clips", "lbbc2a.mpg")
	if _, err := os.Stat(media); err != nil {
		t.Skip(err)
	}
	_, url, _ := server(t, webrtc.Options{Pipeline: pipeline.DefaultOptions()})
	b := startBrowser(t, media)
	do(t, b, chromedp.Navigate(local(url)))
	b.until(t, "the page is ready", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
	b.click(t, "agree")
	b.click(t, "start")
	b.until(t, "windows of face and voice", 30*time.Second,
		`Number(document.body.dataset.windows) >= 10 && document.body.dataset.senses.includes("face")`)
	b.until(t, "the gender of this speaker", 15*time.Second,
		`document.querySelector("#gender .top")?.textContent === "female"`)
	b.clean(t)
}
