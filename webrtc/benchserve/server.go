package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tandem/cli"
	"tandem/infer"
	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/peer"
)

// The modes of a server.
const (
	full  = "full"
	floor = "floor" // receive and decode only
)

// asTandem is the first argument with which this program is tandem itself, with the arguments that follow.
const asTandem = "tandem"

// tandem runs a process of asTandem and returns its exit code.
func tandem(ctx context.Context, args []string) int {
	return cli.Run(cli.WithSignals(untilEOF(ctx, os.Stdin)), args, os.Stdout, os.Stderr)
}

// untilEOF returns a context that ends with in, so that a process does not outlive the one that started it.
func untilEOF(ctx context.Context, in io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	return ctx
}

// serveFloor is the floor's process, which says where it listens as tandem serve does.
func serveFloor(ctx context.Context, in io.Reader, said io.Writer) error {
	ctx = untilEOF(cli.WithSignals(ctx), in)
	rec, err := infer.NewRecognizer(infer.DefaultModel(), infer.Options{Threads: 1})
	if err != nil {
		return err
	}
	defer rec.Close()
	s, err := webrtc.NewServer(webrtc.Options{
		Recognizer: rec, Model: "benchmark", Pipeline: pipeline.DefaultOptions(),
		MaxSessions: 1 << 16, MaxPerAddress: -1, MaxTime: 24 * time.Hour,
		Network: peer.Options{Loopback: true}, ReceiveOnly: true,
	})
	if err != nil {
		return err
	}
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(said, "open http://%s in a browser\n", l.Addr())
	return s.Serve(ctx, l)
}

// server is the process as its parent has it.
type server struct {
	url   string
	cmd   *exec.Cmd
	in    io.Closer
	said  string // the file of its standard error
	ended chan struct{}
	err   error // how it ended
}

// unbounded are flags of tandem serve that lift the bounds on how many sessions there are and how long they last.
var unbounded = []string{"--max-sessions", "65536", "--max-per-address", "-1", "--max-time", "86400"}

// startMode starts the server of a mode, which writes its log into a folder.
func startMode(ctx context.Context, mode, dir string) (*server, error) {
	if mode == floor {
		return startServer(ctx, filepath.Join(dir, mode), floor)
	}
	return startServe(ctx, filepath.Join(dir, mode), append([]string{"--log-level", "warn"}, unbounded...)...)
}

// startServe starts tandem serve with some flags, which writes its log to a file.
func startServe(ctx context.Context, log string, flags ...string) (*server, error) {
	return startServer(ctx, log, append([]string{asTandem, "serve", "--addr", "127.0.0.1:0"}, flags...)...)
}

// startTime bounds how long a server may take to listen, on a machine that has other work.
const startTime = time.Minute

var listens = regexp.MustCompile(`open http://[^ ]*:(\d+) in a browser`)

// startServer starts this program once more, as the server that args make it, and waits until it listens.
func startServer(ctx context.Context, log string, args ...string) (*server, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the process has it then
	s := &server{said: log, ended: make(chan struct{})}
	if s.cmd, err = self(ctx, args...); err != nil {
		return nil, err
	}
	s.cmd.Stderr = out
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for end := time.After(startTime); ; {
		if m := listens.FindStringSubmatch(s.log()); m != nil {
			s.url = "http://127.0.0.1:" + m[1]
			return s, nil
		}
		select {
		case <-look.C:
			continue
		case <-s.ended:
		case <-end:
		}
		_, _ = s.stop()
		return nil, fmt.Errorf("the server did not start: %s", s.log())
	}
}

// self returns this program with other arguments, which is killed when ctx ends.
func self(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, path, args...), nil
}

// log returns what the server has said so far.
func (s *server) log() string {
	b, err := os.ReadFile(s.said)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// stop ends the server by SIGTERM, and returns how long that took and how it ended.
func (s *server) stop() (time.Duration, error) {
	began := time.Now()
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // or it has ended already
	<-s.ended
	s.in.Close()
	return time.Since(began), s.err
}

// get asks the server for a path and returns the answer's body, an error unless it is 200.
func (s *server) get(ctx context.Context, path string) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return resp.Body, nil
}

// metrics returns the server's, by name and labels as they stand there, and by name alone, added up over the labels.
func (s *server) metrics(ctx context.Context) (map[string]float64, error) {
	body, err := s.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return parseMetrics(body)
}

// parseMetrics reads the text format of Prometheus.
func parseMetrics(r io.Reader) (map[string]float64, error) {
	out := map[string]float64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("/metrics: %q: %w", line, err)
		}
		name, _, labelled := strings.Cut(line[:end], "{")
		out[name] += v
		if labelled {
			out[line[:end]] = v
		}
	}
	return out, lines.Err()
}
