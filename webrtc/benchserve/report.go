package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The targets.
const (
	maxLatency   = 300 * time.Millisecond // of 95 % of the events
	minWindows   = 0.97                   // of those due
	maxRatio     = 1.6                    // CPU in full to the floor's
	wantSessions = 10                     // on two cores
)

// hop is the default model's, in seconds: an event is due each.
const hop = 0.25

// point has the figures of n sessions. CPU is in milliseconds a second of one session.
type point struct {
	mode string
	n    int

	cpu, decode, faces, inference float64
	publisher                     float64
	p50, p95, p99                 time.Duration
	windows                       float64            // events that came, of those due
	dropped                       map[string]float64 // by what and why
	memory                        float64            // MB a session, beyond an idle server's
	goroutines                    float64            // likewise
	bitrate                       float64            // Mbit/s of a session
}

// rest returns the CPU of the network and of all else that has no counter of its own.
func (p point) rest() float64 { return p.cpu - p.decode - p.faces - p.inference }

// keepsUp reports whether n sessions are not too many.
func (p point) keepsUp() bool {
	return len(p.dropped) == 0 && (p.mode == floor || p.p95 < maxLatency && p.windows >= minWindows)
}

// measurement is a mode's run of n sessions: the server's metrics before it has any, and before and after the time in
// which the latencies were taken.
type measurement struct {
	mode                string
	n                   int
	took                time.Duration
	idle, before, after map[string]float64
	latencies           []time.Duration
}

func (m measurement) point() point {
	n := float64(m.n)
	per := func(name string) float64 { return perSession(m.after[name]-m.before[name], m.n, m.took) }
	grown := func(name string) float64 { return (m.after[name] - m.idle[name]) / n }
	p := point{
		mode: m.mode, n: m.n,
		cpu: per("process_cpu_seconds_total"), decode: per("tandem_decode_cpu_seconds_total"),
		faces: per("tandem_faces_cpu_seconds_total"), inference: per("tandem_recognize_cpu_seconds_total"),
		windows:    float64(len(m.latencies)) * hop / n / m.took.Seconds(),
		memory:     grown("process_resident_memory_bytes") / 1e6,
		goroutines: grown("go_goroutines"),
		dropped:    map[string]float64{},
	}
	for name, v := range m.after {
		labels, ok := strings.CutPrefix(name, "tandem_dropped_total{")
		if !ok && !strings.Contains(name, `"received"`) {
			labels, ok = strings.CutPrefix(name, "tandem_rtp_packets_total{")
		}
		if d := v - m.before[name]; ok && d != 0 {
			p.dropped[strings.TrimSuffix(labels, "}")] = d
		}
	}
	sorted := slices.Sorted(slices.Values(m.latencies))
	p.p50, p.p95, p.p99 = percentile(sorted, 50), percentile(sorted, 95), percentile(sorted, 99)
	return p
}

// perSession returns the milliseconds a second of one session for the seconds of n.
func perSession(seconds float64, n int, took time.Duration) float64 {
	return 1000 * seconds / float64(n) / took.Seconds()
}

// percentile returns the p-th percentile by the nearest rank; 0 of nothing.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

// report has the points that were measured.
type report struct{ points []point }

func (r report) find(mode string, n int) (point, bool) {
	i := slices.IndexFunc(r.points, func(p point) bool { return p.mode == mode && p.n == n })
	if i < 0 {
		return point{}, false
	}
	return r.points[i], true
}

// print writes the tables, for a page as for a terminal.
func (r report) print(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s\n\n", machine())
	fmt.Fprintf(b,
		"CPU of the server in ms for a second of one session; *network* is all that is not decoding, faces or "+
			"inference.\n\n")
	fmt.Fprintf(b,
		"| sessions | | CPU | network | decode | faces | inference | p50 | p95 | p99 | events of those due | MB | "+
			"goroutines | keeps up |\n")
	fmt.Fprintf(b, "|-:|-|-:|-:|-:|-:|-:|-:|-:|-:|-:|-:|-:|-|\n")
	for _, p := range r.points {
		fmt.Fprintf(b, "| %d | %s | %.1f | %.1f | %.1f | %.1f | %.1f | ", p.n, p.mode, p.cpu, p.rest(), p.decode,
			p.faces, p.inference)
		if p.mode == full {
			fmt.Fprintf(b, "%d ms | %d ms | %d ms | %.1f %% | ", p.p50.Milliseconds(), p.p95.Milliseconds(),
				p.p99.Milliseconds(), 100*p.windows)
		} else {
			fmt.Fprint(b, "| | | | ")
		}
		fmt.Fprintf(b, "%.1f | %.1f | %s |\n", p.memory, p.goroutines, p.verdict())
	}
	fmt.Fprintf(b, "\n| sessions | full / floor | of the publishers | Mbit/s |\n|-:|-:|-:|-:|\n")
	largest := 0
	for _, p := range r.points {
		if p.mode != full {
			continue
		}
		if f, ok := r.find(floor, p.n); ok && f.cpu > 0 {
			fmt.Fprintf(b, "| %d | %.2f | %.1f ms | %.2f |\n", p.n, p.cpu/f.cpu, p.publisher, p.bitrate)
		}
		if p.keepsUp() {
			largest = max(largest, p.n)
		}
	}
	fmt.Fprintf(b,
		"\nLargest number of sessions with p95 < %d ms, all events and no drops: %d (target: %d on two cores). "+
			"Target of full / floor: %.1f.\n",
		maxLatency.Milliseconds(), largest, wantSessions, maxRatio)
	return b.Flush()
}

// verdict returns yes, or no and why.
func (p point) verdict() string {
	if p.keepsUp() {
		return "yes"
	}
	why := []string{"no"}
	for _, k := range slices.Sorted(maps.Keys(p.dropped)) {
		why = append(why, fmt.Sprintf("%s: %.0f", k, p.dropped[k]))
	}
	return strings.Join(why, "; ")
}

// machine names the cores that are measured on.
func machine() string { return fmt.Sprintf("%d cores (%s)", runtime.NumCPU(), processor()) }

// processor returns the name of the machine's processor, as far as it is known.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.SplitSeq(string(b), "\n") {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				return strings.TrimSpace(v)
			}
		}
	}
	return runtime.GOARCH
}
