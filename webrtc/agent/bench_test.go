package agent_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/capture"
)

// BenchmarkSession tells the CPU time of tandem agent for a second of each of N sessions, with LiveKit's server and the
// publishers in other processes. make bench-serve has tandem serve's beside it, with the same clip.
func BenchmarkSession(b *testing.B) {
	c := loadClip(b, clipOf(b))
	tandem := filepath.Join(b.TempDir(), "tandem")
	build := exec.Command("go", "build", "-tags", "nocamera", "-o", tandem, "tandem")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for _, n := range []int{1, 4, 10} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := startSFU(b)
			p := startCommand(b,
				exec.Command(tandem, "agent", "--url", s.url, "--api-key", key, "--api-secret", secret))
			var inboxes []*inbox
			for i := range n {
				in := &inbox{}
				publish(b, participant(b, s, "room", fmt.Sprint("who", i), consenting, in.callback())).loop(b, c)
				inboxes = append(inboxes, in)
			}
			for _, in := range inboxes {
				eventually(b, "windows for all", 30*time.Second, func() bool { return len(in.windows()) > 8 })
			}
			for b.Loop() {
				began, used := time.Now(), processCPU(b, p.Process.Pid)
				time.Sleep(10 * time.Second)
				used = processCPU(b, p.Process.Pid) - used
				b.ReportMetric(float64(used.Milliseconds())/time.Since(began).Seconds()/float64(n), "cpu-ms/s/session")
			}
		})
	}
}

// clipOf returns the clip that BENCH_CLIP names; by default it is the test pattern.
func clipOf(b *testing.B) string {
	if path := os.Getenv("BENCH_CLIP"); path != "" {
		return path
	}
	return writePattern(b, capture.PatternOptions{FPS: 30, Duration: 8 * time.Second, Move: true})
}

// processCPU returns the time that a process has used, in user and system (proc_pid_stat(5): hundredths of a second).
func processCPU(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip("SKIPPED: no /proc here")
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
