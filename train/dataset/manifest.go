package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ManifestColumns are the columns that the first line of a manifest names, in any order, and optionalColumns those that
// it may name besides; others are ignored. Of the former, neededColumns must be there.
var (
	ManifestColumns = []string{"video", "audio", "dataset", "speaker", "gender", "emotion", "split"}
	optionalColumns = []string{"age", "race", "start", "end", "emotions", "genders"}
	neededColumns   = []string{"video|audio", "emotion|gender"}
)

// loadManifest reads a manifest. docs/datasets.md has its columns.
func loadManifest(l *loader, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if info.IsDir() {
		return fmt.Errorf("%s: a folder; a manifest is a csv file", path)
	}
	return l.readManifest(f, path, fileExists)
}

// manifestReader makes clips of a manifest's rows.
type manifestReader struct {
	*loader
	path     string // of the manifest
	base     string // its folder, from which files are named
	fallback string // the data set of rows that name none
	exists   func(string) error
	seen     map[string]int // the line of each clip's ID
	spaces   map[string]*declaredSpace
	missing  missingFiles
	rows     int
	nameless int // rows without a speaker
	dealt    int // of these without a split
}

// readManifest reads the manifest at path from r; exists returns the error that opening a media file would.
func (l *loader) readManifest(r io.Reader, path string, exists func(string) error) error {
	m := &manifestReader{
		loader: l, path: path, base: filepath.Dir(path),
		fallback: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), exists: exists,
		seen: map[string]int{}, spaces: map[string]*declaredSpace{},
	}
	err := eachCSVRow(r, path, neededColumns, func(line int, col map[string]string) error {
		if m.rows == 0 {
			if err := checkManifestColumns(col); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		m.rows++
		if err := m.row(line, col); err != nil {
			return fmt.Errorf("%s: line %d: %w", path, line, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if m.missing.n > 0 {
		return fmt.Errorf("%s: %w", path, m.missing.error(m.rows))
	}
	if len(l.clips) == 0 {
		return nothingFound(path, "rows")
	}
	m.remark()
	return nil
}

// checkManifestColumns refuses a column that seems to be misspelt: it would be ignored, and so would all that is in it.
func checkManifestColumns(col map[string]string) error {
	for _, known := range ManifestColumns {
		if _, ok := col[known]; ok {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(col)) {
			if name != clean(name) || slices.Contains(optionalColumns, name) {
				continue
			}
			if sameLetters(name, known) || similar(name, known) {
				return fmt.Errorf("%w %q: is it the column %q? Name it so, or give a column %q, which may be empty",
					ErrMissingColumn, known, name, known)
			}
		}
	}
	return nil
}

// sameLetters reports whether two words have the same letters in any order.
func sameLetters(a, b string) bool {
	sorted := func(s string) []rune { return slices.Sorted(slices.Values(letters(s))) }
	return slices.Equal(sorted(a), sorted(b))
}

// row makes a clip of a row.
func (m *manifestReader) row(line int, col map[string]string) error {
	c := Clip{Dataset: cmp.Or(col["dataset"], m.fallback), Speaker: col["speaker"], Split: col["split"], Age: -1}
	video, audio := m.file(line, col["video"]), m.file(line, col["audio"])
	if c.Video, c.Audio = video.path, audio.path; c.Path() == "" {
		return errors.New("neither video nor audio")
	}
	c.ID = strings.Trim(video.name+"|"+audio.name, "|")
	source := c.PortableID() // whose parts belong together
	if err := c.manifestPart(col["start"], col["end"]); err != nil {
		return err
	}
	if first, ok := m.seen[c.ID]; ok {
		return fmt.Errorf("%s is also on line %d", c.ID, first)
	}
	m.seen[c.ID] = line
	keep, err := m.setLabels(&c, col["emotion"], col["gender"])
	if err != nil {
		return err
	}
	if c.Space, err = m.declare(m.spaces, &c, col["emotions"], col["genders"]); err != nil {
		return err
	}
	if err := m.setSplit(&c, source); err != nil {
		return err
	}
	c.Age = speakerAge(c.Speaker)
	if c.Dataset == "utkface" {
		if age, _, race, ok := utkName(c.Video); ok {
			c.Age, c.Race = age, race
		}
	}
	if col["race"] != "" {
		c.Race = strings.ToLower(col["race"])
	}
	if col["age"] != "" {
		if c.Age, err = strconv.Atoi(col["age"]); err != nil || c.Age < 0 || c.Age > 130 {
			return fmt.Errorf("age %q; give whole years", col["age"])
		}
	}
	if keep {
		m.clips = append(m.clips, c)
	}
	return nil
}

// setSplit sets the split by what the row says, else by its speaker, else by the files that the clip is of.
func (m *manifestReader) setSplit(c *Clip, source string) error {
	if c.Speaker == "" {
		m.nameless++
	}
	switch split, known := parseSplit(c.Split); {
	case known:
		c.Split = split
	case c.Split != "":
		return fmt.Errorf("split %q; allowed are train, val, test", c.Split)
	case c.Speaker != "":
		c.Split = hashSplit(c.Speaker)
	default:
		m.dealt++
		c.Split = hashSplit(source)
	}
	return nil
}

// manifestFile is a file that a row names: its path, and the path from the manifest's folder if it lies in that,
// however the row has it.
type manifestFile struct{ path, name string }

// file returns the file that a row names, none for "". The folders of a path of Windows become those of this system. A
// file that is not there is noted.
func (m *manifestReader) file(line int, text string) manifestFile {
	if text == "" {
		return manifestFile{}
	}
	path := resolve(m.base, strings.ReplaceAll(text, `\`, "/"))
	err := m.exists(path)
	if as := resolve(m.base, text); err != nil && as != path && m.exists(as) == nil {
		path, err = as, nil // a name with such a character in it
	}
	if err != nil {
		m.missing.add(line, text, path, err)
	}
	name := path
	if rel, err := filepath.Rel(m.base, path); err == nil && filepath.IsLocal(rel) {
		name = rel
	}
	return manifestFile{path, filepath.ToSlash(name)}
}

// remark notes what a manifest leaves open.
func (m *manifestReader) remark() {
	if m.nameless == 0 {
		return
	}
	who := fmt.Sprintf("%d of %d rows name no speaker", m.nameless, m.rows)
	if m.nameless == m.rows {
		who = "no row names its speaker"
	}
	also := ""
	if m.dealt > 0 {
		also = fmt.Sprintf(", %d of them no split either, so that their files' names decide", m.dealt)
	}
	m.note("%s%s: one person may be on two sides, and intervals are by clip, so too narrow; a column speaker mends "+
		"both", who, also)
}

// missingFiles are files that a manifest lists and that cannot be used.
type missingFiles struct {
	n     int
	first error
	lines []string
}

// mostMissing is how many files an error names.
const mostMissing = 20

func (m *missingFiles) add(line int, text, path string, err error) {
	if m.n++; m.n > mostMissing {
		return
	}
	if m.first == nil {
		m.first = err
	}
	why := ""
	switch twin := otherCase(path); {
	case !errors.Is(err, fs.ErrNotExist):
		why = ": " + err.Error()
	case twin != "":
		why = fmt.Sprintf(" (there is %s)", twin)
	case !utf8.ValidString(text):
		why = " (the manifest is not in UTF-8: save it so)"
	}
	m.lines = append(m.lines, fmt.Sprintf("line %d: %s%s", line, text, why))
}

// error returns the error for all files, of so many rows; it wraps the first's.
func (m *missingFiles) error(rows int) error {
	list := strings.Join(m.lines, "\n  ")
	if m.n > len(m.lines) {
		list += fmt.Sprintf("\n  … and %d more", m.n-len(m.lines))
	}
	what := fmt.Sprintf("%d files of %d rows are", m.n, rows)
	if m.n == 1 {
		what = fmt.Sprintf("1 file of %d rows is", rows)
	}
	return &missingError{what + " not there; paths are from the manifest's folder:\n  " + list, m.first}
}

// missingError says more than the error that it wraps.
type missingError struct {
	text  string
	cause error
}

func (e *missingError) Error() string { return e.text }
func (e *missingError) Unwrap() error { return e.cause }

// otherCase returns the name of a file beside path that differs in case alone, "" for none.
func otherCase(path string) string {
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	for _, f := range files {
		if strings.EqualFold(f.Name(), filepath.Base(path)) {
			return f.Name()
		}
	}
	return ""
}

// declaredSpace is a data set's label space as the first of its rows that declares one has it.
type declaredSpace struct {
	text  [2]string // of emotions and of genders
	space *Space
}

// declare returns the label space of a row's data set, by the columns emotions and genders, nil if no row so far has
// any. Rows of one set may not contradict each other, nor may a label lie outside of its set's space.
func (l *loader) declare(spaces map[string]*declaredSpace, c *Clip, emotions, genders string) (*Space, error) {
	d := spaces[c.Dataset]
	if text := [2]string{emotions, genders}; text != [2]string{} {
		var err error
		switch {
		case d == nil:
			d = &declaredSpace{text: text, space: &Space{}}
			spaces[c.Dataset] = d
			if emotions != "" {
				d.space.Emotions, err = parseSpace(emotions, len(l.labels.Emotions), l.emotionIndex)
			}
			if genders != "" && err == nil {
				d.space.Genders, err = parseSpace(genders, len(l.labels.Genders), l.genderIndex)
			}
		case d.text != text:
			err = fmt.Errorf("the label space of %s is %q here and %q before", c.Dataset, text, d.text)
		}
		if err != nil {
			return nil, err
		}
	}
	if d == nil {
		return nil, nil
	}
	if c.Emotion >= 0 && d.space.Emotions != nil && !d.space.Emotions[c.Emotion] ||
		c.Gender >= 0 && d.space.Genders != nil && !d.space.Genders[c.Gender] {
		return nil, fmt.Errorf("a label that is not in the label space of %s, %q", c.Dataset, d.text)
	}
	return d.space, nil
}

// manifestPart reads the columns start and end, in seconds, and adds them to the clip's ID.
func (c *Clip) manifestPart(start, end string) error {
	if start == "" && end == "" {
		return nil
	}
	for _, m := range []struct {
		name, text string
		at         *time.Duration
	}{{"start", start, &c.Start}, {"end", end, &c.End}} {
		if m.text == "" {
			continue
		}
		v, err := strconv.ParseFloat(m.text, 64)
		if err != nil || !(v >= 0 && v < 1e6) {
			return fmt.Errorf("%s %q; give seconds from 0 on", m.name, m.text)
		}
		*m.at = time.Duration(math.Round(v*1e6)) * time.Microsecond
	}
	if end != "" && c.End <= c.Start {
		return fmt.Errorf("the part from %q to %q has no length", start, end)
	}
	c.ID += "#" + start + "-" + end
	return nil
}

// manifestRow has the split of a file in a manifest, and the gender as it stands there.
type manifestRow struct{ split, gender string }

// rowsBeside reads what the manifest.csv in a folder or beside it says of each file that it gives a split, by resolved
// path. A file of that name that is no manifest says nothing.
func rowsBeside(root string) map[string]manifestRow {
	for _, dir := range []string{root, filepath.Dir(root)} {
		f, err := os.Open(filepath.Join(dir, "manifest.csv"))
		if err != nil {
			continue
		}
		rows := map[string]manifestRow{}
		err = eachCSVRow(f, f.Name(), []string{"video", "split"}, func(_ int, col map[string]string) error {
			split, known := parseSplit(col["split"])
			if file := cmp.Or(col["video"], col["audio"]); file != "" && known {
				rows[resolve(dir, file)] = manifestRow{split, col["gender"]}
			}
			return nil
		})
		f.Close()
		if err == nil {
			return rows
		}
	}
	return nil
}

// resolve returns path as seen from the folder base.
func resolve(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// fileExists returns an error unless path is a file.
func fileExists(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s: a folder instead of a file", path)
	}
	return nil
}
