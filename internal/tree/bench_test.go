package tree_test

import (
	"path"
	"regexp"
	"testing"
)

// bench-train.sh runs each benchmark in the package that has it: Go runs none without a word.
func TestBenchTrainNamesBenchmarks(t *testing.T) {
	run := regexp.MustCompile(`\brun \./(\S+) \d+x ['"](\w+)`)
	runs := run.FindAllStringSubmatch(readPage(t, "bench-train.sh"), -1)
	if len(runs) < 5 {
		t.Fatalf("bench-train.sh runs %d benchmarks", len(runs))
	}
	packages := goFiles(t)
	for _, run := range runs {
		found := false
		for _, file := range packages[path.Clean(run[1])] {
			found = found || declarations(t, file)["Benchmark"+run[2]]
		}
		if !found {
			t.Errorf("%s has no Benchmark%s", run[1], run[2])
		}
	}
}
