package dataset

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ManifestColumns are the columns that the first line of a manifest names, in any order, and optionalColumns those that
// it may name besides; others are ignored.
var (
	ManifestColumns = []string{"video", "audio", "dataset", "speaker", "gender", "emotion", "split"}
	optionalColumns = []string{"age", "race", "start", "end", "emotions", "genders"}
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

// readManifest reads the manifest at path from r; exists returns the error that opening a media file would.
func (l *loader) readManifest(r io.Reader, path string, exists func(string) error) error {
	fail := func(line int, err error) error { return fmt.Errorf("%s: line %d: %w", path, line, err) }
	base, fallback := filepath.Dir(path), strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	seen, spaces := map[string]int{}, map[string]*declaredSpace{}
	err := eachCSVRow(r, path, ManifestColumns, func(line int, col map[string]string) error {
		c := Clip{Dataset: col["dataset"], Speaker: col["speaker"], Split: col["split"], Age: -1}
		for _, m := range []struct {
			path *string
			name string
		}{{&c.Video, col["video"]}, {&c.Audio, col["audio"]}} {
			if m.name == "" {
				continue
			}
			*m.path = resolve(base, m.name)
			if err := exists(*m.path); err != nil {
				return fail(line, err)
			}
		}
		if c.Path() == "" {
			return fail(line, errors.New("neither video nor audio"))
		}
		c.ID = strings.TrimPrefix(col["video"]+"|"+col["audio"], "|")
		c.ID = filepath.ToSlash(strings.TrimSuffix(c.ID, "|"))
		source := c.ID // whose parts belong together
		if err := c.manifestPart(col["start"], col["end"]); err != nil {
			return fail(line, err)
		}
		if first, ok := seen[c.ID]; ok {
			return fail(line, fmt.Errorf("%s is also on line %d", c.ID, first))
		}
		seen[c.ID] = line
		keep, err := l.setLabels(&c, col["emotion"], col["gender"])
		if err != nil {
			return fail(line, err)
		}
		if c.Dataset == "" {
			c.Dataset = fallback
		}
		if c.Space, err = l.declare(spaces, &c, col["emotions"], col["genders"]); err != nil {
			return fail(line, err)
		}
		split, known := parseSplit(c.Split)
		switch {
		case known:
			c.Split = split
		case c.Split != "":
			return fail(line, fmt.Errorf("split %q; allowed are train, val, test", c.Split))
		case c.Speaker != "":
			c.Split = hashSplit(c.Speaker)
		default:
			c.Split = hashSplit(source)
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
				return fail(line, fmt.Errorf("age %q; give whole years", col["age"]))
			}
		}
		if keep {
			l.clips = append(l.clips, c)
		}
		return nil
	})
	if err == nil && len(l.clips) == 0 {
		return nothingFound(path, "rows")
	}
	return err
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

// eachCSVRow calls visit with the trimmed values of each row, by column, and its line; columns are those that must
// be there. Errors name path and line; the map is used again for the next row.
func eachCSVRow(
	r io.Reader, path string, columns []string, visit func(line int, col map[string]string) error,
) error {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w: the file is empty; its first line must name %s", path, ErrMissingColumn,
			strings.Join(columns, ","))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	header = slices.Clone(header)
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	at := map[string]int{}
	for i, h := range slices.Backward(header) { // the first of a name counts
		at[strings.TrimSpace(h)] = i
	}
	for _, c := range columns {
		if _, ok := at[c]; !ok {
			return fmt.Errorf("%s: %w %q; the first line must name %s", path, ErrMissingColumn, c,
				strings.Join(columns, ","))
		}
	}
	col := map[string]string{}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for c, i := range at {
			col[c] = strings.TrimSpace(record[i])
		}
		line, _ := in.FieldPos(0)
		if err := visit(line, col); err != nil {
			return err
		}
	}
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
