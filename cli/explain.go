package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"tandem/capture"
	"tandem/infer/explain"
	"tandem/internal/atomicfile"
	"tandem/pipeline"
)

var explainCommand = &command{
	name: "explain", args: "CLIP", minArgs: 1, maxArgs: 1,
	about: "Show which part of face and sound an answer rests on",
	long: `CLIP is a file, a picture or a URL, as of analyze. Of each face that is followed the window that the
model is surest of is explained, or that around --at: part after part of the face and of the sound is
hidden from the network, and what its answer loses is what it had from there. --out gets a page with
maps over the face and the spectrogram, which shows the people in the clip. See docs/explain.md.

  tandem explain clip.mp4 --at 12.5 --out why.html`,
	options: func() options { return &explainOptions{} },
}

type explainOptions struct {
	networkFlags
	trackFlag
	logFlags
	out     string
	at      float64 // seconds
	faces   int
	timeout float64

	input string
	timed bool
}

func (o *explainOptions) bind(f *pflag.FlagSet) {
	o.networkFlags.bind(f, "fp32")
	o.trackFlag.bind(f)
	f.IntVar(&o.threads, "threads", 0, "threads `N` for the network (default: one a core)")
	f.StringVar(&o.out, "out", "explain.html", "page `FILE` to write")
	ownEnv(f, "out")
	f.Float64Var(&o.at, "at", 0, "explain the windows around this time in `SECONDS` (default: the surest)")
	f.IntVar(&o.faces, "faces", pipeline.DefaultFaces, "follow up to `N` faces")
	f.Float64Var(&o.timeout, "timeout", 10, "longest wait for a URL or a FIFO in `SECONDS`")
	o.logFlags.bind(f)
}

func (o *explainOptions) check(f *pflag.FlagSet) error {
	o.input, o.timed = f.Arg(0), f.Changed("at")
	if err := o.logFlags.check(); err != nil {
		return err
	}
	switch {
	case o.faces < 1:
		return fmt.Errorf("--faces %d: give 1 or more", o.faces)
	case !(o.at >= 0 && o.at <= 1e6):
		return fmt.Errorf("--at %v: give seconds from the clip's start", o.at)
	case !(o.timeout > 0 && o.timeout <= 3600):
		return fmt.Errorf("--timeout %v: give seconds above 0", o.timeout)
	case !isFolder(filepath.Dir(o.out)):
		return fmt.Errorf("--out %s: there is no folder %s", o.out, filepath.Dir(o.out))
	case sameFile(o.out, capture.LocalPath(o.input)):
		return fmt.Errorf("--out %s would overwrite the input", o.out)
	}
	return o.networkFlags.check()
}

func (o *explainOptions) run(ctx context.Context, c *console) error {
	rec, err := openRecognition(o.model, o.inferOptions(o.threads))
	if err != nil {
		return err
	}
	defer rec.Close()
	src, _, err := openTrack(ctx, c, rec, o.input, capture.Options{
		Timeout: seconds(o.timeout), Threads: o.threads, MinFrameInterval: rec.Spec().FaceTick() / 4,
		AudioTrack: o.audioTrack,
	})
	if err != nil {
		return err
	}
	defer src.Close()
	if src.Info().Live {
		return badUsage("%s has no end: explain wants a clip", o.input)
	}
	var at *time.Duration
	if o.timed {
		d := seconds(o.at)
		at = &d
	}
	keeper := explain.NewKeeper(rec, at)
	po := pipeline.Options{
		Faces: o.faces, SilenceDBFS: pipeline.DefaultSilenceDBFS, FirstAfter: pipeline.DefaultFirstAfter,
		Voice: rec.voice,
	}
	_, err = pipeline.Run(ctx, src, rec.finder, keeper, po, func(pipeline.Event) error { return nil })
	if err != nil {
		return withInput(o.input, err)
	}
	windows := keeper.Windows()
	switch {
	case len(windows) == 0 && o.timed:
		return withInput(o.input, fmt.Errorf("no window with a face or a voice at %v s", o.at))
	case len(windows) == 0:
		return withInput(o.input, errors.New("no window with a face or a voice: nothing to explain"))
	}
	var all []*explain.Explanation
	for _, w := range windows {
		e, err := explain.Window(ctx, rec, w)
		if err != nil {
			return withInput(o.input, err)
		}
		all = append(all, e)
		if err := writeExplanation(c, e); err != nil {
			return err
		}
	}
	var page bytes.Buffer
	if err := explain.Write(&page, filepath.Base(o.input), rec.model.name, all); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(o.out, page.Bytes()); err != nil {
		return fmt.Errorf("explanation: %w", err)
	}
	c.say("%s: maps over face and sound; it shows the people in the clip", o.out)
	return nil
}

// isFolder reports whether a folder is there.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// writeExplanation prints what an answer rests on.
func writeExplanation(c *console, e *explain.Explanation) error {
	var b bytes.Buffer
	fmt.Fprintln(&b, e.Title())
	for task, name := range explain.Tasks {
		fmt.Fprintf(&b, "  %s: %s %.2f\n", name, e.LabelOf(task), e.Answer.Probability[task])
		for _, line := range e.Lines(task) {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	_, err := c.out.Write(b.Bytes())
	return err
}
