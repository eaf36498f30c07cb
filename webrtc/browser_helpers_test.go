package webrtc_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium whose camera and microphone play files.
type browser struct {
	ctx context.Context

	mu     sync.Mutex
	faults []string // what its console complains of
}

// startBrowser starts one that sees and hears a file; without one it has no devices.
func startBrowser(t *testing.T, media string, more ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if path, err = exec.LookPath("google-chrome"); err != nil {
			t.Skip("NO BROWSER TEST: there is no chromium here; make setup-test installs it")
		}
	}
	o := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.WindowSize(1280, 900),
	)
	if media != "" {
		dir := t.TempDir()
		video, sound := filepath.Join(dir, "f.mjpeg"), filepath.Join(dir, "f.wav")
		for _, args := range [][]string{
			{"-an", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "3", video},
			{"-vn", "-ac", "1", "-ar", "48000", sound},
		} {
			args = append([]string{"-v", "error", "-i", media}, args...)
			if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
				t.Fatalf("ffmpeg: %v %s", err, out)
			}
		}
		o = append(o,
			chromedp.Flag("use-fake-device-for-media-stream", true),
			chromedp.Flag("use-fake-ui-for-media-stream", true),
			chromedp.Flag("use-file-for-fake-video-capture", video),
			chromedp.Flag("use-file-for-fake-audio-capture", sound))
	}
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(), append(o, more...)...)
	b := &browser{}
	ctx, cancel := chromedp.NewContext(alloc, chromedp.WithListener(func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			b.faults = append(b.faults, e.ExceptionDetails.Text)
		case *cdplog.EventEntryAdded:
			if e.Entry.Level == "error" {
				b.faults = append(b.faults, e.Entry.Text+" "+e.Entry.URL)
			}
		}
	}))
	b.ctx = ctx
	t.Cleanup(func() {
		cancel()
		cancelAlloc()
	})
	// The first action starts the browser, which lives as long as its context: so it has no time limit.
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, cdplog.Enable, cdp.Empty{})
		return err
	})); err != nil {
		t.Fatal(err)
	}
	return b
}

// do runs an action and fails the test if it fails.
func do[T any](t *testing.T, b *browser, a chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// js evaluates an expression, and waits for what it promises.
func js[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	return do(t, b, chromedp.Evaluate[T](expression, func(p *runtime.EvaluateParams) {
		wait := true
		p.AwaitPromise = &wait
	}))
}

func (b *browser) state(t *testing.T) string { return js[string](t, b, "document.body.dataset.state") }

// until waits for an expression to become true.
func (b *browser) until(t *testing.T, what string, within time.Duration, expression string) {
	t.Helper()
	for end := time.Now().Add(within); !js[bool](t, b, expression); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s; the page says: %s", within, what,
				js[string](t, b, `document.body.dataset.state + " / " + `+
					`document.getElementById("status").textContent + " / " + `+
					`document.getElementById("problem").textContent`))
		}
	}
}

// dark makes the browser prefer dark colours.
func (b *browser) dark(t *testing.T) {
	t.Helper()
	do(t, b, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		})
		return err
	}))
}

func (b *browser) click(t *testing.T, id string) {
	t.Helper()
	js[bool](t, b, fmt.Sprintf(`document.getElementById(%q).click() || true`, id))
}

// shot takes a picture of the page into the folder that TANDEM_SHOTS names, to be looked at.
func (b *browser) shot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("TANDEM_SHOTS")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), do(t, b, chromedp.FullScreenshot(100)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// clean fails if the console complained, but for what is expected.
func (b *browser) clean(t *testing.T, expected ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
next:
	for _, f := range b.faults {
		for _, e := range expected {
			if strings.Contains(f, e) {
				continue next
			}
		}
		t.Errorf("the console says: %s", f)
	}
}

func local(url string) string { return strings.Replace(url, "127.0.0.1", "localhost", 1) }

// sees reports whether an element takes room on the page.
func (b *browser) sees(t *testing.T, id string) bool {
	t.Helper()
	return js[bool](t, b, fmt.Sprintf(`document.getElementById(%q).getClientRects().length > 0`, id))
}

// accessible fails the test for what axe-core finds wrong with the page as it stands.
func (b *browser) accessible(t *testing.T, when string) {
	t.Helper()
	axe, err := os.ReadFile(filepath.Join("..", "assets", ".fetched", "axe.min.js"))
	if err != nil {
		t.Skip("NO AXE: make assets fetches it: ", err)
	}
	if !js[bool](t, b, `typeof window.axe === "object"`) {
		js[bool](t, b, string(axe)+"; true")
	}
	js[bool](t, b, `(window.found = undefined, axe.run().then((r) => { window.found = r.violations.map((v) =>
		v.id + ": " + v.help + " " +
		v.nodes.slice(0, 3).map((n) => n.html + " " + n.failureSummary).join(" | ")); }), true)`)
	b.until(t, "axe has looked", 20*time.Second, `window.found !== undefined`)
	for _, v := range js[[]string](t, b, `found`) {
		t.Errorf("%s: %s", when, v)
	}
}
