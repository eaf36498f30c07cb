package webrtc_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"tandem/pipeline"
	"tandem/webrtc"
)

// Without a camera: the test pattern is sent and seen, Stop has the focus and stands on a small screen, and axe-core
// finds nothing wrong before, during or after; then a file that is dropped plays to its end.
func TestLongPageWithoutCamera(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{Pipeline: pipeline.DefaultOptions()})
	b := startBrowser(t, "")
	do(t, b, chromedp.EmulateViewport(1280, 720))
	do(t, b, chromedp.Navigate(local(url)))
	b.until(t, "the page is ready", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
	b.accessible(t, "before")
	b.shot(t, "demo-before")
	b.click(t, "pattern")
	b.until(t, "windows of face and voice", 30*time.Second,
		`Number(document.body.dataset.windows) >= 8 && document.body.dataset.senses === "voice face"`)
	b.until(t, "a box", 5*time.Second, `document.querySelectorAll(".box").length === 1`)
	if id := js[string](t, b, `document.activeElement.id`); id != "stop" {
		t.Errorf("the focus is on %q", id)
	}
	for _, id := range []string{"stop", "mute-camera", "mute-mic"} {
		place := fmt.Sprintf(`document.getElementById(%q).getBoundingClientRect().bottom`, id)
		if y := js[float64](t, b, place); y > 720 {
			t.Errorf("%s ends at %.0f of 720 pixels", id, y)
		}
	}
	if js[bool](t, b, `document.getElementById("self").classList.contains("mirrored")`) {
		t.Error("a file is shown mirrored")
	}
	b.accessible(t, "during")
	b.shot(t, "demo-during")
	b.click(t, "stop")
	b.until(t, "it has stopped", 5*time.Second, `document.body.dataset.state === "ended"`)
	b.until(t, "it says until when", 5*time.Second,
		`/stay on the server until .*[0-9]:[0-9]/.test(document.getElementById("status").textContent)`)
	b.accessible(t, "after")
	b.shot(t, "demo-after")
	if small := js[[]string](t, b, `[...document.querySelectorAll("button, select, input, summary")]
		.filter((e) => e.getClientRects().length && e.id !== "file")
		.filter((e) => { const r = e.getBoundingClientRect(); return Math.min(r.width, r.height) < 24; })
		.map((e) => e.id || e.tagName)`); len(small) > 0 {
		t.Errorf("smaller than 24 pixels: %v", small)
	}

	js[bool](t, b, `(fetch("/pattern.webm").then((r) => r.blob()).then((blob) => {
		const d = new DataTransfer();
		d.items.add(new File([blob], "mine.webm", { type: "video/webm" }));
		dispatchEvent(new DragEvent("drop", { dataTransfer: d, cancelable: true }));
	}), true)`)
	b.until(t, "the file runs", 20*time.Second,
		`document.body.dataset.state === "running" && Number(document.body.dataset.windows) >= 3`)
	b.until(t, "the file ends", 30*time.Second,
		`document.body.dataset.state === "ended" && `+
			`document.getElementById("status").textContent.includes("The file has ended")`)
	eventually(t, "its session too", 5*time.Second, func() bool { return metric(t, url, "tandem_sessions") == 0 })
	js[bool](t, b, `(() => { const d = new DataTransfer(); d.items.add(new File(["no film"], "no.mp4"));
		dispatchEvent(new DragEvent("drop", { dataTransfer: d, cancelable: true })); return true; })()`)
	b.until(t, "a file that is none is named", 10*time.Second, `document.body.dataset.state === "error" && `+
		`document.body.dataset.problem === "browser" && `+
		`document.getElementById("problem").textContent.includes("no.mp4")`)
}

// The token is checked before the camera opens, and Enter sends it.
func TestLongPageTokenIsAForm(t *testing.T) {
	media := ""
	_, url, _ := server(t, webrtc.Options{Token: "secret", Pipeline: pipeline.DefaultOptions()})
	b := startBrowser(t, media)
	do(t, b, chromedp.Navigate(local(url)))
	b.until(t, "the page asks for it", 5*time.Second, `!document.getElementById("token-field").hidden`)
	js[bool](t, b, `(() => { window.cameras = 0;
		navigator.mediaDevices.getUserMedia = async () => { cameras++; throw new Error("none"); };
		document.getElementById("agree").click(); document.getElementById("token").value = "wrong";
		document.getElementById("begin").requestSubmit(); return true; })()`)
	b.until(t, "it is wrong", 10*time.Second, `document.body.dataset.state === "error" && `+
		`document.body.dataset.problem === "server" && document.activeElement.id === "token"`)
	if n := js[int](t, b, `cameras`); n != 0 {
		t.Error("the camera was asked for with a wrong token")
	}
	js[bool](t, b, `(() => { document.getElementById("token").value = "secret"; return true; })()`)
	do(t, b, chromedp.SendKeys("#token", "\r"))
	b.until(t, "the camera is asked for", 10*time.Second, `cameras > 0`)
}

// The page speaks the browser's language if it can, with no text left out.
func TestLongPageLanguages(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{Pipeline: pipeline.DefaultOptions()})
	for language, start := range map[string]string{
		"de": "Mit Kamera starten", "ja": "カメラで開始", "fr": "Start with camera",
	} {
		b := startBrowser(t, "", chromedp.Flag("accept-lang", language))
		do(t, b, chromedp.Navigate(local(url)))
		b.until(t, "the page is ready", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
		if got := js[string](t, b, `document.getElementById("start").textContent`); got != start {
			t.Errorf("%s: the button says %q, want %q", language, got, start)
		}
		if empty := js[[]string](t, b, `[...document.querySelectorAll("[data-text]")].filter((e) => !e.textContent)`+
			`.map((e) => e.dataset.text)`); len(empty) > 0 {
			t.Errorf("%s: no text for %v", language, empty)
		}
		b.accessible(t, language)
		b.shot(t, "idle-"+language)
	}
}

// Firefox sends the test pattern too.
func TestLongFirefoxWithoutCamera(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{Pipeline: pipeline.DefaultOptions()})
	f := startFirefox(t)
	f.do(t, "WebDriver:Navigate", map[string]any{"url": local(url)})
	f.until(t, "the page is ready", 10*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
	f.eval(t, `(document.getElementById("pattern").click(), true)`)
	f.until(t, "windows of face and voice", 40*time.Second,
		`Number(document.body.dataset.windows) >= 8 && document.body.dataset.senses === "voice face"`)
	f.eval(t, `(document.getElementById("stop").click(), true)`)
	f.until(t, "it has stopped", 5*time.Second, `document.body.dataset.state === "ended"`)
}
