package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"tandem/train/plot"
)

// sample has the server's load at a time, by its metrics, which take memory, descriptors and CPU from /proc.
type sample struct {
	at                      time.Duration // since the first
	phase                   string
	sessions, connections   float64
	memory                  float64 // MB, resident
	heap                    float64 // MB of Go's heap in use
	goroutines, descriptors float64
	cpu                     float64 // cores, since the sample before
	cpuSeconds              float64
}

// meter takes samples of a server.
type meter struct {
	mu      sync.Mutex
	phase   string
	samples []sample
}

// enter names the phase of the samples from now on.
func (m *meter) enter(phase string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase = phase
}

// run takes samples until ctx ends. A server that doesn't answer leaves a gap.
func (m *meter) run(ctx context.Context, s *server, interval time.Duration) {
	began := time.Now()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if n, err := s.sample(ctx); err == nil {
			n.at = time.Since(began)
			m.add(n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (m *meter) add(n sample) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n.phase = m.phase
	if len(m.samples) > 0 {
		last := m.samples[len(m.samples)-1]
		n.cpu = (n.cpuSeconds - last.cpuSeconds) / (n.at - last.at).Seconds()
	}
	m.samples = append(m.samples, n)
}

// sample asks the server for one, which has no time.
func (s *server) sample(ctx context.Context) (sample, error) {
	asking, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	got, err := s.metrics(asking)
	return sample{
		sessions: got["tandem_sessions"], connections: got["tandem_http_connections"],
		memory: got["process_resident_memory_bytes"] / 1e6, heap: got["go_memstats_heap_inuse_bytes"] / 1e6,
		goroutines: got["go_goroutines"], descriptors: got["process_open_fds"],
		cpuSeconds: got["process_cpu_seconds_total"],
	}, err
}

// of returns the samples of a phase, all if it is "".
func (m *meter) of(phase string) (out []sample) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.samples {
		if phase == "" || s.phase == phase {
			out = append(out, s)
		}
	}
	return out
}

// quantities are those that are looked at for growth. A bound holds for what a leak would make grow.
var quantities = []struct {
	name, unit string
	bounded    bool
	of         func(sample) float64
}{
	{"resident memory", "MB", true, func(s sample) float64 { return s.memory }},
	{"Go's heap in use", "MB", false, func(s sample) float64 { return s.heap }},
	{"goroutines", "", true, func(s sample) float64 { return s.goroutines }},
	{"descriptors", "", true, func(s sample) float64 { return s.descriptors }},
	{"CPU", "cores", false, func(s sample) float64 { return s.cpu }},
}

// column returns one quantity of samples.
func column(of func(sample) float64, list []sample) (out []float64) {
	for _, s := range list {
		out = append(out, of(s))
	}
	return out
}

// latest returns the medians of the last n samples of a phase.
func (m *meter) latest(phase string, n int) (out sample) {
	list := m.of(phase)
	list = list[max(0, len(list)-n):]
	out.memory = median(column(func(s sample) float64 { return s.memory }, list))
	out.goroutines = median(column(func(s sample) float64 { return s.goroutines }, list))
	out.descriptors = median(column(func(s sample) float64 { return s.descriptors }, list))
	return out
}

// tellGrowth prints how each quantity grew in the steady phase after its first sixth, and reports whether none is shown
// to have grown by more than the bound.
func (s *soak) tellGrowth() bool {
	list := s.meter.of("steady")
	var after []sample
	var hours []float64
	for _, x := range list {
		if x.at > s.time/6 {
			after, hours = append(after, x), append(hours, x.at.Hours())
		}
	}
	fmt.Fprintf(s.out, "%s, %d sessions, %v of which the first sixth warms up; bound: %v %% an hour\n\n", machine(),
		s.sessions, s.time, s.bound)
	fmt.Fprint(s.out, "| | level | % an hour | 95 % interval | |\n|-|-:|-:|-:|-|\n")
	flat := true
	for _, q := range quantities {
		g := growth(hours, column(q.of, after))
		verdict := ""
		if q.bounded {
			verdict = g.verdict(s.bound)
			flat = flat && verdict != grows
		}
		fmt.Fprintf(s.out, "| %s | %.4g %s | %+.2f | %+.2f to %+.2f | %s |\n", q.name, g.level, q.unit, g.perHour, g.lo,
			g.hi, verdict)
	}
	return flat
}

func (m *meter) csv(w io.Writer) {
	fmt.Fprintln(w, "seconds,phase,sessions,memory_mb,heap_mb,goroutines,descriptors,cpu_cores")
	for _, s := range m.of("") {
		fmt.Fprintf(w, "%.1f,%s,%.0f,%.1f,%.1f,%.0f,%.0f,%.3f\n", s.at.Seconds(), s.phase, s.sessions, s.memory, s.heap,
			s.goroutines, s.descriptors, s.cpu)
	}
}

// svg draws each bounded quantity in percent of its median over time.
func (m *meter) svg() ([]byte, error) {
	list := m.of("")
	minutes := column(func(s sample) float64 { return s.at.Minutes() }, list)
	var lines []plot.Series
	for _, q := range quantities {
		if !q.bounded {
			continue
		}
		y := column(q.of, list)
		level := median(y)
		for i := range y {
			y[i] *= 100 / level
		}
		lines = append(lines, plot.Series{Name: q.name, X: minutes, Y: y})
	}
	return plot.Lines("tandem serve: what it holds", "minutes", "% of the median", lines)
}
