package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var completionCommand = &command{
	name: "completion", args: "SHELL", minArgs: 1, maxArgs: 1,
	about: "Print what completes command lines in a shell",
	long: `SHELL is bash, zsh or fish. Bash needs its package bash-completion. Packages bring these files along.

  tandem completion bash > ~/.local/share/bash-completion/completions/tandem
  tandem completion zsh > ~/.zfunc/_tandem     # a folder of $fpath
  tandem completion fish > ~/.config/fish/completions/tandem.fish`,
	options: func() options { return &completionOptions{} },
}

// shells are those for which there is completion.
var shells = []string{"bash", "zsh", "fish"}

type completionOptions struct {
	logFlags
	shell string
}

func (o *completionOptions) bind(f *pflag.FlagSet) { o.logFlags.bind(f) }

func (o *completionOptions) check(f *pflag.FlagSet) error {
	if o.shell = f.Arg(0); !slices.Contains(shells, o.shell) {
		return fmt.Errorf("%q is no shell that is known: known are %s", o.shell, strings.Join(shells, ", "))
	}
	return o.logFlags.check()
}

func (o *completionOptions) run(_ context.Context, c *console) error {
	root := completionTree()
	switch o.shell {
	case "bash":
		return root.GenBashCompletionV2(c.out, true)
	case "zsh":
		return root.GenZshCompletion(c.out)
	}
	return root.GenFishCompletion(c.out, true)
}

// isCompletion reports whether a command line is a shell's question, as the files of tandem completion ask it.
func isCompletion(args []string) bool {
	return args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd
}

// complete answers a shell's question.
func complete(ctx context.Context, args []string, c *console) error {
	root := completionTree()
	root.SetArgs(args)
	root.SetOut(c.out)
	root.SetErr(c.err)
	return root.ExecuteContext(ctx)
}

// completionTree are the commands and their flags as cobra wants them to complete command lines. It runs none.
func completionTree() *cobra.Command {
	root := &cobra.Command{Use: "tandem", Version: version()}
	root.CompletionOptions.DisableDefaultCmd = true
	for _, c := range commands() {
		sub := &cobra.Command{Use: c.name, Short: c.about, Run: func(*cobra.Command, []string) {}}
		flags := c.flagSet(c.options())
		sub.Flags().SortFlags = false
		sub.Flags().AddFlagSet(flags)
		flags.VisitAll(func(f *pflag.Flag) {
			if err := sub.RegisterFlagCompletionFunc(f.Name, completionOf(f)); err != nil {
				panic(err) // it has one already
			}
		})
		switch {
		case c == completionCommand:
			sub.ValidArgsFunction = cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp)
		case c.maxArgs == 0:
			sub.ValidArgsFunction = cobra.NoFileCompletions
		}
		root.AddCommand(sub)
	}
	return root
}

// completionOf completes a flag's value: by its values if it has few, by files or folders if its help names such.
func completionOf(f *pflag.Flag) cobra.CompletionFunc {
	if values := f.Annotations[valuesKey]; len(values) > 0 {
		return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	placeholder, _ := pflag.UnquoteUsage(f)
	switch {
	case strings.Contains(placeholder, "FILE"), strings.HasSuffix(placeholder, "=PATH"):
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	case placeholder == "DIR":
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	}
	return cobra.NoFileCompletions
}
