package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tandem/pipeline"
)

// command is one subcommand.
type command struct {
	name, args, about, long string
	minArgs, maxArgs        int // maxArgs -1: any number
	// options returns new options, for one command line.
	options func() options
}

// options are the values of a command's flags, and what it does by them.
type options interface {
	// bind adds the command's flags. Their defaults stand here and nowhere else.
	bind(f *pflag.FlagSet)
	// check takes the arguments, which f has read, and refuses values that no run could use.
	check(f *pflag.FlagSet) error
	// run does what the command is for. Its results go to c.out.
	run(ctx context.Context, c *console) error
	// logLevel is the least level of what is logged.
	logLevel() slog.Level
}

func (c *command) flagSet(o options) *pflag.FlagSet {
	f := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	f.SortFlags = false
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	o.bind(f)
	return f
}

// parse reads a command's flags: the command line first, then the environment, then the defaults.
func (c *command) parse(args []string) (options, error) {
	o := c.options()
	f := c.flagSet(o)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if err := setFromEnvironment(f); err != nil {
		return nil, err
	}
	if n := f.NArg(); n < c.minArgs {
		return nil, fmt.Errorf("%s is missing", c.args)
	} else if c.maxArgs >= 0 && n > c.maxArgs {
		return nil, fmt.Errorf("%q is one argument too many", f.Arg(c.maxArgs))
	}
	if err := o.check(f); err != nil {
		return nil, err
	}
	return o, nil
}

// writeHelp prints all there is to know of a command.
func (c *command) writeHelp(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s\n\nUsage: tandem %s [flags]", c.about, c.name)
	if c.args != "" {
		fmt.Fprintf(b, " %s", c.args)
	}
	flags := c.flagSet(c.options()).FlagUsagesWrapped(100)
	fmt.Fprintf(b, "\n\n%s\n\nFlags:\n%s", strings.TrimSpace(c.long), flags)
	fmt.Fprintf(b, "\nEach flag can be given by the environment too, as --log-level by TANDEM_LOG_LEVEL.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// envKey is the annotation of a flag whose name in the environment is not made from its own.
const envKey = "env"

// ownEnv gives a flag a name of its own in the environment: that of the command comes before it. It is for flags that
// have another meaning than those of the same name of other commands, so that one variable means one thing.
func ownEnv(f *pflag.FlagSet, flag string) { setEnv(f, flag, envPrefix(f.Name()+"-"+flag)) }

// setEnv gives a flag a name in the environment.
func setEnv(f *pflag.FlagSet, flag, name string) {
	if err := f.SetAnnotation(flag, envKey, []string{name}); err != nil {
		panic(err) // there is no such flag
	}
	f.Lookup(flag).Usage += fmt.Sprintf(" (in the environment %s)", envName(f.Lookup(flag)))
}

// valuesKey is the annotation of a flag that has few values.
const valuesKey = "values"

// oneOf names the values of a flag that has few, so that shells complete them.
func oneOf(f *pflag.FlagSet, flag string, values []string) {
	if err := f.SetAnnotation(flag, valuesKey, values); err != nil {
		panic(err) // there is no such flag
	}
}

// envName returns the environment's name for a flag.
func envName(f *pflag.Flag) string {
	if own := f.Annotations[envKey]; len(own) > 0 {
		return own[0]
	}
	return envPrefix(f.Name)
}

func envPrefix(name string) string {
	return "TANDEM_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// setFromEnvironment sets the flags that the command line left out and the environment has. A value of a flag that is
// repeatable is divided at its commas.
func setFromEnvironment(f *pflag.FlagSet) error {
	var wrong error
	f.VisitAll(func(flag *pflag.Flag) {
		v, ok := os.LookupEnv(envName(flag))
		if !ok || flag.Changed || wrong != nil {
			return
		}
		values := []string{v}
		if flag.Value.Type() == "stringArray" {
			values = strings.Split(v, ",")
		}
		for _, v := range values {
			if err := f.Set(flag.Name, v); err != nil {
				wrong = fmt.Errorf("the environment's %s: %w", envName(flag), err)
			}
		}
	})
	return wrong
}

// errHelp is returned by parse for --help.
var errHelp = pflag.ErrHelp

// usageError is a command line that cannot be meant.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func badUsage(format string, args ...any) error { return &usageError{err: fmt.Errorf(format, args...)} }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// bare makes "open x: no such file" read "x: no such file".
func bare(path string, err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// withInput makes an error, if there is one, name the input, unless it does so itself.
func withInput(input string, err error) error {
	var named *pipeline.SourceError
	if err == nil || errors.As(err, &named) {
		return err
	}
	return fmt.Errorf("%s: %w", input, err)
}

// sameFile reports whether two names are of one file.
func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// oneLine puts joined errors side by side.
func oneLine(err error) error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err
	}
	var out error
	for _, e := range joined.Unwrap() {
		if out == nil {
			out = e
		} else {
			out = fmt.Errorf("%w; %w", out, e)
		}
	}
	return out
}
