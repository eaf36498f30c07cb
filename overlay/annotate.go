package main

import (
	"context"
	"fmt"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/pipeline"
)

// The picture that stands in where there is only sound.
const (
	plainWidth  = 640
	plainHeight = 360
	plainFPS    = 25
)

// annotator writes a video of its input with what is known drawn in. It is for one goroutine.
type annotator struct {
	path  string
	info  capture.Info
	known *timeline
	o     *overlay
	w     *av.Writer
	next  time.Duration // of the next plain picture
	err   error
}

func newAnnotator(path string, info capture.Info, known *timeline) *annotator {
	return &annotator{path: path, info: info, known: known}
}

// open makes the file, when the size of the pictures is known.
func (a *annotator) open(w, h int) {
	if a.w != nil || a.err != nil {
		return
	}
	a.o = newOverlay(w, h)
	a.w, a.err = av.Create(a.path, av.WriterOptions{Width: w, Height: h, FPS: a.info.FPS, Audio: a.info.HasAudio})
}

// frame draws on a copy of a picture and writes it. Errors are kept for close.
func (a *annotator) frame(f *capture.Frame) {
	a.open(f.Width, f.Height)
	if a.err != nil {
		return
	}
	p := &canvas{append([]byte(nil), f.Pix...), f.Width, f.Height}
	if f.Width != a.o.w || f.Height != a.o.h {
		a.o = newOverlay(f.Width, f.Height)
	}
	a.o.draw(p, a.known.at(f.Time), f.Time)
	a.err = a.w.WriteFrame(&av.Frame{Time: f.Time, Width: f.Width, Height: f.Height, Pix: p.pix})
}

// samples writes sound, and plain pictures along with it if there are no others.
func (a *annotator) samples(s *capture.Samples) {
	if !a.info.HasVideo {
		for ; a.next < s.End() && a.err == nil; a.next += time.Second / plainFPS {
			a.frame(&capture.Frame{Time: a.next, Width: plainWidth, Height: plainHeight, Pix: newCanvas(plainWidth, plainHeight, rgb{40, 44, 52}).pix})
		}
	}
	if a.w == nil || a.err != nil {
		return // sound before the first picture; it is silence in the file
	}
	a.err = a.w.WriteSamples(&av.Samples{Time: s.Time, Data: s.Data})
}

// close finishes the file, or removes it if the run failed.
func (a *annotator) close(failed bool) error {
	switch {
	case a.err != nil:
	case a.w == nil:
		return fmt.Errorf("%s: nothing to write: %s gave no picture", a.path, a.info.Name)
	case !failed:
		a.err = a.w.Close()
		return a.err
	}
	if a.w != nil {
		a.w.Abort()
	}
	return a.err
}

// annotate reads a source a second time, for which everything is known by now, and writes what it shows. The media
// go through the pipeline's own clock, so that they fit the results.
func (a *annotator) annotate(ctx context.Context, src capture.Source, spec pipeline.Spec, o pipeline.Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	o.OnFrame = func(f *capture.Frame) { a.frame(f); cancelOn(a.err, cancel) }
	o.OnSamples = func(s *capture.Samples) { a.samples(s); cancelOn(a.err, cancel) }
	err := pipeline.Cut(ctx, src, nil, spec, o, func(*pipeline.Window) error { return nil })
	if finished := a.close(err != nil); err == nil {
		err = finished
	}
	return err
}

func cancelOn(err error, cancel context.CancelCauseFunc) {
	if err != nil {
		cancel(err)
	}
}

// liveAnnotator draws what is known at the time on media as they come, in a goroutine of its own: encoding must not
// hold the pipeline up. What it has no time for is left out of the video and counted.
type liveAnnotator struct {
	*annotator
	queue chan capture.Media
	done  chan struct{}
	lost  int // pictures
}

func newLiveAnnotator(a *annotator) *liveAnnotator {
	l := &liveAnnotator{annotator: a, queue: make(chan capture.Media, 64), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for m := range l.queue {
			if m.Frame != nil {
				l.frame(m.Frame)
			} else {
				l.samples(m.Samples)
			}
		}
	}()
	return l
}

func (l *liveAnnotator) put(m capture.Media) {
	select {
	case l.queue <- m:
	default:
		if m.Frame != nil {
			l.lost++
		}
	}
}

func (l *liveAnnotator) finish() error {
	close(l.queue)
	<-l.done
	return l.close(false)
}
