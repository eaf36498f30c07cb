package cli

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/infer/infertest"
	"tandem/pipeline"
	"tandem/webrtc/webrtctest"
)

// What no server can be meant by is refused before anything is opened.
func TestServeUsage(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--addr :8080", "--token"},
		{"--addr 0.0.0.0:8080", "--allow-anonymous"},
		{"--addr nonsense", "HOST:PORT"},
		{"--tls-cert cert.pem", "--tls-key"},
		{"--max-size big", "WIDTHxHEIGHT"},
		{"--ice-server http://example.org", "stun:HOST:PORT"},
		{"--max-per-address 0", "--max-per-address"},
		{"--max-bitrate 0", "--max-bitrate"},
		{"--idle 0", "--idle"},
		{"--udp-port 70000", "--udp-port"},
		{"--tcp-port -1", "--tcp-port"},
		{"--jwks https://id.example/keys", "--jwt-audience"},
		{"--jwt-issuer x", "--jwks"},
		{"--ice-server turn:h", "--turn-secret"},
		{"--ice-server turn:u:p@h --turn-secret s", "--turn-secret"},
		{"--trusted-proxy 10.0.0.0/33", "10.0.0.0/8"},
		{"--trusted-proxy ::ffff:10.0.0.0/104", "10.0.0.0/8"},
		{"--metrics-addr 9090", "HOST:PORT"},
		{"--webhook https://example.org/", "--webhook-secret"},
		{"--webhook-secret s", "--webhook"},
		{"--webhook example.org --webhook-secret s", "http or https"},
	} {
		code, _, stderr := runTandem(t, append([]string{"serve"}, strings.Fields(tt.args)...)...)
		if code != exitUsage || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: code %d: %s", tt.args, code, stderr)
		}
	}
	code, _, stderr := runTandem(t, "serve", "--ice-server", "stun:u:p@h")
	want := `tandem: --ice-server: only "turn:" servers take`
	if code != exitUsage || !strings.HasPrefix(stderr, want) {
		t.Errorf("code %d, want %q: %s", code, want, stderr)
	}
	for _, tt := range []struct{ args, want string }{
		{"--tls-cert nosuch.pem --tls-key nosuch.key", "nosuch.pem"},
		{"--addr 127.0.0.1:0 --model nosuch.onnx", "nosuch.onnx"},
		{"--addr 127.0.0.1:0 --allow-origin example.org", "example.org"},
		{"--addr 127.0.0.1:0 --public-ip nonsense", "nonsense"},
		{"--addr 127.0.0.1:0 --instance a/b", "a/b"},
	} {
		code, _, stderr := runTandem(t, append([]string{"serve"}, strings.Fields(tt.args)...)...)
		if code != exitFailed || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: code %d: %s", tt.args, code, stderr)
		}
	}
}

// serve starts tandem serve and returns its URL and what it writes to standard error when it has ended.
func serve(t *testing.T, args ...string) (cmd *exec.Cmd, url string, stderr func() string) {
	t.Helper()
	cmd = process(t, nil, append([]string{"serve", "--addr", "127.0.0.1:0", "--model", testModel(t)}, args...)...)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(pipe)
	var said strings.Builder
	for url == "" {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			t.Fatalf("it ended: %s", said.String())
		}
		if m := regexp.MustCompile(`open (https?://localhost:\d+) `).FindStringSubmatch(line); m != nil {
			url = strings.Replace(m[1], "localhost", "127.0.0.1", 1)
		}
	}
	return cmd, url, func() string {
		io.Copy(&said, lines)
		return said.String()
	}
}

// A server runs the examples, and on SIGTERM gives the session that runs its end event and exits well.
func TestLongServe(t *testing.T) {
	clip := filepath.Join(t.TempDir(), "clip.webm")
	ffmpeg(t, "-f", "lavfi", "-i", "testsrc=s=320x240:r=15:d=5", "-f", "lavfi", "-i", "sine=d=5",
		"-c:v", "libvpx", "-deadline", "realtime", "-b:v", "500k", "-g", "30", "-c:a", "libopus", clip)
	publish := filepath.Join(t.TempDir(), "publish")
	build := exec.Command("go", "build", "-tags", "nocamera", "-o", publish, "./examples/publish")
	build.Dir = inRoot(t, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, token := range []string{"", "secret"} {
		cmd, url, stderr := serve(t, "--token", token)
		out, err := exec.CommandContext(t.Context(), publish, "--url", url+"/whip", "--token", token, clip).Output()
		if err != nil {
			t.Fatalf("publish: %v", err)
		}
		events, err := pipeline.ReadAll(strings.NewReader(string(out)))
		if err != nil || len(events) < 5 || events[0].Start == nil || events[len(events)-1].End == nil {
			t.Errorf("publish printed %d events: %v", len(events), err)
		}
		curl := exec.CommandContext(t.Context(), inRoot(t, "examples/curl.sh"), url, clip)
		curl.Env = append(os.Environ(), "TOKEN="+token)
		if out, err := curl.CombinedOutput(); err != nil {
			t.Errorf("curl.sh: %v\n%s", err, out)
		}

		running := exec.Command(publish, "--url", url+"/whip", "--token", token, "--loop", clip)
		var last strings.Builder
		running.Stdout = &last
		if err := running.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		began := time.Now()
		cmd.Process.Signal(syscall.SIGTERM)
		said := stderr()
		if err := cmd.Wait(); err != nil {
			t.Errorf("it exits with %v: %s", err, said)
		}
		if d := time.Since(began); d > 8*time.Second {
			t.Errorf("it took %v to end", d)
		}
		ended := make(chan error, 1)
		go func() { ended <- running.Wait() }()
		select {
		case <-ended: // with an error, since the server ended the session
		case <-time.After(10 * time.Second):
			running.Process.Kill()
			t.Fatal("the client does not notice")
		}
		if !strings.Contains(last.String(), `"type":"end"`) {
			t.Errorf("no end event came: %s", last.String())
		}
		if !strings.Contains(said, "session ended") || strings.Contains(said, "127.0.0.1") {
			t.Errorf("log: %s", said)
		}
	}
}

// Traces go where OpenTelemetry's variables say, the last of them at the end; variables that ask in vain are refused.
func TestServeTraces(t *testing.T) {
	c := webrtctest.NewCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	cmd, url, stderr := serve(t, "--instance", "a")
	res, err := http.Post(url+"/whip", "application/sdp", strings.NewReader("nonsense"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	cmd.Process.Signal(syscall.SIGTERM)
	if said := stderr(); cmd.Wait() != nil || strings.Contains(said, "traces") {
		t.Errorf("it ends by %v: %s", cmd.ProcessState, said)
	}
	s := c.Spans()["POST /whip"]
	if !strings.HasPrefix(s.Attributes["http.response.status_code"], "4") || s.Resource["service.instance.id"] != "a" {
		t.Errorf("%d spans, %+v", c.Count(), s)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318")
	code, _, said := runTandem(t, "serve", "--addr", "127.0.0.1:0", "--model", testModel(t))
	if code != exitFailed || !strings.Contains(said, "OTEL_EXPORTER_OTLP_ENDPOINT: want") {
		t.Errorf("code %d: %s", code, said)
	}
}

// Metrics have an address of their own if one is given, which goes with the server.
func TestServeMetricsApart(t *testing.T) {
	cmd, url, stderr := serve(t, "--metrics-addr", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1")
	for path, want := range map[string]int{"/healthz": 200, "/metrics": 404} {
		res, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	cmd.Process.Signal(syscall.SIGTERM)
	if said := stderr(); cmd.Wait() != nil || strings.Contains(said, "metrics-addr:") {
		t.Errorf("it ends by %v: %s", cmd.ProcessState, said)
	}
	_, _, said := runTandem(t,
		"serve", "--addr", "127.0.0.1:0", "--metrics-addr", "192.0.2.1:1", "--model", testModel(t))
	if !strings.Contains(said, "--metrics-addr 192.0.2.1:1: ") {
		t.Errorf("an address that is not the machine's: %s", said)
	}
}

// SIGHUP has the tokens read again: new ones are taken, old ones no more, and a file that is wrong changes nothing.
func TestServeReloadsTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a read first-token")
	cmd, url, stderr := serve(t, "--tokens", path)
	status := func(token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if a, b := status("first-token"), status("second-token"); a != 200 || b != 401 {
		t.Errorf("before: %d, %d", a, b)
	}
	write("a read second-token")
	cmd.Process.Signal(syscall.SIGHUP)
	for end := time.Now().Add(10 * time.Second); status("first-token") != 401; time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatal("the tokens are not read again")
		}
	}
	write("nonsense")
	cmd.Process.Signal(syscall.SIGHUP)
	time.Sleep(300 * time.Millisecond)
	if got := status("second-token"); got != 200 {
		t.Errorf("after a file that is wrong: %d", got)
	}
	http.DefaultClient.CloseIdleConnections()
	cmd.Process.Signal(syscall.SIGTERM)
	said := stderr()
	if err := cmd.Wait(); err != nil || !strings.Contains(said, "the old goes on") || strings.Contains(said, "-token") {
		t.Errorf("it ends by %v: %s", err, said)
	}
}

// SIGHUP has the model read again: one of the same windows and labels replaces it, anything else changes nothing.
func TestServeReloadsTheModel(t *testing.T) {
	path := testModel(t)
	cmd, url, stderr := serve(t, "--model", path)
	c := infertest.Contract()
	c.EmotionTemperature = 2
	good := infertest.Model(c)
	c.CropSize = 32
	for _, b := range [][]byte{[]byte("nonsense"), infertest.Model(c), good} {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		cmd.Process.Signal(syscall.SIGHUP)
		time.Sleep(700 * time.Millisecond)
	}
	res, err := http.Get(url + "/readyz")
	if err != nil || res.StatusCode != 200 {
		t.Errorf("it serves no more: %v", err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	cmd.Process.Signal(syscall.SIGTERM)
	said := stderr()
	if err := cmd.Wait(); err != nil || strings.Count(said, "the old goes on") != 2 ||
		strings.Count(said, "reloaded what=model") != 1 || !strings.Contains(said, "windows") {
		t.Errorf("it ends by %v: %s", err, said)
	}
}

// A page whose name was made to point here may not use the server.
func TestServeKeepsToItsHost(t *testing.T) {
	_, url, _ := serve(t)
	for host, want := range map[string]int{"localhost": 200, "127.0.0.1:8080": 200, "evil.example": 421} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		r, err := http.NewRequestWithContext(ctx, "GET", url+"/config", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		cancel()
		if res.StatusCode != want {
			t.Errorf("Host %s: %d, want %d", host, res.StatusCode, want)
		}
	}
}
