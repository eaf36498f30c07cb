package sample

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/traintest"
)

// fullSpec has windows of the default network's size: 2.56 s every 0.25 s, eight grey crops of 48×48 pixels.
var fullSpec = pipeline.Spec{
	Window: 2560 * time.Millisecond, Hop: 250 * time.Millisecond,
	VideoFrames: 8, CropSize: 48, Channels: 1, CropMargin: 2.6,
}

// BenchmarkPrepare cuts up to 1000 clips of each of the sets in TANDEM_DATA with a cold cache, then reads them from it,
// and reports how much memory either leaves in use: the heap, which is held, and mapped files, which the system drops
// when it needs memory.
func BenchmarkPrepare(b *testing.B) {
	clips, _, err := dataset.Load("manifest", filepath.Join(traintest.Data(b), "manifest.csv"),
		dataset.DefaultLabels(), nil)
	if err != nil {
		b.Fatal(err)
	}
	var some []dataset.Clip
	for _, group := range dataset.GroupByDataset(clips) {
		n := min(len(group), 1000)
		for i := range n {
			some = append(some, clips[group[i*len(group)/n]])
		}
	}
	if f, err := infer.NewBlazeFace(); err != nil {
		b.Skip(err)
	} else {
		f.Close()
	}
	finder := func() (pipeline.FaceFinder, error) { return infer.NewBlazeFace() }
	prepare := func(cache string) (p *Prepared, took time.Duration, heap float64) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		p, err := Prepare(b.Context(), some, Options{
			Spec: fullSpec, Finder: finder, CacheDir: cache, Workers: runtime.GOMAXPROCS(0),
		})
		if err != nil {
			b.Fatal(err)
		}
		took = time.Since(start)
		runtime.GC()
		runtime.ReadMemStats(&after)
		return p, took, float64(after.HeapAlloc) - float64(before.HeapAlloc)
	}
	for b.Loop() {
		cache := b.TempDir()
		_, cold, _ := prepare(cache)
		p, warm, heap := prepare(cache)
		if p.Cached < len(some)-len(p.Skipped) {
			b.Fatalf("%d of %d clips from the cache", p.Cached, len(some))
		}
		_, size, err := CacheSize(cache)
		if err != nil {
			b.Fatal(err)
		}
		n := float64(len(some))
		b.ReportMetric(n/cold.Seconds(), "cold-clips/s")
		b.ReportMetric(n/warm.Seconds(), "warm-clips/s")
		b.ReportMetric(float64(size)/1e6, "cache-MB")
		b.ReportMetric(heap/1e6, "heap-MB")
		b.ReportMetric(heap/float64(len(p.Samples)), "heap-B/window")
		b.ReportMetric(mappedResident(b)/1e6, "mapped-resident-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// mappedResident returns the bytes of mapped files that are in memory now; 0 where the system does not say.
func mappedResident(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssFile:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb * 1024
		}
	}
	return 0
}
