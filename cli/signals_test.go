package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"tandem/pipeline"
)

// An interrupt ends a run in well under a second, with its end event written.
func TestInterrupt(t *testing.T) {
	model := testModel(t)
	cmd := process(t, nil, "analyze", "--model", model, "--realtime", "pattern:60s")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(out, first); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	cmd.Process.Signal(os.Interrupt)
	asked := time.Now()
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d: %s", code, exitInterrupted, stderr.String())
	}
	if took := time.Since(asked); took > 2*time.Second {
		t.Errorf("it took %v to end", took)
	}
	events, err := pipeline.ReadAll(bytes.NewReader(append(first, rest...)))
	if err != nil || len(events) < 2 || events[len(events)-1].End == nil {
		t.Errorf("%v; no end event in %s%s", err, first, rest)
	}
}

// A reader that goes away, as head does, is no failure.
func TestBrokenPipe(t *testing.T) {
	model := testModel(t)
	cmd := process(t, nil, "analyze", "--model", model, "pattern:20s")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(out, make([]byte, 10))
	out.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, stderr.String())
	}
}

// A second signal ends it at once, whatever it does; here it waits for the writer of a FIFO.
func TestSecondInterrupt(t *testing.T) {
	model := testModel(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	cmd := process(t, nil, "analyze", "--model", model, "--timeout", "60", fifo)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case <-done:
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
				// Before the handler is there the signal ends the process as it does any.
				if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() {
					t.Errorf("exit code %d, want %d", code, exitInterrupted)
				}
			}
			return
		case <-time.After(300 * time.Millisecond):
			cmd.Process.Signal(os.Interrupt)
		case <-deadline:
			t.Fatal("it does not end")
		}
	}
}
