package packaging_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// stages returns the Dockerfile's stages as Docker's own parser reads them. What that warns of fails the test.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	b, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := parser.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range tree.Warnings {
		t.Errorf("Dockerfile: %s", w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, text string, _ []parser.Range) {
		t.Errorf("Dockerfile: %s: %s", rule, text)
	}})
	stages, _, err := instructions.Parse(tree.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	return stages
}

// lint has dockerfile-utils read a Dockerfile, and returns what it finds.
func lint(t *testing.T, path string) string {
	t.Helper()
	tool := "../assets/.fetched/node_modules/dockerfile-utils/bin/dockerfile-utils"
	if _, err := os.Stat(tool); err != nil {
		t.Skip("skipped: `make assets` fetches the linter: ", err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("skipped: `make setup-test` installs what the linter runs in: ", err)
	}
	out, err := exec.Command(node, tool, "lint", path).CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	return string(out)
}

func TestDockerfile(t *testing.T) {
	all := stages(t)
	// The package is for the release that it is made on.
	build, last := all[0], all[len(all)-1]
	if len(all) != 2 || last.BaseName != build.BaseName+"-slim" {
		t.Errorf("the package is made on %s and installed into %s", build.BaseName, last.BaseName)
	}
	if found := lint(t, "../Dockerfile"); found != "" {
		t.Errorf("Dockerfile:\n%s", found)
	}
	broken := filepath.Join(t.TempDir(), "Dockerfile")
	faults := "FROM debian:12\nWORKDIR src\nHEALTHCHECK --intervl=3s CMD true\n"
	if err := os.WriteFile(broken, []byte(faults), 0o600); err != nil {
		t.Fatal(err)
	}
	found := lint(t, broken)
	for _, want := range []string{"WORKDIR paths should be absolute", "Unknown flag: intervl"} {
		if !strings.Contains(found, want) {
			t.Errorf("%q is not among what is found in a broken Dockerfile:\n%s", want, found)
		}
	}
}
