package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The targets.
const (
	maxLatency = 300 * time.Millisecond // of 95 % of the events
	maxRatio   = 1.6                    // CPU in full to the floor's
)

// point is what was measured of n sessions. CPU is in milliseconds a second of one session.
type point struct {
	mode string
	n    int

	cpu, decode, faces, inference float64
	publisher                     float64
	p50, p95, p99                 time.Duration
	windows                       float64 // events a second of a session
	dropped                       map[string]float64
	lost                          float64 // packets of RTP
	memory                        float64 // MB a session, beyond an idle server's
	goroutines                    float64 // a session, beyond an idle server's
	bitrate                       float64 // Mbit/s of a session
}

// What counts as dropped: anything that did not reach a window, and windows that did not reach anybody.
var drops = []string{"tandem_dropped_total"}

func newPoint(mode string, n int, took time.Duration, idle, before, after map[string]float64, latencies []time.Duration) point {
	rose := func(name string) float64 { return after[name] - before[name] }
	per := func(name string) float64 { return perSession(rose(name), n, took) }
	p := point{
		mode: mode, n: n,
		cpu: per("process_cpu_seconds_total"), decode: per("tandem_decode_cpu_seconds_total"),
		faces: per("tandem_faces_cpu_seconds_total"), inference: per("tandem_recognize_cpu_seconds_total"),
		windows:    float64(len(latencies)) / float64(n) / took.Seconds(),
		memory:     (after["process_resident_memory_bytes"] - idle["process_resident_memory_bytes"]) / 1e6 / float64(n),
		goroutines: (after["go_goroutines"] - idle["go_goroutines"]) / float64(n),
		dropped:    map[string]float64{},
	}
	for _, name := range drops {
		p.dropped[name] = rose(name)
	}
	slices.Sort(latencies)
	p.p50, p.p95, p.p99 = percentile(latencies, 50), percentile(latencies, 95), percentile(latencies, 99)
	return p
}

// perSession makes milliseconds a second of one session of seconds.
func perSession(seconds float64, n int, took time.Duration) float64 {
	return 1000 * seconds / float64(n) / took.Seconds()
}

// percentile is by the nearest rank; 0 of nothing.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1]
}
