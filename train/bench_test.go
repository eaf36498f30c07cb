package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/train/nn"
	"tandem/train/sample/sampletest"
	"tandem/train/weighting"
)

// benchNetwork is the default network with fresh weights, and a batch of the default recipe.
func benchNetwork(b *testing.B) (*network, *batch) {
	return benchNetworkOf(b, DefaultRecipe(), weighting.Softmax{})
}

func benchNetworkOf(b *testing.B, recipe Recipe, w weighting.Method) (*network, *batch) {
	b.Helper()
	backend, err := openBackend()
	if err != nil {
		b.Skip(err)
	}
	arch := recipe.testArch(nn.DefaultSpec)
	n, err := newNetwork(arch, w, recipe, backend)
	if err != nil {
		b.Fatal(err)
	}
	batches, err := newBatcher(recipe, arch, sampletest.Synthetic(arch.Spec, 200, 20, 10))
	if err != nil {
		b.Fatal(err)
	}
	return n, batches.batch(0)
}

// BenchmarkStep is one step of training with the default recipe's batch, all cores.
func BenchmarkStep(b *testing.B) {
	n, in := benchNetwork(b)
	step(b, n, in) // compiles the graph
	for b.Loop() {
		step(b, n, in)
	}
	b.ReportMetric(float64(n.weights().Count()), "parameters")
}

func step(b *testing.B, n *network, in *batch) time.Duration {
	b.Helper()
	start := time.Now()
	if _, err := n.train(in); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkStepBesidePyTorch times the same step here and in PyTorch (bench_torch.py), in turns of a few steps each,
// so that whatever else the machine does meets both. The first steps of a turn warm up and do not count. PyTorch runs
// with all cores and with one, and is compared at its better.
func BenchmarkStepBesidePyTorch(b *testing.B) {
	turns, steps := 4, 4
	const warmUp = 2
	if testing.Short() {
		turns, steps = 1, 1
	}
	python, err := findPyTorch()
	if err != nil {
		// A skipped benchmark says nothing of its own accord.
		fmt.Fprintln(os.Stderr, "SKIPPED: the comparison with PyTorch:", err)
		b.Skip(err)
	}
	// PyTorch has no Muon: the same optimizer on both sides.
	recipe := DefaultRecipe()
	recipe.Optimizer, recipe.EMA = "adamw", 0
	n, in := benchNetworkOf(b, recipe, weighting.Softmax{})
	step(b, n, in)
	cores := runtime.GOMAXPROCS(0)
	var here []float64
	there := map[int][]float64{} // by threads
	for b.Loop() {
		for range turns {
			for i := range warmUp + steps {
				if took := step(b, n, in); i >= warmUp {
					here = append(here, float64(took.Microseconds())/1000)
				}
			}
			for _, threads := range slices.Compact([]int{1, cores}) {
				ms, err := stepInPyTorch(b, python, warmUp+steps, threads, n.arch, in)
				if err != nil {
					b.Fatal(err)
				}
				there[threads] = append(there[threads], ms[warmUp:]...)
			}
		}
	}
	b.ReportMetric(0, "ns/op") // a turn's length tells nothing
	b.ReportMetric(median(here), "tandem-ms/step")
	b.ReportMetric(median(there[1]), "torch-one-thread-ms/step")
	b.ReportMetric(median(there[cores]), "torch-all-cores-ms/step")
	b.ReportMetric(median(here)/min(median(there[1]), median(there[cores])), "tandem/torch")
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// findPyTorch returns a Python that has PyTorch. The system's own comes first, since it is Debian's that the figures
// in the docs are from.
func findPyTorch() (string, error) {
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import torch").Run() == nil {
			return python, nil
		}
	}
	return "", errors.New("no python3 here has PyTorch; on Debian: apt-get install --no-install-recommends " +
		"python3-torch (over 400 MB)")
}

// stepInPyTorch returns the milliseconds of each step.
func stepInPyTorch(b *testing.B, python string, steps, threads int, arch nn.Arch, in *batch) ([]float64, error) {
	sizes, err := json.Marshal(arch)
	if err != nil {
		return nil, err
	}
	count := in.counts(arch.Spec)
	cmd := exec.CommandContext(b.Context(), python, "bench_torch.py", strconv.Itoa(steps),
		strconv.Itoa(threads), strconv.Itoa(count.Crops), strconv.Itoa(count.Windows),
		strconv.Itoa(count.Rows), string(sizes))
	for _, v := range os.Environ() {
		// Where these are set for other programs' sake they slow PyTorch down.
		if !strings.HasPrefix(v, "OPENBLAS_CORETYPE=") && !strings.HasPrefix(v, "OPENBLAS_L2_SIZE=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("bench_torch.py: %w: %s", err, stderr.String())
	}
	var ms []float64
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		v, err := strconv.ParseFloat(lines.Text(), 64)
		if err != nil {
			return nil, fmt.Errorf("bench_torch.py: %w", err)
		}
		ms = append(ms, v)
	}
	if len(ms) != steps {
		return nil, fmt.Errorf("bench_torch.py: %d times of %d steps: %s", len(ms), steps, stderr.String())
	}
	return ms, nil
}
