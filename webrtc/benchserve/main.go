// Benchserve measures what a session of tandem serve costs, and how many of them a machine carries: it starts a server
// as a process of its own, sends N real streams to it at a time, and prints a table.
//
//	go run ./webrtc/benchserve
//	go run ./webrtc/benchserve -sessions 4,8 -time 30s
//	go run ./webrtc/benchserve soak -time 1h
//
// For each N the server runs twice, in turns: in full, as tandem serve, and as the floor, where it receives and decodes
// the same streams and does no more. What the publishers cost, all of them in this process, is counted apart. A soak
// has sessions run for long and then does to the server what happens to servers; see [soak].
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/webrtc/client"
)

func main() {
	// The processes that this program starts of itself.
	switch first(os.Args[1:]) {
	case asTandem:
		os.Exit(tandem(context.Background(), os.Args[2:]))
	case floor:
		fail(serveFloor(context.Background(), os.Stdin, os.Stderr))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if first(os.Args[1:]) == "soak" {
		fail(runSoak(ctx, os.Args[2:], os.Stdout))
		return
	}
	fail(run(ctx, os.Args[1:], os.Stdout))
}

// first returns the first of args, "" if there is none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// fail ends the program with an error, if there is one.
func fail(err error) {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchserve:", err)
		os.Exit(1)
	}
}

// bench has the settings of a run.
type bench struct {
	counts     []int
	warm, time time.Duration
	clip       *client.Clip
	dir        string // for files
	out        io.Writer
}

func run(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("benchserve", flag.ContinueOnError)
	counts := f.String("sessions", "1,2,4,6,8,10,12", "numbers of sessions at a time")
	b := bench{out: out}
	f.DurationVar(&b.warm, "warm", 5*time.Second, "time before each measurement, beyond the first window")
	f.DurationVar(&b.time, "time", 15*time.Second, "length of each measurement")
	path := f.String("clip", "", "file to send (default: the test pattern)")
	if err := f.Parse(args); err != nil {
		return err
	}
	for s := range strings.SplitSeq(*counts, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			return fmt.Errorf("-sessions %q: want numbers of 1 or more, separated by commas", *counts)
		}
		b.counts = append(b.counts, n)
	}
	if b.time < time.Second || b.warm < 0 {
		return fmt.Errorf("-time %v, -warm %v: want a second or more, and no negative time", b.time, b.warm)
	}
	dir, err := os.MkdirTemp("", "tandem-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.dir = dir
	if b.clip, err = load(ctx, *path, dir); err != nil {
		return err
	}
	return b.measure(ctx)
}

// pattern is the file of the test pattern's clip.
const pattern = "pattern.webm"

// load reads the clip, or makes that of the test pattern in a folder: ten seconds of a face that moves and speaks, with
// the noise of a camera, since a drawing alone takes far less bits.
func load(ctx context.Context, path, dir string) (*client.Clip, error) {
	if path == "" {
		path = filepath.Join(dir, pattern)
		if err := write(ctx, path); err != nil {
			return nil, err
		}
	}
	return client.LoadClip(ctx, path)
}

func write(ctx context.Context, path string) error {
	src := capture.NewPattern(capture.PatternOptions{FPS: 30, Move: true})
	info := src.Info()
	w, err := av.Create(path,
		av.WriterOptions{Width: info.Width, Height: info.Height, FPS: info.FPS, Audio: true, Threads: runtime.NumCPU()})
	if err != nil {
		return err
	}
	defer w.Abort()
	grain := newNoise()
	for {
		m, err := src.Read(ctx)
		if errors.Is(err, io.EOF) {
			return w.Close()
		}
		if err != nil {
			return err
		}
		if f := m.Frame; f != nil {
			grain.add(f)
			err = w.WriteFrame(&av.Frame{Time: f.Time, Width: f.Width, Height: f.Height, Pix: f.Pix})
		} else {
			err = w.WriteSamples(&av.Samples{Time: m.Samples.Time, Data: m.Samples.Data})
		}
		if err != nil {
			return err
		}
	}
}

// noise is like that of a camera, the same in each run.
type noise struct {
	random *rand.Rand
	table  [1 << 12]int8
}

// noiseLevel is the noise's standard deviation, of 255: with it a session takes about 1 Mbit/s.
const noiseLevel = 2.3

func newNoise() *noise {
	n := &noise{random: rand.New(rand.NewPCG(1, 2))}
	for i := range n.table {
		n.table[i] = int8(math.Round(n.random.NormFloat64() * noiseLevel))
	}
	return n
}

// add adds grey noise to a picture.
func (n *noise) add(f *capture.Frame) {
	for y := range f.Height {
		row := f.Pix[3*y*f.Width:][:3*f.Width]
		from := n.random.IntN(len(n.table))
		for x := range f.Width {
			d := int(n.table[(from+x)%len(n.table)])
			for i := range 3 {
				row[3*x+i] = byte(min(max(int(row[3*x+i])+d, 0), 255))
			}
		}
	}
}

// measure takes all points, full and floor in turns, and prints the report.
func (b *bench) measure(ctx context.Context) error {
	var r report
	for i, n := range b.counts {
		modes := []string{full, floor}
		if i%2 == 1 { // so that neither is always the first on a machine that gets warm
			slices.Reverse(modes)
		}
		for _, mode := range modes {
			fmt.Fprintf(os.Stderr, "%d sessions, %s\n", n, mode)
			p, err := b.point(ctx, mode, n)
			if err != nil {
				return fmt.Errorf("%d sessions, %s: %w", n, mode, err)
			}
			r.points = append(r.points, p)
		}
	}
	return r.print(b.out)
}

// point measures n sessions with a server of their own.
func (b *bench) point(ctx context.Context, mode string, n int) (p point, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := startMode(ctx, mode, b.dir)
	if err != nil {
		return p, err
	}
	defer func() {
		_, ended := s.stop()
		err = errors.Join(err, ended)
	}()
	idle, err := s.metrics(ctx)
	if err != nil {
		return p, err
	}
	load := publishers{clip: b.clip, url: s.url + "/whip"}
	// The sessions end before their server.
	defer func() { err = errors.Join(err, closeAll(load.list)) }()
	if err := load.start(ctx, n); err != nil {
		return p, err
	}
	if err := sleep(ctx, firstWindow+b.warm); err != nil {
		return p, err
	}
	before, err := s.metrics(ctx)
	if err != nil {
		return p, err
	}
	own, sent := ownCPU(), load.bytes()
	began := time.Now()
	load.record(true)
	if err := sleep(ctx, b.time); err != nil {
		return p, err
	}
	latencies := load.record(false)
	took := time.Since(began)
	after, err := s.metrics(ctx)
	if err != nil {
		return p, err
	}
	p = measurement{mode, n, took, idle, before, after, latencies}.point()
	p.publisher = perSession(ownCPU()-own, n, took)
	p.bitrate = float64(load.bytes()-sent) * 8 / 1e6 / float64(n) / took.Seconds()
	return p, load.failed()
}

// firstWindow is how long a session takes to its first window.
const firstWindow = 3 * time.Second

// ownCPU returns the CPU time of this process, in seconds.
func ownCPU() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
}
