package av

/*
#include "shim.h"
*/
import "C"

import (
	"runtime"
	"sync/atomic"
	"time"
)

// guard is shared with libav's interrupt callback. It is pinned Go memory, so that a late cancel is harmless.
type guard struct {
	c   C.tav_guard
	pin runtime.Pinner
}

func newGuard() *guard {
	g := &guard{}
	g.pin.Pin(g)
	return g
}

func (g *guard) stop() { atomic.StoreInt32((*int32)(&g.c.stop), 1) }

// arm sets the time at which I/O gives up; 0 never.
func (g *guard) arm(timeout time.Duration) {
	var at int64
	if timeout > 0 {
		at = int64(C.av_gettime_relative()) + timeout.Microseconds()
	}
	atomic.StoreInt64((*int64)(&g.c.deadline), at)
}

func (g *guard) expired() bool {
	at := atomic.LoadInt64((*int64)(&g.c.deadline))
	return at != 0 && int64(C.av_gettime_relative()) > at
}
