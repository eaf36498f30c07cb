package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"

	"golang.org/x/term"
)

// errOutputClosed is returned when the reader of the results has gone, as in tandem … | head.
var errOutputClosed = errors.New("nobody reads the results any more")

// console is where a command's results (out) and everything else (err) go.
type console struct {
	out, err       io.Writer
	outTTY, errTTY bool
	width, height  func() int // of the terminal
	log            *slog.Logger
}

func newConsole(stdout, stderr *os.File) *console {
	c := &console{
		out: results{stdout}, outTTY: term.IsTerminal(int(stdout.Fd())),
		err: stderr, errTTY: term.IsTerminal(int(stderr.Fd())),
	}
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
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if c.errTTY && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	c.log = slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}))
}

// say writes a line for people.
func (c *console) say(format string, args ...any) {
	fmt.Fprintf(c.err, "tandem: "+format+"\n", args...)
}

// results is standard output. When its reader has gone it fails with errOutputClosed.
type results struct{ w io.Writer }

func (r results) Write(b []byte) (int, error) {
	n, err := r.w.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = errOutputClosed
	}
	return n, err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
