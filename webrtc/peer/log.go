package peer

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// logFactory gives pion loggers that write to a slog.Logger, at debug level and below whatever pion thinks of it: it
// warns of what any client can cause, and names addresses.
type logFactory struct{ log *slog.Logger }

func (f logFactory) NewLogger(scope string) logging.LeveledLogger {
	return logAdapter{f.log.With("scope", scope)}
}

const levelTrace = slog.LevelDebug - 4

type logAdapter struct{ log *slog.Logger }

func (a logAdapter) put(l slog.Level, format string, args []any) {
	if ctx := context.Background(); a.log.Enabled(ctx, l) {
		if args != nil {
			format = fmt.Sprintf(format, args...)
		}
		a.log.Log(ctx, l, format)
	}
}

func (a logAdapter) Trace(msg string)                  { a.put(levelTrace, msg, nil) }
func (a logAdapter) Tracef(format string, args ...any) { a.put(levelTrace, format, args) }
func (a logAdapter) Debug(msg string)                  { a.put(slog.LevelDebug, msg, nil) }
func (a logAdapter) Debugf(format string, args ...any) { a.put(slog.LevelDebug, format, args) }
func (a logAdapter) Info(msg string)                   { a.put(slog.LevelDebug, msg, nil) }
func (a logAdapter) Infof(format string, args ...any)  { a.put(slog.LevelDebug, format, args) }
func (a logAdapter) Warn(msg string)                   { a.put(slog.LevelDebug, msg, nil) }
func (a logAdapter) Warnf(format string, args ...any)  { a.put(slog.LevelDebug, format, args) }
func (a logAdapter) Error(msg string)                  { a.put(slog.LevelDebug, msg, nil) }
func (a logAdapter) Errorf(format string, args ...any) { a.put(slog.LevelDebug, format, args) }
