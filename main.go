// Tandem watches a face and listens to the voice, and tells which emotion they show and which gender they present.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"

	"golang.org/x/term"
)

// Exit codes, as in README.md.
const (
	exitFine        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

var (
	// errInterrupted is why a command's context ended when the user asked for it.
	errInterrupted = errors.New("interrupted")
	// errReported is returned by a command that has said already what failed.
	errReported = errors.New("failed")
	// errOutputClosed is what a command meets when the reader of its results has gone, as in tandem … | head.
	errOutputClosed = errors.New("nobody reads the results any more")
)

// Windows are drawn by the process's first thread, since toolkits ask for that.
func init() { runtime.LockOSThread() }

func main() {
	// A broken pipe is an error of the write and not a death: what was begun is to be cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(errInterrupted)
		<-signals
		os.Exit(exitInterrupted)
	}()
	os.Exit(tandem(ctx, os.Args[1:], newConsole(os.Stdout, os.Stderr)))
}

// console is where a command's results (out) and everything else (err) go.
type console struct {
	out, err       io.Writer
	outTTY, errTTY bool
	width, height  func() int // of the terminal
	log            *slog.Logger
	closed         atomic.Bool // the reader of out has gone
}

func newConsole(stdout, stderr *os.File) *console {
	c := &console{err: stderr, outTTY: term.IsTerminal(int(stdout.Fd())), errTTY: term.IsTerminal(int(stderr.Fd()))}
	c.out = &results{w: stdout, closed: &c.closed}
	size := func(w, h int) (int, int) {
		if tw, th, err := term.GetSize(int(stdout.Fd())); err == nil && tw > 0 && th > 0 {
			return tw, th
		}
		return w, h
	}
	c.width = func() int { w, _ := size(80, 24); return w }
	c.height = func() int { _, h := size(80, 24); return h }
	c.setLog(slog.LevelInfo)
	return c
}

func (c *console) setLog(level slog.Level) {
	c.log = slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if c.errTTY && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// say writes a line for people.
func (c *console) say(format string, args ...any) {
	fmt.Fprintf(c.err, "tandem: "+format+"\n", args...)
}

// results is standard output; it notes when its reader has gone.
type results struct {
	w      io.Writer
	closed *atomic.Bool
}

func (r *results) Write(b []byte) (int, error) {
	n, err := r.w.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		r.closed.Store(true)
		err = errOutputClosed
	}
	return n, err
}

// tandem runs one command line and returns the exit code.
func tandem(ctx context.Context, args []string, c *console) int {
	err := dispatch(ctx, args, c)
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, errOutputClosed):
		return exitFine
	case errors.As(err, &usage):
		hint := "tandem --help"
		if usage.command != "" {
			hint = "tandem " + usage.command + " --help"
		}
		c.say("%v; see %s", usage.err, hint)
		return exitUsage
	case errors.Is(err, errInterrupted) || context.Cause(ctx) == errInterrupted:
		return exitInterrupted
	case errors.Is(err, errReported):
		return exitFailed
	}
	c.say("%v", err)
	return exitFailed
}

func dispatch(ctx context.Context, args []string, c *console) error {
	if len(args) == 0 {
		writeOverview(c.err)
		return &usageError{err: errors.New("say what to do")}
	}
	name := args[0]
	switch name {
	case "--version", "version":
		_, err := fmt.Fprintln(c.out, "tandem", version())
		return err
	case "-h", "--help", "help":
		if name == "help" && len(args) > 1 {
			if cmd := findCommand(args[1]); cmd != nil {
				return cmd.writeHelp(c.out)
			}
			return &usageError{err: fmt.Errorf("there is no command %q", args[1])}
		}
		return writeOverview(c.out)
	}
	cmd := findCommand(name)
	if cmd == nil {
		return &usageError{err: fmt.Errorf("there is no command %q", name)}
	}
	o, err := cmd.parse(args[1:])
	switch {
	case errors.Is(err, errHelp):
		return cmd.writeHelp(c.out)
	case err != nil:
		return &usageError{command: cmd.name, err: err}
	}
	c.setLog(o.level)
	err = cmd.run(ctx, c, o)
	var usage *usageError
	if errors.As(err, &usage) {
		usage.command = cmd.name
	}
	return err
}

// version is the module's, or the commit that the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}
