package overlay

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
	PlainWidth  = 640
	PlainHeight = 360
	plainFPS    = 25
)

// NewPlain returns a picture of w by h pixels that stands in where there is none.
func NewPlain(w, h int) *Canvas { return NewCanvas(w, h, RGB{40, 44, 52}) }

// Annotator writes a video of its input with what its timeline knows drawn in. It is for one goroutine, but for the
// timeline.
type Annotator struct {
	*Timeline
	path string
	info capture.Info
	o    *Overlay
	w    *av.Writer
	next time.Duration // of the next plain picture
	err  error
}

// NewAnnotator returns an annotator that writes the input described by info to path, once its timeline knows the whole
// run. The timeline forgets nothing.
func NewAnnotator(path string, info capture.Info) *Annotator {
	return &Annotator{Timeline: NewTimeline(0), path: path, info: info}
}

// CheckWritable returns the error that writing an annotated video to path would begin with, if any. It leaves a file
// that is there as it was.
func CheckWritable(path string) error {
	w, err := av.Create(path, av.WriterOptions{Width: PlainWidth, Height: PlainHeight, Audio: true})
	if err != nil {
		return err
	}
	w.Abort()
	return nil
}

// open makes the file, when the size of the pictures is known.
func (a *Annotator) open(w, h int) {
	if a.w != nil || a.err != nil {
		return
	}
	a.o = New(w, h)
	a.w, a.err = av.Create(a.path, av.WriterOptions{Width: w, Height: h, FPS: a.info.FPS, Audio: a.info.HasAudio})
}

// frame draws on a copy of a picture and writes it. Errors are kept for close.
func (a *Annotator) frame(f *capture.Frame) {
	a.open(f.Width, f.Height)
	if a.err != nil {
		return
	}
	p := &Canvas{append([]byte(nil), f.Pix...), f.Width, f.Height}
	if f.Width != a.o.w || f.Height != a.o.h {
		a.o = New(f.Width, f.Height)
	}
	a.o.Draw(p, a.At(f.Time), f.Time)
	a.err = a.w.WriteFrame(&av.Frame{Time: f.Time, Width: f.Width, Height: f.Height, Pix: p.Pix})
}

// samples writes sound, and plain pictures along with it if there are no others.
func (a *Annotator) samples(s *capture.Samples) {
	if !a.info.HasVideo {
		for ; a.next < s.End() && a.err == nil; a.next += time.Second / plainFPS {
			p := NewPlain(PlainWidth, PlainHeight)
			a.frame(&capture.Frame{Time: a.next, Width: p.W, Height: p.H, Pix: p.Pix})
		}
	}
	if a.w == nil || a.err != nil {
		return // sound before the first picture; it is silence in the file
	}
	a.err = a.w.WriteSamples(&av.Samples{Time: s.Time, Data: s.Data})
}

// close finishes the file, or removes it if the run failed.
func (a *Annotator) close(failed bool) error {
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

// Annotate reads a source a second time, when the timeline knows all of it, and writes the file. The media go through
// the pipeline's own clock, so that they fit the results.
func (a *Annotator) Annotate(
	ctx context.Context, src capture.Source, spec pipeline.Spec, o pipeline.Options,
) error {
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

const (
	// liveQueue is how many items of media wait for the encoder.
	liveQueue = 64
	// liveKeep is how long a live annotator's timeline remembers. A stream may never end, so it must not remember
	// everything. Drawn may still be the media that wait, which are some seconds of pictures and sound.
	liveKeep = 30 * time.Second
)

// LiveAnnotator draws what is known at the time on media as they come, in a goroutine of its own: encoding must not
// hold the pipeline up. What it has no time for is left out of the video and counted. Its timeline remembers only what
// may still be drawn.
type LiveAnnotator struct {
	*Timeline
	writer *Annotator // belongs to the goroutine until done
	queue  chan capture.Media
	done   chan struct{}
	lost   int
}

// NewLiveAnnotator starts an annotator of the live input described by info, which writes to path until Finish.
func NewLiveAnnotator(path string, info capture.Info) *LiveAnnotator {
	known := NewTimeline(liveKeep)
	l := &LiveAnnotator{
		Timeline: known, writer: &Annotator{Timeline: known, path: path, info: info},
		queue: make(chan capture.Media, liveQueue), done: make(chan struct{}),
	}
	go func() {
		defer close(l.done)
		for m := range l.queue {
			if m.Frame != nil {
				l.writer.frame(m.Frame)
			} else {
				l.writer.samples(m.Samples)
			}
		}
	}()
	return l
}

// Frame has a picture written if there is time. It does not wait.
func (l *LiveAnnotator) Frame(f *capture.Frame) {
	if !l.put(capture.Media{Frame: f}) {
		l.lost++
	}
}

// Samples has sound written if there is time. It does not wait.
func (l *LiveAnnotator) Samples(s *capture.Samples) { l.put(capture.Media{Samples: s}) }

func (l *LiveAnnotator) put(m capture.Media) bool {
	select {
	case l.queue <- m:
		return true
	default:
		return false
	}
}

// Finish writes what waits and closes the file. It returns how many pictures there was no time for, and why the file
// could not be written. No media may come after it.
func (l *LiveAnnotator) Finish() (lost int, err error) {
	close(l.queue)
	<-l.done
	return l.lost, l.writer.close(false)
}
