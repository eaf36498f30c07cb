package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tandem/train/eval"
)

// The tutorial's commands are run as they stand on the page, one after the other; what they make works, in under two
// minutes.
func TestLongTutorial(t *testing.T) {
	lib := needTraining(t, "bash", "ffmpeg")
	page, err := os.ReadFile(inRoot(t, "docs/tutorial-train.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 5 {
		t.Fatalf("the page has %d blocks of commands, want those of its five steps", len(blocks))
	}
	assets := inRoot(t, "assets")
	dir, bin := t.TempDir(), t.TempDir()
	// The face detector is looked for in the project, so this is one.
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module tandem\n"), 0o644),
		os.Symlink(assets, filepath.Join(dir, "assets")),
	); err != nil {
		t.Fatal(err)
	}
	// This test's own binary is tandem.
	self := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", processVariable, os.Args[0])
	if err := os.WriteFile(filepath.Join(bin, "tandem"), []byte(self), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	began := time.Now()
	var last string
	for _, b := range blocks {
		cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", b[1])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "TANDEM_ORT="+lib,
			"XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s\n%v\n%s%s", b[1], err, out, errs.String())
		}
		t.Logf("%s%s", out, errs.String())
		last = string(out)
	}
	took := time.Since(began)
	t.Logf("%d blocks in %v", len(blocks), took.Round(time.Second))
	if took > 2*time.Minute {
		t.Errorf("the tutorial takes %v, and says that it takes a minute", took)
	}

	var report eval.Report
	b, err := os.ReadFile(filepath.Join(dir, "machines.report", "report.json"))
	if err == nil {
		err = json.Unmarshal(b, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	if s := report.All.Emotion; s == nil || s.N != 6 || s.Accuracy < 0.8 {
		t.Errorf("of the test split the model knows %+v, want six clips and most of them right", s)
	}
	if !strings.Contains(last, `"emotion":{"label":"beeping"`) {
		t.Errorf("analyze does not call the new sound beeping:\n%s", last)
	}
	for _, name := range []string{"report.html", "log.csv", "run.json"} {
		if _, err := os.Stat(filepath.Join(dir, "machines.run", name)); err != nil {
			t.Error(err)
		}
	}
}
