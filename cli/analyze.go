package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"tandem/capture"
	"tandem/internal/atomicfile"
	"tandem/overlay"
	"tandem/pipeline"
)

var analyzeCommand = &command{
	name: "analyze", args: "INPUT...", maxArgs: -1,
	about: "Tell emotion and gender in files and streams",
	long: `INPUT is a file (mp4, webm, avi, flv, mkv, mpg, wav, flac, mp3, a picture, …), a FIFO, - for standard input,
a URL (file, http, https, rtsp, rtmp, udp, …), or pattern:, a test source (pattern:30s for its length).
Several are analysed one after the other; one that fails is named and the others go on.

Results go to standard output: a live table on a terminal, in a pipe one JSON object a line, as
docs/output.md describes them. All else goes to standard error.

  tandem analyze clip.mp4
  tandem analyze --format csv --no-gender *.wav > results.csv
  tandem analyze --annotate annotated.mp4 clip.mp4`,
	options: func() options { return &analyzeOptions{} },
}

type analyzeOptions struct {
	recognizeFlags
	trackFlag
	archiveFlags
	annotate string
	report   string
	pictures bool
	realtime bool
	timeout  float64 // seconds

	inputs []string
}

func (o *analyzeOptions) bind(f *pflag.FlagSet) {
	o.recognizeFlags.bind(f)
	o.trackFlag.bind(f)
	f.StringVar(&o.annotate, "annotate", "",
		"write the input with boxes, labels and bars to a video `FILE` (.mp4, .webm, .mkv, …); one input only")
	f.StringVar(&o.report, "report", "", "write a page with a timeline of each subject to a `FILE` (.html) too; one "+
		"input only")
	ownEnv(f, "report")
	f.BoolVar(&o.pictures, "pictures", false, "put a picture of each subject into the --report")
	f.BoolVar(&o.realtime, "realtime", false,
		"pace a file by the clock, as if it were live: what is too slow is dropped and counted")
	f.Float64Var(&o.timeout, "timeout", 10, "longest wait for a URL or a FIFO in `SECONDS`")
	o.archiveFlags.bind(f)
}

func (o *analyzeOptions) check(f *pflag.FlagSet) error {
	o.inputs = f.Args()
	if err := o.recognizeFlags.check(); err != nil {
		return err
	}
	if err := o.archiveFlags.check(len(o.inputs), o.format); err != nil {
		return err
	}
	tiers := o.format == "textgrid" || o.format == "eaf"
	switch {
	case tiers && o.outDir == "" && (len(o.inputs) > 1 || o.filesFrom != ""):
		return fmt.Errorf("--format %s is a file for one input: add --out-dir", o.format)
	case !(o.timeout > 0 && o.timeout <= 3600):
		return fmt.Errorf("--timeout %v: give seconds above 0", o.timeout)
	case o.report != "" && (len(o.inputs) > 1 || o.filesFrom != "" || o.outDir != ""):
		return errors.New("--report writes one page: give one INPUT, without --files-from and --out-dir")
	case o.pictures && o.report == "":
		return errors.New("--pictures is of --report: give that too")
	case o.report != "" && sameFile(o.report, capture.LocalPath(o.inputs[0])):
		return fmt.Errorf("--report %s would overwrite the input", o.report)
	case o.annotate != "" && (o.filesFrom != "" || o.outDir != ""):
		return errors.New("--annotate writes one video: leave out --files-from and --out-dir")
	case o.annotate != "" && len(o.inputs) > 1:
		return fmt.Errorf("--annotate writes one video: give one INPUT, not %d", len(o.inputs))
	case o.annotate != "" && sameFile(o.annotate, capture.LocalPath(o.inputs[0])):
		return fmt.Errorf("--annotate %s would overwrite the input", o.annotate)
	}
	return nil
}

func (o *analyzeOptions) run(ctx context.Context, c *console) (err error) {
	if o.outDir == "" {
		if err := checkTerminal(c, o.format); err != nil {
			return err
		}
	}
	if o.annotate != "" {
		// What cannot be written is said now and not when all is analysed.
		if err := overlay.CheckWritable(o.annotate); err != nil {
			return err
		}
	}
	inputs, err := o.archiveFlags.inputs(o.inputs)
	if err != nil {
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
	a := &analysis{c: c, o: o, rec: rec, out: newReporter(c, o.format, o.raw), track: map[string]string{}}
	if o.outDir != "" {
		return a.archive(ctx, inputs)
	}
	defer func() {
		if unwritten := a.out.close(); unwritten != nil && (err == nil || errors.Is(err, errReported)) {
			err = unwritten
		}
	}()
	failed := false
	for _, input := range inputs {
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

// analysis has what all inputs of a command line share.
type analysis struct {
	c   *console
	o   *analyzeOptions
	rec *recognition
	out *reporter

	track map[string]string // of each input that has several tracks of sound, the one that was chosen
}

// open opens an input; with all, for every picture of it. An error names the input.
func (a *analysis) open(ctx context.Context, input string, all bool) (capture.Source, error) {
	o := capture.Options{
		Realtime: a.o.realtime, Timeout: seconds(a.o.timeout), Threads: a.o.threads,
		AudioTrack: cmp.Or(a.track[input], a.o.audioTrack),
	}
	if !all {
		// Faces are looked for at the ticks of the face clock only, so most pictures need not be made RGB. The one
		// for a tick is at most a quarter of a tick older for that.
		o.MinFrameInterval = a.rec.Spec().FaceTick() / 4
	}
	src, track, err := openTrack(ctx, a.c, a.rec, input, o)
	if track != "" { // it is asked for but once
		a.track[input] = track
	}
	return src, err
}

// input analyses one input.
func (a *analysis) input(ctx context.Context, input string) error {
	if a.o.annotate != "" {
		return a.annotated(ctx, input)
	}
	src, err := a.open(ctx, input, false)
	if err != nil {
		return err
	}
	defer src.Close()
	stats, err := a.recognize(ctx, src, a.pipelineOptions(), nil)
	a.report(input, src, stats)
	return withInput(input, err)
}

// annotated analyses one input and writes it with what is known drawn in. A file is read twice, since at each picture
// what comes later helps; a live source is drawn on with what is known at the time.
func (a *analysis) annotated(ctx context.Context, input string) error {
	src, err := a.open(ctx, input, a.o.realtime)
	if err != nil {
		return err
	}
	defer src.Close()
	if src.Info().Live {
		return a.annotatedLive(ctx, input, src)
	}
	if st, err := os.Stat(capture.LocalPath(input)); err == nil && !st.Mode().IsRegular() {
		return badUsage("--annotate reads a file twice, which %s does not allow: add --realtime", input)
	}
	annotator := overlay.NewAnnotator(a.o.annotate, src.Info())
	po := a.pipelineOptions()
	po.OnFaces = annotator.Faces
	stats, err := a.recognize(ctx, src, po, annotator.Event)
	a.report(input, src, stats)
	if err != nil {
		return withInput(input, err)
	}
	again, err := a.open(ctx, input, true)
	if err != nil {
		return err
	}
	defer again.Close()
	return annotator.Annotate(ctx, again, a.rec.Spec(), a.o.pipelineOptions())
}

func (a *analysis) annotatedLive(ctx context.Context, input string, src capture.Source) error {
	live := overlay.NewLiveAnnotator(a.o.annotate, src.Info())
	po := a.pipelineOptions()
	po.OnFaces, po.OnFrame, po.OnSamples = live.Faces, live.Frame, live.Samples
	stats, err := a.recognize(ctx, src, po, live.Event)
	lost, unwritten := live.Finish()
	if lost > 0 {
		a.c.log.Warn("the annotated video lacks pictures for which there was no time", "frames", lost)
	}
	if err == nil {
		err = unwritten
	}
	a.report(input, src, stats)
	return withInput(input, err)
}

func (a *analysis) pipelineOptions() pipeline.Options {
	po := a.o.pipelineOptions()
	a.rec.use(&po)
	return po
}

// recognize runs the pipeline over an opened input and writes the results. also, unless nil, gets each event too.
func (a *analysis) recognize(
	ctx context.Context, src capture.Source, po pipeline.Options, also func(pipeline.Event),
) (pipeline.Stats, error) {
	a.out.begin(src.Info())
	defer a.out.end()
	var page bytes.Buffer
	if a.o.pictures {
		po.Portraits = new(pipeline.Portraits)
	}
	timeline := pipeline.NewTimelineWriter(&page, po.Portraits)
	stats, err := pipeline.Run(ctx, src, a.rec.finder, a.rec, po, func(e pipeline.Event) error {
		if also != nil {
			also(e)
		}
		if a.o.report != "" {
			if err := timeline.Write(e); err != nil {
				return err
			}
		}
		return a.out.event(e)
	})
	if err == nil && a.o.report != "" {
		if err := atomicfile.WriteBytes(a.o.report, page.Bytes()); err != nil {
			return stats, fmt.Errorf("report: %w", err)
		}
	}
	return stats, err
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
		if s.Opposite > 0 {
			a.c.log.Warn("the two channels of the sound cancel each other, as of a cable that is wired wrongly: the "+
				"louder was taken", "input", input, "seconds", s.Opposite.Seconds())
		}
		if s.Retimed > 0 {
			a.c.log.Warn("times in the input jump and were not believed", "input", input, "packets", s.Retimed)
		}
	}
	warnUnread(a.c, stats)
	if a.o.level <= 0 {
		a.c.say("%s", summary(src.Info(), stats))
	}
}
