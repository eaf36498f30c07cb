package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"sync"
	"time"

	"tandem/capture"
	"tandem/pipeline"
)

var liveCommand = &command{
	name: "live", maxArgs: 0,
	about: "Tell emotion and gender by webcam and microphone",
	long: `Opens a window with the picture, what is recognised, and the emotions of the last ten seconds;
q, Esc or closing it ends, as does Ctrl-C. Results go to standard output as with tandem analyze.
Without a camera or without a microphone it goes on with the other.

  tandem live
  tandem live --camera none --no-window
  tandem live --camera rtsp://host/stream --mic none --record-events events.jsonl`,
	flags: (*options).liveFlags,
	run:   runLive,
}

// errQuit is why a run ended when the user closed the window.
var errQuit = errors.New("the window was closed")

func runLive(ctx context.Context, c *console, o *options) error {
	if o.camera == "none" && o.mic == "none" {
		return badUsage("with --camera none and --mic none there is nothing to capture")
	}
	rec, err := openRecognition(o)
	if err != nil {
		return err
	}
	defer rec.Close()
	src, err := openDevices(c, o)
	if err != nil {
		return err
	}
	defer src.Close()
	l := &liveRun{c: c, o: o, rec: rec, src: src, out: newReporter(c, o), known: &timeline{keep: stripTime + 5*time.Second}}
	if o.recordEvents != "" {
		f, err := os.Create(o.recordEvents)
		if err != nil {
			return bare(o.recordEvents, err)
		}
		defer f.Close()
		l.record = pipeline.NewJSONLWriter(f)
	}
	if !o.noWindow {
		l.screen = newScreen(src.Info(), l.known)
	}
	return l.run(ctx)
}

// openDevices opens camera and microphone. One that is not there is named and done without.
func openDevices(c *console, o *options) (capture.Source, error) {
	var sources []capture.Source
	var faults []error
	open := func(name string, open func(string) (capture.Source, error)) {
		if name == "none" {
			return
		}
		src, err := open(name)
		if err == nil {
			sources = append(sources, src)
		}
		faults = append(faults, err)
	}
	// The microphone first: it keeps two seconds for a reader that is late, and a camera eight pictures.
	open(o.mic, capture.OpenMicrophone)
	open(o.camera, capture.OpenCamera)
	fault := errors.Join(faults...)
	if len(sources) == 0 {
		return nil, fmt.Errorf("nothing to capture: %w", oneLine(fault))
	}
	if fault != nil {
		c.say("%v; going on with %s alone", fault, sources[0].Info().Name)
	}
	if len(sources) == 1 {
		return sources[0], nil
	}
	return capture.Merge(sources...), nil
}

// oneLine puts joined errors side by side.
func oneLine(err error) error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err
	}
	var out error
	for _, e := range joined.Unwrap() {
		if out == nil {
			out = e
		} else {
			out = fmt.Errorf("%w; %w", out, e)
		}
	}
	return out
}

// liveRun is one run of tandem live.
type liveRun struct {
	c      *console
	o      *options
	rec    *recognition
	src    capture.Source
	out    *reporter
	known  *timeline
	record pipeline.EventWriter // nil: none
	screen *screen              // nil: none
	// onFrame, unless nil, sees each picture: tests measure latency by it.
	onFrame func(*capture.Frame)
}

// run runs the pipeline in a goroutine and the window, if there is one, in its own.
func (l *liveRun) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	po := l.o.pipelineOptions()
	po.Model = l.rec.model.sha256
	po.OnFaces = l.known.faces
	po.OnFrame = func(f *capture.Frame) {
		if l.screen != nil {
			l.screen.frame(f)
		}
		if l.onFrame != nil {
			l.onFrame(f)
		}
	}
	l.out.begin(l.src.Info())
	var stats pipeline.Stats
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		stats, err = pipeline.Run(ctx, l.src, l.rec.finder, l.rec, po, l.event)
	}()
	if l.screen != nil {
		closed, err := l.screen.loop(done)
		if err != nil {
			l.c.log.Warn("going on without a window", "cause", err)
		}
		if closed {
			cancel(errQuit)
		}
	}
	<-done
	l.out.end()
	if l.o.level <= 0 {
		l.c.say("%s", summary(l.src.Info(), stats))
	}
	if errors.Is(err, errQuit) {
		return nil
	}
	return err
}

func (l *liveRun) event(e pipeline.Event) error {
	l.known.event(e)
	if l.record != nil {
		if err := l.record.Write(e); err != nil {
			return fmt.Errorf("%s: %w", l.o.recordEvents, err)
		}
	}
	return l.out.event(e)
}

// screen shows a run in a window.
type screen struct {
	known *timeline
	size  image.Point // of the picture, as shown
	times int         // by how much small pictures are magnified
	strip int         // height of the strip chart below
	o     *overlay

	mu     sync.Mutex
	latest *capture.Frame
	fresh  bool
	since  time.Time // when it was opened
}

func newScreen(info capture.Info, known *timeline) *screen {
	s := &screen{known: known, since: time.Now()}
	w, h := info.Width, info.Height
	if !info.HasVideo || w == 0 || h == 0 {
		w, h = plainWidth, plainHeight
	}
	s.fit(w, h)
	return s
}

// fit lays the window out for pictures of a size.
func (s *screen) fit(w, h int) {
	s.times = max(1, 480/max(min(w, h), 1))
	s.size = image.Pt(w*s.times, h*s.times)
	s.strip = max(s.size.Y/4, 90)
	s.o = newOverlay(s.size.X, s.size.Y)
}

// frame takes a picture from the pipeline.
func (s *screen) frame(f *capture.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest, s.fresh = f, true
}

// loop opens the window, which takes a while in which the pipeline is at work already, and shows pictures as they
// come, until done is closed or the user closes the window.
func (s *screen) loop(done <-chan struct{}) (closed bool, err error) {
	win, err := openWindow("tandem", s.size.X, s.size.Y+s.strip)
	if err != nil {
		return false, err
	}
	defer win.close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var plain time.Time
	for {
		select {
		case <-done:
			return false, nil
		case <-tick.C:
		}
		s.mu.Lock()
		f, fresh := s.latest, s.fresh
		s.fresh = false
		s.mu.Unlock()
		switch {
		case fresh:
			win.show(s.render(f.Pix, f.Width, f.Height, f.Time))
		case f == nil && time.Since(plain) > 100*time.Millisecond:
			plain = time.Now()
			win.show(s.render(newCanvas(s.size.X/s.times, s.size.Y/s.times, rgb{40, 44, 52}).pix, s.size.X/s.times, s.size.Y/s.times, time.Since(s.since)))
		}
		if !win.poll() {
			return true, nil
		}
	}
}

// render draws the window's contents.
func (s *screen) render(pix []byte, w, h int, t time.Duration) *canvas {
	if w*s.times != s.size.X || h*s.times != s.size.Y {
		s.fit(w, h)
	}
	p := newCanvas(s.size.X, s.size.Y+s.strip, ink)
	p.copyFrom(pix, w, h, 0, 0, s.times)
	scene := s.known.at(t).times(float64(s.times))
	s.o.draw(p, scene, t)
	s.o.strip(p, image.Rect(0, s.size.Y, s.size.X, s.size.Y+s.strip), scene.emotions, s.known.since(t-stripTime, t), t)
	return p
}

// times magnifies the boxes of a scene.
func (s scene) times(k float64) scene {
	for i, v := range s.subjects {
		if v.box != nil {
			b := *v.box
			b.X, b.Y, b.W, b.H = k*b.X, k*b.Y, k*b.W, k*b.H
			s.subjects[i].box = &b
		}
	}
	return s
}
