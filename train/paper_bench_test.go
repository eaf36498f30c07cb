package train

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tandem/train/nn"
	"tandem/train/weighting"
)

// BenchmarkPaperStep is a step of one utterance of 6 s, by width and mode: docs/paper.md has what it took. Memory is
// the process's largest, so run one at a time for that: -bench 'PaperStep/width=0.25/multi'.
func BenchmarkPaperStep(b *testing.B) {
	for _, width := range []float64{0.05, 0.125, 0.25, 0.5, 1} {
		for _, senses := range []string{"audio", "video", "multi"} {
			b.Run(fmt.Sprintf("width=%g/%s", width, senses), func(b *testing.B) {
				backend, err := openBackend()
				if err != nil {
					b.Skip(err)
				}
				recipe := PaperRecipe()
				recipe.Arch.Width, recipe.Modal = width, senses
				arch := recipe.testArch(nn.PaperSpec)
				n, err := newNetwork(arch, weighting.Softmax{}, recipe, backend)
				if err != nil {
					b.Fatal(err)
				}
				batches, err := newBatcher(recipe, arch, paperData(nn.PaperSpec, 4))
				if err != nil {
					b.Fatal(err)
				}
				in := batches.batch(0)
				first := step(b, n, in)
				for b.Loop() {
					step(b, n, in)
				}
				b.ReportMetric((first - b.Elapsed()/time.Duration(b.N)).Seconds(), "s-compile")
				b.ReportMetric(float64(n.weights().Count()), "parameters")
				if kb := peakMemory(); kb > 0 {
					b.ReportMetric(float64(kb)/1024, "peak-MB")
				}
			})
		}
	}
}

// peakMemory is the most that the process has held, in kB; 0 where that is not known.
func peakMemory() (kb int) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0
	}
	return kb
}
