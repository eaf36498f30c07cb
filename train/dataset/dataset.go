// Package dataset lists what data sets hold: one Clip a voice, face or talking face, with its labels, speaker and
// split. A data set is loaded by its publisher's layout of files (RAVDESS, CREMA-D, IEMOCAP, EmoDB, Java-SED, ASED,
// nEMO, Urdu, TESS, FER2013, UTKFace, FairFace) or by a manifest, a csv file that lists clips of one's own. Loading
// opens no media file; package sample does.
//
// It also divides clips into training, validation and test splits, maps published labels to a model's, and has for each
// data set its publisher and its terms.
package dataset

import (
	"errors"
	"fmt"
	"image"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tandem/pipeline"
)

// Clip is one item of a data set: a voice, a face, or a talking face.
type Clip struct {
	// Video is a media file or an image and Audio a sound file, both absolute paths; "" where there is none. A media
	// file without an Audio beside it brings its own sound.
	Video, Audio string
	// Start and End are the part of Video that is the clip, its own sound included, or of Audio where there is no
	// Video; End 0 is the end of the file. An Audio beside a Video is of that part alone, from its start.
	Start, End time.Duration
	// Crop is the rectangle of Video's frames, in pixels, in which the speaker's face is searched; empty for whole
	// frames.
	Crop image.Rectangle
	// ID names the clip independently of where its data set lies: the set's name and the path in its folder, with
	// forward slashes, or the paths from the manifest's folder; behind a # follows what distinguishes clips of one
	// file. Of a file outside of that folder it is the whole path.
	ID      string
	Dataset string
	Speaker string // unique over all data sets, "" if not known
	// Emotion and Gender are indices into the labels given to Load, -1 if not known or not among them.
	Emotion, Gender int
	// Soft are the labels where several people gave them, nil where there is one a task. Space is the label space that
	// a manifest declares for the clip's data set, nil where it is to be inferred. Neither changes once it is loaded.
	Soft  *SoftLabels
	Space *Space
	Split string // SplitTrain, SplitVal or SplitTest
	Age   int    // years, -1 if not known
	Race  string // in the set's own words, "" if not known

	Row *CSVRow // the row of FER2013's csv that is the picture; nil if the picture is a file
}

// Path returns the file by which messages name the clip: Video, or Audio if there is no Video. Of a row of a csv it is
// the csv's path, a # and the row's number, from 1.
func (c *Clip) Path() string {
	if c.Video != "" {
		return c.Video
	}
	return c.Audio
}

// Files returns the files of the clip's picture and sound, "" for none. The picture's is the csv where it is a row of
// one.
func (c *Clip) Files() [2]string {
	if c.Row != nil {
		return [2]string{c.Row.path, ""}
	}
	return [2]string{c.Video, c.Audio}
}

// PortableID returns ID without folders of this machine: of files outside of their manifest's folder only their names
// are left. Unlike ID it need not be unique.
func (c *Clip) PortableID() string {
	files := strings.Split(c.ID, "|") // of a picture and a sound in a manifest
	for i, f := range files {
		if path.IsAbs(f) {
			files[i] = path.Base(f)
		}
	}
	return strings.Join(files, "|")
}

// nameBySet puts the set's name in place of that of the folder, which is whoever's that has the set.
func (c *Clip) nameBySet() {
	if _, rest, inFolder := strings.Cut(c.ID, "/"); inFolder {
		set, _, _ := strings.Cut(c.Dataset, ":")
		c.ID = set + "/" + rest
	}
}

// LoadReport lists what Load left out, and what it had to choose.
type LoadReport struct {
	Clips int
	// Unlabelled counts the clips of each published label that is not among the model's ("bored"). They stay in the
	// data, without a label for that task.
	Unlabelled map[string]int
	// LostVotes counts the clips that are left out since most of their votes are for labels that the model does not
	// have.
	LostVotes int
	// Ignored counts media files that do not belong to the data set, such as the songs of RAVDESS; FirstIgnored is the
	// first.
	Ignored      int
	FirstIgnored string
	// Missing names what the release has, by its own lists, and the folder has not.
	Missing []string
	// Notes say which of several published labels were used and what could not be known, a sentence each.
	Notes []string
}

// Errors of Load and what calls it; errors.Is finds them.
var (
	ErrUnknownDataset = errors.New("unknown data set")
	ErrEmpty          = errors.New("empty data set")
	ErrUnknownOption  = errors.New("unknown option")
	ErrUnknownLabel   = errors.New("unknown label")
	ErrMissingColumn  = errors.New("missing column")
)

// Error is the error of a data set that cannot be loaded, whatever the cause.
type Error struct {
	Name string // as given to Load
	Err  error
}

// Error returns "data set NAME: " and the cause.
func (e *Error) Error() string { return "data set " + e.Name + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// definition is a data set that tandem knows by name.
type definition struct {
	load    func(l *loader, path string) error
	options []string // the words that may stand behind its name, see ParseName
	about   About
}

// datasets are the data sets by the NAME of --data NAME=PATH.
var datasets = map[string]definition{
	"ased":     {loadASED, nil, aboutASED},
	"fairface": {loadFairFace, nil, aboutFairFace},
	"java-sed": {loadJavaSED, nil, aboutJavaSED},
	"nemo":     {loadNEMO, nil, aboutNEMO},
	"tess":     {loadTESS, nil, aboutTESS},
	"urdu":     {loadUrdu, nil, aboutUrdu},
	"ravdess":  {loadRAVDESS, []string{"audio", "video", "both"}, aboutRAVDESS},
	"cremad":   {loadCREMAD, []string{"vote", "vote-voice", "vote-face"}, aboutCREMAD},
	"iemocap":  {loadIEMOCAP, []string{"exc", "paper"}, aboutIEMOCAP},
	"emodb":    {loadEmoDB, nil, aboutEmoDB},
	"fer2013":  {loadFER2013, []string{"plus"}, aboutFER2013},
	"utkface":  {loadUTKFace, nil, aboutUTKFace},
	"manifest": {loadManifest, nil, aboutManifest},
}

// Names returns the names of data sets that Load knows, sorted.
func Names() []string { return slices.Sorted(maps.Keys(datasets)) }

// ParseName splits the NAME of --data NAME=PATH into a data set's name and the words behind a colon that choose among
// what it publishes, joined by plus signs, as in iemocap:paper+exc. The error is ErrUnknownDataset or ErrUnknownOption.
func ParseName(name string) (base string, options []string, err error) {
	base, words, colon := strings.Cut(name, ":")
	set, ok := datasets[base]
	if !ok {
		return "", nil, fmt.Errorf("%w %q: known are %s", ErrUnknownDataset, base, strings.Join(Names(), ", "))
	}
	if !colon {
		return base, nil, nil
	}
	options = strings.Split(words, "+")
	for _, w := range options {
		switch {
		case len(set.options) == 0:
			return "", nil, fmt.Errorf("%w %q: %s has none", ErrUnknownOption, w, base)
		case !slices.Contains(set.options, w):
			return "", nil, fmt.Errorf("%w %q of %s: known are %s", ErrUnknownOption, w, base,
				strings.Join(set.options, ", "))
		}
	}
	return base, options, nil
}

// Load lists the clips of the data set name (see ParseName) at path, in the order of their IDs. Media files are not
// opened; those that a manifest lists must exist. docs/datasets.md has the layouts and the split rules. Errors are as
// of ParseName, or a *Error.
//
// Published labels are renamed by names, which may be nil, before they are looked up.
func Load(name, path string, labels pipeline.Labels, names LabelMap) ([]Clip, LoadReport, error) {
	base, options, err := ParseName(name)
	if err != nil {
		return nil, LoadReport{}, err
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, LoadReport{}, &Error{name, err}
	}
	l := &loader{labels: labels, names: names, options: options, report: LoadReport{Unlabelled: map[string]int{}}}
	if _, err := os.Stat(path); err != nil {
		return nil, LoadReport{}, &Error{name, err}
	}
	if err := datasets[base].load(l, path); err != nil {
		return nil, LoadReport{}, &Error{name, err}
	}
	if base != "manifest" {
		for i := range l.clips {
			l.clips[i].nameBySet()
		}
	}
	slices.SortStableFunc(l.clips, func(a, b Clip) int { return strings.Compare(a.ID, b.ID) })
	l.report.Clips = len(l.clips)
	return l.clips, l.report, nil
}

// loader collects the clips of one data set.
type loader struct {
	labels  pipeline.Labels
	names   LabelMap
	options []string
	clips   []Clip
	report  LoadReport
}

// has reports whether an option was given.
func (l *loader) has(option string) bool { return slices.Contains(l.options, option) }

// setName returns the name of a set whose options choose labels: these are part of it, so that no report mixes them.
func (l *loader) setName(base string) string {
	if len(l.options) == 0 {
		return base
	}
	words := slices.Sorted(slices.Values(l.options))
	return base + ":" + strings.Join(slices.Compact(words), "+")
}

// note adds a sentence to the report.
func (l *loader) note(format string, args ...any) {
	l.report.Notes = append(l.report.Notes, fmt.Sprintf(format, args...))
}

// ignore counts a file that does not belong to the data set.
func (l *loader) ignore(path string) {
	if l.report.Ignored == 0 {
		l.report.FirstIgnored = path
	}
	l.report.Ignored++
}

// walkMedia calls visit for each file under root whose name ends in one of exts, in lexical order, with its ID.
func walkMedia(root string, exts []string, visit func(path, id string) error) error {
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: not a folder", root)
	}
	base := filepath.Dir(root)
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// What begins with a dot is not of the release: macOS leaves a "._" double of each file in some archives.
		if d.IsDir() || strings.HasPrefix(d.Name(), ".") ||
			!slices.Contains(exts, strings.ToLower(filepath.Ext(path))) {
			return nil
		}
		rel, err := filepath.Rel(base, path)
		if err != nil {
			return err
		}
		return visit(path, filepath.ToSlash(rel))
	})
}

// stem returns a file's name up to its first dot.
func stem(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return name
}

// nothingFound returns the error for a folder that holds no file of the data set.
func nothingFound(path, layout string) error {
	return fmt.Errorf("%w: no %s in %s", ErrEmpty, layout, path)
}
