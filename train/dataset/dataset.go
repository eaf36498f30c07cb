package dataset

import (
	"errors"
	"fmt"
	"image"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"tandem/pipeline"
)

// Errors of LoadData; errors.Is finds them.
var (
	ErrUnknownDataset = errors.New("unknown data set")
	ErrEmpty          = errors.New("empty data set")
	ErrUnknownOption  = errors.New("unknown option")
	ErrUnknownLabel   = errors.New("unknown label")
	ErrMissingColumn  = errors.New("missing column")
)

// Error is an error of Load about one data set.
type Error struct {
	Name string // as given to LoadData, options included
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("data set %s: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Clip is one item of a data set: a voice, a face, or a talking face.
type Clip struct {
	// Video is a media file or an image and Audio a sound file; "" where there is none. A media file without an
	// Audio beside it brings its own sound.
	Video, Audio string
	// Start and End are the part of Video that is the clip, its own sound included, or of Audio where there is no Video; End 0 is
	// the end of the file. An Audio beside a Video is of that part alone, from its start.
	Start, End time.Duration
	// Crop is where in Video's pictures, in pixels, the one who speaks is to be looked for; empty where it is all of them.
	Crop image.Rectangle
	// ID names the clip independently of where its data set lies: its path from the folder that holds the data
	// set (the manifest), with forward slashes, and behind a # what tells apart clips of one file.
	ID      string
	Dataset string
	Speaker string // unique over all data sets, "" if not known
	// Emotion and Gender are indices into the labels given to LoadData, -1 if not known or not among them.
	Emotion, Gender int
	Split           string // SplitTrain, SplitVal or SplitTest
	Age             int    // years, -1 if not known
	Race            string // in the set's own words, "" if not known

	Row *CSVPixels // where the picture is a row of FER2013's csv instead of a file
}

// Path is the file by which messages name the clip.
func (c *Clip) Path() string {
	if c.Video != "" {
		return c.Video
	}
	return c.Audio
}

// LoadReport says what LoadData left out, and what it had to choose.
type LoadReport struct {
	Clips int
	// Unlabelled counts the clips of each published label that is not among the model's ("bored"). They stay in the
	// data, without a label for that task.
	Unlabelled map[string]int
	// Ignored counts media files that do not belong to the data set, such as the songs of RAVDESS; Ignored1 is the first.
	Ignored  int
	Ignored1 string
	// Missing names what the release has, by its own lists, and the folder has not.
	Missing []string
	// Notes say which of several published labels were used and what could not be known, a sentence each.
	Notes []string
}

// DefaultLabels are the labels of the default model.
func DefaultLabels() pipeline.Labels {
	return pipeline.Labels{
		Emotions: []string{"neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"},
		Genders:  []string{"female", "male"},
	}
}

// dataset is a data set that tandem knows by name.
type dataset struct {
	load    func(l *loading, path string) error
	options []string // the words that may stand behind its name, see ParseDataset
	about   About
}

// datasets are the data sets by the NAME of --data NAME=PATH.
var datasets = map[string]dataset{
	"ravdess":  {loadRAVDESS, []string{"audio", "video", "both"}, aboutRAVDESS},
	"cremad":   {loadCREMAD, []string{"vote", "vote-voice", "vote-face"}, aboutCREMAD},
	"iemocap":  {loadIEMOCAP, []string{"exc", "paper"}, aboutIEMOCAP},
	"emodb":    {loadEmoDB, nil, aboutEmoDB},
	"fer2013":  {loadFER2013, nil, aboutFER2013},
	"utkface":  {loadUTKFace, nil, aboutUTKFace},
	"manifest": {loadManifest, nil, aboutManifest},
}

// Names are the names that LoadData knows, sorted.
func Names() []string { return slices.Sorted(maps.Keys(datasets)) }

// Parse takes the NAME of --data NAME=PATH apart: a data set's name and, behind a colon, words that choose among what it
// publishes, joined by plus signs, as in iemocap:paper+exc.
func Parse(name string) (base string, options []string, err error) {
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
			return "", nil, fmt.Errorf("%w %q of %s: known are %s", ErrUnknownOption, w, base, strings.Join(set.options, ", "))
		}
	}
	return base, options, nil
}

// Load lists the clips of the data set name (see ParseDataset) at path, in the order of their IDs. Media files are not opened;
// that those a manifest lists exist is checked. docs/datasets.md has the layouts and the split rules.
func Load(name, path string, labels pipeline.Labels) ([]Clip, LoadReport, error) {
	base, options, err := Parse(name)
	if err != nil {
		return nil, LoadReport{}, err
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, LoadReport{}, &Error{name, err}
	}
	l := &loading{labels: labels, options: options, report: LoadReport{Unlabelled: map[string]int{}}}
	if _, err := os.Stat(path); err != nil {
		return nil, LoadReport{}, &Error{name, err}
	}
	if err := datasets[base].load(l, path); err != nil {
		return nil, LoadReport{}, &Error{name, err}
	}
	slices.SortStableFunc(l.clips, func(a, b Clip) int { return strings.Compare(a.ID, b.ID) })
	l.report.Clips = len(l.clips)
	return l.clips, l.report, nil
}

// loading collects what one loader finds.
type loading struct {
	labels  pipeline.Labels
	options []string
	clips   []Clip
	report  LoadReport
}

func (l *loading) has(option string) bool { return slices.Contains(l.options, option) }

// setName is what a set is called whose options choose labels: by these too, so that no report mixes them.
func (l *loading) setName(base string) string {
	if len(l.options) == 0 {
		return base
	}
	words := slices.Sorted(slices.Values(l.options))
	return base + ":" + strings.Join(slices.Compact(words), "+")
}

func (l *loading) note(format string, args ...any) {
	l.report.Notes = append(l.report.Notes, fmt.Sprintf(format, args...))
}

func (l *loading) ignore(path string) {
	if l.report.Ignored == 0 {
		l.report.Ignored1 = path
	}
	l.report.Ignored++
}

// emotionAliases maps published spellings to the canonical label.
var emotionAliases = map[string]string{
	"calm": "neutral", "happiness": "happy", "sadness": "sad", "anger": "angry", "fear": "fearful", "disgust": "disgusted",
	"surprise": "surprised", "boredom": "bored", "frustration": "frustrated", "excitement": "excited",
}

// otherEmotions are labels of published data sets that a model need not have; others are taken for misspelt.
var otherEmotions = []string{"bored", "frustrated", "excited", "contempt", "other", "unknown"}

// emotion is the index of a published label: the label itself, else what it is an alias of. It is -1, and counted, for a
// published label that the model does not have.
func (l *loading) emotion(label string) (int, error) {
	label = strings.ToLower(strings.TrimSpace(label))
	if label == "" {
		return -1, nil
	}
	if i := slices.Index(l.labels.Emotions, label); i >= 0 {
		return i, nil
	}
	canonical, alias := emotionAliases[label]
	if !alias {
		canonical = label
	}
	if i := slices.Index(l.labels.Emotions, canonical); i >= 0 {
		return i, nil
	}
	if alias || slices.Contains(otherEmotions, label) || slices.Contains(DefaultLabels().Emotions, label) {
		l.report.Unlabelled[label]++
		return -1, nil
	}
	return -1, fmt.Errorf("%w: emotion %q; allowed are %s; --emotions manifest trains on a manifest's own", ErrUnknownLabel, label, strings.Join(allowedEmotions(l.labels), ", "))
}

func allowedEmotions(labels pipeline.Labels) []string {
	all := slices.Concat(labels.Emotions, DefaultLabels().Emotions, otherEmotions)
	for a := range emotionAliases {
		all = append(all, a)
	}
	sort.Strings(all)
	return slices.Compact(all)
}

// gender is the index of a published gender, -1 if empty.
func (l *loading) gender(label string) (int, error) {
	label = strings.ToLower(strings.TrimSpace(label))
	switch label {
	case "":
		return -1, nil
	case "f":
		label = "female"
	case "m":
		label = "male"
	}
	if i := slices.Index(l.labels.Genders, label); i >= 0 {
		return i, nil
	}
	if slices.Contains(DefaultLabels().Genders, label) {
		l.report.Unlabelled[label]++
		return -1, nil
	}
	return -1, fmt.Errorf("%w: gender %q; allowed are %s", ErrUnknownLabel, label,
		strings.Join(append(slices.Clone(l.labels.Genders), "f", "m"), ", "))
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
		if d.IsDir() || strings.HasPrefix(d.Name(), ".") || !slices.Contains(exts, strings.ToLower(filepath.Ext(path))) {
			return nil
		}
		rel, err := filepath.Rel(base, path)
		if err != nil {
			return err
		}
		return visit(path, filepath.ToSlash(rel))
	})
}

// stem is a file's name up to its first dot.
func stem(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return name
}

// nothingFound is the error for a folder that holds no file of the data set.
func nothingFound(path, layout string) error {
	return fmt.Errorf("%w: no %s in %s", ErrEmpty, layout, path)
}

// files are the files of a clip's picture and sound, "" for none.
func (c *Clip) Files() [2]string {
	if c.Row != nil {
		return [2]string{c.Row.path, ""}
	}
	return [2]string{c.Video, c.Audio}
}
