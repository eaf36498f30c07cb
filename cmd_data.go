package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tandem/pipeline"
	"tandem/train/audit"
	"tandem/train/dataset"
	"tandem/train/sample"
)

var dataCommand = &command{
	name: "data", args: "[NAME[=PATH]...]", maxArgs: -1,
	about: "Check data sets, or tell how to get them",
	long: `NAME=PATH is as of --data of tandem train. Counted are the clips of each split by label, speaker, age and
race where known. Every file is read to its end: those that cannot be read or are damaged are named, and
so are speakers and contents that stand in several splits. Exit code 1 says that training would refuse
the data or skip some of it. NAME alone tells what to get, from whom and under what terms; without any,
all data sets that tandem knows are listed.

  tandem data ravdess=RAVDESS manifest=clips.csv`,
	flags: (*options).checkFlags,
	run:   runData,
}

func runData(ctx context.Context, c *console, o *options) error {
	dir, err := o.cacheDir()
	if err != nil {
		return err
	}
	if o.clearCache {
		if len(o.args) > 0 {
			return badUsage("--clear-cache goes without a data set: the cache is one for all")
		}
		n, size, err := sample.ClearCache(dir)
		if err != nil {
			return fmt.Errorf("cache: %w", err)
		}
		_, err = fmt.Fprintf(c.out, "cache %s: removed %d files, %s\n", dir, n, megabytes(size))
		return err
	}
	var checked []string
	for _, arg := range o.args {
		name, path, withPath := strings.Cut(arg, "=")
		if withPath && path == "" {
			return badUsage("%q: want NAME or NAME=PATH", arg)
		}
		if _, _, err := dataset.ParseName(name); err != nil {
			return badUsage("%q: %w", arg, err)
		}
		if withPath {
			checked = append(checked, arg)
		}
	}
	switch {
	case len(o.args) == 0:
		return listDatasets(c, o, dir)
	case len(checked) == 0:
		return tellDatasets(c, o)
	case len(checked) < len(o.args):
		return badUsage("some data sets have a path and some have none: ask for one or the other")
	}
	return checkDatasets(ctx, c, o, dir)
}

// listDatasets names all that are known, and the cache.
func listDatasets(c *console, o *options, dir string) error {
	files, size, err := sample.CacheSize(dir)
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	if o.json {
		sets := map[string]dataset.About{}
		for _, name := range dataset.Names() {
			sets[name], _ = dataset.AboutOf(name)
		}
		return writeJSON(c.out, map[string]any{"known": sets, "cache": map[string]any{"dir": dir, "files": files, "bytes": size}})
	}
	b := &bytes.Buffer{}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, name := range dataset.Names() {
		about, _ := dataset.AboutOf(name)
		fmt.Fprintf(w, "%s\t%s\n", name, about.Title)
	}
	w.Flush()
	fmt.Fprintf(b, "\ntandem data NAME tells where to get one; tandem data NAME=PATH checks it.\ncache %s: %d files, %s\n", dir, files, megabytes(size))
	_, err = c.out.Write(b.Bytes())
	return err
}

// tellDatasets says what to get, from whom and under what terms.
func tellDatasets(c *console, o *options) error {
	known := map[string]dataset.About{}
	for _, name := range o.args {
		about, err := dataset.AboutOf(name)
		if err != nil {
			return err
		}
		known[name] = about
		if !o.json {
			if _, err := fmt.Fprint(c.out, about); err != nil {
				return err
			}
		}
	}
	if o.json {
		return writeJSON(c.out, map[string]any{"known": known})
	}
	return nil
}

func checkDatasets(ctx context.Context, c *console, o *options, dir string) error {
	workers := o.workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	bar := newProgress(c)
	defer bar.close()
	labels, err := o.labels(o.args, dataset.DefaultLabels())
	if err != nil {
		return err
	}
	check, err := audit.Check(ctx, o.args, audit.Options{
		Labels: labels, Quick: o.quick, CacheDir: dir, Workers: workers,
		Progress: func(done, total int) { bar.set("files", "", done, total) },
	})
	bar.close()
	if errors.Is(err, dataset.ErrEmpty) || errors.Is(err, fs.ErrNotExist) {
		c.say("%v", err)
		for _, arg := range o.args {
			name, _, _ := strings.Cut(arg, "=")
			if about, e := dataset.AboutOf(name); e == nil && strings.Contains(err.Error(), "data set "+name+":") {
				fmt.Fprint(c.err, about)
			}
		}
		return errReported
	}
	if err != nil {
		return err
	}
	if o.json {
		err = writeJSON(c.out, check)
	} else {
		err = writeCheck(c.out, check, labels)
	}
	if err == nil && check.Wrong() {
		return errReported
	}
	return err
}

func writeCheck(out io.Writer, check *audit.Report, labels pipeline.Labels) error {
	b := &bytes.Buffer{}
	for i, s := range check.Sets {
		if i > 0 {
			fmt.Fprintln(b)
		}
		writeSet(b, s, labels)
	}
	named(b, "speakers in several splits, whom training refuses:", check.SharedSpeakers)
	var leaks []string
	for _, l := range check.Leaks {
		leaks = append(leaks, strings.Join(l, " = "))
	}
	named(b, "the same content in several splits:", leaks)
	if check.Duplicates > 0 {
		fmt.Fprintf(b, "%d clips have the content of another clip of their split\n", check.Duplicates)
	}
	_, err := out.Write(b.Bytes())
	return err
}

func writeSet(b *bytes.Buffer, s *audit.Set, labels pipeline.Labels) {
	fmt.Fprintf(b, "%s: %s\n%d clips", s.Name, s.About.Title, s.Clips)
	if s.About.Clips > 0 {
		fmt.Fprintf(b, " (the whole release: %d)", s.About.Clips)
	}
	if !s.Quick {
		fmt.Fprintf(b, " in %d files, %s; %v of sound, %d pictures", s.Files, megabytes(s.Bytes), time.Duration(s.Sound*1e9).Round(time.Second), s.Pictures)
	}
	fmt.Fprintf(b, "; terms: %s\n", s.About.Terms)
	countTable(b, s.Rows, "speakers", func(r audit.SplitCount) int { return r.Speakers }, labels.Emotions, func(r audit.SplitCount) map[string]int { return r.Emotions })
	countTable(b, s.Rows, "", nil, labels.Genders, func(r audit.SplitCount) map[string]int { return r.Genders })
	countTable(b, s.Rows, "", nil, dataset.AgeBands, func(r audit.SplitCount) map[string]int { return r.Ages })
	races := map[string]bool{}
	for _, r := range s.Rows {
		for race := range r.Races {
			races[race] = race != ""
		}
	}
	delete(races, "")
	countTable(b, s.Rows, "", nil, slices.Sorted(maps.Keys(races)), func(r audit.SplitCount) map[string]int { return r.Races })
	for _, n := range s.Notes {
		fmt.Fprintln(b, n)
	}
	for _, label := range slices.Sorted(maps.Keys(s.Unlabelled)) {
		fmt.Fprintf(b, "%d clips are %q, which is not among the default model's labels\n", s.Unlabelled[label], label)
	}
	if s.Ignored > 0 {
		fmt.Fprintf(b, "%d files are not of the set and are ignored, such as %s\n", s.Ignored, s.FirstIgnored)
	}
	named(b, "missing of the release:", s.Missing)
	named(b, "cannot be read:", faults(s.Unreadable))
	named(b, "damaged:", faults(s.Damaged))
	if !s.Quick && len(s.Unreadable)+len(s.Damaged) == 0 {
		fmt.Fprintln(b, "every file can be read")
	}
}

// countTable counts clips by label, a row a split; nothing where no label is known.
func countTable(b *bytes.Buffer, rows []audit.SplitCount, more string, number func(audit.SplitCount) int, labels []string, of func(audit.SplitCount) map[string]int) {
	known, unknown := false, false
	for _, r := range rows {
		unknown = unknown || of(r)[""] > 0 && (number != nil || of(r)[""] < r.Clips)
		for _, l := range labels {
			known = known || of(r)[l] > 0
		}
	}
	if !known && number == nil {
		return
	}
	if !known {
		labels = nil
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "set\tsplit\tclips\t")
	if number != nil {
		fmt.Fprintf(w, "%s\t", more)
	}
	for _, l := range labels {
		fmt.Fprintf(w, "%s\t", l)
	}
	if unknown && known {
		fmt.Fprint(w, "not known\t")
	}
	fmt.Fprintln(w)
	for _, r := range rows {
		if number == nil && of(r)[""] == r.Clips {
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t", r.Set, r.Split, r.Clips)
		if number != nil {
			fmt.Fprintf(w, "%d\t", number(r))
		}
		for _, l := range labels {
			fmt.Fprintf(w, "%d\t", of(r)[l])
		}
		if unknown && known {
			fmt.Fprintf(w, "%d\t", of(r)[""])
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

func faults(list []audit.Fault) []string {
	var lines []string
	for _, f := range list {
		lines = append(lines, f.Path+": "+f.What)
	}
	return lines
}

// named lists lines under a heading, and how many there are; not more than people read, since --json has all.
func named(b *bytes.Buffer, heading string, lines []string) {
	const most = 20
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "%d %s\n", len(lines), heading)
	for _, l := range lines[:min(len(lines), most)] {
		fmt.Fprintf(b, "  %s\n", l)
	}
	if len(lines) > most {
		fmt.Fprintf(b, "  … and %d more, which --json names\n", len(lines)-most)
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
