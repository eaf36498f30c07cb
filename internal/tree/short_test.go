package tree_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// A test is long by its name, TestLong…, which make test leaves out and make test-long runs: it does not ask for
// -short, by which parts of it would run in neither or in both. Benchmarks may.
func TestLongTestsAreLongByName(t *testing.T) {
	asks := regexp.MustCompile(`(?s)\nfunc (Test\w+)\([^\n]*\{\n(?:\t[^\n]*\n|\n)*?\t+if testing\.` + `Short\(\)`)
	for _, files := range goFiles(t) {
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				continue
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range asks.FindAllSubmatch(b, -1) {
				t.Errorf("%s: %s asks for -short; split it, and name the long part TestLong…", file, m[1])
			}
		}
	}
}
