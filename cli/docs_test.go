package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/eval"
	"tandem/train/metrics"
)

// inRoot returns the path of a file of the project, whose root is the folder that holds go.mod.
func inRoot(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, path)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod is in the folder of the tests or above it")
		}
		dir = parent
	}
}

// docFiles returns the pages that describe the command line, by their paths from the root.
func docFiles(t *testing.T) map[string]string {
	t.Helper()
	names, _ := filepath.Glob(inRoot(t, "docs/*.md"))
	pages := map[string]string{}
	for _, path := range append(names, inRoot(t, "README.md")) {
		if b, err := os.ReadFile(path); err == nil {
			name, _ := filepath.Rel(inRoot(t, "."), path)
			pages[filepath.ToSlash(name)] = string(b)
		}
	}
	return pages
}

// commandMentions are the mentions of "tandem COMMAND" in code, to the end of the line.
var (
	commandMentions = regexp.MustCompile("\\b(?:build/)?tandem ([a-z]+)\\b([^\n`]*)")
	flagMention     = regexp.MustCompile("--[a-z][a-z-]*[a-z]")
	envMention      = regexp.MustCompile(`\bTANDEM_[A-Z_]+\b`)
)

// foreignFlags belong to other programs that the docs name.
var foreignFlags = map[string]bool{
	"--now": true, "--read-only": true, "--cap-drop": true,
	"--jobs": true, "--joblog": true, "--resume-failed": true, "--sshlogin": true, "--array": true, "--for": true,
	"--url": true, "--help": true, "--version": true, "--no-install-recommends": true, "--race": true, "--depth": true,
}

// envOnly are variables that are no flags.
var envOnly = map[string]bool{"TANDEM_ORT": true, "TANDEM_DATA": true, "TANDEM_LOG_LEVEL": true}

// Every flag is documented, and every flag in the docs exists, for the command with which it is named.
func TestDocsHoldToTheFlags(t *testing.T) {
	pages := docFiles(t)
	if pages["README.md"] == "" {
		t.Fatal("there is no README.md")
	}
	flags := map[string]*pflag.FlagSet{}
	all := map[string]bool{}
	environment := map[string]bool{}
	for _, c := range commands() {
		flags[c.name] = c.flagSet(c.options())
		flags[c.name].VisitAll(func(f *pflag.Flag) {
			all["--"+f.Name] = true
			environment[envName(f)] = true
		})
	}
	mentioned := map[string]bool{}
	for name, page := range pages {
		for _, f := range flagMention.FindAllString(page, -1) {
			mentioned[f] = true
			if !all[f] && !foreignFlags[f] {
				t.Errorf("%s names %s, which no command has", name, f)
			}
		}
		for _, m := range commandMentions.FindAllStringSubmatch(page, -1) {
			set := flags[m[1]]
			if set == nil {
				continue // "tandem is", or a later command, whose flags the check above covers
			}
			for _, f := range flagMention.FindAllString(m[2], -1) {
				if set.Lookup(f[2:]) == nil && !foreignFlags[f] {
					t.Errorf("%s: tandem %s has no %s", name, m[1], f)
				}
			}
		}
		for _, v := range envMention.FindAllString(page, -1) {
			if !environment[v] && !envOnly[v] {
				t.Errorf("%s names %s, which nothing reads", name, v)
			}
		}
	}
	for f := range all {
		if !mentioned[f] {
			t.Errorf("no page names %s", f)
		}
	}
	for _, code := range []int{exitFine, exitFailed, exitUsage, exitInterrupted} {
		if !regexp.MustCompile(fmt.Sprintf(`(?i)exit codes?[^.]*\b%d\b`, code)).MatchString(pages["README.md"]) {
			t.Errorf("README.md does not name the exit code %d", code)
		}
	}
	for _, c := range commands() {
		if !strings.Contains(pages["README.md"], "tandem "+c.name) {
			t.Errorf("README.md does not name tandem %s", c.name)
		}
	}
}

// Every example of an event in docs/output.md is one, and every field and column of what is written stands there.
func TestDocsHoldToTheEvents(t *testing.T) {
	pages := docFiles(t)
	page, ok := pages["docs/output.md"]
	if !ok {
		t.Fatal("there is no docs/output.md")
	}
	examples := map[string]bool{}
	for line := range strings.Lines(page) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, `{"v":`) || !strings.Contains(line, `"type"`) {
			continue
		}
		e, err := pipeline.ParseEvent([]byte(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		examples["start"] = examples["start"] || e.Start != nil
		examples["window"] = examples["window"] || e.Window != nil
		examples["end"] = examples["end"] || e.End != nil
	}
	for _, kind := range []string{"start", "window", "end"} {
		if !examples[kind] {
			t.Errorf("docs/output.md has no example of a %s event", kind)
		}
	}
	for name := range eventFields(t) {
		if !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, `"`+name+`"`) {
			t.Errorf("docs/output.md does not name the field %s", name)
		}
	}
	for _, column := range pipeline.CSVHeader(&pipeline.StartEvent{}, false) {
		if !strings.Contains(page, column) {
			t.Errorf("docs/output.md does not name the column %s", column)
		}
	}
}

// eventFields are the names of all fields of events.
func eventFields(t *testing.T) map[string]bool {
	t.Helper()
	p := pipeline.Classes{{Label: "LABEL", P: 1}}
	scores := &pipeline.Scores{Label: "LABEL", P: p, Raw: p}
	latency := pipeline.DefaultMaxWait
	fields := map[string]bool{}
	name := regexp.MustCompile(`"([a-z_]+)":`)
	for _, e := range []pipeline.Event{
		{Start: &pipeline.StartEvent{}},
		{Window: &pipeline.WindowEvent{
			Covered: latency, Emotion: scores, Gender: scores, Face: &pipeline.FaceBox{}, Latency: &latency,
		}},
		{End: &pipeline.EndEvent{Summary: map[int]pipeline.Summary{0: {Emotion: scores}}}},
	} {
		b, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(b), -1) {
			fields[m[1]] = true
		}
	}
	return fields
}

// docs/models.md shows what tandem model prints of the embedded model, whole, and README.md its first three lines.
func TestDocsShowTheEmbeddedModel(t *testing.T) {
	code, out, diagnostics := runTandem(t, "model")
	if code != exitFine {
		t.Fatalf("exit code %d: %s", code, diagnostics)
	}
	pages := docFiles(t)
	if !strings.Contains(pages["docs/models.md"], "\n$ tandem model\n"+out+"```\n") {
		t.Errorf("docs/models.md shows another model than\n%s", out)
	}
	first := strings.Join(strings.SplitAfterN(out, "\n", 4)[:3], "")
	if !strings.Contains(pages["README.md"], "\n$ tandem model | head -n 3\n"+first) {
		t.Errorf("README.md shows another model than\n%s", first)
	}
}

// The embedded model, its report, its card and the README are of one model.
func TestCardHoldsToTheReport(t *testing.T) {
	read := func(path string) string {
		b, err := os.ReadFile(inRoot(t, path))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var report eval.Report
	if err := json.Unmarshal([]byte(read("infer/models/report.json")), &report); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(infer.DefaultModel())
	if model := hex.EncodeToString(sum[:]); report.Model != model || strings.Count(read("README.md"), model) < 2 {
		t.Errorf("the embedded model is %s; the report is of %s, or the README shows another", model, report.Model)
	}
	card := read("docs/model-card.md")
	rows := 0
	for set, s := range report.Sets {
		for task, x := range map[string]*metrics.Scores{"emotion": s.Emotion, "gender": s.Gender} {
			if x == nil {
				continue
			}
			accuracy, uar := fmt.Sprintf("%.3f", x.Accuracy), fmt.Sprintf("%.3f", x.UAR)
			if between := x.Intervals; between != nil { // there is none for two speakers
				accuracy += fmt.Sprintf(" [%.3f, %.3f]", between.Accuracy[0], between.Accuracy[1])
				uar += fmt.Sprintf(" [%.3f, %.3f]", between.UAR[0], between.UAR[1])
			}
			want := fmt.Sprintf(": %s | %d | %s | %s | %.3f | %.3f |", task, x.N, accuracy, uar, x.F1, x.NLL)
			if !strings.Contains(card, want) {
				t.Errorf("%s: the card has no row %q", set, want)
			}
			rows++
		}
	}
	if rows < 8 {
		t.Errorf("the report has %d rows", rows)
	}
}
