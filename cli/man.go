package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"tandem/internal/atomicfile"
)

var manCommand = &command{
	name: "man", args: "DIR", minArgs: 1, maxArgs: 1,
	about: "Write the manual pages",
	long: `Writes tandem.1 and a page for each command, tandem-analyze.1 and so on, into DIR. Packages bring them along.

  tandem man . && man ./tandem.1`,
	options: func() options { return &manOptions{} },
}

type manOptions struct {
	logFlags
	dir string
}

func (o *manOptions) bind(f *pflag.FlagSet) { o.logFlags.bind(f) }

func (o *manOptions) check(f *pflag.FlagSet) error {
	o.dir = f.Arg(0)
	return o.logFlags.check()
}

func (o *manOptions) run(context.Context, *console) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return bare(o.dir, err)
	}
	pages := map[string]string{"tandem.1": overviewPage()}
	for _, c := range commands() {
		pages["tandem-"+c.name+".1"] = c.page()
	}
	for name, page := range pages {
		if err := atomicfile.WriteBytes(filepath.Join(o.dir, name), []byte(page)); err != nil {
			return err
		}
	}
	return nil
}

// manPage is a page in the language of man(7).
type manPage struct{ strings.Builder }

// newManPage begins the page of a program or command.
func newManPage(name, about string) *manPage {
	p := &manPage{}
	fmt.Fprintf(p, ".TH %s 1 \"%s\" \"tandem %s\" \"User Commands\"\n", roff(strings.ToUpper(name)), built(),
		roff(version()))
	p.section("Name")
	fmt.Fprintf(p, "%s \\- %s\n", roff(name), roff(strings.ToLower(about[:1])+about[1:]))
	p.section("Synopsis")
	return p
}

func (p *manPage) section(title string) { fmt.Fprintf(p, ".SH %s\n", strings.ToUpper(title)) }

// item writes a term, which is roff already, and what it is.
func (p *manPage) item(term, text string) { fmt.Fprintf(p, ".TP\n%s\n%s\n", term, roff(text)) }

// text writes paragraphs as the help has them: blank lines part them, and indented lines stay as they are.
func (p *manPage) text(s string) {
	verbatim, gap := false, false
	for line := range strings.Lines(strings.TrimSpace(s)) {
		line = strings.TrimRight(line, "\n")
		indented := strings.HasPrefix(line, "  ")
		switch {
		case line == "" && !verbatim:
			gap = true
			continue
		case line == "":
		case indented && !verbatim:
			p.WriteString(".PP\n.EX\n")
			verbatim = true
		case !indented && verbatim:
			p.WriteString(".EE\n.PP\n")
			verbatim = false
		case gap:
			p.WriteString(".PP\n")
		}
		gap = false
		fmt.Fprintln(p, roff(line))
	}
	if verbatim {
		p.WriteString(".EE\n")
	}
}

func (p *manPage) exitStatus() {
	p.section("Exit status")
	p.item(fmt.Sprint(exitFine), "fine")
	p.item(fmt.Sprint(exitFailed), "failed")
	p.item(fmt.Sprint(exitUsage), "wrong usage")
	p.item(fmt.Sprint(exitInterrupted), "interrupted")
}

// roff escapes text. Hyphens of flags are to be those of ASCII, so that they can be copied.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// page is a command's manual page.
func (c *command) page() string {
	p := newManPage("tandem-"+c.name, c.about)
	fmt.Fprintf(p, "\\fBtandem %s\\fR [\\fIflags\\fR] %s\n", roff(c.name), roff(c.args))
	p.section("Description")
	p.text(c.long)
	p.section("Options")
	c.flagSet(c.options()).VisitAll(func(f *pflag.Flag) {
		placeholder, usage := pflag.UnquoteUsage(f)
		term := `\fB` + roff("--"+f.Name) + `\fR`
		if f.Shorthand != "" {
			term = `\fB` + roff("-"+f.Shorthand) + `\fR, ` + term
		}
		if placeholder != "" {
			term += ` \fI` + roff(placeholder) + `\fR`
		}
		if given := f.DefValue; given != "" && given != "0" && given != "false" && given != "[]" {
			usage += fmt.Sprintf(" (default %s)", given)
		}
		p.item(term, usage)
	})
	p.section("Environment")
	p.text("Each flag can be given by the environment too, as --log-level by TANDEM_LOG_LEVEL.")
	p.exitStatus()
	p.section("See also")
	p.WriteString("\\fBtandem\\fR(1)\n")
	return p.String()
}

// overviewPage is the manual page of tandem itself.
func overviewPage() string {
	p := newManPage("tandem", "Tell emotion and gender from face and voice")
	fmt.Fprintf(p, "\\fBtandem\\fR \\fICOMMAND\\fR [\\fIflags\\fR] [\\fIarguments\\fR]\n")
	p.section("Description")
	p.text(overview)
	p.section("Commands")
	var see []string
	for _, c := range commands() {
		p.item(`\fB`+roff("tandem-"+c.name)+`\fR(1)`, c.about)
		see = append(see, `\fB`+roff("tandem-"+c.name)+`\fR(1)`)
	}
	p.exitStatus()
	p.section("See also")
	p.WriteString(strings.Join(see, ",\n") + "\n")
	return p.String()
}
