package sample

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/capture"
	"tandem/internal/atomicfile"
)

// ErrChanged is the error of a clip that is skipped since its file was written to while it was read.
var ErrChanged = errors.New("the file changes while it is read")

// FileHashes returns the SHA-256 of files and remembers it by their size and time, since a large data set takes minutes
// to read. With a cache folder it remembers from run to run, in a file there. It is safe for concurrent use but for
// Save.
type FileHashes struct {
	path string // of the file; "" if nothing is kept

	mu    sync.Mutex
	files map[string]*hashed
	added map[string]string // lines of the file that Save adds, by path
}

// hashed is the remembered hash of one file.
type hashed struct {
	mu    sync.Mutex // held while it is hashed
	stamp string     // see statFile; "" if not known
	sum   [sha256.Size]byte
}

// hashesName is the name of the file in the cache folder. Each line is: SHA-256 in hex, SIZE@TIME, path, separated by
// tabs.
const hashesName = "hashes.tsv"

// OpenFileHashes reads the hashes that are kept in the cache folder dir; "" keeps none. A file that is damaged or not
// there costs only time.
func OpenFileHashes(dir string) *FileHashes {
	h := &FileHashes{files: map[string]*hashed{}, added: map[string]string{}}
	if dir != "" {
		h.path = filepath.Join(dir, hashesName)
		readHashFile(h.path, func(path, _ string, f *hashed) { h.files[path] = f })
	}
	return h
}

// readHashFile calls each for each line of the file at path, if there is one.
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
		n, err := hex.Decode(of.sum[:], []byte(sum)[:min(len(sum), 2*sha256.Size)])
		if ok && err == nil && n == sha256.Size && path != "" {
			each(path, lines.Text(), of)
		}
	}
}

// file returns the entry of a path, which is made if there is none.
func (h *FileHashes) file(path string) *hashed {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.files[path]
	if f == nil {
		f = &hashed{}
		h.files[path] = f
	}
	return f
}

// Sum returns the SHA-256 of a file and its size in bytes. The error is ErrChanged if the file is written to meanwhile,
// else that of reading it, or ctx's cause; but for ctx's it names the file.
func (h *FileHashes) Sum(ctx context.Context, path string) (sum [sha256.Size]byte, size int64, err error) {
	f := h.file(path)
	f.mu.Lock()
	defer f.mu.Unlock()
	stamp, size, err := statFile(path)
	if err != nil {
		return f.sum, 0, err
	}
	if stamp == f.stamp {
		return f.sum, size, nil
	}
	began := time.Now()
	f.stamp = ""
	if f.sum, err = hashFile(ctx, path); err != nil {
		return f.sum, 0, err
	}
	again, _, err := statFile(path)
	if err != nil || again != stamp {
		return f.sum, 0, errors.Join(err, &capture.InputError{Name: path, Err: ErrChanged})
	}
	f.stamp = stamp
	// A file that was written to just now may be so again without its time telling.
	info, err := os.Stat(path)
	if err == nil && began.Sub(info.ModTime()) > 2*time.Second && !strings.ContainsAny(path, "\t\n\r") {
		h.mu.Lock()
		h.added[path] = fmt.Sprintf("%x\t%s\t%s", f.sum, f.stamp, path)
		h.mu.Unlock()
	}
	return f.sum, size, nil
}

// hashFile reads a file to its end, by pieces between which ctx may end it.
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
			if e, ok := errors.AsType[*fs.PathError](err); ok {
				err = e.Err // without the path, which InputError has
			}
			return sum, &capture.InputError{Name: path, Err: err}
		case n == 0:
			return sum, &capture.InputError{Name: path, Err: io.ErrNoProgress}
		}
	}
}

// stamp returns the size and time of a file when Sum last hashed it, "" if it never did.
func (h *FileHashes) stamp(path string) string {
	f := h.file(path)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stamp
}

// Save writes the hashes that are new, beside those that other runs have saved meanwhile.
func (h *FileHashes) Save() error {
	if h.path == "" || len(h.added) == 0 {
		return nil
	}
	lines := map[string]string{}
	readHashFile(h.path, func(path, line string, _ *hashed) { lines[path] = line })
	maps.Copy(lines, h.added)
	if err := os.MkdirAll(filepath.Dir(h.path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(h.path, func(f *os.File) error {
		w := bufio.NewWriter(f)
		for _, path := range slices.Sorted(maps.Keys(lines)) {
			fmt.Fprintln(w, lines[path]) // bufio keeps the first error for Flush
		}
		return w.Flush()
	})
}

// statFile returns a file's size in bytes, and a stamp of its size and time by which a change is noticed.
func statFile(path string) (stamp string, size int64, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", 0, err
	}
	return fmt.Sprintf("%d@%d", info.Size(), info.ModTime().UnixNano()), info.Size(), nil
}
