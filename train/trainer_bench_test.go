package train

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/sample/sampletest"
)

// BenchmarkTraining is the default recipe as `tandem train` runs it, the loader with all augmentation included, on
// made-up clips: by the size of the batch and by the number of clips. Samples are stills, voices and talking faces.
// Memory is the most that the process has held, so run one at a time for that: -bench 'Training/batch=1$'.
func BenchmarkTraining(b *testing.B) {
	for _, batch := range []float64{0.25, 0.5, 1, 2} {
		b.Run(fmt.Sprintf("batch=%g", batch), func(b *testing.B) { benchTraining(b, batch, 2000) })
	}
	for _, clips := range []int{500, 5000, 50000} {
		b.Run(fmt.Sprintf("clips=%d", clips), func(b *testing.B) { benchTraining(b, 1, clips) })
	}
}

func benchTraining(b *testing.B, batch float64, clips int) {
	if _, err := openBackend(); err != nil {
		b.Skip(err)
	}
	steps := 24
	if testing.Short() {
		steps = 3
	}
	dir := b.TempDir()
	o := Options{
		Recipe: DefaultRecipe(), Out: filepath.Join(dir, "m.onnx"), Run: filepath.Join(dir, "run"),
		Version: "bench",
	}
	r := &o.Recipe
	r.Epochs, r.StepsPerEpoch = 2, steps
	for _, n := range []*int{&r.Stills, &r.Voices, &r.Talking, &r.Pairs} {
		*n = int(float64(*n) * batch)
	}
	// As in the data of the default model: one clip in twenty speaks, half of those with a face.
	data := sampletest.Synthetic(nn.DefaultSpec, clips*19/20, clips/40, clips/40)
	for i := range data.Clips {
		if i%50 == 0 { // few, so that judging them takes little of an epoch
			data.Clips[i].Split = dataset.SplitVal
		}
	}
	// The first epoch compiles the graph. In the second each step but the first, which waits for the first batch,
	// counts.
	var began, ended time.Time
	o.Log = func(string) {}
	o.Progress = func(p Progress) {
		if p.Stage == "train" && p.Done == steps+1 {
			began = time.Now()
		}
		if p.Stage == "train" && p.Done == 2*steps {
			ended = time.Now()
		}
	}
	for range b.N {
		if _, err := trainOn(b.Context(), o.Train, data); err != nil {
			b.Fatal(err)
		}
	}
	rows := readLog(b, filepath.Join(o.Run, "log.csv"))
	perStep := ended.Sub(began).Seconds() / float64(steps-1)
	b.ReportMetric(0, "ns/op") // the graph's compilation and the judging tell nothing
	b.ReportMetric(1000*perStep, "ms/step")
	b.ReportMetric(float64(r.Stills+r.Voices+r.Talking)/perStep, "samples/s")
	b.ReportMetric(100*number(b, rows, len(rows)-1, "waiting"), "%waiting")
	runtime.GC()
	if kb := peakMemory(); kb > 0 {
		b.ReportMetric(float64(kb)/1024, "peak-MB")
	}
}
