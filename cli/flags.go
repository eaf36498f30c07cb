package cli

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
)

// The flags that several commands share, in groups that their options embed.

// logFlags are those of every command.
type logFlags struct {
	levelName string
	level     slog.Level // after check
}

func (l *logFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&l.levelName, "log-level", "info",
		"least `LEVEL` of messages on standard error: debug, info, warn or error")
	oneOf(f, "log-level", []string{"debug", "info", "warn", "error"})
}

func (l *logFlags) check() error {
	if l.level.UnmarshalText([]byte(l.levelName)) != nil {
		return fmt.Errorf("--log-level %q: known are debug, info, warn and error", l.levelName)
	}
	return nil
}

func (l *logFlags) logLevel() slog.Level { return l.level }

// modelFlag names the model.
type modelFlag struct{ model string }

func (m *modelFlag) bind(f *pflag.FlagSet) {
	f.StringVar(&m.model, "model", "", "model `FILE` (ONNX, by tandem's contract; default: the embedded one)")
}

// precisions are the values of --precision.
var precisions = []string{"auto", "fp32", "int8"}

// networkFlags say which model is run and how exactly. --threads, in threads, is bound by the commands, whose defaults
// differ.
type networkFlags struct {
	modelFlag
	precision string
	threads   int
}

// bind adds the flags, with precision for a default.
func (n *networkFlags) bind(f *pflag.FlagSet, precision string) {
	n.modelFlag.bind(f)
	f.StringVar(&n.precision, "precision", precision,
		"`PRECISION` of the network's convolutions: fp32, int8, which is faster and a little less exact, or auto: "+
			"int8 if the model knows its ranges and the processor has instructions for it")
	oneOf(f, "precision", precisions)
}

func (n *networkFlags) check() error {
	if n.threads < 0 {
		return fmt.Errorf("--threads %d: give 1 or more, or 0 for one a core", n.threads)
	}
	if !slices.Contains(precisions, n.precision) {
		return fmt.Errorf("--precision %q: known are %s", n.precision, strings.Join(precisions, ", "))
	}
	return nil
}

// inferOptions returns the runtime's options with a number of threads for each batch; 0 is one a core.
func (n *networkFlags) inferOptions(threads int) infer.Options {
	return infer.Options{
		Threads: threads, Int8: n.precision == "int8", Int8IfFaster: n.precision == "auto",
	}
}

// pipelineFlags are those of a pipeline.
type pipelineFlags struct {
	speakerFlags
	faces    int
	noGender bool
	smooth   float64 // seconds
	raw      bool
	silence  float64 // dB of full scale
}

// bind adds the flags. of ends the help of --faces: "" or, as of sessions, " a session".
func (p *pipelineFlags) bind(f *pflag.FlagSet, of string) {
	p.speakerFlags.bind(f)
	f.IntVar(&p.faces, "faces", pipeline.DefaultFaces, "follow up to `N` faces"+of)
	f.BoolVar(&p.noGender, "no-gender", false, "leave gender out of the results")
	f.Float64Var(&p.smooth, "smooth", pipeline.DefaultSmoothing.Seconds(),
		"time constant of the smoothing in `SECONDS`; 0 turns it off")
	f.BoolVar(&p.raw, "raw", false, "add the probabilities before smoothing")
	f.Float64Var(&p.silence, "silence", pipeline.DefaultSilenceDBFS,
		"level in `DBFS` under which a window's sound counts as silence")
}

func (p *pipelineFlags) check() error {
	switch {
	case p.faces < 1:
		return fmt.Errorf("--faces %d: give 1 or more", p.faces)
	case !(p.smooth >= 0 && p.smooth <= 3600):
		return fmt.Errorf("--smooth %v: give seconds, 0 to turn it off", p.smooth)
	case !(p.silence < 0 && p.silence >= -1000):
		return fmt.Errorf("--silence %v: give a level below 0 dBFS", p.silence)
	}
	return p.speakerFlags.check()
}

func (p *pipelineFlags) pipelineOptions() pipeline.Options {
	return pipeline.Options{
		Faces: p.faces, Smoothing: seconds(p.smooth), Raw: p.raw, NoGender: p.noGender, SilenceDBFS: p.silence,
		FirstAfter: pipeline.DefaultFirstAfter,
	}
}

// formats are the values of --format; "" is chosen by where the results go.
var formats = []string{"", "table", "jsonl", "csv", "parquet", "textgrid", "eaf", "rttm"}

// recognizeFlags are those of the commands that write results to standard output.
type recognizeFlags struct {
	networkFlags
	pipelineFlags
	logFlags
	format string
}

func (r *recognizeFlags) bind(f *pflag.FlagSet) {
	r.networkFlags.bind(f, "auto")
	f.IntVar(&r.threads, "threads", 0, "threads `N` for the network (default: one a core)")
	f.StringVar(&r.format, "format", "",
		"`FORMAT` of the results: table, jsonl, csv, parquet, textgrid (Praat), eaf (ELAN) or rttm (who spoke when) "+
			"(default: table on a terminal, jsonl in a pipe)")
	oneOf(f, "format", formats[1:])
	r.pipelineFlags.bind(f, "")
	r.logFlags.bind(f)
}

func (r *recognizeFlags) check() error {
	if err := r.logFlags.check(); err != nil {
		return err
	}
	if !slices.Contains(formats, r.format) {
		return fmt.Errorf("--format %q: known are %s and %s", r.format,
			strings.Join(formats[1:len(formats)-1], ", "), formats[len(formats)-1])
	}
	if err := r.networkFlags.check(); err != nil {
		return err
	}
	return r.pipelineFlags.check()
}

// trackFlag chooses among tracks of sound.
type trackFlag struct{ audioTrack string }

func (t *trackFlag) bind(f *pflag.FlagSet) {
	f.StringVar(&t.audioTrack, "audio-track", "", "track of sound to take of several, `N` or a language such as en "+
		"(default: the one with a voice in its first seconds)")
}

// cacheFlags are those of the commands that prepare samples.
type cacheFlags struct {
	cache   string
	workers int
}

func (c *cacheFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&c.cache, "cache", "", "keep prepared samples in `DIR` (default: tandem in the user's cache folder)")
	f.IntVar(&c.workers, "workers", 0, "clips prepared at a time, `N` (default: one a core)")
}

func (c *cacheFlags) check() error {
	if c.workers < 0 {
		return fmt.Errorf("--workers %d: give 1 or more, or 0 for one a core", c.workers)
	}
	return nil
}

// cacheDir returns where prepared samples are kept.
func (c *cacheFlags) cacheDir() (string, error) {
	if c.cache != "" {
		return c.cache, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep prepared samples in (%w): give --cache DIR", err)
	}
	return filepath.Join(dir, "tandem"), nil
}

// orCores returns n, or the number of cores for 0.
func orCores(n int) int {
	if n == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

// mapFlag renames published labels.
type mapFlag struct {
	pairs []string
	names dataset.LabelMap // after check
}

func (m *mapFlag) bind(f *pflag.FlagSet) {
	f.StringArrayVar(&m.pairs, "map", nil, "take one label of the data for another, `FROM=TO`, repeatable: joy=happy, "+
		"0=angry, gender:0=female (in TANDEM_MAP: separated by commas)")
}

func (m *mapFlag) check() (err error) {
	if m.names, err = dataset.ParseLabelMap(m.pairs); err != nil {
		return fmt.Errorf("--map %w", err)
	}
	return nil
}

// dataFlags are those of the commands that read labelled data.
type dataFlags struct {
	cacheFlags
	mapFlag
	data         []string // NAME=PATH
	splitBy      string
	allowOverlap bool
}

func (d *dataFlags) bind(f *pflag.FlagSet) {
	f.StringArrayVar(&d.data, "data", nil, "data set `NAME=PATH`, repeatable; NAME: "+
		strings.Join(dataset.Names(), ", ")+" (in TANDEM_DATA: separated by commas)")
	f.StringVar(&d.splitBy, "split-by", dataset.BySpeaker, "`HOW` to divide the data: speaker (as the sets say), "+
		"clip (at random), authors (as Chae et al. did), K/k, the k-th of K folds by speaker, or set:NAME or "+
		"speaker:NAME, which is left out to be the test split")
	f.BoolVar(&d.allowOverlap, "allow-speaker-overlap", false,
		"take data whose splits share speakers; the model and its reports will tell")
	d.mapFlag.bind(f)
	d.cacheFlags.bind(f)
}

func (d *dataFlags) check() error {
	if err := cmp.Or(d.cacheFlags.check(), d.mapFlag.check()); err != nil {
		return err
	}
	if len(d.data) == 0 {
		return errors.New("--data NAME=PATH is missing")
	}
	if err := dataset.CheckSplitBy(d.splitBy); err != nil {
		return fmt.Errorf("--split-by %w", err)
	}
	for _, set := range d.data {
		name, path, ok := strings.Cut(set, "=")
		if !ok || path == "" {
			return fmt.Errorf("--data %q: want NAME=PATH", set)
		}
		if _, _, err := dataset.ParseName(name); err != nil {
			return fmt.Errorf("--data %q: %w", set, err)
		}
	}
	return nil
}

// labelFlags choose the labels.
type labelFlags struct{ emotions, genders string }

// bind adds the flags; otherwise says whose labels are taken without them.
func (l *labelFlags) bind(f *pflag.FlagSet, otherwise string) {
	f.StringVar(&l.emotions, "emotions", "", "`LABELS` to tell apart, separated by commas, or manifest: "+
		"those of the manifests (default: "+otherwise+")")
	f.StringVar(&l.genders, "genders", "", "the same for genders, `LABELS` or manifest")
}

// labels returns those that the flags name, in place of others, in lower case. data is NAME=PATH of each data set,
// whose labels are renamed by names.
func (l *labelFlags) labels(data []string, names dataset.LabelMap, others pipeline.Labels) (pipeline.Labels, error) {
	var manifest pipeline.Labels
	if l.emotions == "manifest" || l.genders == "manifest" {
		var err error
		if manifest, err = dataset.ManifestLabels(data, names); err != nil {
			return others, fmt.Errorf("labels: %w", err)
		}
	}
	for _, task := range []struct {
		value    string
		manifest []string
		to       *[]string
	}{{l.emotions, manifest.Emotions, &others.Emotions}, {l.genders, manifest.Genders, &others.Genders}} {
		switch task.value {
		case "":
		case "manifest":
			*task.to = task.manifest
		default:
			*task.to = strings.Split(strings.ToLower(task.value), ",")
			for i, label := range *task.to {
				(*task.to)[i] = strings.TrimSpace(label)
			}
		}
	}
	return others, nil
}
