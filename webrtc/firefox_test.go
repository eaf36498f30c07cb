package webrtc_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/webrtc"
)

// firefox is a headless Firefox whose camera and microphone are of its own making, driven by Marionette: requests are
// [0, id, command, parameters] and answers [1, id, error, result], each after its length and a colon.
type firefox struct {
	conn net.Conn
	r    *bufio.Reader
	id   int
}

// startFirefox starts one, which ends with the test.
func startFirefox(t *testing.T) *firefox {
	t.Helper()
	path, err := exec.LookPath("firefox-esr")
	if err != nil {
		if path, err = exec.LookPath("firefox"); err != nil {
			t.Skip("NO FIREFOX TEST: there is no firefox here; make setup-test installs it")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	profile := t.TempDir()
	var prefs strings.Builder
	for name, value := range map[string]any{
		"marionette.port":                                   l.Addr().(*net.TCPAddr).Port,
		"media.navigator.streams.fake":                      true,
		"media.navigator.permission.disabled":               true,
		"media.peerconnection.ice.loopback":                 true,
		"media.peerconnection.ice.obfuscate_host_addresses": false,
		"datareporting.policy.dataSubmissionEnabled":        false,
		"app.update.enabled":                                false,
		"network.captive-portal-service.enabled":            false,
		"browser.tabs.warnOnClose":                          false,
	} {
		fmt.Fprintf(&prefs, "user_pref(%q, %v);\n", name, value)
	}
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(prefs.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-remote", "--marionette", "--profile", profile)
	cmd.Env = append(os.Environ(), "HOME="+profile, "MOZ_DISABLE_CONTENT_SANDBOX=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f := &firefox{}
	t.Cleanup(func() {
		if f.conn != nil {
			f.send("Marionette:Quit", map[string]any{})
			f.conn.Close()
		}
		gone := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		gone.Stop()
	})
	eventually(t, "Firefox listens", 60*time.Second, func() bool {
		f.conn, err = net.Dial("tcp", address)
		return err == nil
	})
	f.r = bufio.NewReader(f.conn)
	f.conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := f.receive(); err != nil {
		t.Fatal(err)
	}
	f.do(t, "WebDriver:NewSession", map[string]any{})
	return f
}

func (f *firefox) send(command string, parameters map[string]any) error {
	f.id++
	b, err := json.Marshal([]any{0, f.id, command, parameters})
	if err != nil {
		return err
	}
	f.conn.SetDeadline(time.Now().Add(30 * time.Second))
	_, err = fmt.Fprintf(f.conn, "%d:%s", len(b), b)
	return err
}

func (f *firefox) receive() ([]byte, error) {
	length, err := f.r.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(f.r, b)
	return b, err
}

// do gives a command and returns the result.
func (f *firefox) do(t *testing.T, command string, parameters map[string]any) json.RawMessage {
	t.Helper()
	err := f.send(command, parameters)
	var b []byte
	if err == nil {
		b, err = f.receive()
	}
	var answer [4]json.RawMessage
	if err == nil {
		err = json.Unmarshal(b, &answer)
	}
	if err != nil || string(answer[2]) != "null" {
		t.Fatalf("%s: %v %s", command, err, b)
	}
	return answer[3]
}

// eval returns the value of an expression, as JSON.
func (f *firefox) eval(t *testing.T, expression string) string {
	t.Helper()
	var result struct{ Value json.RawMessage }
	b := f.do(t, "WebDriver:ExecuteScript", map[string]any{
		"script": "return " + expression, "args": []any{}, "sandbox": nil,
	})
	if err := json.Unmarshal(b, &result); err != nil {
		t.Fatal(err)
	}
	return string(result.Value)
}

func (f *firefox) until(t *testing.T, what string, within time.Duration, expression string) {
	t.Helper()
	for end := time.Now().Add(within); f.eval(t, expression) != "true"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s; the page says: %s", within, what, f.eval(t,
				`document.body.dataset.state + " / " + document.getElementById("status").textContent + " / " + `+
					`document.getElementById("problem").textContent`))
		}
	}
}

// runs opens the page and starts its session, whose path is then in opened.
func (f *firefox) runs(t *testing.T, url string) {
	t.Helper()
	f.do(t, "WebDriver:Navigate", map[string]any{"url": local(url)})
	f.until(t, "the page is ready", 10*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
	f.eval(t, `(() => { const f = window.fetch, d = navigator.mediaDevices, g = d.getUserMedia.bind(d);
		window.opened = []; window.tracks = [];
		window.fetch = async (u, o) => {
			const r = await f(u, o);
			if (o?.method === "POST") opened.push(r.headers.get("Location"));
			return r;
		};
		d.getUserMedia = async (c) => { const s = await g(c); tracks.push(...s.getTracks()); return s; };
		document.getElementById("agree").click(); document.getElementById("start").click(); return true; })()`)
	f.until(t, "windows come", 30*time.Second, `Number(document.body.dataset.windows) >= 1`)
}

// Whichever way a page in Firefox goes away, nothing of its session stays.
func TestLongFirefoxLeavesNothing(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{MaxSessions: 3})
	f := startFirefox(t)
	var first struct{ Value string }
	if err := json.Unmarshal(f.do(t, "WebDriver:GetWindowHandle", nil), &first); err != nil {
		t.Fatal(err)
	}
	stayed := 0
	for i := range 20 {
		var tab struct{ Handle string }
		if err := json.Unmarshal(f.do(t, "WebDriver:NewWindow", map[string]any{"type": "tab"}), &tab); err != nil {
			t.Fatal(err)
		}
		f.do(t, "WebDriver:SwitchToWindow", map[string]any{"handle": tab.Handle})
		f.runs(t, url)
		session := url + strings.Trim(f.eval(t, `opened[0]`), `"`)
		switch i % 3 {
		case 1:
			f.do(t, "WebDriver:Navigate", map[string]any{"url": "about:blank"})
		case 2:
			f.do(t, "WebDriver:Refresh", map[string]any{})
		}
		if i%3 == 0 {
			f.do(t, "WebDriver:CloseWindow", map[string]any{})
		}
		eventually(t, "the session ends", 8*time.Second, func() bool { return metric(t, url, "tandem_sessions") == 0 })
		time.Sleep(300 * time.Millisecond)
		if code, body := get(t, session+"/status"); code != 404 {
			t.Errorf("closing %d: %d %s", i, code, body)
			stayed++
		}
		if i%3 != 0 {
			f.do(t, "WebDriver:CloseWindow", map[string]any{})
		}
		f.do(t, "WebDriver:SwitchToWindow", map[string]any{"handle": first.Value})
	}
	t.Logf("results stayed in %d of 20 closings", stayed)
}

// A page in Firefox notices at once that its server ends, and within three seconds that it has died.
func TestLongFirefoxServerGone(t *testing.T) {
	f := startFirefox(t)
	for _, c := range []struct {
		how    string
		within time.Duration
		end    func(p *process)
	}{
		{"terminated", time.Second, func(p *process) { go p.stop() }},
		{"killed", 3 * time.Second, (*process).kill},
	} {
		p := startProcess(t, "")
		f.runs(t, "http://"+p.at)
		began := time.Now()
		c.end(p)
		f.until(t, c.how+": the page notices", c.within, `document.body.dataset.state !== "running" && `+camerasOff)
		t.Logf("%s: noticed after %v", c.how, time.Since(began).Round(10*time.Millisecond))
		startProcess(t, p.at)
		f.until(t, c.how+": it runs again", 30*time.Second,
			`document.body.dataset.state === "running" && Number(document.body.dataset.windows) >= 1`)
	}
}
