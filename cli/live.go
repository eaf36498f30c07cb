package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"tandem/capture"
	"tandem/overlay/window"
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
	options: func() options { return &liveOptions{} },
}

// errQuit is why a run ended when the user closed the window.
var errQuit = errors.New("the window was closed")

type liveOptions struct {
	recognizeFlags
	camera, mic  string
	noWindow     bool
	recordEvents string
}

func (o *liveOptions) bind(f *pflag.FlagSet) {
	o.recognizeFlags.bind(f)
	f.StringVar(&o.camera, "camera", "0", "`CAMERA`: its number, a device, FIFO or file, a URL, or none")
	f.StringVar(&o.mic, "mic", "default", "`MICROPHONE`: its name or a part of it, default, or none")
	f.BoolVar(&o.noWindow, "no-window", false, "open no window")
	f.StringVar(&o.recordEvents, "record-events", "", "write the events to `FILE` too, as JSONL")
}

func (o *liveOptions) check(*pflag.FlagSet) error {
	if err := o.recognizeFlags.check(); err != nil {
		return err
	}
	if o.camera == "none" && o.mic == "none" {
		return errors.New("with --camera none and --mic none there is nothing to capture")
	}
	return nil
}

// OpensWindow reports whether a command line, without the program's name, opens a window, for which Run must be called
// on the process's first thread.
func OpensWindow(args []string) bool {
	if len(args) == 0 || args[0] != liveCommand.name {
		return false
	}
	o, err := liveCommand.parse(args[1:])
	return err == nil && !o.(*liveOptions).noWindow
}

func (o *liveOptions) run(ctx context.Context, c *console) error {
	if err := checkTerminal(c, o.format); err != nil {
		return err
	}
	rec, err := openRecognition(o.model, o.inferOptions(o.threads))
	if err != nil {
		return err
	}
	defer rec.Close()
	if err := rec.openSpeaker(&o.speakerFlags); err != nil {
		return err
	}
	src, err := openDevices(c, o)
	if err != nil {
		return err
	}
	defer src.Close()
	l := &liveRun{c: c, o: o, rec: rec, src: src, out: newReporter(c, o.format, o.raw)}
	if o.recordEvents != "" {
		f, err := os.Create(o.recordEvents)
		if err != nil {
			return bare(o.recordEvents, err)
		}
		defer f.Close()
		l.record = pipeline.NewJSONLWriter(&wholeWriter{file: f})
	}
	if !o.noWindow {
		l.screen = window.NewScreen(src.Info())
	}
	return l.run(ctx)
}

// wholeWriter writes to a file what it is given, each piece whole or not at all: where the disk gets full in the midst
// of one, the file ends before it. What can't be cut, such as a pipe, is left as it is.
type wholeWriter struct {
	file interface {
		io.Writer
		Truncate(size int64) error
	}
	size int64
}

func (w *wholeWriter) Write(b []byte) (int, error) {
	n, err := w.file.Write(b)
	if err == nil {
		w.size += int64(n)
		return n, nil
	}
	if w.file.Truncate(w.size) == nil {
		n = 0
	}
	return n, err
}

// openDevices opens camera and microphone. One that is not there is named and done without.
func openDevices(c *console, o *liveOptions) (capture.Source, error) {
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

// liveRun is one run of tandem live.
type liveRun struct {
	c      *console
	o      *liveOptions
	rec    *recognition
	src    capture.Source
	out    *reporter
	record pipeline.EventWriter // nil: none
	screen *window.Screen       // nil: none
	// onFrame, unless nil, sees each picture: tests measure latency by it.
	onFrame func(*capture.Frame)
}

// run runs the pipeline in a goroutine and the window, if there is one, in its own.
func (l *liveRun) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	po := l.o.pipelineOptions()
	l.rec.use(&po)
	if l.screen != nil {
		po.OnFaces = l.screen.Faces
	}
	po.OnFrame = func(f *capture.Frame) {
		if l.screen != nil {
			l.screen.Frame(f)
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
		closed, err := l.screen.Loop(done)
		if err != nil {
			l.c.log.Warn("going on without a window", "cause", err)
		}
		if closed {
			cancel(errQuit)
		}
	}
	<-done
	l.out.end()
	warnUnread(l.c, stats)
	if l.o.level <= 0 {
		l.c.say("%s", summary(l.src.Info(), stats))
	}
	if errors.Is(err, errQuit) {
		err = nil
	}
	return cmp.Or(err, l.out.close())
}

func (l *liveRun) event(e pipeline.Event) error {
	if l.screen != nil {
		l.screen.Event(e)
	}
	if l.record != nil {
		if err := l.record.Write(e); err != nil {
			return fmt.Errorf("%s: %w", l.o.recordEvents, err)
		}
	}
	return l.out.event(e)
}
