// Package audit finds what is wrong with data sets before anything is trained on them: files that cannot be read or are
// damaged, speakers and contents that stand in several splits, and how many clips each split has of each label.
package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/sample"
)

// Report is the findings of Check.
type Report struct {
	Sets []*Set `json:"sets"`
	// SharedSpeakers are the speakers who stand in several splits of all sets together, as dataset.SharedSpeakers names
	// them.
	SharedSpeakers []string `json:"shared_speakers"`
	// Leaks are contents that stand in several splits; Duplicates counts clips whose content another clip of their
	// split has.
	Leaks      []Leak `json:"leaks"`
	Duplicates int    `json:"doubles"`
	// Refused is why training on these sets alone would be refused, "" if it would not be for their labels and splits.
	// Others may have what is missing, or another weighting may not need it. Warnings are of labels that are missing.
	Refused  string   `json:"refused,omitempty"`
	Warnings []string `json:"warnings"`
	// LookAlike are the pairs of the model's labels that may be one, as dataset.LookAlike names them.
	LookAlike []string `json:"labels_alike"`
}

// Set is the findings about one data set.
type Set struct {
	Name  string        `json:"name"` // as given
	Path  string        `json:"path"` // as given
	About dataset.About `json:"about"`
	Clips int           `json:"clips"`
	Files int           `json:"files"`
	Bytes int64         `json:"bytes"`

	Rows         []SplitCount   `json:"splits"` // by set and split
	Notes        []string       `json:"notes"`
	Unlabelled   map[string]int `json:"unlabelled"`
	LostVotes    int            `json:"lost_votes,omitempty"` // clips left out, see dataset.LoadReport
	Ignored      int            `json:"ignored"`
	FirstIgnored string         `json:"ignored_first,omitempty"`
	Missing      []string       `json:"missing"`

	// The rest is not known after a quick check. Sound is in seconds, and Pictures counts frames and stills.
	Quick      bool    `json:"quick"`
	Sound      float64 `json:"sound_seconds"`
	Pictures   int     `json:"pictures"`
	Unreadable []Fault `json:"unreadable"` // training skips them
	Damaged    []Fault `json:"damaged"`    // training uses what can be read
}

// SplitCount counts the clips of one split of one set; a manifest may hold several sets. The key "" counts those whose
// label is not known.
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

// Fault is a file, or a row of a csv, that something is wrong with.
type Fault struct {
	Path string `json:"path"`
	What string `json:"what"` // does not repeat the path
}

// Leak is one content under several clips, of several splits: "SPLIT ID" each.
type Leak []string

// Options of Check.
type Options struct {
	Labels   pipeline.Labels
	Names    dataset.LabelMap // of published labels; nil for none
	Quick    bool             // by names and labels only, without reading media files
	CacheDir string           // of sample.OpenFileHashes, which spares reading unchanged files twice; "" keeps nothing
	Workers  int              // files that are read at a time, at least one
	// Progress, unless nil, is called from one goroutine at a time with the number of files that are done.
	Progress func(done, total int)
}

// Check loads the data sets (NAME=PATH) and returns what it finds in them. Unless it is to be quick, each file is read
// to its end and its content is compared with the others'. Faults of files are findings; the error is dataset.Load's or
// ctx's cause.
func Check(ctx context.Context, data []string, o Options) (*Report, error) {
	r := &Report{SharedSpeakers: []string{}, Leaks: []Leak{}, Warnings: []string{}, LookAlike: slices.Concat([]string{},
		dataset.LookAlike(o.Labels.Emotions), dataset.LookAlike(o.Labels.Genders))}
	var clips []dataset.Clip
	var from []*Set // the set of each clip
	for _, arg := range data {
		set, found, err := load(arg, o)
		if err != nil {
			return nil, err
		}
		r.Sets = append(r.Sets, set)
		clips = append(clips, found...)
		for range found {
			from = append(from, set)
		}
	}
	if shared := dataset.SharedSpeakers(clips); shared != nil {
		r.SharedSpeakers = shared
	}
	r.train(clips, o.Labels)
	if o.Quick {
		return r, nil
	}
	c := &checker{o: o, hashes: sample.OpenFileHashes(o.CacheDir)}
	contents, err := c.checkFiles(ctx, clips, from)
	if err != nil {
		return nil, err
	}
	_ = c.hashes.Save() // or they are computed again next time
	r.compare(clips, contents)
	return r, nil
}

// train adds what training both tasks on the clips would be refused or warned of.
func (r *Report) train(clips []dataset.Clip, labels pipeline.Labels) {
	all := func(yield func(*dataset.Clip, bool) bool) {
		for i := range clips {
			if !yield(&clips[i], true) {
				return
			}
		}
	}
	warnings, err := dataset.Trainable(all, labels, func(int) bool { return false })
	r.Warnings = append(r.Warnings, warnings...)
	if err != nil {
		r.Refused = err.Error()
	}
}

// load lists the clips of one NAME=PATH, and counts them.
func load(arg string, o Options) (*Set, []dataset.Clip, error) {
	name, path, ok := strings.Cut(arg, "=")
	if !ok {
		return nil, nil, fmt.Errorf("%q: want NAME=PATH", arg)
	}
	clips, report, err := dataset.Load(name, path, o.Labels, o.Names)
	if err != nil {
		return nil, nil, err
	}
	about, err := dataset.AboutOf(name)
	if err != nil {
		return nil, nil, err
	}
	return &Set{
		Name: name, Path: path, About: about, Clips: len(clips), Rows: countSplits(clips, o.Labels),
		Notes: append([]string{}, report.Notes...), Unlabelled: report.Unlabelled, LostVotes: report.LostVotes,
		Ignored: report.Ignored, FirstIgnored: report.FirstIgnored, Missing: append([]string{}, report.Missing...),
		Quick: o.Quick, Unreadable: []Fault{}, Damaged: []Fault{},
	}, clips, nil
}

// countSplits counts clips by set and split, in the order of the sets' names and of training, validation, test.
func countSplits(clips []dataset.Clip, labels pipeline.Labels) []SplitCount {
	var rows []SplitCount
	speakers := map[[3]string]bool{}
	for i := range clips {
		c := &clips[i]
		at := slices.IndexFunc(rows, func(r SplitCount) bool { return r.Set == c.Dataset && r.Split == c.Split })
		if at < 0 {
			at = len(rows)
			rows = append(rows, SplitCount{
				Set: c.Dataset, Split: c.Split, Emotions: map[string]int{}, Genders: map[string]int{},
				Ages: map[string]int{}, Races: map[string]int{},
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

// compare adds contents that several clips share, as checkFiles returns them.
func (r *Report) compare(clips []dataset.Clip, contents []string) {
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
			r.Duplicates++
		} else {
			seen[key] = true
		}
	}
	for _, content := range order {
		r.Leaks = append(r.Leaks, leaks[content])
	}
}

// Wrong reports whether training would refuse the data, whatever else it is given, or skip some of it.
func (r *Report) Wrong() bool {
	return len(r.SharedSpeakers) > 0 || slices.ContainsFunc(r.Sets, func(s *Set) bool { return len(s.Unreadable) > 0 })
}
