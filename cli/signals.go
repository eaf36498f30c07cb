package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// WithSignals returns a context for Run that ends when the process is interrupted or terminated. A second signal ends
// the process at once, whatever it does.
func WithSignals(ctx context.Context) context.Context {
	// A broken pipe is an error of the write and not a death: what was begun is to be cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(errInterrupted)
		<-signals
		os.Exit(exitInterrupted)
	}()
	return ctx
}
