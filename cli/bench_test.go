//go:build linux

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
	"tandem/infer"
	"tandem/pipeline"
)

// The benchmarks of this file feed `make bench`, and docs/benchmarks.md says what their figures mean.

// Lengths in seconds of media. The first window of a file ends after 2.56 s, so a short file has fewer of them a
// second; stages are therefore measured on a longer one.
const (
	analyzeSeconds = 30
	shortSeconds   = 10
)

// benchClip is 640x480 at 30 frames a second, VP8 and Opus: the test pattern with one moving face that speaks. It is
// made once and kept among the machine's temporary files.
func benchClip(b *testing.B, seconds int) string {
	b.Helper()
	return benchFile(b, fmt.Sprintf("%ds.webm", seconds), func(path string) error {
		capturetest.WritePattern(b, path,
			capture.PatternOptions{FPS: 30, Move: true, Duration: time.Duration(seconds) * time.Second},
			av.WriterOptions{SampleRate: 48000})
		return nil
	})
}

// benchLong is the clip over and over: what a second costs is the same, only the length differs.
func benchLong(b *testing.B, minutes int) string {
	b.Helper()
	clip := benchClip(b, shortSeconds)
	return benchFile(b, fmt.Sprintf("%dmin.webm", minutes), func(path string) error {
		return benchFFmpeg(b, "-stream_loop", strconv.Itoa(minutes*60/shortSeconds-1), "-i", clip, "-c", "copy", path)
	})
}

// benchFFmpeg runs ffmpeg, or skips what needs it.
func benchFFmpeg(b *testing.B, args ...string) error {
	b.Helper()
	out, err := exec.Command("ffmpeg", append([]string{"-v", "error", "-y"}, args...)...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		fmt.Fprintln(os.Stderr, "SKIPPED: a file to measure: no ffmpeg to make it with (Debian: ffmpeg)")
		b.Skip(err)
	}
	if err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	return nil
}

// benchInstant is half a second of silence, the shortest that is answered: what a process costs at its start.
func benchInstant(b *testing.B) string {
	b.Helper()
	return benchFile(b, "silence.wav", func(path string) error {
		w, err := av.Create(path, av.WriterOptions{Audio: true})
		if err != nil {
			return err
		}
		defer w.Abort()
		return errors.Join(w.WriteSamples(&av.Samples{Data: make([]float32, capture.SampleRate/2)}), w.Close())
	})
}

// benchFile returns the path of a file that create has written, now or in an earlier run.
func benchFile(b *testing.B, name string, create func(path string) error) string {
	b.Helper()
	// The name tells users and versions of the recipe apart.
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("tandem-bench-1-%d", os.Getuid()))
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	part := filepath.Join(dir, "part-"+name)
	if err := errors.Join(os.MkdirAll(dir, 0o700), create(part), os.Rename(part, path)); err != nil {
		b.Fatal(err)
	}
	return path
}

// The clocks that count CPU time, user and system. getrusage would do for a process, but for a thread it is behind by
// up to a tick, which a stage that soon goes to sleep never makes good.
const (
	ofProcess = unix.CLOCK_PROCESS_CPUTIME_ID
	ofThread  = unix.CLOCK_THREAD_CPUTIME_ID
)

// cpuTime reads one of them.
func cpuTime(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		panic(err) // every Linux has both
	}
	return time.Duration(t.Nano())
}

// meter adds up the CPU time of one stage, which does its work on the thread that calls it.
type meter struct {
	off  bool // measuring has a price of its own, of some percent
	used time.Duration
}

func (m *meter) measure(stage func()) {
	if m.off {
		stage()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := cpuTime(ofThread)
	stage()
	m.used += cpuTime(ofThread) - before
}

type meteredSource struct {
	capture.Source
	meter
}

func (s *meteredSource) Read(ctx context.Context) (media capture.Media, err error) {
	s.measure(func() { media, err = s.Source.Read(ctx) })
	return media, err
}

type meteredRecognizer struct {
	pipeline.Recognizer
	meter
}

func (r *meteredRecognizer) Recognize(
	ctx context.Context, ws []*pipeline.Window,
) (ps []pipeline.Prediction, err error) {
	r.measure(func() { ps, err = r.Recognizer.Recognize(ctx, ws) })
	return ps, err
}

// samples are measurements by unit, of which the median is reported.
type samples map[string][]float64

func (s samples) add(unit string, v float64) { s[unit] = append(s[unit], v) }

// cpu notes CPU milliseconds for each second of media.
func (s samples) cpu(what string, used time.Duration, media float64) {
	s.add(what+"-cpu-ms/s", used.Seconds()*1000/media)
}

func (s samples) median(unit string) float64 {
	x := slices.Sorted(slices.Values(s[unit]))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

func (s samples) report(b *testing.B) {
	b.ReportMetric(0, "ns/op") // how long all rounds took tells nothing
	for unit := range s {
		b.ReportMetric(s.median(unit), unit)
	}
}

// BenchmarkAnalyze tells the CPU time of a second of video: for decoding alone, every picture as RGB and only those
// that analyze asks for, and for the whole of analyze, with its stages. The kinds take turns, so that whatever else
// the machine does meets all of them.
func BenchmarkAnalyze(b *testing.B) {
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	clip := benchClip(b, analyzeSeconds)
	model := infer.DefaultModel()
	// Once as the command does it, with a thread a core for the network; once with one thread, whose CPU time can be
	// told by stage.
	var recs [2]*infer.Recognizer
	for i, threads := range []int{0, 1} {
		rec, err := infer.NewRecognizer(model, infer.Options{Threads: threads, Int8IfFaster: true})
		if errors.Is(err, infer.ErrNoRuntime) {
			b.Skip(err)
		} else if err != nil {
			b.Fatal(err)
		}
		defer rec.Close()
		recs[i] = rec
	}
	finder, err := infer.NewBlazeFace()
	if err != nil {
		b.Fatal(err)
	}
	defer finder.Close()
	every := recs[0].Spec().FaceTick() / 4 // as in analysis.open

	s := samples{}
	for b.Loop() {
		for range rounds {
			s.cpu("decode", decode(b, clip, 0), analyzeSeconds)
			s.cpu("decode-sparse", decode(b, clip, every), analyzeSeconds)
			whole, _ := analyze(b, clip, every, finder, recs[0], false)
			s.cpu("analyze", whole, analyzeSeconds)
			single, by := analyze(b, clip, every, finder, recs[1], true)
			s.cpu("single", single, analyzeSeconds)
			s.cpu("part-decode", by.read, analyzeSeconds)
			s.cpu("part-faces", by.faces, analyzeSeconds)
			s.cpu("part-inference", by.recognize, analyzeSeconds)
			s.cpu("part-rest", single-by.read-by.faces-by.recognize, analyzeSeconds)
			s.add("inference-cpu-ms/window", by.recognize.Seconds()*1000/float64(by.windows))
			s.add("detection-cpu-ms/picture", by.faces.Seconds()*1000/float64(by.pictures))
		}
	}
	s.add("analyze/decode", s.median("analyze-cpu-ms/s")/s.median("decode-cpu-ms/s"))
	s.report(b)
}

// decode reads all of a file and returns the CPU time used.
func decode(b *testing.B, path string, every time.Duration) time.Duration {
	b.Helper()
	runtime.GC() // what others have left is not this one's to clear away
	before := cpuTime(ofProcess)
	src, err := capture.Open(b.Context(), path, capture.Options{MinFrameInterval: every})
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	frames := 0
	for {
		m, err := src.Read(b.Context())
		if err == io.EOF {
			break
		} else if err != nil {
			b.Fatal(err)
		}
		if m.Frame != nil {
			frames++
		}
	}
	if every == 0 && frames != 30*analyzeSeconds {
		b.Fatalf("%d pictures of %d", frames, 30*analyzeSeconds)
	}
	return cpuTime(ofProcess) - before
}

// stages are the CPU times of one analysis.
type stages struct {
	read, faces, recognize time.Duration
	windows, pictures      int
}

// analyze does what the subcommand does and returns the CPU time used, in all and, if wanted, by stage.
func analyze(
	b *testing.B, path string, every time.Duration, finder pipeline.FaceFinder, rec pipeline.Recognizer, byStage bool,
) (time.Duration, stages) {
	b.Helper()
	runtime.GC()
	before := cpuTime(ofProcess)
	m := meter{off: !byStage}
	src, brain, looks := &meteredSource{meter: m}, &meteredRecognizer{rec, m}, &meter{off: !byStage}
	eyes := pipeline.WrapFinder(finder, func(call func() error) (err error) {
		looks.measure(func() { err = call() })
		return err
	})
	var err error
	src.measure(func() { // libav decodes some pictures to know what the file holds
		src.Source, err = capture.Open(b.Context(), path, capture.Options{MinFrameInterval: every})
	})
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	out := pipeline.NewJSONLWriter(io.Discard)
	complete := 0
	stats, err := pipeline.Run(b.Context(), src, eyes, brain, pipeline.DefaultOptions(), func(e pipeline.Event) error {
		if e.Window != nil && e.Window.Audio && e.Window.Video {
			complete++
		}
		return out.Write(e)
	})
	if err != nil {
		b.Fatal(err)
	}
	used := cpuTime(ofProcess) - before
	if want := int((analyzeSeconds*time.Second - rec.Spec().Window) / rec.Spec().Hop); complete < want {
		b.Fatalf("%d windows with face and sound, want %d: %+v", complete, want, stats)
	}
	return used, stages{src.used, looks.used, brain.used, stats.Windows, stats.Ticks}
}

// BenchmarkLength tells CPU time and memory of the whole program for a short file and for a long one. Both must be
// the same but for what a process costs at its start, which is measured by half a second of silence.
func BenchmarkLength(b *testing.B) {
	minutes, rounds := 10, 3
	if testing.Short() {
		minutes, rounds = 1, 1
	}
	if err := infer.Init(); err != nil {
		b.Skip(err)
	}
	instant := benchInstant(b)
	clip, long := benchClip(b, shortSeconds), benchLong(b, minutes)
	model := infer.DefaultModel()
	modelPath := filepath.Join(b.TempDir(), "model.onnx")
	if err := os.WriteFile(modelPath, model, 0o600); err != nil {
		b.Fatal(err)
	}
	s := samples{}
	for b.Loop() {
		for range rounds {
			start := runProcess(b, modelPath, instant)
			s.add("start-cpu-ms", start.cpu.Seconds()*1000)
			s.add("start-peak-MB", start.peak)
			short := runProcess(b, modelPath, clip)
			s.cpu("short", short.cpu-start.cpu, shortSeconds)
			s.add("short-peak-MB", short.peak)
		}
		p, media := runProcess(b, modelPath, long), float64(minutes*60)
		s.cpu("long", p.cpu-time.Duration(s.median("start-cpu-ms")*1e6), media)
		s.add("long-peak-MB", p.peak)
		s.add("long-early-MB", p.early)
		s.add("long-late-MB", p.late)
		s.add("long-x-realtime", media/p.took.Seconds())
	}
	s.add("long-minutes", float64(minutes))
	s.add("long/short-cpu", s.median("long-cpu-ms/s")/s.median("short-cpu-ms/s"))
	s.report(b)
}

// usage has the resources that a process has used. Memory is resident memory in megabytes (2^20 bytes).
type usage struct {
	cpu, took         time.Duration
	peak, early, late float64 // early and late: median in the second and in the last quarter of its life
}

// runProcess has a process of its own analyse a file.
func runProcess(b *testing.B, model, input string, flags ...string) usage {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), exe, append([]string{"analyze", "--model", model, input}, flags...)...)
	cmd.Env = append(os.Environ(), processVariable+"=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	var u usage
	var resident []float64
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	// The peak is asked of /proc while the process lives: a child's rusage has the peak of the one that started it
	// for a floor, since until exec the two share memory.
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for running := true; running; {
		select {
		case err = <-done:
			running = false
		case <-ticker.C:
			if peak, now, ok := memory(cmd.Process.Pid); ok {
				u.peak = max(u.peak, peak)
				resident = append(resident, now)
			}
		}
	}
	u.took = time.Since(began)
	if err != nil {
		b.Fatalf("%s: %v: %s", input, err, stderr.String())
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	n := len(resident)
	if n < 4 {
		b.Fatalf("%s: over in %v, too soon to see its memory", input, u.took)
	}
	middle := func(x []float64) float64 { return samples{"": x}.median("") }
	u.early, u.late = middle(resident[n/4:n/2]), middle(resident[3*n/4:])
	return u
}

// memory reads a process's peak and present resident memory in megabytes; false when it has none any more.
func memory(pid int) (peak, now float64, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, false
	}
	field := func(name string) float64 {
		_, rest, _ := strings.Cut(string(status), "\n"+name+":")
		rest, _, _ = strings.Cut(rest, " kB")
		kb, _ := strconv.ParseFloat(strings.TrimSpace(rest), 64)
		return kb / 1024
	}
	peak, now = field("VmHWM"), field("VmRSS")
	return peak, now, peak > 0 && now > 0
}
