package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each shell completes commands, flags, the few values of a flag, folders and files.
func TestCompletion(t *testing.T) {
	questions := []struct {
		line         string
		want, unwant string // of the answers, by their first word
	}{
		{"tandem ana", "analyze", "serve"},
		{"tandem analyze --form", "--format", "--faces"},
		{"tandem analyze --format par", "parquet", "csv"},
		{"tandem serve --log-level ", "debug", "clip.mp4"},
		{"tandem completion f", "fish", "zsh"},
		{"tandem analyze --out-dir c", "clips", "serve"},
		{"tandem analyze --model c", "clip.mp4", "serve"},
		{"tandem analyze c", "clip.mp4", "serve"},
		{"tandem devices c", "", "clip.mp4"},
	}
	for shell, ask := range map[string]func(file, line string) (program string, args []string){
		"bash": func(file, line string) (string, []string) {
			words := strings.Split(line, " ")
			// What readline does: the function registered for tandem is called with the line in variables.
			return "bash", []string{"--norc", "-c", fmt.Sprintf(`. /usr/share/bash-completion/bash_completion && . %s &&
				COMP_LINE=%q COMP_POINT=%d COMP_WORDS=(%s) COMP_CWORD=%d COMP_TYPE=9 COMP_KEY=9 &&
				if [[ -z ${COMP_WORDS[COMP_CWORD]-} ]]; then COMP_WORDS[COMP_CWORD]=; fi &&
				{ __start_tandem || true; } && printf '%%s\n' "${COMPREPLY[@]}" &&
				if ((${#COMPREPLY[@]} == 0)); then compgen -f -- "${COMP_WORDS[COMP_CWORD]}"; fi`,
				file, line, len(line), line, len(words)-1)}
		},
		"fish": func(file, line string) (string, []string) {
			return "fish", []string{"--no-config", "-c", "source " + file + "; complete -C '" + line + "'"}
		},
	} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip("skipped: ", err)
			}
			if _, err := os.Stat("/usr/share/bash-completion/bash_completion"); shell == "bash" && err != nil {
				t.Skip("skipped: ", err)
			}
			f := newCompletionFolder(t)
			file := f.script(shell)
			for _, q := range questions {
				if shell == "bash" && q.line == "tandem devices c" {
					continue // whether files are offered is for readline there
				}
				program, args := ask(file, q.line)
				answers := f.run(program, args...)
				if q.want != "" && !slices.Contains(answers, q.want) || slices.Contains(answers, q.unwant) {
					t.Errorf("%s: %q, want %q and not %q", q.line, answers, q.want, q.unwant)
				}
			}
		})
	}
	t.Run("zsh", func(t *testing.T) { // which completes in a terminal alone
		if _, err := exec.LookPath("zsh"); err != nil {
			t.Skip("skipped: ", err)
		}
		f := newCompletionFolder(t)
		f.run("zsh", "-f", "-c", "autoload -U compinit && compinit -u -D && source "+f.script("zsh")+
			` && [[ $_comps[tandem] == _tandem ]]`)
	})
	code, _, stderr := runTandem(t, "completion", "csh")
	if code != exitUsage || !strings.Contains(stderr, "bash, zsh") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// completionFolder has files to complete, and this test's binary as tandem.
type completionFolder struct {
	*testing.T
	dir string
	bin string
}

func newCompletionFolder(t *testing.T) completionFolder {
	f := completionFolder{t, t.TempDir(), t.TempDir()}
	self := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", processVariable, os.Args[0])
	for name, content := range map[string]string{
		filepath.Join(f.bin, "tandem"): self, filepath.Join(f.dir, "clip.mp4"): "", filepath.Join(f.dir, "clips/x"): "",
	} {
		os.MkdirAll(filepath.Dir(name), 0o755)
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// script writes a shell's file and returns its path.
func (f completionFolder) script(shell string) string {
	f.Helper()
	code, out, stderr := runTandem(f.T, "completion", shell)
	if code != 0 {
		f.Fatal(stderr)
	}
	path := filepath.Join(f.bin, "completion."+shell)
	if err := os.WriteFile(path, []byte(out), 0o644); err != nil {
		f.Fatal(err)
	}
	return path
}

// run runs a program in the folder and returns the first word of each line that it prints, without a folder's slash.
func (f completionFolder) run(program string, args ...string) (words []string) {
	f.Helper()
	cmd := exec.CommandContext(f.Context(), program, args...)
	cmd.Dir = f.dir
	cmd.Env = append(os.Environ(), "PATH="+f.bin+":"+os.Getenv("PATH"), "HOME="+f.bin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		f.Fatalf("%s %q: %v\n%s%s", program, args, err, out, stderr.String())
	}
	for line := range strings.Lines(string(out)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		word, _, _ = strings.Cut(word, " ")
		words = append(words, strings.TrimSuffix(word, "/"))
	}
	return words
}

// Every command has a manual page that names all its flags, and in which nothing is wrong.
func TestManualPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	if code, _, stderr := runTandem(t, "man", dir); code != 0 {
		t.Fatal(stderr)
	}
	pages, _ := filepath.Glob(filepath.Join(dir, "*.1"))
	if len(pages) != 1+len(commands()) {
		t.Errorf("%d pages of %d commands", len(pages), len(commands()))
	}
	for _, c := range commands() {
		b, err := os.ReadFile(filepath.Join(dir, "tandem-"+c.name+".1"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(c.flagSet(c.options()).FlagUsages()) {
			for _, word := range strings.Fields(line)[:2] {
				word, _, _ = strings.Cut(strings.Trim(word, ","), "[")
				if strings.HasPrefix(word, "--") &&
					!strings.Contains(string(b), `\fB`+strings.ReplaceAll(word, "-", `\-`)+`\fR`) {
					t.Errorf("the page of %s lacks %s", c.name, word)
				}
			}
		}
	}
	if _, err := exec.LookPath("mandoc"); err != nil {
		t.Skip("skipped: ", err)
	}
	// A test's binary has no commit, so no day.
	out, _ := exec.Command("mandoc", append([]string{"-T", "lint", "-W", "warning"}, pages...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "missing date") {
			t.Error(line)
		}
	}
}
