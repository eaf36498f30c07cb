package dataset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ferPlusEmotions are the columns of FER+ that count votes (Barsoum et al. 2016, "Training deep networks for facial
// expression recognition with crowd-sourced label distribution"). NF counts those who saw no face.
var ferPlusEmotions = []string{
	"neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF",
}

// ferPlusFiles are the names under which the votes are looked for, in the folder of FER2013 and beside it.
var ferPlusFiles = []string{"fer2013new.csv", "fer2013plus.csv"}

// ferPlusVotes are the votes of each picture, as parseVotes reads them; "" where nobody voted.
type ferPlusVotes struct {
	path string
	// rows are those of fer2013.csv in its order; byFile are by a picture's path or, of names without a folder such as
	// fer0000123.png, by the name without its ending.
	rows   []string
	byFile map[string]string
}

// findFERPlus reads the votes in one of the folders given.
func findFERPlus(folders ...string) (*ferPlusVotes, error) {
	for _, dir := range folders {
		for _, name := range ferPlusFiles {
			f, err := os.Open(filepath.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			v, err := readFERPlus(f, f.Name())
			return v, errors.Join(err, f.Close())
		}
	}
	return nil, fmt.Errorf("fer2013:plus needs %s of FER+ in %s: %w", ferPlusFiles[0], strings.Join(folders, " or "),
		fs.ErrNotExist)
}

// readFERPlus reads the csv of FER+ at path from r: as published, with the columns "Usage" and "Image name" and a row
// for each row of fer2013.csv, or with a column "video" of paths from the csv's folder instead.
func readFERPlus(r io.Reader, path string) (*ferPlusVotes, error) {
	v := &ferPlusVotes{path: path, byFile: map[string]string{}}
	err := eachCSVRow(r, path, ferPlusEmotions, func(line int, col map[string]string) error {
		var votes strings.Builder
		for _, e := range ferPlusEmotions {
			n, err := strconv.ParseFloat(col[e], 64)
			if err != nil || !(n >= 0 && n <= 1e6) {
				return fmt.Errorf("%s: line %d: %w: %s is %q", path, line, ErrVotes, e, col[e])
			}
			if n > 0 {
				fmt.Fprintf(&votes, "%s=%g;", e, n)
			}
		}
		v.rows = append(v.rows, votes.String())
		if name := col["video"]; name != "" {
			v.byFile[resolve(filepath.Dir(path), name)] = votes.String()
		} else if name := col["Image name"]; name != "" {
			v.byFile[stem(name)] = votes.String()
		}
		return nil
	})
	if err == nil && len(v.rows) == 0 {
		err = nothingFound(path, "rows of votes")
	}
	return v, err
}

// of returns the votes of a picture file.
func (v *ferPlusVotes) of(file string) (votes string, ok bool) {
	if votes, ok = v.byFile[file]; !ok {
		votes, ok = v.byFile[stem(file)]
	}
	return votes, ok
}

// addVotes appends a clip with its votes in place of FER2013's own label. A picture that FER+ has not, or in which
// nobody saw a face, is left out and counted.
func (l *loader) addVotes(c Clip, votes string, found bool) error {
	if !found {
		l.ignore(c.Video)
		return nil
	}
	if votes == "" {
		l.report.LostVotes++
		return nil
	}
	keep, err := l.setLabels(&c, votes, "")
	if err == nil && keep {
		l.clips = append(l.clips, c)
	}
	return err
}
