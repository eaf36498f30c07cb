// Package cputime measures what a call costs in CPU time.
package cputime

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Of calls f and returns the CPU time that the calling thread spent in it; 0 where the system can't tell. Threads that
// f starts are not counted.
func Of(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, ok := now()
	f()
	after, ok2 := now()
	if !ok || !ok2 {
		return 0
	}
	return after - before
}

func now() (time.Duration, bool) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err == nil
}
