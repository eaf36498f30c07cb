package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/sample"
)

// Report is what CheckData finds.
type Report struct {
	Sets []*Set `json:"sets"`
	// SharedSpeakers are the speakers who stand in several splits of all sets together, as SharedSpeakers names them.
	SharedSpeakers []string `json:"shared_speakers"`
	// Leaks are contents that stand in several splits; Doubles counts clips whose content another clip of their split has.
	Leaks      []Leak `json:"leaks"`
	Duplicates int    `json:"doubles"`
}

// Set is what there is of one --data.
type Set struct {
	Name  string        `json:"name"`
	Path  string        `json:"path"`
	About dataset.About `json:"about"`
	Clips int           `json:"clips"`
	Files int           `json:"files"`
	Bytes int64         `json:"bytes"`

	Rows         []SplitCount   `json:"splits"`
	Notes        []string       `json:"notes"`
	Unlabelled   map[string]int `json:"unlabelled"`
	Ignored      int            `json:"ignored"`
	FirstIgnored string         `json:"ignored_first,omitempty"`
	Missing      []string       `json:"missing"`

	// The rest is not known of a quick check.
	Quick      bool    `json:"quick"`
	Sound      float64 `json:"sound_seconds"`
	Pictures   int     `json:"pictures"`
	Unreadable []Fault `json:"unreadable"` // training skips them
	Damaged    []Fault `json:"damaged"`    // training uses what can be read
}

// SplitCount counts the clips of one split of one set; a manifest may hold several sets. "" counts those of which it is not known.
type SplitCount struct {
	Set      string         `json:"set"`
	Split    string         `json:"split"`
	Clips    int            `json:"clips"`
	Speakers int            `json:"speakers"`
	Emotions map[string]int `json:"emotions"`
	Genders  map[string]int `json:"genders"`
	Ages     map[string]int `json:"ages"`
	Races    map[string]int `json:"races"`
}

// Fault is a file and what is wrong with it.
type Fault struct {
	Path string `json:"path"`
	What string `json:"what"`
}

// Leak is one content under several clips, of several splits: "SPLIT ID" each.
type Leak []string

// Options say how closely CheckData looks.
type Options struct {
	Labels   pipeline.Labels
	Quick    bool   // look at names and labels only
	CacheDir string // where the hashes of files are remembered; "" forgets them
	Workers  int
	Progress func(done, total int) // unless nil; of files
}

// Check loads the data sets (NAME=PATH) and says what is in them. Unless it is to be quick, each file is read to its end and its
// content compared with the others'.
func Check(ctx context.Context, data []string, o Options) (*Report, error) {
	d := &Report{SharedSpeakers: []string{}, Leaks: []Leak{}}
	var clips []dataset.Clip
	var from []*Set // the set of each clip
	for _, arg := range data {
		name, path, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("%q: want NAME=PATH", arg)
		}
		found, report, err := dataset.Load(name, path, o.Labels)
		if err != nil {
			return nil, err
		}
		about, err := dataset.AboutOf(name)
		if err != nil {
			return nil, err
		}
		s := &Set{
			Name: name, Path: path, About: about, Clips: len(found), Rows: countSplits(found, o.Labels), Quick: o.Quick,
			Notes: append([]string{}, report.Notes...), Unlabelled: report.Unlabelled, Ignored: report.Ignored, FirstIgnored: report.FirstIgnored,
			Missing: append([]string{}, report.Missing...), Unreadable: []Fault{}, Damaged: []Fault{},
		}
		d.Sets = append(d.Sets, s)
		clips = append(clips, found...)
		for range found {
			from = append(from, s)
		}
	}
	if shared := dataset.SharedSpeakers(clips); shared != nil {
		d.SharedSpeakers = shared
	}
	if o.Quick {
		return d, nil
	}
	c := &checking{o: o, book: sample.OpenFileHashes(o.CacheDir)}
	if err := c.all(ctx, clips, from); err != nil {
		return nil, err
	}
	_ = c.book.Save() // or they are reckoned again next time
	d.compare(clips, c.contents)
	return d, nil
}

func countSplits(clips []dataset.Clip, labels pipeline.Labels) []SplitCount {
	var rows []SplitCount
	speakers := map[[3]string]bool{}
	for i := range clips {
		c := &clips[i]
		at := slices.IndexFunc(rows, func(r SplitCount) bool { return r.Set == c.Dataset && r.Split == c.Split })
		if at < 0 {
			at = len(rows)
			rows = append(rows, SplitCount{
				Set: c.Dataset, Split: c.Split, Emotions: map[string]int{}, Genders: map[string]int{}, Ages: map[string]int{}, Races: map[string]int{},
			})
		}
		r := &rows[at]
		r.Clips++
		if who := [3]string{c.Dataset, c.Split, c.Speaker}; c.Speaker != "" && !speakers[who] {
			speakers[who] = true
			r.Speakers++
		}
		label := func(of []string, k int) string {
			if k < 0 {
				return ""
			}
			return of[k]
		}
		r.Emotions[label(labels.Emotions, c.Emotion)]++
		r.Genders[label(labels.Genders, c.Gender)]++
		r.Ages[dataset.AgeBand(c.Age)]++
		r.Races[c.Race]++
	}
	order := []string{dataset.SplitTrain, dataset.SplitVal, dataset.SplitTest}
	slices.SortFunc(rows, func(a, b SplitCount) int {
		if n := strings.Compare(a.Set, b.Set); n != 0 {
			return n
		}
		return slices.Index(order, a.Split) - slices.Index(order, b.Split)
	})
	return rows
}

// checking reads files.
type checking struct {
	o        Options
	book     *sample.FileHashes
	contents []string // of each clip, "" where it is not known
}

// media is what was found in one file, or one row of a csv.
type media struct {
	path     string
	row      *dataset.CSVRow
	set      *Set
	sum      string
	bytes    int64
	seconds  float64 // of sound
	pictures int
	length   time.Duration
	err      error
	damage   string
}

// all reads each file once, whatever clips it is of.
func (c *checking) all(ctx context.Context, clips []dataset.Clip, from []*Set) error {
	var files []*media
	at := map[string]*media{}
	of := make([][2]*media, len(clips))
	for i := range clips {
		for k, path := range [2]string{clips[i].Video, clips[i].Audio} {
			if path == "" {
				continue
			}
			m := at[path]
			if m == nil {
				m = &media{path: path, row: clips[i].Row, set: from[i]}
				at[path] = m
				files = append(files, m)
			}
			of[i][k] = m
		}
	}
	if err := c.read(ctx, files); err != nil {
		return err
	}
	for _, m := range files {
		m.set.Files++
		m.set.Bytes += m.bytes
		m.set.Sound += m.seconds
		m.set.Pictures += m.pictures
		switch {
		case m.err != nil:
			// Errors of package capture begin with the path.
			m.set.Unreadable = append(m.set.Unreadable, Fault{m.path, strings.TrimPrefix(m.err.Error(), m.path+": ")})
		case m.damage != "":
			m.set.Damaged = append(m.set.Damaged, Fault{m.path, m.damage})
		}
	}
	c.contents = make([]string, len(clips))
	for i := range clips {
		content := ""
		for _, m := range of[i] {
			switch {
			case m == nil:
				content += "-"
			case m.err != nil || m.sum == "":
				content = ""
			default:
				content += m.sum
			}
		}
		if clips[i].End > 0 && content != "" {
			content += fmt.Sprint(clips[i].Start, clips[i].End)
			m := of[i][0]
			if m == nil {
				m = of[i][1]
			}
			if m.err == nil && m.length+500*time.Millisecond < clips[i].End {
				from[i].Damaged = append(from[i].Damaged, Fault{m.path, fmt.Sprintf("ends at %.1f s, before the end of %s at %.1f s", m.length.Seconds(), clips[i].ID, clips[i].End.Seconds())})
			}
		}
		c.contents[i] = content
	}
	return nil
}

func (c *checking) read(ctx context.Context, files []*media) error {
	jobs := make(chan *media)
	var mu sync.Mutex // guards done and calls of Progress
	done := 0
	var wg sync.WaitGroup
	for range max(1, c.o.Workers) {
		wg.Go(func() {
			for m := range jobs {
				c.readOne(ctx, m)
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

// readOne hashes and decodes one file.
func (c *checking) readOne(ctx context.Context, m *media) {
	if m.row != nil {
		grey, err := m.row.Decode()
		m.err, m.pictures, m.bytes = err, 1, int64(m.row.Length)
		m.sum = fmt.Sprintf("%x", sha256.Sum256(grey))
		return
	}
	sum, err := c.book.Sum(ctx, m.path)
	if err != nil {
		m.err = err
		return
	}
	m.sum = fmt.Sprintf("%x", sum)
	_, _ = fmt.Sscanf(c.book.Stamp(m.path), "%d@", &m.bytes)
	src, err := capture.Open(ctx, m.path, capture.Options{})
	if err != nil {
		if m.err = err; isPointer(m.path) {
			m.err = errors.New("it is but a pointer of Git LFS to the file: fetch the files themselves by git lfs pull")
		}
		return
	}
	defer src.Close()
	peak := float32(0)
	for {
		item, err := src.Read(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			m.err = err
			return
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
		m.err = errors.New("neither pictures nor sound in it")
	case m.pictures == 0 && float64(peak) < math.Pow(10, sample.SilenceDBFS/20.0):
		faults = append(faults, fmt.Sprintf("nothing in it is louder than %d dBFS", sample.SilenceDBFS))
	}
	m.damage = strings.Join(faults, "; ")
}

// isPointer tells whether a file is what Git leaves in place of one that it keeps in LFS, as CREMA-D's are.
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

// compare finds contents that several clips share.
func (d *Report) compare(clips []dataset.Clip, contents []string) {
	first := map[string]int{}
	leaks := map[string]Leak{}
	seen := map[string]bool{} // content and split
	var order []string
	for i := range clips {
		content := contents[i]
		if content == "" {
			continue
		}
		j, known := first[content]
		if !known {
			first[content] = i
		} else if clips[i].Split != clips[j].Split && leaks[content] == nil {
			leaks[content] = Leak{clips[j].Split + " " + clips[j].ID}
			order = append(order, content)
		}
		if leaks[content] != nil {
			leaks[content] = append(leaks[content], clips[i].Split+" "+clips[i].ID)
		}
		if key := content + " " + clips[i].Split; seen[key] {
			d.Duplicates++
		} else {
			seen[key] = true
		}
	}
	for _, content := range order {
		d.Leaks = append(d.Leaks, leaks[content])
	}
}

// Wrong tells whether there is what training would refuse or skip.
func (d *Report) Wrong() bool {
	return len(d.SharedSpeakers) > 0 || slices.ContainsFunc(d.Sets, func(s *Set) bool { return len(s.Unreadable) > 0 })
}
