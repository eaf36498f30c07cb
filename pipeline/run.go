package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tandem/capture"
)

// Stats are counts and times of a run.
type Stats struct {
	Frames, Samples int // read from the source
	Ticks           int // of the face clock with a picture
	Windows         int // window events
	Subjects        int // subjects that were followed
	Breaks          int // breaks of the source's clock
	// Asked counts the ends of windows with a voice at which it was asked who speaks, Unread those of them at which no
	// face's lips could be read.
	Asked, Unread int
	Media         time.Duration

	// What was lost, in all and by cause: lost by the source, came too late to be used, and, live only, passed
	// over because face finding or recognition was slower than the media.
	Dropped, BySource, Late, Slow Dropped

	// Ahead is the mean, over all arrivals, of how far the sound's watermark was ahead of the pictures'. It is
	// a matter of buffers and interleaving, and not the skew between the two that a viewer would notice
	// (capturetest.SkewMeter measures that).
	Ahead time.Duration

	// Busy is how long each stage was at work; Read includes waiting for a live source.
	Busy struct {
		Read, Faces, Recognize, Emit time.Duration
	}
	Elapsed time.Duration
}

// Queue limits. Offline they bound how many pictures are held at a time; live, MaxQueue drops long before.
const (
	fileSteps, fileSets = 4, 2 * batchSets
	liveSteps, liveSets = 64, 64
)

// Run reads a source to its end and emits its events: start, windows, end. emit is called on the caller's
// goroutine, by one call at a time, and must return soon; an error from it ends the run. A nil finder finds no
// faces. The source stays the caller's to close.
//
// Run returns the cause when ctx ends, within a moment if source, finder and recognizer end with their contexts.
// When a source fails, the windows up to there are emitted first. In all these cases the end event still
// comes, unless it was emit that failed. No goroutine outlives Run.
func Run(ctx context.Context, src capture.Source, finder FaceFinder, rec Recognizer, o Options,
	emit func(Event) error,
) (Stats, error) {
	e, err := newEngine(src, finder, rec.Spec(), o)
	if err != nil {
		return Stats{}, err
	}
	labels := rec.Labels()
	if len(labels.Emotions) == 0 {
		return Stats{}, errors.New("pipeline: the recognizer names no emotions")
	}
	if o.NoGender {
		labels.Genders = nil
	}
	out := &emitter{
		rec: rec, labels: labels, live: src.Info().Live, raw: e.o.Raw, emit: emit, drop: e.dropSlow,
		smooth: smoother{tau: o.Smoothing}, sums: map[int]*sum{},
	}
	info := src.Info()
	start := &StartEvent{
		Source: info.Name, Model: o.Model, Precision: o.Precision, Window: e.spec.Window, Hop: e.spec.Hop,
		Emotions: labels.Emotions, Genders: labels.Genders, Speaker: e.o.speakerMode(),
	}
	if len(info.AudioTracks) > 1 {
		start.AudioTracks, start.AudioTrack = info.AudioTracks, info.AudioTrack
	}
	if err := out.send(Event{Start: start}); err != nil {
		return Stats{}, err
	}
	err = e.run(ctx, func(ctx context.Context) error { return out.consume(ctx, e.sets) })
	stats := e.stats()
	stats.Windows, stats.Busy.Recognize = out.windows, out.busyRecognize
	if !errors.Is(err, errEmit) {
		end := &EndEvent{Windows: stats.Windows, Dropped: stats.Dropped, Summary: out.summary()}
		if sent := out.send(Event{End: end}); err == nil {
			err = sent
		}
	}
	stats.Busy.Emit = out.busyEmit
	return stats, err
}

// Cut is the part of Run that comes before recognition: it emits the very windows that Run would have
// recognised, in order, those with neither modality too.
func Cut(ctx context.Context, src capture.Source, finder FaceFinder, spec Spec, o Options,
	emit func(*Window) error,
) error {
	e, err := newEngine(src, finder, spec, o)
	if err != nil {
		return err
	}
	return e.run(ctx, func(ctx context.Context) error {
		for {
			set, ok, err := e.sets.pop(ctx)
			if !ok {
				return err
			}
			for _, w := range set.windows {
				if err := emit(w); err != nil {
					return fmt.Errorf("pipeline: %w: %w", errEmit, err)
				}
			}
		}
	})
}

// errEmit marks errors of the caller's emit.
var errEmit = errors.New("emitting a result")

// engine owns the stages before recognition: one goroutine reads and aligns, one looks for faces and puts
// windows together, and the caller's takes the windows.
type engine struct {
	spec  Spec
	o     Options
	src   capture.Source
	align *aligner
	faces *faceStage
	steps *queue[step]
	sets  *queue[windowSet]

	slowFrames, slowWindows atomic.Int64

	// Each of these belongs to one stage's goroutine until run returns.
	frames, samples, ticks    int
	readErr                   error
	busyRead, busyFaces, took time.Duration
}

func newEngine(src capture.Source, finder FaceFinder, spec Spec, o Options) (*engine, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	o = o.filled(spec)
	if err := o.validate(); err != nil {
		return nil, err
	}
	info := src.Info()
	e := &engine{spec: spec, o: o, src: src, faces: newFaceStage(spec, info, finder, o)}

	old := func(born time.Time) bool { return time.Since(born) > o.MaxQueue }
	nSteps, nHops := fileSteps, fileSets
	if info.Live {
		nSteps, nHops = liveSteps, liveSets
	}
	// A cut is cheap and is not passed over here; it keeps its age.
	e.steps = newQueue(nSteps, info.Live, func(s step) bool { return s.tick != nil && old(s.due) }, func(s step) {
		if s.tick != nil {
			e.dropSlow(Dropped{Frames: 1})
		} else {
			e.dropSlow(Dropped{Windows: 1})
		}
	})
	e.sets = newQueue(nHops, info.Live, func(h windowSet) bool { return old(h.due) }, func(h windowSet) {
		e.dropSlow(Dropped{Windows: len(h.windows)})
	})
	return e, nil
}

// dropSlow counts what was passed over because a stage was slower than the media.
func (e *engine) dropSlow(d Dropped) {
	e.slowFrames.Add(int64(d.Frames))
	e.slowWindows.Add(int64(d.Windows))
	e.o.drop(DropSlow, d)
}

// run runs the stages, with consume as the last, until all is done or one fails.
func (e *engine) run(ctx context.Context, consume func(context.Context) error) error {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	// The first cause stays; a stage that ends because of it returns it, which changes nothing.
	stage := func(f func(context.Context) error, done func()) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				cancel(err)
			}
			done()
		})
	}
	e.align = newAligner(ctx, e.spec, e.src.Info(), e.o, func(s step) error { return e.steps.push(ctx, s) })
	stage(e.read, e.steps.close)
	stage(e.detectFaces, e.sets.close)
	if err := consume(ctx); err != nil {
		cancel(err)
	}
	err := context.Cause(ctx)
	if err == nil {
		err = e.readErr
	}
	cancel(nil)
	wg.Wait()
	e.took = time.Since(began)
	return err
}

// read is the first stage. An error of the source does not stop those after it, which still have what came
// before.
func (e *engine) read(ctx context.Context) error {
	for {
		began := time.Now()
		m, err := e.src.Read(ctx)
		e.busyRead += time.Since(began)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if !errors.Is(err, io.EOF) {
				e.readErr = &SourceError{e.src.Info().Name, fmt.Errorf("pipeline: reading %w", err)}
			}
			return e.align.finish()
		}
		if m.Frame != nil {
			e.frames++
		}
		if m.Samples != nil {
			e.samples += len(m.Samples.Data)
		}
		if err := e.align.add(m); err != nil {
			return err
		}
	}
}

// detectFaces is the second stage: it finds faces at the ticks and puts the windows of each cut together.
func (e *engine) detectFaces(ctx context.Context) error {
	for {
		s, ok, err := e.steps.pop(ctx)
		if !ok {
			return err
		}
		began := time.Now()
		if s.tick != nil {
			e.ticks++
			err = e.faces.detect(ctx, s.tick)
			e.busyFaces += time.Since(began)
			if err != nil {
				return err
			}
			continue
		}
		ws, err := e.faces.windows(ctx, s.cut)
		e.busyFaces += time.Since(began)
		if err != nil {
			return err
		}
		if err := e.sets.push(ctx, windowSet{ws, s.due}); err != nil {
			return err
		}
	}
}

// stats returns what the stages before recognition have counted. It may be called when run has returned.
func (e *engine) stats() Stats {
	s := Stats{
		Frames: e.frames, Samples: e.samples, Ticks: e.ticks,
		Subjects: e.faces.tracker.next, Breaks: e.align.breaks, Ahead: e.align.offset(), Elapsed: e.took,
		Asked: e.faces.asked, Unread: e.faces.unread,
		Media: max(e.align.audio.mark, e.align.video.mark),
		Slow:  Dropped{Frames: int(e.slowFrames.Load()), Windows: int(e.slowWindows.Load())},
	}
	bySource := e.src.Drops() // once: a live source may go on losing
	s.BySource.add(bySource)
	s.Late.add(e.align.late)
	s.Dropped = s.Slow
	s.Dropped.add(bySource)
	s.Dropped.add(e.align.late)
	s.Busy.Read, s.Busy.Faces = e.busyRead, e.busyFaces
	return s
}
