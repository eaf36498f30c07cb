package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCard(t *testing.T) {
	model := testModel(t)
	out := filepath.Join(t.TempDir(), "README.md")
	if err := os.MkdirAll(strings.TrimSuffix(model, ".onnx")+".run", 0o755); err != nil {
		t.Fatal(err)
	}
	recipe := filepath.Join(strings.TrimSuffix(model, ".onnx")+".run", "recipe.json")
	if err := os.WriteFile(recipe, []byte(`{"seed": 77}`), 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runTandem(t, "card", model, "--out", out, "--name", "a name")
	b, err := os.ReadFile(out)
	if code != 0 || err != nil || stdout != "" || !strings.Contains(stderr, "no intervals") ||
		!strings.Contains(string(b), "# a name\n") || !strings.Contains(string(b), `{"seed": 77}`) {
		t.Errorf("exit code %d, %v, %s\n%s", code, err, stderr, b)
	}
	report := filepath.Join(t.TempDir(), "report.json")
	for text, want := range map[string]string{
		`{"model":"beef"}`: "the report is of another model", `[`: "not a report.json",
	} {
		if err := os.WriteFile(report, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := runTandem(t, "card", model, "--report", report); code != 1 ||
			!strings.Contains(stderr, want) || !strings.Contains(stderr, report) {
			t.Errorf("%s: exit code %d, %s", text, code, stderr)
		}
	}
	if code, _, stderr := runTandem(t, "card", model, "--run", "nosuch"); code != 1 ||
		!strings.Contains(stderr, "nosuch") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestCardRefusesALicenceThatTheHubRefuses(t *testing.T) {
	code, stdout, stderr := runTandem(t, "card", "--licence", "CC BY-NC 4.0")
	if code != 2 || stdout != "" || !strings.Contains(stderr, "--licence") ||
		!strings.Contains(stderr, "cc-by-nc-4.0") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}

// The embedded model's card is made of the report beside it.
func TestCardOfTheEmbeddedModel(t *testing.T) {
	code, stdout, stderr := runTandem(t, "card", "--report", "../infer/models/report.json")
	if code != 0 || !strings.Contains(stdout, "| utkface | gender |") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
}
