// Package cli has tandem's commands. Each stands in a file of its own, with its flags, checks, help and what it does;
// flags.go has the flags that several share.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

// Exit codes, as in README.md.
const (
	exitFine        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

var (
	// errInterrupted is why a command's context ended when the user asked for it.
	errInterrupted = errors.New("interrupted")
	// errReported is returned by a command that has said already what failed.
	errReported = errors.New("failed")
)

// commands returns all of them, in the order in which a newcomer needs them.
func commands() []*command {
	return []*command{
		analyzeCommand, explainCommand, liveCommand, serveCommand, agentCommand, dataCommand, trainCommand,
		compareCommand, sweepCommand, evalCommand, quantizeCommand, modelCommand, cardCommand, devicesCommand,
		completionCommand, manCommand,
	}
}

// findCommand returns nil for a name that no command has.
func findCommand(name string) *command {
	for _, c := range commands() {
		if c.name == name {
			return c
		}
	}
	return nil
}

// Run runs the command line args, without the program's name, and returns the exit code. Results go to stdout and all
// else to stderr. When ctx ends, the command ends early.
func Run(ctx context.Context, args []string, stdout, stderr *os.File) int {
	return run(ctx, args, newConsole(stdout, stderr))
}

func run(ctx context.Context, args []string, c *console) int {
	err := dispatch(ctx, args, c)
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, errOutputClosed):
		return exitFine
	case errors.As(err, &usage):
		hint := "tandem --help"
		if usage.command != "" {
			hint = "tandem " + usage.command + " --help"
		}
		c.say("%v; see %s", usage.err, hint)
		return exitUsage
	case errors.Is(err, errInterrupted) || context.Cause(ctx) == errInterrupted:
		return exitInterrupted
	case errors.Is(err, errReported):
		return exitFailed
	}
	c.say("%v", err)
	return exitFailed
}

func dispatch(ctx context.Context, args []string, c *console) error {
	if len(args) == 0 {
		writeOverview(c.err)
		return &usageError{err: errors.New("say what to do")}
	}
	name := args[0]
	switch name {
	case "--version", "version":
		_, err := fmt.Fprintln(c.out, "tandem", version())
		return err
	case "-h", "--help", "help":
		if name == "help" && len(args) > 1 {
			if cmd := findCommand(args[1]); cmd != nil {
				return cmd.writeHelp(c.out)
			}
			return &usageError{err: fmt.Errorf("there is no command %q", args[1])}
		}
		return writeOverview(c.out)
	}
	if isCompletion(args) {
		return complete(ctx, args, c)
	}
	cmd := findCommand(name)
	if cmd == nil {
		return &usageError{err: fmt.Errorf("there is no command %q", name)}
	}
	o, err := cmd.parse(args[1:])
	switch {
	case errors.Is(err, errHelp):
		return cmd.writeHelp(c.out)
	case err != nil:
		return &usageError{command: cmd.name, err: err}
	}
	c.setLog(o.logLevel())
	err = o.run(ctx, c)
	var usage *usageError
	if errors.As(err, &usage) {
		usage.command = cmd.name
	}
	return err
}

// overview introduces the help and the manual page.
const overview = `Tandem watches a face and listens to the voice, and tells which emotion they show
and which gender they present.`

// writeOverview prints what commands there are.
func writeOverview(w io.Writer) error {
	b := &strings.Builder{}
	b.WriteString(overview + `

Usage: tandem COMMAND [flags] [arguments]

`)
	for _, c := range commands() {
		fmt.Fprintf(b, "  %-10s %s\n", c.name, c.about)
	}
	b.WriteString(`
tandem COMMAND --help tells the rest; tandem --version prints the version.
Exit codes: 0 fine, 1 failed, 2 wrong usage, 130 interrupted.
`)
	_, err := io.WriteString(w, b.String())
	return err
}

// version returns the module's version, or the commit that the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	if revision := buildSetting(info, "vcs.revision"); revision != "" {
		return revision[:min(12, len(revision))]
	}
	return "devel"
}

// built returns the day of the commit that the binary was built from, "" if that is not known.
func built() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		day, _, _ := strings.Cut(buildSetting(info, "vcs.time"), "T")
		return day
	}
	return ""
}

func buildSetting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
