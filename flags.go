package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tandem/pipeline"
	"tandem/train"
	"tandem/train/dataset"
	"tandem/train/eval"
	"tandem/train/nn"
	"tandem/train/weighting"
	"tandem/webrtc"
)

// options are the values of all flags; each command has some of them.
type options struct {
	args []string

	model     string
	precision string
	threads   int
	noGender  bool
	logLevel  string
	level     slog.Level

	format   string
	faces    int
	smooth   float64 // seconds
	raw      bool
	silence  float64 // dB of full scale
	annotate string
	realtime bool
	timeout  float64 // seconds

	camera, mic  string
	noWindow     bool
	recordEvents string

	json bool

	addr, token, instance  string
	allowAnonymous, public bool
	behindProxy, logJSON   bool
	allowOrigins           []string
	tlsCert, tlsKey        string
	udpPort                int
	publicIPs, iceServers  []string
	maxSessions            int
	maxPerAddress          int
	maxBitrate             float64 // Mbit/s
	maxSize                string
	idle, maxTime          float64 // seconds

	data         []string // NAME=PATH
	splitBy      string
	allowOverlap bool

	out               string
	weighting         string
	weightFloor       float64
	weightTemperature float64
	weightEntropy     float64
	weightSet         map[string]bool // which of these three were given
	arch              string
	width             float64
	modal             string
	recipe            string
	epochs            int
	seed              uint64
	run               string
	resume            bool
	init              []string
	emotions, genders string
	freeze            string
	backend           string
	ckptSteps         int
	ckptMins          float64 // minutes
	cache             string
	clearCache, quick bool
	workers           int

	weightings, modes, staticGrid string
	seeds, jobs                   int

	report    string
	resamples int
	split     string
	senses    string
	seeded    bool // --seed was given
}

// The flags, by what they belong to. Defaults and environment are here and nowhere else.

func (o *options) logFlags(f *pflag.FlagSet) {
	f.StringVar(&o.logLevel, "log-level", "info", "least `LEVEL` of messages on standard error: debug, info, warn or error")
}

func (o *options) modelFlag(f *pflag.FlagSet) {
	f.StringVar(&o.model, "model", "", "model `FILE` (ONNX, by tandem's contract; default: the embedded one)")
}

func (o *options) threadsFlag(f *pflag.FlagSet) {
	f.IntVar(&o.threads, "threads", 0, "threads `N` for the network (default: one a core)")
}

func (o *options) precisionFlag(f *pflag.FlagSet) {
	f.StringVar(&o.precision, "precision", "fp32", "`PRECISION` of the network's convolutions: fp32, or int8, which is faster and a little less exact")
}

func (o *options) recognizeFlags(f *pflag.FlagSet) {
	o.modelFlag(f)
	o.precisionFlag(f)
	o.threadsFlag(f)
	f.StringVar(&o.format, "format", "", "`FORMAT` of the results: table, jsonl or csv (default: table on a terminal, jsonl in a pipe)")
	f.IntVar(&o.faces, "faces", pipeline.DefaultFaces, "follow up to `N` faces")
	o.pipelineFlags(f)
}

func (o *options) pipelineFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.noGender, "no-gender", false, "leave gender out of the results")
	f.Float64Var(&o.smooth, "smooth", pipeline.DefaultSmoothing.Seconds(), "time constant of the smoothing in `SECONDS`; 0 turns it off")
	f.BoolVar(&o.raw, "raw", false, "add the probabilities before smoothing")
	f.Float64Var(&o.silence, "silence", pipeline.DefaultSilenceDBFS, "level in `DBFS` under which a window's sound counts as silence")
	o.logFlags(f)
}

func (o *options) analyzeFlags(f *pflag.FlagSet) {
	o.recognizeFlags(f)
	f.StringVar(&o.annotate, "annotate", "", "write the input with boxes, labels and bars to a video `FILE` (.mp4, .webm, .mkv, …); one input only")
	f.BoolVar(&o.realtime, "realtime", false, "pace a file by the clock, as if it were live: what is too slow is dropped and counted")
	f.Float64Var(&o.timeout, "timeout", 10, "longest wait for a URL or a FIFO in `SECONDS`")
}

func (o *options) liveFlags(f *pflag.FlagSet) {
	o.recognizeFlags(f)
	f.StringVar(&o.camera, "camera", "0", "`CAMERA`: its number, a device, FIFO or file, a URL, or none")
	f.StringVar(&o.mic, "mic", "default", "`MICROPHONE`: its name or a part of it, default, or none")
	f.BoolVar(&o.noWindow, "no-window", false, "open no window")
	f.StringVar(&o.recordEvents, "record-events", "", "write the events to `FILE` too, as JSONL")
}

func (o *options) serveFlags(f *pflag.FlagSet) {
	f.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`ADDRESS` to listen on; one that others can reach wants --token")
	f.StringVar(&o.token, "token", "", "`SECRET` that clients must bear (better in TANDEM_TOKEN, which other users can't see)")
	f.BoolVar(&o.allowAnonymous, "allow-anonymous", false, "let anyone in who can reach the address")
	f.StringArrayVar(&o.allowOrigins, "allow-origin", nil, "`ORIGIN` of pages elsewhere that may use the server, such as https://example.org; repeatable")
	f.StringVar(&o.tlsCert, "tls-cert", "", "certificate `FILE` (PEM): serve HTTPS")
	f.StringVar(&o.tlsKey, "tls-key", "", "`FILE` of the certificate's key (PEM)")
	f.IntVar(&o.udpPort, "udp-port", 0, "one UDP `PORT` for all media (default: one for each session)")
	f.StringArrayVar(&o.publicIPs, "public-ip", nil, "`ADDRESS` at which clients reach this machine through a NAT; repeatable")
	f.BoolVar(&o.public, "public", false, "send media packets to public addresses only, whatever clients name")
	f.StringArrayVar(&o.iceServers, "ice-server", nil, "STUN or TURN `SERVER`: stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT; repeatable")
	f.IntVar(&o.maxSessions, "max-sessions", 0, fmt.Sprintf("at most `N` sessions at a time (default: %d a core)", webrtc.DefaultSessionsPerCore))
	f.IntVar(&o.maxPerAddress, "max-per-address", webrtc.DefaultMaxPerAddress, "at most `N` sessions of one client address (IPv6: of one /64); -1 for no bound")
	f.Float64Var(&o.maxBitrate, "max-bitrate", webrtc.DefaultMaxBitrate/1e6, "`MBIT` a second that a track may use; one that sends twice as much ends its session")
	f.StringVar(&o.maxSize, "max-size", "1920x1080", "largest picture, `WIDTHxHEIGHT`; larger ones end the session")
	f.Float64Var(&o.idle, "idle", webrtc.DefaultIdle.Seconds(), "end a session from which nothing came for `SECONDS`")
	f.Float64Var(&o.maxTime, "max-time", webrtc.DefaultMaxTime.Seconds(), "end a session after `SECONDS`")
	f.BoolVar(&o.behindProxy, "behind-proxy", false, "take clients' addresses from X-Forwarded-For, which the proxy in front sets")
	f.StringVar(&o.instance, "instance", "", "`NAME` to put before session ids, for a balancer in front of several servers")
	o.modelFlag(f)
	o.precisionFlag(f)
	f.IntVar(&o.threads, "threads", 0, "threads `N` for one batch through the network (default: 1; as many batches as cores run at a time)")
	f.IntVar(&o.faces, "faces", pipeline.DefaultFaces, "follow up to `N` faces a session")
	o.pipelineFlags(f)
	f.BoolVar(&o.logJSON, "log-json", false, "log as JSON")
}

func (o *options) dataFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.data, "data", nil, "data set `NAME=PATH`, repeatable; NAME: "+strings.Join(dataset.Names(), ", ")+" (in TANDEM_DATA: separated by commas)")
	f.StringVar(&o.splitBy, "split-by", dataset.BySpeaker, "`HOW` to divide the data: speaker (as the sets say), clip (at random), authors (as Chae et al. did), or K/k, the k-th of K folds by speaker")
	f.BoolVar(&o.allowOverlap, "allow-speaker-overlap", false, "take data whose splits share speakers; the model and its reports will tell")
	o.cacheFlags(f)
}

func (o *options) cacheFlags(f *pflag.FlagSet) {
	f.StringVar(&o.cache, "cache", "", "keep prepared samples in `DIR` (default: tandem in the user's cache folder)")
	f.IntVar(&o.workers, "workers", 0, "clips prepared at a time, `N` (default: one a core)")
}

func (o *options) labelFlags(f *pflag.FlagSet, otherwise string) {
	f.StringVar(&o.emotions, "emotions", "", "`LABELS` to tell apart, separated by commas, or manifest: those of the manifests (default: "+otherwise+")")
	f.StringVar(&o.genders, "genders", "", "the same for genders, `LABELS` or manifest")
}

func (o *options) trainFlags(f *pflag.FlagSet) {
	o.dataFlags(f)
	f.StringVar(&o.out, "out", "model.onnx", "model `FILE` to write")
	f.StringVar(&o.recipe, "recipe", "", "recipe `FILE` (JSON; default: that of the default model)")
	f.StringVar(&o.weighting, "weighting", "", "`HOW` the tasks' losses are weighted: "+strings.Join(weighting.Names, ", ")+" or static:EMOTION,GENDER (default: the recipe's)")
	f.Float64Var(&o.weightFloor, "weight-floor", 0, "of softmax: no task's weight falls below `P` (default: the recipe's)")
	f.Float64Var(&o.weightTemperature, "weight-temperature", 0, "of softmax: the weights are softmax(w/`T`) (default: the recipe's)")
	f.Float64Var(&o.weightEntropy, "weight-entropy", 0, "of softmax: add `NATS` times the weights' negative entropy to the loss (default: the recipe's)")
	f.StringVar(&o.arch, "arch", "", "`NETWORK` to train: tandem, or paper, that of Chae et al. 2018, by its own recipe unless --recipe is given (default: the recipe's)")
	f.Float64Var(&o.width, "width", 0, "share `W` of the paper's network's channels, such as 0.25 (default: the recipe's)")
	f.StringVar(&o.modal, "modal", "", "`SENSES` to train: multi, audio or video (default: the recipe's)")
	f.IntVar(&o.epochs, "epochs", 0, "epochs at most, `N` (default: the recipe's)")
	f.Uint64Var(&o.seed, "seed", 0, "seed `N` of all that is random (default: the recipe's)")
	f.StringVar(&o.run, "run", "", "`DIR` for the run's log and checkpoints (default: beside the model, NAME.run)")
	f.BoolVar(&o.resume, "resume", false, "go on where the run in --run stopped, by its recipe unless --recipe is given")
	f.StringArrayVar(&o.init, "init", nil, "begin with the network of a `MODEL` (ONNX), of a run's folder or checkpoint, or of default, the embedded model; repeatable: with several side by side")
	o.labelFlags(f, "those of --init, else the recipe's")
	f.StringVar(&o.freeze, "freeze", "", "`PARTS` that keep their parameters, separated by commas: "+strings.Join(nn.Parts, ", "))
	f.StringVar(&o.backend, "backend", train.DefaultBackend, "`WHAT` computes: onnx (ONNX Runtime), go (pure Go, slow), and xla or xla:PLUGIN (PJRT, for GPUs; its plugin is yours to install)")
	f.Float64Var(&o.ckptMins, "checkpoint-minutes", 10, "write a checkpoint every `MINUTES`, and after each epoch; 0: after each epoch only")
	f.IntVar(&o.ckptSteps, "checkpoint-steps", 0, "write a checkpoint every `N` steps too")
	o.logFlags(f)
}

func (o *options) quantizeFlags(f *pflag.FlagSet) {
	o.modelFlag(f)
	o.dataFlags(f)
	f.StringVar(&o.out, "out", "model.onnx", "model `FILE` to write")
	o.logFlags(f)
}

func (o *options) compareFlags(f *pflag.FlagSet) {
	o.dataFlags(f)
	f.StringVar(&o.out, "out", "compare", "`DIR` for the runs and the report; a comparison that is in it goes on")
	f.StringVar(&o.weightings, "weightings", "softmax,softmax-prior", "`WEIGHTINGS` separated by commas, each as --weighting of train: "+strings.Join(weighting.Names, ", ")+" or static:EMOTION,GENDER")
	f.StringVar(&o.staticGrid, "static-grid", "0.1,0.3,0.5,0.7,0.9", "`WEIGHTS` of emotion for static weightings, of which the best is what the others are held against; none for no grid")
	f.StringVar(&o.modes, "modes", "multi", "`SENSES` to train, separated by commas: multi, audio, video")
	f.IntVar(&o.seeds, "seeds", 3, "seeds `N` of each: the recipe's and those after it")
	f.StringVar(&o.recipe, "recipe", "", "recipe `FILE` (JSON) that all runs share (default: that of the default model)")
	f.IntVar(&o.epochs, "epochs", 0, "epochs at most, `N` (default: the recipe's)")
	f.Uint64Var(&o.seed, "seed", 0, "first seed, `N` (default: the recipe's)")
	o.labelFlags(f, "the recipe's")
	f.StringVar(&o.backend, "backend", train.DefaultBackend, "`WHAT` computes, as of train")
	f.IntVar(&o.jobs, "jobs", 1, "runs `N` at a time; with ONNX Runtime on few cores two take longer than one after the other")
	o.logFlags(f)
}

func (o *options) evalFlags(f *pflag.FlagSet) {
	o.modelFlag(f)
	o.precisionFlag(f)
	o.dataFlags(f)
	f.StringVar(&o.split, "split", dataset.SplitVal, "`SPLIT` to judge by: "+strings.Join(splits, ", "))
	f.StringVar(&o.senses, "senses", string(eval.BothSenses), "`SENSES` to judge by: "+strings.Join(senses, ", "))
	f.StringVar(&o.report, "report", "", "write report.json and report.html to `DIR`")
	f.IntVar(&o.resamples, "resamples", 1000, "resamples `N` of the bootstrap that gives the 95 % intervals; 0 for none")
	f.Uint64Var(&o.seed, "seed", 1, "seed `N` of the bootstrap")
	f.IntVar(&o.threads, "threads", 0, "batches `N` through the network at a time, a thread each (default: one a core)")
	o.logFlags(f)
}

func (o *options) checkFlags(f *pflag.FlagSet) {
	o.labelFlags(f, "those of the default model")
	f.BoolVar(&o.quick, "quick", false, "look at names and labels only; open no media file")
	f.BoolVar(&o.json, "json", false, "print JSON, which names all that the text shortens")
	f.BoolVar(&o.clearCache, "clear-cache", false, "remove all prepared samples from the cache")
	o.cacheFlags(f)
	o.logFlags(f)
}

func (o *options) describeFlags(f *pflag.FlagSet) {
	o.modelFlag(f)
	f.BoolVar(&o.json, "json", false, "print JSON")
	o.logFlags(f)
}

func (o *options) devicesFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print JSON")
	o.logFlags(f)
}

// errHelp is what parse returns for --help.
var errHelp = pflag.ErrHelp

// usageError is a command line that cannot be meant.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func badUsage(format string, args ...any) error { return &usageError{err: fmt.Errorf(format, args...)} }

// envName is the environment's name for a flag.
func envName(flag string) string {
	return "TANDEM_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func (c *command) flagSet(o *options) *pflag.FlagSet {
	f := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	f.SortFlags = false
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	c.flags(o, f)
	return f
}

// parse reads a command's flags: the command line first, then the environment, then the defaults.
func (c *command) parse(args []string) (*options, error) {
	o := &options{}
	f := c.flagSet(o)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var wrong error
	f.VisitAll(func(flag *pflag.Flag) {
		v, ok := os.LookupEnv(envName(flag.Name))
		if !ok || flag.Changed || wrong != nil {
			return
		}
		values := []string{v}
		if flag.Value.Type() == "stringArray" {
			values = strings.Split(v, ",")
		}
		for _, v := range values {
			if err := f.Set(flag.Name, v); err != nil {
				wrong = fmt.Errorf("the environment's %s: %w", envName(flag.Name), err)
			}
		}
	})
	if wrong != nil {
		return nil, wrong
	}
	o.args = f.Args()
	o.seeded = f.Changed("seed")
	o.weightSet = map[string]bool{}
	for _, name := range []string{"floor", "temperature", "entropy"} {
		if f.Changed("weight-" + name) {
			o.weightSet[name] = true
		}
	}
	if n := len(o.args); n < c.minArgs || c.maxArgs >= 0 && n > c.maxArgs {
		if n < c.minArgs {
			return nil, fmt.Errorf("%s is missing", c.args)
		}
		return nil, fmt.Errorf("%q is one argument too many", o.args[c.maxArgs])
	}
	return o, o.check(f)
}

// check refuses values that no run could use.
func (o *options) check(f *pflag.FlagSet) error {
	has := func(name string) bool { return f.Lookup(name) != nil }
	if err := o.level.UnmarshalText([]byte(o.logLevel)); has("log-level") && err != nil {
		return fmt.Errorf("--log-level %q: known are debug, info, warn and error", o.logLevel)
	}
	if has("format") && !slices.Contains([]string{"", "table", "jsonl", "csv"}, o.format) {
		return fmt.Errorf("--format %q: known are table, jsonl and csv", o.format)
	}
	switch {
	case o.threads < 0:
		return fmt.Errorf("--threads %d: give 1 or more, or 0 for one a core", o.threads)
	case has("faces") && o.faces < 1:
		return fmt.Errorf("--faces %d: give 1 or more", o.faces)
	case !(o.smooth >= 0 && o.smooth <= 3600):
		return fmt.Errorf("--smooth %v: give seconds, 0 to turn it off", o.smooth)
	case has("silence") && !(o.silence < 0 && o.silence >= -1000):
		return fmt.Errorf("--silence %v: give a level below 0 dBFS", o.silence)
	case has("timeout") && !(o.timeout > 0 && o.timeout <= 3600):
		return fmt.Errorf("--timeout %v: give seconds above 0", o.timeout)
	case o.workers < 0:
		return fmt.Errorf("--workers %d: give 1 or more, or 0 for one a core", o.workers)
	case o.maxSessions < 0:
		return fmt.Errorf("--max-sessions %d: give 1 or more", o.maxSessions)
	case has("max-per-address") && (o.maxPerAddress == 0 || o.maxPerAddress < -1):
		return fmt.Errorf("--max-per-address %d: give 1 or more, or -1 for no bound", o.maxPerAddress)
	case has("max-bitrate") && !(o.maxBitrate > 0 && o.maxBitrate <= 1000):
		return fmt.Errorf("--max-bitrate %v: give Mbit/s above 0", o.maxBitrate)
	case has("idle") && !(o.idle >= 1 && o.idle <= 86400):
		return fmt.Errorf("--idle %v: give seconds from 1 on", o.idle)
	case has("max-time") && !(o.maxTime >= 1 && o.maxTime <= 7*86400):
		return fmt.Errorf("--max-time %v: give seconds from 1 on, a week at most", o.maxTime)
	case o.udpPort < 0 || o.udpPort > 65535:
		return fmt.Errorf("--udp-port %d: give 1 to 65535", o.udpPort)
	case has("checkpoint-minutes") && !(o.ckptMins >= 0 && o.ckptMins <= 7*24*60):
		return fmt.Errorf("--checkpoint-minutes %v: give minutes, 0 for none within an epoch", o.ckptMins)
	case has("backend") && train.CheckBackend(o.backend) != nil:
		return fmt.Errorf("--backend %w", train.CheckBackend(o.backend))
	case o.ckptSteps < 0:
		return fmt.Errorf("--checkpoint-steps %d: give 1 or more", o.ckptSteps)
	case o.epochs < 0:
		return fmt.Errorf("--epochs %d: give 1 or more", o.epochs)
	case has("senses") && !slices.Contains(senses, o.senses):
		return fmt.Errorf("--senses %q: known are %s", o.senses, strings.Join(senses, ", "))
	case has("split") && !slices.Contains(splits, o.split):
		return fmt.Errorf("--split %q: known are %s", o.split, strings.Join(splits, ", "))
	case o.resamples < 0 || o.resamples > 100000:
		return fmt.Errorf("--resamples %d: give 1 to 100000, or 0 for no intervals", o.resamples)
	case has("precision") && o.precision != "fp32" && o.precision != "int8":
		return fmt.Errorf("--precision %q: known are fp32 and int8", o.precision)
	case has("data") && len(o.data) == 0:
		return errors.New("--data NAME=PATH is missing")
	}
	if err := dataset.CheckSplitBy(o.splitBy); err != nil {
		return fmt.Errorf("--split-by %w", err)
	}
	for _, d := range o.data {
		name, path, ok := strings.Cut(d, "=")
		if !ok || path == "" {
			return fmt.Errorf("--data %q: want NAME=PATH", d)
		}
		if _, _, err := dataset.ParseName(name); err != nil {
			return fmt.Errorf("--data %q: %w", d, err)
		}
	}
	return nil
}

// The values of --split and --senses.
var (
	splits = []string{dataset.SplitTrain, dataset.SplitVal, dataset.SplitTest, eval.SplitAll}
	senses = []string{string(eval.BothSenses), string(eval.AudioOnly), string(eval.VideoOnly)}
)

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// pipelineOptions are the flags that a pipeline heeds.
func (o *options) pipelineOptions() pipeline.Options {
	return pipeline.Options{
		Faces: o.faces, Smoothing: seconds(o.smooth), Raw: o.raw, NoGender: o.noGender, SilenceDBFS: o.silence,
	}
}

// writeHelp prints all there is to know of a command.
func (c *command) writeHelp(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s\n\nUsage: tandem %s [flags]", c.about, c.name)
	if c.args != "" {
		fmt.Fprintf(b, " %s", c.args)
	}
	fmt.Fprintf(b, "\n\n%s\n\nFlags:\n%s", strings.TrimSpace(c.long), c.flagSet(&options{}).FlagUsagesWrapped(100))
	fmt.Fprintf(b, "\nEach flag can be given by the environment too, as --log-level by TANDEM_LOG_LEVEL.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// writeOverview prints what commands there are.
func writeOverview(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "Tandem watches a face and listens to the voice, and tells which emotion they show\nand which gender they present.\n\nUsage: tandem COMMAND [flags] [arguments]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(b, "  %-9s %s\n", c.name, c.about)
	}
	fmt.Fprintf(b, "\ntandem COMMAND --help tells the rest; tandem --version prints the version.\nExit codes: 0 fine, 1 failed, 2 wrong usage, 130 interrupted.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// command is one subcommand.
type command struct {
	name, args, about, long string
	minArgs, maxArgs        int // maxArgs -1: any number
	flags                   func(*options, *pflag.FlagSet)
	run                     runner
}

type runner func(context.Context, *console, *options) error

// commands are all of them, in the order in which a newcomer needs them.
func commands() []*command {
	return []*command{analyzeCommand, liveCommand, serveCommand, dataCommand, trainCommand, compareCommand, evalCommand, quantizeCommand, modelCommand, devicesCommand}
}

func findCommand(name string) *command {
	for _, c := range commands() {
		if c.name == name {
			return c
		}
	}
	return nil
}
