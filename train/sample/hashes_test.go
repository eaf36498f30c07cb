package sample

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/dataset/datasettest"
	"tandem/train/traintest"
)

func TestPrepareRemembersHashes(t *testing.T) {
	clips, cache := datasettest.Clips(t), t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, c := range clips {
		for _, f := range c.Files() {
			if f != "" {
				if err := os.Chtimes(f, old, old); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	first, _ := prepareWith(t, cache, clips, traintest.Spec)
	book := OpenFileHashes(cache)
	if len(book.files) != 4 {
		t.Fatalf("%d hashes are remembered", len(book.files))
	}
	// Another content of the same size and time: what is remembered is believed.
	data, err := os.ReadFile(clips[0].Audio)
	if err != nil {
		t.Fatal(err)
	}
	data[100] ^= 1
	traintest.WriteFile(t, clips[0].Audio, string(data))
	if err := os.Chtimes(clips[0].Audio, old, old); err != nil {
		t.Fatal(err)
	}
	if p, calls := prepareWith(t, cache, clips, traintest.Spec); calls != 0 || !sameSamples(first, p) {
		t.Error("the file was read again")
	}
	// With another time it is not.
	if err := os.Chtimes(clips[0].Audio, old, old.Add(time.Nanosecond)); err != nil {
		t.Fatal(err)
	}
	if p, _ := prepareWith(t, cache, clips, traintest.Spec); p.Cached != 2 {
		t.Errorf("%d from the cache", p.Cached)
	}
}

// growingFinder appends to a file when its picture is looked at, the given number of times.
type growingFinder struct {
	path  string
	times int
}

func (g *growingFinder) make() (pipeline.FaceFinder, error) { return g, nil }

func (g *growingFinder) FindFaces(ctx context.Context, p *capture.Frame, most int) ([]pipeline.Face, error) {
	if g.times--; g.times >= 0 {
		f, err := os.OpenFile(g.path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		if _, err := f.WriteString("more"); err != nil {
			return nil, err
		}
		f.Close()
	}
	return traintest.NewFinder().FindFaces(ctx, p, most)
}

func TestPrepareNoticesChanges(t *testing.T) {
	still := filepath.Join(t.TempDir(), "b.png")
	traintest.WritePNG(t, still, 64)
	clips := []dataset.Clip{{Video: still, ID: "b", Dataset: "mine"}}
	// Once is forgiven: it is read again.
	p, err := Prepare(t.Context(), clips,
		Options{Spec: traintest.Spec, Finder: (&growingFinder{path: still, times: 1}).make, Workers: 1})
	if err != nil || len(p.Samples) != 1 {
		t.Fatalf("%v, skipped %v", err, p.Skipped)
	}
	if c := p.Changed(); c != nil {
		t.Errorf("changed: %v", c)
	}
	p2, err := Prepare(t.Context(), clips,
		Options{Spec: traintest.Spec, Finder: (&growingFinder{path: still, times: 99}).make, Workers: 1})
	if err != nil || len(p2.Skipped) != 1 || !errors.Is(p2.Skipped[0].Err, ErrChanged) {
		t.Fatalf("%v, skipped %v", err, p2.Skipped)
	}
	if c := p.Changed(); !slices.Equal(c, []string{still}) {
		t.Errorf("changed: %v", c)
	}
	os.Remove(still)
	if c := p.Changed(); !slices.Equal(c, []string{still}) {
		t.Errorf("removed: %v", c)
	}
}

func FuzzHashes(f *testing.F) {
	sum := strings.Repeat("0a", 32)
	f.Add(sum + "\t3@4\t/x/a.wav\n" + sum + "\t\t\n")
	f.Add("0a\t3@4\t/x\n\t\t\t")
	f.Fuzz(func(t *testing.T, text string) {
		readHashes(strings.NewReader(text), func(path, line string, h *hashed) {
			if path == "" || !strings.Contains(line, path) || strings.Contains(h.stamp, "\t") {
				t.Errorf("path %q, stamp %q of %q", path, h.stamp, line)
			}
		})
	})
}

// TestFileHashesByManyAtOnce: workers may ask for one file at once, and for its stamp meanwhile.
func TestFileHashesByManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	traintest.WriteFile(t, path, "a file")
	h := OpenFileHashes("")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			sum, size, err := h.Sum(t.Context(), path)
			if err != nil || size != 6 || sum != sha256.Sum256([]byte("a file")) {
				t.Errorf("%x of %d bytes, %v", sum, size, err)
			}
			if stamp := h.stamp(path); !strings.HasPrefix(stamp, "6@") {
				t.Errorf("stamp %q", stamp)
			}
		})
	}
	wg.Wait()
}
