package cli

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// reload is something that SIGHUP has read again. After an error all is as before.
type reload struct {
	what string
	read func() error
}

// reloadOnHangup reads all again at each SIGHUP, one after the other, until ctx ends. The function that it returns
// waits for its end. Without anything to reload SIGHUP does nothing, rather than ending the process.
func reloadOnHangup(ctx context.Context, log *slog.Logger, list []reload) (wait func()) {
	signals := make(chan os.Signal, 1) // one that comes while all is read has it read once more
	signal.Notify(signals, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			for _, r := range list {
				if err := r.read(); err != nil {
					log.Error("reloading failed: the old goes on", "what", r.what, "cause", err)
				} else {
					log.Info("reloaded", "what", r.what)
				}
			}
		}
	}()
	return func() { <-done }
}
