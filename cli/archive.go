package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"tandem/capture"
	"tandem/internal/atomicfile"
)

// archiveFlags are for many inputs, by one process or by many that share them.
type archiveFlags struct {
	filesFrom       string
	null            bool
	shard           string
	outDir          string
	skipDone        bool
	continueOnError bool

	part, parts uint64 // of --shard, after check; parts is 0 without
}

func (a *archiveFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&a.filesFrom, "files-from", "",
		"read names of inputs from a `FILE` too, one a line; - is standard input")
	f.BoolVarP(&a.null, "null", "0", false, "names of --files-from end with a zero byte, as find -print0 writes them")
	f.StringVar(&a.shard, "shard", "",
		"take but a share of the inputs, `I/N` with I from 0 to N-1, by a hash of their names")
	f.StringVar(&a.outDir, "out-dir", "",
		"write the results of each input to a file of its own in `DIR`, whole or not at all")
	f.BoolVar(&a.skipDone, "skip-done", false, "leave out inputs whose file is in --out-dir already")
	f.BoolVar(&a.continueOnError, "continue-on-error", false,
		"exit with 0 though inputs fail; they are in failures.tsv in --out-dir")
}

// check takes the number of inputs on the command line.
func (a *archiveFlags) check(inputs int, format string) error {
	if a.shard != "" {
		part, parts, ok := strings.Cut(a.shard, "/")
		var wrong [2]error
		a.part, wrong[0] = strconv.ParseUint(part, 10, 32)
		a.parts, wrong[1] = strconv.ParseUint(parts, 10, 32)
		if err := errors.Join(wrong[:]...); !ok || err != nil || a.part >= a.parts {
			return fmt.Errorf("--shard %q: want I/N, I from 0 to N-1, such as 0/4", a.shard)
		}
	}
	switch {
	case inputs == 0 && a.filesFrom == "":
		return errors.New("INPUT... is missing")
	case a.null && a.filesFrom == "":
		return errors.New("--null is of --files-from: give that too")
	case a.outDir == "" && (a.skipDone || a.continueOnError):
		return errors.New("--skip-done and --continue-on-error are of --out-dir: give that too")
	case a.outDir != "" && format == "table":
		return errors.New("--out-dir writes files: choose another than table by --format")
	}
	return nil
}

// inputs returns those of the command line and of --files-from that are in the shard, in their order.
func (a *archiveFlags) inputs(given []string) ([]string, error) {
	all := given
	if a.filesFrom != "" {
		listed, err := readNames(a.filesFrom, a.null)
		if err != nil {
			return nil, err
		}
		all = append(append([]string{}, given...), listed...)
		if len(all) == 0 {
			return nil, fmt.Errorf("--files-from %s: it names no input", a.filesFrom)
		}
	}
	if a.parts == 0 {
		return all, nil
	}
	var mine []string
	for _, input := range all {
		if shardOf(input, a.parts) == a.part {
			mine = append(mine, input)
		}
	}
	return mine, nil
}

// shardOf returns the share that an input belongs to: FNV-1a of 64 bits of its name, modulo the number of shares. It is
// the same on every machine and in every version.
func shardOf(input string, shares uint64) uint64 {
	h := fnv.New64a()
	h.Write([]byte(input))
	return h.Sum64() % shares
}

// maxName bounds a name in a list, in bytes.
const maxName = 1 << 20

// readNames reads a list of names; empty ones are left out.
func readNames(from string, null bool) (names []string, err error) {
	r := io.Reader(os.Stdin)
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return nil, bare("--files-from "+from, err)
		}
		defer f.Close()
		r = f
	}
	end := byte('\n')
	if null {
		end = 0
	}
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxName)
	s.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		for i, b := range data {
			if b == end {
				return i + 1, data[:i], nil
			}
		}
		if atEOF && len(data) > 0 {
			return len(data), data, nil
		}
		return 0, nil, nil
	})
	for s.Scan() {
		name := s.Text()
		if !null {
			name = strings.TrimSuffix(name, "\r")
		}
		if name != "" {
			names = append(names, name)
		}
	}
	if s.Err() != nil {
		return nil, fmt.Errorf("--files-from %s: %w", from, s.Err())
	}
	return names, nil
}

// outFile returns where an input's results go: the input's own path below the folder, so that no two inputs have one,
// with the format's ending.
func outFile(dir, input, format string) string {
	name := input
	switch {
	case input == "-":
		name = "stdin"
	case strings.Contains(input, "://") && !strings.HasPrefix(input, "file:") || strings.HasPrefix(input, "pattern:"):
		name = url.PathEscape(input)
	default:
		local := filepath.ToSlash(capture.LocalPath(input))
		parts := strings.Split(path.Clean(local), "/")
		for i, p := range parts {
			if p == ".." {
				parts[i] = "%2E%2E" // never above the folder
			}
		}
		name = strings.TrimPrefix(strings.Join(parts, "/"), "/")
	}
	return filepath.Join(dir, filepath.FromSlash(name)+"."+format)
}

// archived analyses an input into a file of its own, and says whether it was left out since that is there.
func (a *analysis) archived(ctx context.Context, input string) (done bool, err error) {
	format := a.o.format
	if format == "" {
		format = "jsonl"
	}
	file := outFile(a.o.outDir, input, format)
	if _, err := os.Stat(file); err == nil && a.o.skipDone {
		return true, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, bare(file, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return false, bare(filepath.Dir(file), err)
	}
	return false, atomicfile.Write(file, func(f *os.File) error {
		buffered := bufio.NewWriter(f)
		c := *a.c
		c.out, c.outTTY = buffered, false
		one := *a
		one.out = newReporter(&c, format, a.o.raw)
		if err := cmp.Or(one.input(ctx, input), one.out.close()); err != nil {
			return err
		}
		return buffered.Flush()
	})
}

// failures is the list of inputs that failed: failures.tsv, with a name and its error a line. It is written only where
// there are some, each line as it happens.
type failures struct {
	path string
	n    int
}

// add notes one.
func (l *failures) add(input string, cause error) error {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if l.n == 0 {
		flags |= os.O_TRUNC
	}
	l.n++
	f, err := os.OpenFile(l.path, flags, 0o644)
	if err != nil {
		return bare(l.path, err)
	}
	plain := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")
	_, err = fmt.Fprintf(f, "%s\t%s\n", plain.Replace(input), plain.Replace(cause.Error()))
	return errors.Join(err, f.Close())
}

// none removes the list of an earlier run.
func (l *failures) none() error {
	if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return bare(l.path, err)
	}
	return nil
}

// archive analyses all inputs into files.
func (a *analysis) archive(ctx context.Context, inputs []string) error {
	list := &failures{path: filepath.Join(a.o.outDir, a.o.failuresName())}
	files := map[string]string{}
	for _, input := range inputs {
		file := outFile(a.o.outDir, input, "")
		if other, ok := files[file]; ok && other != input {
			return fmt.Errorf("--out-dir: %s and %s would have one file of results, %s: name them otherwise", other,
				input, file)
		}
		files[file] = input
	}
	if err := os.MkdirAll(a.o.outDir, 0o755); err != nil {
		return bare(a.o.outDir, err)
	}
	skipped := 0
	for _, input := range inputs {
		done, err := a.archived(ctx, input)
		switch {
		case done:
			skipped++
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		default:
			a.c.say("%v", err)
			if err := list.add(input, err); err != nil {
				return err
			}
		}
	}
	a.c.say("%s: %d inputs, %d done before, %d failed", a.o.outDir, len(inputs), skipped, list.n)
	if list.n == 0 {
		return list.none()
	}
	if a.o.continueOnError {
		return nil
	}
	return errReported
}

// failuresName is that of the list: each shard has its own.
func (a *archiveFlags) failuresName() string {
	if a.parts == 0 {
		return "failures.tsv"
	}
	return fmt.Sprintf("failures-%d-of-%d.tsv", a.part, a.parts)
}
