package cli

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/train"
)

// Without a terminal a training says once a minute where it is, though nothing moves.
func TestProgressWithoutTerminal(t *testing.T) {
	defer goleak.VerifyNone(t)
	defer func(d time.Duration) { sayEvery = d }(sayEvery)
	sayEvery = 20 * time.Millisecond
	read, write := io.Pipe()
	c := &console{out: io.Discard, err: write}
	c.setLog(slog.LevelInfo)
	p := loggedProgress(c)
	p.training(train.Progress{Stage: "train", Done: 7, Total: 40, Text: "epoch 1: emotion 1.9", Left: time.Hour})
	var said bytes.Buffer
	for strings.Count(said.String(), "\n") < 2 {
		b := make([]byte, 256)
		n, err := read.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		said.Write(b[:n])
	}
	go io.Copy(io.Discard, read)
	p.close()
	p.close()
	write.Close()
	if got := said.String(); strings.Count(got, "train 7/40: epoch 1: emotion 1.9, 1h0m0s left") < 2 {
		t.Errorf("it says %q", got)
	}
}
