// Benchserve measures what a session of tandem serve costs, and how many of them a machine carries: it starts a server
// as a process of its own, sends N real streams to it at a time, and prints a table.
//
//	go run ./webrtc/benchserve
//	go run ./webrtc/benchserve -sessions 4,8 -time 30s
//
// For each N the server runs twice, in turns: in full, and as the floor, where it receives and decodes the same streams
// and does no more. What the publishers cost, all of them in this process, is counted apart.
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
	"sync"
	"syscall"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/webrtc/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchserve:", err)
		os.Exit(1)
	}
}

// bench has the settings of a run.
type bench struct {
	counts     []int
	warm, time time.Duration
	clip       *client.Clip
	out        io.Writer
}

func run(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("benchserve", flag.ContinueOnError)
	counts := f.String("sessions", "1,2,4,6,8,10,12", "numbers of sessions at a time")
	b := bench{out: out}
	f.DurationVar(&b.warm, "warm", 5*time.Second, "time before each measurement, beyond the first window")
	f.DurationVar(&b.time, "time", 15*time.Second, "length of each measurement")
	path := f.String("clip", "", "file to send (default: the test pattern)")
	mode := f.String("serve", "", "be the server, as this program starts it: full or floor")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *mode != "" {
		return serve(ctx, *mode, os.Stdin, out)
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
	if err := b.load(ctx, *path); err != nil {
		return err
	}
	return b.measure(ctx)
}

// load reads the clip, or makes that of the test pattern: ten seconds of a face that moves and speaks, with the noise
// of a camera, since a drawing alone takes far less bits.
func (b *bench) load(ctx context.Context, path string) (err error) {
	if path == "" {
		dir, err := os.MkdirTemp("", "tandem-bench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		path = filepath.Join(dir, "pattern.webm")
		if err := write(ctx, path); err != nil {
			return err
		}
	}
	b.clip, err = client.LoadClip(ctx, path)
	return err
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
	s, err := startServer(ctx, mode)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	idle, err := s.metrics(ctx)
	if err != nil {
		return p, err
	}
	load := publishers{clip: b.clip, url: s.url + "/whip"}
	// The sessions end before their server.
	defer func() { err = errors.Join(err, load.close()) }()
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

// publishers are the sessions of a point.
type publishers struct {
	clip *client.Clip
	url  string

	mu        sync.Mutex
	sessions  []*client.Session
	recording bool
	latencies []time.Duration
	err       error
	stop      context.CancelFunc
	wg        sync.WaitGroup
}

// start opens n sessions. They are spread over a hop and over the clip, as those of people would be.
func (l *publishers) start(ctx context.Context, n int) error {
	publishing, stop := context.WithCancel(ctx)
	l.stop = stop
	for i := range n {
		if i > 0 {
			if err := sleep(ctx, 137*time.Millisecond); err != nil {
				return err
			}
		}
		dialing, cancel := context.WithTimeout(ctx, 20*time.Second)
		s, err := client.Dial(dialing, client.Options{URL: l.url, Loopback: true, Codecs: l.clip.Codecs()})
		cancel()
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.sessions = append(l.sessions, s)
		l.mu.Unlock()
		l.wg.Go(func() { l.read(s) })
		l.wg.Go(func() {
			if err := s.Publish(publishing, l.clip, client.PublishOptions{Loop: true}); publishing.Err() == nil {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.err = fmt.Errorf("a session ended too early: %w", err)
			}
		})
	}
	return nil
}

// read takes the latencies of a session's events.
func (l *publishers) read(s *client.Session) {
	for e := range s.Events() {
		if e.Window == nil || e.Window.Latency == nil {
			continue
		}
		l.mu.Lock()
		if l.recording {
			l.latencies = append(l.latencies, *e.Window.Latency)
		}
		l.mu.Unlock()
	}
}

// record begins or ends the taking of latencies, and returns those taken.
func (l *publishers) record(on bool) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recording = on
	return l.latencies
}

func (l *publishers) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// bytes returns the number of bytes that all sessions have sent.
func (l *publishers) bytes() (n int) {
	for _, s := range l.sessions {
		st := s.Stats()
		n += st.Audio.Bytes + st.Video.Bytes
	}
	return n
}

// close ends all sessions at a time.
func (l *publishers) close() error {
	if l.stop != nil {
		l.stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	faults := make([]error, len(l.sessions))
	for i, s := range l.sessions {
		l.wg.Go(func() { faults[i] = s.Close(ctx) })
	}
	l.wg.Wait()
	return errors.Join(faults...)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ownCPU returns the CPU time of this process, in seconds.
func ownCPU() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
}
