package agent

import (
	"context"
	"log/slog"
	"sync"

	"github.com/go-logr/logr"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

var quieting sync.Once

// quiet sends what LiveKit's library and its connections say to a log, all of it at debug level. The library has one
// log for all that it does, so that the first agent of a process decides where it goes.
func quiet(log *slog.Logger) { quieting.Do(func() { lksdk.SetLogger(sdkLogger(log)) }) }

func sdkLogger(log *slog.Logger) logger.Logger {
	return logger.LogRLogger(logr.FromSlogHandler(debugHandler{log.Handler()}))
}

// debugHandler lowers whatever it is given to debug level.
type debugHandler struct{ slog.Handler }

func (h debugHandler) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h debugHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.Enabled(ctx, r.Level) {
		return nil // logr does not ask for errors
	}
	r.Level = slog.LevelDebug
	return h.Handler.Handle(ctx, r)
}

func (h debugHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return debugHandler{h.Handler.WithAttrs(a)}
}

func (h debugHandler) WithGroup(name string) slog.Handler {
	return debugHandler{h.Handler.WithGroup(name)}
}
