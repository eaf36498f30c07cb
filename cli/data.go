package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

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
so are speakers and contents that stand in several splits, and labels and splits that training would
miss. Exit code 1 says that training would refuse the data or skip some of it. NAME alone tells what to
get, from whom and under what terms; without any, all data sets that tandem knows are listed.

  tandem data ravdess=RAVDESS manifest=clips.csv`,
	options: func() options { return &dataOptions{} },
}

type dataOptions struct {
	labelFlags
	mapFlag
	cacheFlags
	logFlags
	quick, json, clearCache bool

	sets    []string // NAME or NAME=PATH
	checked bool     // the sets have paths
}

func (o *dataOptions) bind(f *pflag.FlagSet) {
	o.labelFlags.bind(f, "those of the default model")
	o.mapFlag.bind(f)
	f.BoolVar(&o.quick, "quick", false, "look at names and labels only; open no media file")
	f.BoolVar(&o.json, "json", false, "print JSON, which names all that the text shortens")
	f.BoolVar(&o.clearCache, "clear-cache", false, "remove all prepared samples from the cache")
	o.cacheFlags.bind(f)
	o.logFlags.bind(f)
}

func (o *dataOptions) check(f *pflag.FlagSet) error {
	o.sets = f.Args()
	if err := cmp.Or(o.logFlags.check(), o.cacheFlags.check(), o.mapFlag.check()); err != nil {
		return err
	}
	if o.clearCache && len(o.sets) > 0 {
		return errors.New("--clear-cache goes without a data set: the cache is one for all")
	}
	paths := 0
	for _, set := range o.sets {
		name, path, withPath := strings.Cut(set, "=")
		if withPath && path == "" {
			return fmt.Errorf("%q: want NAME or NAME=PATH", set)
		}
		if _, _, err := dataset.ParseName(name); err != nil {
			return fmt.Errorf("%q: %w", set, err)
		}
		if withPath {
			paths++
		}
	}
	if 0 < paths && paths < len(o.sets) {
		return errors.New("some data sets have a path and some have none: ask for one or the other")
	}
	o.checked = paths > 0
	return nil
}

func (o *dataOptions) run(ctx context.Context, c *console) error {
	dir, err := o.cacheDir()
	if err != nil {
		return err
	}
	switch {
	case o.clearCache:
		return clearCache(c, dir)
	case len(o.sets) == 0:
		return o.list(c, dir)
	case o.checked:
		return o.audit(ctx, c, dir)
	}
	return o.describe(c)
}

func clearCache(c *console, dir string) error {
	n, size, err := sample.ClearCache(dir)
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	_, err = fmt.Fprintf(c.out, "cache %s: removed %d files, %s\n", dir, n, megabytes(size))
	return err
}

// list names all data sets that are known, and the cache.
func (o *dataOptions) list(c *console, dir string) error {
	files, size, err := sample.CacheSize(dir)
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	if o.json {
		sets := map[string]dataset.About{}
		for _, name := range dataset.Names() {
			sets[name], _ = dataset.AboutOf(name)
		}
		cache := map[string]any{"dir": dir, "files": files, "bytes": size}
		return writeJSON(c.out, map[string]any{"known": sets, "cache": cache})
	}
	b := &bytes.Buffer{}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, name := range dataset.Names() {
		about, _ := dataset.AboutOf(name)
		fmt.Fprintf(w, "%s\t%s\n", name, about.Title)
	}
	w.Flush()
	fmt.Fprintf(b, "\ntandem data NAME tells where to get one; tandem data NAME=PATH checks it.\n")
	fmt.Fprintf(b, "cache %s: %d files, %s\n", dir, files, megabytes(size))
	_, err = c.out.Write(b.Bytes())
	return err
}

// describe says of the data sets what to get, from whom and under what terms.
func (o *dataOptions) describe(c *console) error {
	known := map[string]dataset.About{}
	for _, name := range o.sets {
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

// audit counts and reads the data sets. It fails if training would refuse some of them or skip clips.
func (o *dataOptions) audit(ctx context.Context, c *console, dir string) error {
	bar := loggedProgress(c)
	defer bar.close()
	labels, err := o.labels(o.sets, o.names, dataset.DefaultLabels())
	if err != nil {
		return err
	}
	check, err := audit.Check(ctx, o.sets, audit.Options{
		Labels: labels, Names: o.names, Quick: o.quick, CacheDir: dir, Workers: orCores(o.workers),
		Progress: func(done, total int) { bar.set("files", "", done, total) },
	})
	bar.close()
	if errors.Is(err, dataset.ErrEmpty) || errors.Is(err, fs.ErrNotExist) {
		return sayMissing(c, err)
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

// sayMissing says that a data set is not there and what to get.
func sayMissing(c *console, err error) error {
	c.say("%v", err)
	var set *dataset.Error
	if errors.As(err, &set) {
		if about, err := dataset.AboutOf(set.Name); err == nil {
			fmt.Fprint(c.err, about)
		}
	}
	return errReported
}

func writeCheck(out io.Writer, check *audit.Report, labels pipeline.Labels) error {
	b := &bytes.Buffer{}
	for i, s := range check.Sets {
		if i > 0 {
			fmt.Fprintln(b)
		}
		writeSet(b, s, labels)
	}
	named(b, "pairs of labels look alike; if they are one, make them so by --map:", check.LookAlike)
	named(b, "speakers in several splits, whom training refuses:", check.SharedSpeakers)
	var leaks []string
	for _, l := range check.Leaks {
		leaks = append(leaks, strings.Join(l, " = "))
	}
	named(b, "the same content in several splits:", leaks)
	if check.Duplicates > 0 {
		fmt.Fprintf(b, "%d clips have the content of another clip of their split\n", check.Duplicates)
	}
	for _, w := range check.Warnings {
		fmt.Fprintln(b, w)
	}
	if check.Refused != "" {
		fmt.Fprintf(b, "training on this alone would be refused: %s\n", check.Refused)
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
		sound := time.Duration(s.Sound * 1e9).Round(time.Second)
		fmt.Fprintf(b, " in %d files, %s; %v of sound, %d pictures", s.Files, megabytes(s.Bytes), sound, s.Pictures)
	}
	fmt.Fprintf(b, "; terms: %s\n", s.About.Terms)
	writeCounts(b, s.Rows, labels)
	for _, n := range s.Notes {
		fmt.Fprintln(b, n)
	}
	if s.LostVotes > 0 {
		fmt.Fprintf(b, "%d clips are left out: most of their votes are for labels that the default model lacks\n",
			s.LostVotes)
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

// writeCounts writes a table of the clips of each split by emotion, and where known by gender, age and race.
func writeCounts(b *bytes.Buffer, rows []audit.SplitCount, labels pipeline.Labels) {
	races := map[string]bool{}
	for _, r := range rows {
		for race := range r.Races {
			races[race] = true
		}
	}
	delete(races, "") // not known
	countTable{labels.Emotions, func(r audit.SplitCount) map[string]int { return r.Emotions }, true}.write(b, rows)
	countTable{labels.Genders, func(r audit.SplitCount) map[string]int { return r.Genders }, false}.write(b, rows)
	countTable{dataset.AgeBands, func(r audit.SplitCount) map[string]int { return r.Ages }, false}.write(b, rows)
	ofRaces := func(r audit.SplitCount) map[string]int { return r.Races }
	countTable{slices.Sorted(maps.Keys(races)), ofRaces, false}.write(b, rows)
}

// countTable counts clips by label, a row a split.
type countTable struct {
	labels []string
	counts func(audit.SplitCount) map[string]int // by label; "" is not known
	first  bool                                  // it is written even where no label is known, and has the speakers
}

// write writes the table, or nothing where no label is known.
func (t countTable) write(b *bytes.Buffer, rows []audit.SplitCount) {
	known, unknown := false, false
	for _, r := range rows {
		n := t.counts(r)
		unknown = unknown || n[""] > 0 && (t.first || n[""] < r.Clips)
		known = known || slices.ContainsFunc(t.labels, func(l string) bool { return n[l] > 0 })
	}
	if !known && !t.first {
		return
	}
	labels := t.labels
	if !known {
		labels, unknown = nil, false
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "set\tsplit\tclips\t")
	if t.first {
		fmt.Fprint(w, "speakers\t")
	}
	for _, l := range labels {
		fmt.Fprintf(w, "%s\t", l)
	}
	if unknown {
		fmt.Fprint(w, "not known\t")
	}
	fmt.Fprintln(w)
	for _, r := range rows {
		n := t.counts(r)
		if !t.first && n[""] == r.Clips {
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t", r.Set, r.Split, r.Clips)
		if t.first {
			fmt.Fprintf(w, "%d\t", r.Speakers)
		}
		for _, l := range labels {
			fmt.Fprintf(w, "%d\t", n[l])
		}
		if unknown {
			fmt.Fprintf(w, "%d\t", n[""])
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
