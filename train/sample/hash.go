package sample

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/capture"
	"tandem/internal/atomicfile"
	"tandem/pipeline"
	"tandem/train/dataset"
)

// cutVersion counts the changes of what cutting gives for the same clip; raising it makes every cache stale. Raise it with any
// change to the cropping, the face finder, the windows, or the layout of the cache.
const cutVersion = 3

// ErrChanged is why a clip is skipped whose file was written to while it was read.
var ErrChanged = errors.New("the file changes while it is read")

// cacheKey names what cutting a clip gives, by all that decides it.
type cacheKey [sha256.Size]byte

func keyOf(ctx context.Context, c *dataset.Clip, spec pipeline.Spec, book *FileHashes) (cacheKey, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %+v %v %v %v %v\n", cutVersion, capture.SampleRate, spec, SilenceDBFS, c.Start, c.End, c.Crop)
	if usual := canonicalFaces[c.Dataset]; usual != nil {
		fmt.Fprintf(h, "%+v\n", *usual)
	}
	if c.Row != nil {
		fmt.Fprintf(h, "row %d %d\n", c.Row.Offset, c.Row.Length)
	}
	for _, path := range c.Files() {
		if path == "" {
			fmt.Fprintln(h)
			continue
		}
		sum, err := book.Sum(ctx, path)
		if err != nil {
			return cacheKey{}, err
		}
		fmt.Fprintf(h, "%x\n", sum)
	}
	return cacheKey(h.Sum(nil)), nil
}

// FileHashes remembers the SHA-256 of files by their size and time, from run to run in a file of the cache folder, since a large data
// set takes minutes to read.
type FileHashes struct {
	path string // "" keeps nothing

	mu    sync.Mutex
	files map[string]*hashed
	news  map[string]string // lines to be packed, by path
}

type hashed struct {
	mu    sync.Mutex // held while it is hashed
	stamp string
	sum   [sha256.Size]byte
}

// hashesName is the book's name in the cache folder. Each line is: SHA-256 in hex, SIZE@TIME, path, separated by tabs.
const hashesName = "hashes.tsv"

func OpenFileHashes(dir string) *FileHashes {
	b := &FileHashes{files: map[string]*hashed{}, news: map[string]string{}}
	if dir != "" {
		b.path = filepath.Join(dir, hashesName)
		readHashFile(b.path, func(path, _ string, f *hashed) { b.files[path] = f })
	}
	return b
}

// readHashFile reads what is there.
func readHashFile(path string, each func(path, line string, f *hashed)) {
	if f, err := os.Open(path); err == nil {
		defer f.Close()
		readHashes(f, each)
	}
}

// readHashes leaves out lines that are none. A wrong hash would only be a name that no cache has.
func readHashes(r io.Reader, each func(path, line string, f *hashed)) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		sum, rest, _ := strings.Cut(lines.Text(), "\t")
		stamp, path, ok := strings.Cut(rest, "\t")
		of := &hashed{stamp: stamp}
		if n, err := hex.Decode(of.sum[:], []byte(sum)[:min(len(sum), 2*sha256.Size)]); ok && err == nil && n == sha256.Size && path != "" {
			each(path, lines.Text(), of)
		}
	}
}

// Sum is the SHA-256 of a file.
func (b *FileHashes) Sum(ctx context.Context, path string) ([sha256.Size]byte, error) {
	b.mu.Lock()
	f := b.files[path]
	if f == nil {
		f = &hashed{}
		b.files[path] = f
	}
	b.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	stamp, err := fileStamp(path)
	if err != nil {
		return f.sum, err
	}
	if stamp == f.stamp {
		return f.sum, nil
	}
	began := time.Now()
	if f.sum, err = hashFile(ctx, path); err != nil {
		f.stamp = ""
		return f.sum, err
	}
	if f.stamp, err = fileStamp(path); err != nil || f.stamp != stamp {
		f.stamp = ""
		return f.sum, errors.Join(err, fmt.Errorf("%s: %w", path, ErrChanged))
	}
	// A file that was written to just now may be so again without its time telling.
	info, err := os.Stat(path)
	if err == nil && began.Sub(info.ModTime()) > 2*time.Second && !strings.ContainsAny(path, "\t\n\r") {
		b.mu.Lock()
		b.news[path] = fmt.Sprintf("%x\t%s\t%s", f.sum, f.stamp, path)
		b.mu.Unlock()
	}
	return f.sum, nil
}

func hashFile(ctx context.Context, path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	for {
		n, err := io.CopyN(h, f, 8<<20)
		switch {
		case ctx.Err() != nil:
			return sum, context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return [sha256.Size]byte(h.Sum(nil)), nil
		case err != nil:
			return sum, fmt.Errorf("%s: %w", path, err)
		case n == 0:
			return sum, fmt.Errorf("%s: %w", path, io.ErrNoProgress)
		}
	}
}

// stamps are the sizes and times of the files of which sum was asked.
func (b *FileHashes) Stamp(path string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.files[path]; f != nil {
		return f.stamp
	}
	return ""
}

// Save keeps what is new, beside what other runs have kept meanwhile.
func (b *FileHashes) Save() error {
	if b.path == "" || len(b.news) == 0 {
		return nil
	}
	lines := map[string]string{}
	readHashFile(b.path, func(path, line string, _ *hashed) { lines[path] = line })
	maps.Copy(lines, b.news)
	if err := os.MkdirAll(filepath.Dir(b.path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(b.path, func(f *os.File) error {
		w := bufio.NewWriter(f)
		for _, path := range slices.Sorted(maps.Keys(lines)) {
			fmt.Fprintln(w, lines[path]) // bufio keeps the first error for Flush
		}
		return w.Flush()
	})
}

// fileStamp is a file's size and time, by which a change is noticed.
func fileStamp(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d@%d", info.Size(), info.ModTime().UnixNano()), nil
}
