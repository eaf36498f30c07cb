package sample

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/dataset/datasettest"
	"tandem/train/traintest"
)

// testOptions are options with small windows, and with a finder that always finds.
func testOptions(cache string, workers int) Options {
	return Options{Spec: traintest.Spec, Finder: traintest.NewFinder().Make, CacheDir: cache, Workers: workers}
}

// prepareWith prepares with a cache and returns how often a face was searched.
func prepareWith(t *testing.T, cache string, clips []dataset.Clip, spec pipeline.Spec) (*Prepared, int64) {
	t.Helper()
	f := traintest.NewFinder()
	p, err := Prepare(t.Context(), clips, Options{Spec: spec, Finder: f.Make, CacheDir: cache, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	if p.CacheErr != nil {
		t.Fatal(p.CacheErr)
	}
	return p, f.Calls.Load()
}

// sameSamples compares samples, and which clips were skipped and why.
func sameSamples(a, b *Prepared) bool {
	return reflect.DeepEqual(a.Samples, b.Samples) && len(a.Skipped) == len(b.Skipped) &&
		!slices.ContainsFunc(a.Skipped, func(s Skipped) bool {
			return !slices.ContainsFunc(b.Skipped, func(o Skipped) bool {
				return o.Clip == s.Clip &&
					o.Err.Error() == s.Err.Error()
			})
		})
}

func packs(t *testing.T, cache string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cache, "cuts-*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestPrepareCache(t *testing.T) {
	clips, cache := datasettest.Clips(t), filepath.Join(t.TempDir(), "cache")
	first, calls := prepareWith(t, cache, clips, traintest.Spec)
	if calls == 0 || first.Cached != 0 {
		t.Errorf("the first run looked %d times, took %d from the cache", calls, first.Cached)
	}
	if n := len(packs(t, cache)); n != 1 {
		t.Fatalf("%d packs", n)
	}
	// All but the text are in the cache, the silent voice too; and the samples are those that memory would hold.
	second, calls := prepareWith(t, cache, clips, traintest.Spec)
	if calls != 0 || second.Cached != 4 || !sameSamples(first, second) {
		t.Errorf("second run: %d calls, %d from the cache, the same %v", calls, second.Cached,
			sameSamples(first, second))
	}
	if none, _ := prepareWith(t, "", clips, traintest.Spec); !sameSamples(first, none) {
		t.Error("without a cache the samples differ")
	}

	// By content: neither name, place, time nor split decide.
	moved := slices.Clone(clips)
	for i := range moved {
		for _, path := range []*string{&moved[i].Video, &moved[i].Audio} {
			if *path == "" {
				continue
			}
			data, err := os.ReadFile(*path)
			if err != nil {
				t.Fatal(err)
			}
			*path = filepath.Join(t.TempDir(), "other"+filepath.Ext(*path))
			traintest.WriteFile(t, *path, string(data))
		}
		moved[i].ID, moved[i].Split = "x", dataset.SplitTest
	}
	if p, calls := prepareWith(t, cache, moved, traintest.Spec); calls != 0 || p.Cached != 4 ||
		!reflect.DeepEqual(p.Samples, first.Samples) {
		t.Errorf("moved: %d calls, %d from the cache", calls, p.Cached)
	}

	other := traintest.Spec
	other.CropMargin = 3
	if _, calls := prepareWith(t, cache, clips, other); calls == 0 {
		t.Error("another spec took the same cache")
	}
	if _, calls := prepareWith(t, cache, clips, traintest.Spec); calls != 0 {
		t.Error("another spec took the cache away")
	}
	aligned := slices.Clone(clips)
	aligned[1].Dataset = "fer2013"
	if p, _ := prepareWith(t, cache, aligned, traintest.Spec); p.Cached != 3 {
		t.Errorf("a picture of an aligned set: %d from the cache", p.Cached)
	}
	// Only what changed is cut again.
	traintest.WriteWAV(t, clips[0].Audio, traintest.Sine(330, 20000))
	if p, _ := prepareWith(t, cache, clips, traintest.Spec); p.Cached != 2 || sameSamples(first, p) {
		t.Errorf("a changed file: %d from the cache", p.Cached)
	}
}

func TestPrepareMendsItsCache(t *testing.T) {
	clips, cache := datasettest.Clips(t), t.TempDir()
	first, _ := prepareWith(t, cache, clips, traintest.Spec)
	pack := packs(t, cache)[0]
	whole, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		b := slices.Clone(whole)
		b[at] ^= 4
		return b
	}
	for name, bad := range map[string][]byte{
		"cut off": whole[:len(whole)-100], "half": whole[:len(whole)/2], "flipped": flip(len(whole) / 2),
		"flipped key": flip(len(whole) - 100),
		"flipped end": flip(len(whole) - 1), "flipped begin": flip(0), "flipped count": flip(len(whole) - packFooter),
		"empty": {}, "text": []byte("text"),
	} {
		// Packs are never written to: those that have mapped one would crash.
		for _, p := range packs(t, cache) {
			os.Remove(p)
		}
		traintest.WriteFile(t, pack, string(bad))
		again, calls := prepareWith(t, cache, clips, traintest.Spec)
		if calls == 0 && again.Cached == 4 || !sameSamples(first, again) {
			t.Errorf("%s: %d calls, %d from the cache, the same %v", name, calls, again.Cached,
				sameSamples(first, again))
		}
		if mended, calls := prepareWith(t, cache, clips, traintest.Spec); calls != 0 || mended.Cached != 4 {
			t.Errorf("%s: the cache was not mended: %d calls, %d from the cache", name, calls, mended.Cached)
		}
	}
	for name, bad := range map[string]string{
		"text": "text\n", "short": "ab\t1@2\t/x\n", "no path": "ab", "zeros": string(make([]byte, 3000)),
	} {
		traintest.WriteFile(t, filepath.Join(cache, hashesName), bad)
		if again, calls := prepareWith(t, cache, clips, traintest.Spec); calls != 0 || !sameSamples(first, again) {
			t.Errorf("hashes of %s: cut again", name)
		}
	}
}

func TestPrepareByManyAtOnce(t *testing.T) {
	clips, cache := datasettest.Clips(t), t.TempDir()
	want, _ := prepareWith(t, "", clips, traintest.Spec)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			p, err := Prepare(t.Context(), clips, testOptions(cache, 2))
			if err != nil || p.CacheErr != nil || !sameSamples(want, p) {
				t.Errorf("%v, %v", err, p.CacheErr)
			}
		})
	}
	wg.Wait()
	if _, calls := prepareWith(t, cache, clips, traintest.Spec); calls != 0 {
		t.Error("nothing is cached")
	}
}

// manyClips are n voices.
func manyClips(t *testing.T, n int) []dataset.Clip {
	t.Helper()
	dir := t.TempDir()
	var clips []dataset.Clip
	for i := range n {
		path := filepath.Join(dir, string(rune('a'+i/26))+string(rune('a'+i%26))+".wav")
		traintest.WriteWAV(t, path, traintest.Sine(float64(200+i), 16000))
		clips = append(clips, dataset.Clip{Audio: path, ID: path, Dataset: "mine"})
	}
	return clips
}

func smallPacks(t *testing.T, size int) {
	was := packBytes
	packBytes = size
	t.Cleanup(func() { packBytes = was })
}

// TestPrepareKilled kills a run while it writes; what is whole stays of use and what is not does no harm.
func TestPrepareKilled(t *testing.T) {
	if cache := os.Getenv("TANDEM_TEST_KILLED_CACHE"); cache != "" { // it is the one to be killed
		smallPacks(t, 1)
		for {
			if _, err := Prepare(t.Context(), manyClips(t, 40), testOptions(cache, 2)); err != nil {
				t.Fatal(err)
			}
			for _, p := range packs(t, cache) {
				os.Remove(p)
			}
		}
	}
	clips := manyClips(t, 40)
	want, _ := prepareWith(t, "", clips, traintest.Spec)
	smallPacks(t, 1)
	cache := t.TempDir()
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPrepareKilled$")
		cmd.Env = append(os.Environ(), "TANDEM_TEST_KILLED_CACHE="+cache)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for begun := time.Now(); len(packs(t, cache)) < 3 && time.Since(begun) < 20*time.Second; {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(round) * 700 * time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
		got, _ := prepareWith(t, cache, clips, traintest.Spec)
		if !sameSamples(want, got) {
			t.Fatalf("round %d: the samples differ", round)
		}
	}
	// Files that killed writes have left are removed once they are old.
	left := filepath.Join(cache, ".cuts-x.pack.1")
	traintest.WriteFile(t, left, "half")
	old := time.Now().Add(-2 * time.Hour)
	os.Chtimes(left, old, old)
	prepareWith(t, cache, clips, traintest.Spec)
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("an old half-written file is still there: %v", err)
	}
}

// TestPacksAreWrittenInTime: cuts so small that no pack fills are not held for long.
func TestPacksAreWrittenInTime(t *testing.T) {
	was := packAge
	packAge = time.Millisecond
	t.Cleanup(func() { packAge = was })
	c := openWindowCache(t.TempDir(), traintest.Spec)
	for i := range 3 {
		c.put(cacheKey{byte(i)}, &clipWindows{})
		time.Sleep(2 * time.Millisecond)
	}
	if n := len(packs(t, c.dir)); n == 0 {
		t.Error("nothing is written")
	}
	if _, ok := c.get(cacheKey{0}); !ok {
		t.Error("what is written is not found")
	}
}

// TestPrepareOnAFullDisk goes on without a cache. It is a process of its own in which no file may grow beyond a bound,
// so that writing fails as on a full disk.
func TestPrepareOnAFullDisk(t *testing.T) {
	if os.Getenv("TANDEM_TEST_FULL_DISK") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPrepareOnAFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), "TANDEM_TEST_FULL_DISK=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASS: TestPrepareOnAFullDisk") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	clips := manyClips(t, 20)
	want, _ := prepareWith(t, "", clips, traintest.Spec)
	smallPacks(t, 60_000)
	signal.Ignore(syscall.SIGXFSZ)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 40_000, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	p, err := Prepare(t.Context(), clips, testOptions(cache, 2))
	if err != nil || !errors.Is(p.CacheErr, syscall.EFBIG) || !sameSamples(want, p) {
		t.Fatalf("%v, cache: %v", err, p.CacheErr)
	}
	if left, _ := os.ReadDir(cache); len(left) != 0 {
		t.Errorf("left in the cache: %v", left)
	}
}

// TestPrepareWithoutItsFolder does the same.
func TestPrepareWithoutItsFolder(t *testing.T) {
	clips := manyClips(t, 2)
	want, _ := prepareWith(t, "", clips, traintest.Spec)
	file := filepath.Join(t.TempDir(), "file")
	traintest.WriteFile(t, file, "")
	p, err := Prepare(t.Context(), clips, testOptions(filepath.Join(file, "cache"), 2))
	if err != nil || p.CacheErr == nil || !sameSamples(want, p) {
		t.Errorf("%v, cache: %v", err, p.CacheErr)
	}
}

// TestCachedSamplesTakeNoMemory: with a cache the heap does not grow with the sound and the pictures.
func TestCachedSamplesTakeNoMemory(t *testing.T) {
	clips, cache := manyClips(t, 200), t.TempDir()
	prepareWith(t, cache, clips, traintest.Spec)
	heap := func(cache string) (grown int64, media int) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		p, _ := prepareWith(t, cache, clips, traintest.Spec)
		runtime.GC()
		runtime.ReadMemStats(&after)
		for _, s := range p.Samples {
			media += 2 * len(s.Audio)
		}
		return int64(after.HeapAlloc) - int64(before.HeapAlloc), media
	}
	cached, _ := heap(cache)
	held, media := heap("")
	t.Logf("200 voices, %d windows' samples of %d bytes: the heap grew by %d with a cache, by %d without", 200, media,
		cached, held)
	if cached > 1<<20 || held < 5<<20 {
		t.Errorf("the heap grew by %d bytes with a cache, by %d without", cached, held)
	}
}

func TestClearCache(t *testing.T) {
	clips, cache := datasettest.Clips(t), t.TempDir()
	p, _ := prepareWith(t, cache, clips, traintest.Spec)
	audio := slices.Clone(p.Samples[0].Audio)
	for _, f := range []string{"mine-0123456789abcdef.cut", ".cuts-1.pack.2", "hashes.tsv"} {
		traintest.WriteFile(t, filepath.Join(cache, f), "x")
	}
	traintest.WriteFile(t, filepath.Join(cache, "data-1/cuts-1.pack"), "of somebody else")
	traintest.WriteFile(t, filepath.Join(cache, "model.onnx"), "of somebody else")
	n, size, err := CacheSize(cache)
	if err != nil || n != 4 || size < 1000 {
		t.Fatalf("%d files, %d bytes, %v", n, size, err)
	}
	if n2, size2, err := ClearCache(cache); err != nil || n2 != n || size2 != size {
		t.Errorf("cleared %d files, %d bytes, %v", n2, size2, err)
	}
	left, _ := filepath.Glob(filepath.Join(cache, "*"))
	if len(left) != 2 {
		t.Errorf("left %v", left)
	}
	if !slices.Equal(audio, p.Samples[0].Audio) {
		t.Error("samples that were given out are gone")
	}
	if n, _, err := ClearCache(filepath.Join(cache, "none")); n != 0 || err != nil {
		t.Errorf("a cache that is not there: %d, %v", n, err)
	}
}

// mendPack gives a pack its magic words and the sum of its index.
func mendPack(b []byte) []byte {
	copy(b, packMagic)
	copy(b[len(b)-len(packMagic):], packMagic)
	foot := b[len(b)-packFooter:]
	body := b[:len(b)-packFooter]
	n := int(binary.LittleEndian.Uint32(foot))
	if n > len(body)/indexEntry {
		n = 0
		binary.LittleEndian.PutUint32(foot, 0)
	}
	binary.LittleEndian.PutUint32(foot[4:], crc32.Checksum(body[len(body)-n*indexEntry:], castagnoli))
	return b
}

func FuzzPack(f *testing.F) {
	c := &windowCache{spec: fuzzSpec, entries: map[cacheKey][]packEntry{}}
	c.put(cacheKey{1}, &clipWindows{})
	c.put(cacheKey{2}, &clipWindows{audio: make([]int16, 5)})
	whole := func(body []byte) []byte { return append(append([]byte(packMagic), body...), packMagic...) }
	pending, index := slices.Clone(c.pending), slices.Clone(c.index)
	f.Add(whole(slices.Concat(pending[len(packMagic):], index, []byte{2, 0, 0, 0, 0, 0, 0, 0})))
	f.Add(whole(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		_ = eachInPack(data, func(_ cacheKey, k packEntry) { n += len(k.data) & 1 })
		// The sum keeps the rest of the parser from most inputs: mend it.
		if len(data) < len(packMagic)+packFooter {
			return
		}
		mended := mendPack(slices.Clone(data))
		_ = eachInPack(mended, func(_ cacheKey, k packEntry) {
			if len(k.data) > len(mended) {
				t.Errorf("a cut of %d bytes in a pack of %d", len(k.data), len(mended))
			}
			_, _ = parseWindows(k.data, fuzzSpec)
		})
	})
}

// An entry is read once, to be checked and hashed; later ones of the same run take it as it is.
func TestCacheReadsAnEntryOnce(t *testing.T) {
	clips, dir := datasettest.Clips(t), t.TempDir()
	first, _ := prepareWith(t, dir, clips, traintest.Spec)
	c := openWindowCache(dir, traintest.Spec)
	for key := range c.entries {
		windows, ok := c.get(key)
		if !ok || windows.hash == (Content{}) {
			t.Fatalf("in the cache: %v, hash %x", ok, windows.hash)
		}
		c.entries[key][0].sum++ // which it would find, if it read the entry again
		if again, ok := c.get(key); !ok || again.hash != windows.hash {
			t.Errorf("asked again it is there: %v, hash %x, was %x", ok, again.hash, windows.hash)
		}
	}
	// With a cold cache, with a warm one and without any the fingerprints are the same.
	second, _ := prepareWith(t, dir, clips, traintest.Spec)
	third, _ := prepareWith(t, "", clips, traintest.Spec)
	var sums [][]Fingerprint
	for _, p := range []*Prepared{first, second, third} {
		s, err := Fingerprints(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, s)
	}
	if !reflect.DeepEqual(sums[0], sums[1]) || !reflect.DeepEqual(sums[0], sums[2]) {
		t.Errorf("fingerprints differ: %+v", sums)
	}
}
