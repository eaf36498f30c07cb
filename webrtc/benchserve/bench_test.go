package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's program be the server's process, as the program itself is.
func TestMain(m *testing.M) {
	if f := first(os.Args[1:]); f == asTandem || f == floor {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestParseMetrics(t *testing.T) {
	got, err := parseMetrics(strings.NewReader(`# HELP a What it is.
# TYPE a counter
a{kind="audio"} 1.5
a{kind="video"} 2
process_cpu_seconds_total 1e+02

b{x="with { and space"} 3
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"a": 3.5, `a{kind="video"}`: 2, "process_cpu_seconds_total": 100, "b": 3,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if _, err := parseMetrics(strings.NewReader("a b\n")); err == nil {
		t.Error("took a value that is none")
	}
}

func TestPoint(t *testing.T) {
	idle := map[string]float64{"go_goroutines": 10, "process_resident_memory_bytes": 50e6}
	before := map[string]float64{
		"process_cpu_seconds_total": 10, "tandem_decode_cpu_seconds_total": 5,
		`tandem_dropped_total{reason="late",what="frames"}`:      3,
		`tandem_rtp_packets_total{fate="received",kind="video"}`: 10,
	}
	after := map[string]float64{
		"process_cpu_seconds_total": 12, "tandem_decode_cpu_seconds_total": 6,
		"tandem_faces_cpu_seconds_total": 0.2, "tandem_recognize_cpu_seconds_total": 0.4,
		`tandem_dropped_total{reason="late",what="frames"}`:      3,
		`tandem_rtp_packets_total{fate="received",kind="video"}`: 20,
		"go_goroutines": 50, "process_resident_memory_bytes": 70e6,
	}
	var latencies []time.Duration
	for i := range 160 { // two sessions, four a second, twenty seconds
		latencies = append(latencies, time.Duration(160-i)*time.Millisecond)
	}
	m := measurement{full, 2, 20 * time.Second, idle, before, after, latencies}
	p := m.point()
	if p.cpu != 50 || p.decode != 25 || p.faces != 5 || p.inference != 10 || p.rest() != 10 {
		t.Errorf("CPU %v = %v + %v + %v + %v", p.cpu, p.rest(), p.decode, p.faces, p.inference)
	}
	if p.p50 != 80*time.Millisecond || p.p95 != 152*time.Millisecond || p.p99 != 159*time.Millisecond {
		t.Errorf("latencies %v, %v, %v", p.p50, p.p95, p.p99)
	}
	if p.memory != 10 || p.goroutines != 20 || p.windows != 1 {
		t.Errorf("%v MB, %v goroutines, %v of the events", p.memory, p.goroutines, p.windows)
	}
	if !p.keepsUp() || p.verdict() != "yes" {
		t.Errorf("it keeps up: %q", p.verdict())
	}
	after[`tandem_dropped_total{reason="slow",what="windows"}`] = 2
	if p := m.point(); p.verdict() != `no; reason="slow",what="windows": 2` {
		t.Errorf("with drops: %q", p.verdict())
	}
	delete(after, `tandem_dropped_total{reason="slow",what="windows"}`)
	m.latencies = latencies[:150]
	if m.point().keepsUp() {
		t.Error("it keeps up though events are missing")
	}
	for i := range latencies {
		latencies[i] += 200 * time.Millisecond
	}
	m.latencies = latencies
	if p := m.point(); p.keepsUp() {
		t.Errorf("it keeps up with p95 at %v", p.p95)
	}
}

// The whole of it, for a moment: two sessions at two servers.
func TestLongRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-sessions", "2", "-warm", "1s", "-time", "2s"}, &out); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &out)
	number := `[0-9.]+`
	for _, want := range []string{
		`\| 2 \| full( \| ` + number + `){5}( \| ` + number + ` ms){3} \| ` + number + ` %`,
		`\| 2 \| floor( \| ` + number + `){3} \| 0.0 \| 0.0 \|`,
		`(?m)^\| 2 \| ` + number + ` \| ` + number + ` ms \| ` + number + ` \|$`,
		`no drops: [02] `,
	} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("the report has no %s", want)
		}
	}
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-sessions", "0"},
		{"-sessions", "x"},
		{"-time", "0s"},
		{"-clip", "no such file"},
	} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
