package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// All of the soak, for a moment: a bound that 20 s can hold a server to is 10 % in them, 1800 % an hour.
func TestLongSoak(t *testing.T) {
	var out bytes.Buffer
	dir := t.TempDir()
	err := runSoak(t.Context(), []string{
		"-time", "20s", "-sessions", "2", "-hold", "4s", "-churn", "12", "-swaps", "3", "-bound", "1800", "-out", dir,
	}, &out)
	t.Logf("\n%s", &out)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chaos() {
		if !regexp.MustCompile(`(?m)^\| ` + c.name + ` .*\| ok \|$`).Match(out.Bytes()) {
			t.Errorf("no row says that %s went well", c.name)
		}
	}
	if skipped := regexp.MustCompile("SKIPPED[^|]*").FindString(out.String()); skipped != "" {
		t.Log(skipped)
	}
	csv, err := os.ReadFile(filepath.Join(dir, "samples.csv"))
	if err != nil || bytes.Count(csv, []byte(",steady,")) < 10 || !bytes.Contains(csv, []byte(",swap,")) {
		t.Errorf("samples: %v\n%s", err, csv)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "levels.svg"))
	if err != nil || !bytes.Contains(svg, []byte("goroutines")) {
		t.Errorf("no plot: %v", err)
	}
}

// A growth is told with what is not known of it: from few samples nothing is, whatever they say.
func TestGrowth(t *testing.T) {
	series := func(n int, at func(hours float64, i int) float64) (hours, values []float64) {
		for i := range n {
			h := float64(i) / 720 // each five seconds
			hours, values = append(hours, h), append(values, at(h, i))
		}
		return hours, values
	}
	sawtooth := func(i int) float64 { return float64(i % 10) } // as a heap that is collected
	for _, tt := range []struct {
		name    string
		n       int
		at      func(hours float64, i int) float64
		perHour float64
		verdict string
	}{
		{"flat for an hour", 720, func(_ float64, i int) float64 { return 200 + sawtooth(i) }, 0, "flat"},
		{"3 % an hour", 720, func(h float64, i int) float64 { return 200 + 6*h + sawtooth(i) }, 3, grows},
		{"falls", 720, func(h float64, i int) float64 { return 200 - 6*h + sawtooth(i) }, -3, "flat"},
		{"one is far off", 720, func(_ float64, i int) float64 { return 200 + 1000*float64(1/(1+i%400)) }, 0, "flat"},
		{"noise for a minute", 12, func(_ float64, i int) float64 { return 200 + float64(i*7%5) }, math.NaN(), untold},
		{"three samples", 3, func(h float64, _ int) float64 { return 200 + h }, math.NaN(), untold},
		{"nothing", 0, nil, math.NaN(), untold},
		{"constant", 720, func(float64, int) float64 { return 87 }, 0, "flat"},
	} {
		g := growth(series(tt.n, tt.at))
		if got := g.verdict(1); got != tt.verdict {
			t.Errorf("%s: %s: %+v", tt.name, got, g)
		}
		if !math.IsNaN(tt.perHour) && math.Abs(g.perHour-tt.perHour) > .3 {
			t.Errorf("%s: %+.2f %% an hour, want %+.2f", tt.name, g.perHour, tt.perHour)
		}
		if g.lo > g.perHour || g.hi < g.perHour {
			t.Errorf("%s: not within its interval: %+v", tt.name, g)
		}
	}
}

func TestSoakWrongFlags(t *testing.T) {
	for flags, want := range map[string]string{
		"-time 1s": "-time", "-hold 0s": "-hold", "-sessions 0": "-sessions", "-churn 0": "-churn",
		"-swaps 0": "-swaps", "-bound 0": "-bound", "-cases nosuch": "known are churn, loss-5",
	} {
		err := runSoak(t.Context(), strings.Fields(flags), &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", flags, err)
		}
	}
}

// Samples belong to the phase that they were taken in.
func TestMeter(t *testing.T) {
	m := meter{phase: "a"}
	for i := range 5 {
		m.add(sample{at: time.Duration(i) * time.Second, memory: float64(i), cpuSeconds: float64(i) / 2})
	}
	m.enter("b")
	m.add(sample{at: 5 * time.Second, memory: 100})
	if got := m.latest("a", 3).memory; got != 3 {
		t.Errorf("the median of the last three of a is %v", got)
	}
	if got := m.of("a"); len(got) != 5 || got[4].cpu != .5 {
		t.Errorf("%+v", got)
	}
	var csv strings.Builder
	m.csv(&csv)
	if lines := strings.Split(csv.String(), "\n"); len(lines) != 8 || !strings.HasPrefix(lines[6], "5.0,b,0,100.0,") {
		t.Errorf("%s", &csv)
	}
}
