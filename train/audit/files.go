package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"tandem/capture"
	"tandem/train/dataset"
	"tandem/train/sample"
)

// Faults of files that capture has no error for.
var (
	errNoMedia = errors.New("neither pictures nor sound in it")
	errPointer = errors.New("it is but a pointer of Git LFS to the file: fetch the files themselves by git lfs pull")
)

// checker reads the files of clips.
type checker struct {
	o      Options
	hashes *sample.FileHashes
}

// mediaFile is the findings about one file, or one row of a csv.
type mediaFile struct {
	path     string
	row      *dataset.CSVRow
	set      *Set
	sum      string // SHA-256 of the content in hex, "" if not known
	bytes    int64
	seconds  float64 // of sound
	pictures int
	length   time.Duration // from zero to the end of the last item
	err      error         // why it cannot be read
	damage   string        // what is wrong with a file that can be read
}

// checkFiles reads each file once, whatever clips it is of, adds what it finds to the sets that clips are from, and
// returns the content of each clip: a text that only clips of the same part of the same content share, "" if it is not
// known.
func (c *checker) checkFiles(ctx context.Context, clips []dataset.Clip, from []*Set) ([]string, error) {
	var files []*mediaFile
	at := map[string]*mediaFile{}
	of := make([][2]*mediaFile, len(clips)) // the files of each clip's picture and sound
	for i := range clips {
		for k, path := range [2]string{clips[i].Video, clips[i].Audio} {
			if path == "" {
				continue
			}
			m := at[path]
			if m == nil {
				m = &mediaFile{path: path, row: clips[i].Row, set: from[i]}
				at[path] = m
				files = append(files, m)
			}
			of[i][k] = m
		}
	}
	if err := c.readFiles(ctx, files); err != nil {
		return nil, err
	}
	for _, m := range files {
		m.addToSet()
	}
	contents := make([]string, len(clips))
	for i := range clips {
		contents[i] = content(&clips[i], of[i])
		if fault, ok := cutOff(&clips[i], of[i]); ok && contents[i] != "" {
			from[i].Damaged = append(from[i].Damaged, fault)
		}
	}
	return contents, nil
}

// addToSet adds a file to the numbers and the faults of its set.
func (m *mediaFile) addToSet() {
	m.set.Files++
	m.set.Bytes += m.bytes
	m.set.Sound += m.seconds
	m.set.Pictures += m.pictures
	switch {
	case m.err != nil:
		m.set.Unreadable = append(m.set.Unreadable, Fault{m.path, reason(m.err)})
	case m.damage != "":
		m.set.Damaged = append(m.set.Damaged, Fault{m.path, m.damage})
	}
}

// reason returns an error's message without the path, which stands beside it in a Fault.
func reason(err error) string {
	if e, ok := errors.AsType[*capture.InputError](err); ok {
		return e.Err.Error()
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// content returns the content of a clip by the hashes of its files and by its part of them.
func content(clip *dataset.Clip, files [2]*mediaFile) string {
	text := ""
	for _, m := range files {
		switch {
		case m == nil:
			text += "-"
		case m.err != nil || m.sum == "":
			return ""
		default:
			text += m.sum
		}
	}
	if clip.End > 0 {
		text += fmt.Sprint(clip.Start, clip.End)
	}
	return text
}

// cutOff returns the fault of a clip whose file ends well before the clip does.
func cutOff(clip *dataset.Clip, files [2]*mediaFile) (Fault, bool) {
	m := cmp.Or(files[0], files[1])
	if clip.End == 0 || m == nil || m.err != nil || m.length+500*time.Millisecond >= clip.End {
		return Fault{}, false
	}
	return Fault{m.path, fmt.Sprintf("ends at %.1f s, before the end of %s at %.1f s", m.length.Seconds(), clip.ID,
		clip.End.Seconds())}, true
}

// readFiles reads all files, so many at a time; the error is ctx's cause.
func (c *checker) readFiles(ctx context.Context, files []*mediaFile) error {
	jobs := make(chan *mediaFile)
	var mu sync.Mutex // guards done and calls of Progress
	done := 0
	var wg sync.WaitGroup
	for range max(1, c.o.Workers) {
		wg.Go(func() {
			for m := range jobs {
				c.readFile(ctx, m)
				mu.Lock()
				done++
				if c.o.Progress != nil {
					c.o.Progress(done, len(files))
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range files {
		if ctx.Err() != nil {
			break
		}
		jobs <- m
	}
	close(jobs)
	wg.Wait()
	return context.Cause(ctx)
}

// readFile hashes one file and decodes it to its end.
func (c *checker) readFile(ctx context.Context, m *mediaFile) {
	if m.row != nil {
		grey, err := m.row.Decode()
		m.err, m.pictures, m.bytes = err, 1, int64(m.row.Length)
		m.sum = fmt.Sprintf("%x", sha256.Sum256(grey))
		return
	}
	sum, size, err := c.hashes.Sum(ctx, m.path)
	if err != nil {
		m.err = err
		return
	}
	m.sum, m.bytes = fmt.Sprintf("%x", sum), size
	src, err := capture.Open(ctx, m.path, capture.Options{})
	if err != nil {
		if m.err = err; isPointer(m.path) {
			m.err = errPointer
		}
		return
	}
	defer src.Close()
	peak, err := m.decode(ctx, src)
	if err != nil {
		m.err = err
		return
	}
	var faults []string
	if f, ok := src.(*capture.File); ok {
		stats := f.Stats()
		if stats.Corrupt > 0 {
			faults = append(faults, fmt.Sprintf("%d packets cannot be decoded", stats.Corrupt))
		}
		if stats.Truncated {
			faults = append(faults, fmt.Sprintf("it is cut off after %.1f s", m.length.Seconds()))
		}
	}
	switch {
	case m.pictures == 0 && m.seconds == 0:
		m.err = errNoMedia
	case m.pictures == 0 && float64(peak) < math.Pow(10, sample.SilenceDBFS/20.0):
		faults = append(faults, fmt.Sprintf("nothing in it is louder than %d dBFS", sample.SilenceDBFS))
	}
	m.damage = strings.Join(faults, "; ")
}

// decode reads a source to its end, counts its pictures and its sound, and returns the sound's peak in [0, 1].
func (m *mediaFile) decode(ctx context.Context, src capture.Source) (peak float32, err error) {
	for {
		item, err := src.Read(ctx)
		if errors.Is(err, io.EOF) {
			return peak, nil
		}
		if err != nil {
			return peak, err
		}
		if item.Frame != nil {
			m.pictures++
			m.length = max(m.length, item.Frame.Time)
			continue
		}
		for _, v := range item.Samples.Data {
			peak = max(peak, v, -v)
		}
		m.seconds += float64(len(item.Samples.Data)) / capture.SampleRate
		m.length = max(m.length, item.Samples.End())
	}
}

// isPointer reports whether a file is a pointer, which Git leaves in place of a file that it keeps in LFS, as CREMA-D's
// are.
func isPointer(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 64)
	n, _ := io.ReadFull(f, head)
	return strings.HasPrefix(string(head[:n]), "version ") && strings.Contains(string(head[:n]), "git-lfs")
}
