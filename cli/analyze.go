package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/pipeline"
)

var analyzeCommand = &command{
	name: "analyze", args: "INPUT...", minArgs: 1, maxArgs: -1,
	about: "Tell emotion and gender in files and streams",
	long: `INPUT is a file (mp4, webm, avi, flv, mkv, mpg, wav, flac, mp3, a picture, …), a FIFO, a URL
(http, https, rtsp, rtmp, udp, …), or pattern:, a test source (pattern:30s for its length).
Several are analysed one after the other; one that fails is named and the others go on.

Results go to standard output: a live table on a terminal, in a pipe one JSON object a line, as
docs/output.md describes them. All else goes to standard error.

  tandem analyze clip.mp4
  tandem analyze --format csv --no-gender *.wav > results.csv
  tandem analyze --annotate annotated.mp4 clip.mp4`,
	flags: (*options).analyzeFlags,
	run:   runAnalyze,
}

func runAnalyze(ctx context.Context, c *console, o *options) error {
	if o.annotate != "" {
		if len(o.args) > 1 {
			return badUsage("--annotate writes one video: give one INPUT, not %d", len(o.args))
		}
		if sameFile(o.annotate, o.args[0]) {
			return badUsage("--annotate %s would overwrite the input", o.annotate)
		}
	}
	if o.annotate != "" {
		// What cannot be written is said now and not when all is analysed.
		w, err := av.Create(o.annotate, av.WriterOptions{Width: plainWidth, Height: plainHeight, Audio: true})
		if err != nil {
			return err
		}
		w.Abort()
	}
	rec, err := openRecognition(o)
	if err != nil {
		return err
	}
	defer rec.Close()
	a := &analysis{c: c, o: o, rec: rec, out: newReporter(c, o)}
	failed := false
	for _, input := range o.args {
		err := a.input(ctx, input)
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errOutputClosed):
			return err
		}
		failed = true
		c.say("%v", err)
	}
	if failed {
		return errReported
	}
	return nil
}

// sameFile tells whether two names are of one file.
func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// analysis is what all inputs share.
type analysis struct {
	c   *console
	o   *options
	rec *recognition
	out *reporter
}

func (a *analysis) open(ctx context.Context, input string, all bool) (capture.Source, error) {
	o := capture.Options{Realtime: a.o.realtime, Timeout: seconds(a.o.timeout), Threads: a.o.threads}
	if !all {
		// Faces are looked for at the ticks of the face clock only, so most pictures need not be made RGB. The one
		// for a tick is at most a quarter of a tick older for that.
		o.MinFrameInterval = a.rec.Spec().FaceTick() / 4
	}
	return capture.Open(ctx, input, o)
}

// input analyses one input.
func (a *analysis) input(ctx context.Context, input string) error {
	live := a.o.annotate != "" && a.o.realtime
	src, err := a.open(ctx, input, live)
	if err != nil {
		return about(input, err)
	}
	defer src.Close()
	info := src.Info()
	po := a.o.pipelineOptions()
	po.Model = a.rec.model.sha256
	known := &timeline{}
	var writer *liveAnnotator
	if a.o.annotate != "" {
		po.OnFaces = known.faces
		switch st, err := os.Stat(input); {
		case info.Live:
			writer = newLiveAnnotator(newAnnotator(a.o.annotate, info, known))
			po.OnFrame = func(f *capture.Frame) { writer.put(capture.Media{Frame: f}) }
			po.OnSamples = func(s *capture.Samples) { writer.put(capture.Media{Samples: s}) }
		case err == nil && !st.Mode().IsRegular():
			return badUsage("--annotate reads a file twice, which %s does not allow: add --realtime", input)
		}
	}

	a.out.begin(info)
	stats, err := pipeline.Run(ctx, src, a.rec.finder, a.rec, po, func(e pipeline.Event) error {
		if a.o.annotate != "" {
			known.event(e)
		}
		return a.out.event(e)
	})
	a.out.end()
	if writer != nil {
		finished := writer.finish()
		if writer.lost > 0 {
			a.c.log.Warn("the annotated video lacks pictures for which there was no time", "frames", writer.lost)
		}
		if err == nil {
			err = finished
		}
	}
	a.report(input, src, stats)
	if err != nil {
		return about(input, err)
	}
	if a.o.annotate == "" || writer != nil {
		return nil
	}
	again, err := a.open(ctx, input, true)
	if err != nil {
		return about(input, err)
	}
	defer again.Close()
	return newAnnotator(a.o.annotate, info, known).annotate(ctx, again, a.rec.Spec(), a.o.pipelineOptions())
}

// report says how it went.
func (a *analysis) report(input string, src capture.Source, stats pipeline.Stats) {
	if f, ok := src.(*capture.File); ok {
		s := f.Stats()
		if s.Truncated {
			a.c.log.Warn("the input ended before its end", "input", input)
		}
		if s.Corrupt > 0 {
			a.c.log.Warn("some of the input could not be decoded", "input", input, "packets", s.Corrupt)
		}
		if s.Retimed > 0 {
			a.c.log.Warn("times in the input jump and were not believed", "input", input, "packets", s.Retimed)
		}
	}
	if a.o.level <= 0 {
		a.c.say("%s", summary(src.Info(), stats))
	}
}

// about makes an error name the input.
func about(input string, err error) error {
	if strings.Contains(err.Error(), input) {
		return err
	}
	return fmt.Errorf("%s: %w", input, err)
}
