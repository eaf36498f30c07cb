package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ferEmotions are the emotion codes 0 to 6 of fer2013.csv.
var ferEmotions = [...]string{"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"}

// ferUsages are the splits of fer2013.csv by its Usage column.
var ferUsages = map[string]string{"Training": SplitTrain, "PublicTest": SplitVal, "PrivateTest": SplitTest}

// FER2013Side is the side of a FER2013 picture in pixels.
const FER2013Side = 48

// loadFER2013 reads folders SPLIT/EMOTION/*.jpg, or the original csv with the columns emotion, pixels, Usage (the file,
// or a folder that holds fer2013.csv). With the option plus the labels are the votes of FER+.
func loadFER2013(l *loader, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return loadFERCSV(l, path)
	}
	if csv := filepath.Join(path, "fer2013.csv"); fileExists(csv) == nil {
		return loadFERCSV(l, csv)
	}
	var votes *ferPlusVotes
	if l.has("plus") {
		if votes, err = findFERPlus(path, filepath.Dir(path)); err != nil {
			return err
		}
	}
	err = walkMedia(path, []string{".jpg", ".jpeg", ".png"}, func(file, id string) error {
		parts := strings.Split(id, "/")
		if len(parts) < 4 {
			l.ignore(file)
			return nil
		}
		split, known := parseSplit(parts[len(parts)-3])
		if !known {
			l.ignore(file)
			return nil
		}
		c := Clip{Video: file, ID: id, Dataset: l.setName("fer2013"), Gender: -1, Split: split, Age: -1}
		if votes != nil {
			text, found := votes.of(file)
			return l.addVotes(c, text, found)
		}
		if c.Emotion, err = l.emotion(parts[len(parts)-2]); err != nil {
			return fmt.Errorf("%s: %w", filepath.Dir(file), err)
		}
		l.clips = append(l.clips, c)
		return nil
	})
	if err == nil && len(l.clips) == 0 {
		return nothingFound(path, "FER2013 pictures (train/angry/1.jpg, or fer2013.csv)")
	}
	return err
}

// CSVRow is the place of one row's pixels in a csv file of FER2013, in bytes.
type CSVRow struct {
	path   string
	Offset int64
	Length int
}

// loadFERCSV reads the original csv.
func loadFERCSV(l *loader, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var votes *ferPlusVotes
	if l.has("plus") {
		if votes, err = findFERPlus(filepath.Dir(path), filepath.Dir(filepath.Dir(path))); err != nil {
			return err
		}
	}
	return scanFERCSV(l, f, path, votes)
}

// scanFERCSV notes labels and where each row's pixels lie, without decoding them. The labels are those of votes, unless
// nil.
func scanFERCSV(l *loader, r io.Reader, path string, votes *ferPlusVotes) error {
	data := 0 // rows of it
	in := bufio.NewReaderSize(r, 1<<16)
	var offset int64
	for row := 1; ; row++ {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 && errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: %w", path, err)
		}
		start := offset
		offset += int64(len(line))
		text := strings.TrimRight(string(line), "\r\n")
		if row == 1 {
			if want := "emotion,pixels,Usage"; strings.TrimPrefix(text, "\ufeff") != want {
				return fmt.Errorf("%s: %w: the first line must be %s", path, ErrMissingColumn, want)
			}
			continue
		}
		if text == "" {
			continue
		}
		fields := strings.Split(text, ",")
		if len(fields) != 3 {
			return fmt.Errorf("%s: row %d: %d fields instead of emotion,pixels,Usage", path, row, len(fields))
		}
		code, err := strconv.Atoi(fields[0])
		if err != nil || code < 0 || code >= len(ferEmotions) {
			return fmt.Errorf("%s: row %d: %w: emotion %q; allowed are 0 to %d", path, row, ErrUnknownLabel, fields[0],
				len(ferEmotions)-1)
		}
		split, ok := ferUsages[fields[2]]
		if !ok {
			return fmt.Errorf("%s: row %d: Usage %q; allowed are Training, PublicTest, PrivateTest", path, row,
				fields[2])
		}
		c := Clip{
			Video: fmt.Sprintf("%s#%d", path, row), ID: fmt.Sprintf("%s#%06d", filepath.Base(path), row),
			Dataset: l.setName("fer2013"), Gender: -1, Split: split, Age: -1,
			Row: &CSVRow{path: path, Offset: start + int64(len(fields[0])) + 1, Length: len(fields[1])},
		}
		data++
		if votes != nil {
			text, found := "", data <= len(votes.rows)
			if found {
				text = votes.rows[data-1]
			}
			err = l.addVotes(c, text, found)
		} else {
			c.Emotion, err = l.emotion(ferEmotions[code])
			l.clips = append(l.clips, c)
		}
		if err != nil {
			return fmt.Errorf("%s: row %d: %w", path, row, err)
		}
	}
	if votes != nil && data != len(votes.rows) {
		return fmt.Errorf(
			"%s has %d rows and %s %d: they are not of one release",
			path,
			data,
			votes.path,
			len(votes.rows),
		)
	}
	if len(l.clips) == 0 {
		return nothingFound(path, "rows of pixels")
	}
	return nil
}

// Decode reads the row's grey pixels, FER2013Side*FER2013Side of them, 0 to 255, line by line from the top.
func (r *CSVRow) Decode() ([]byte, error) {
	f, err := os.Open(r.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := make([]byte, r.Length)
	if _, err := f.ReadAt(text, r.Offset); err != nil {
		return nil, err
	}
	return parsePixels(text)
}

// parsePixels parses the pixels column: numbers with spaces between, in quotes or not.
func parsePixels(text []byte) ([]byte, error) {
	fields := bytes.Fields(bytes.Trim(text, `"`))
	if len(fields) != FER2013Side*FER2013Side {
		return nil, fmt.Errorf("%d pixels instead of %d", len(fields), FER2013Side*FER2013Side)
	}
	grey := make([]byte, len(fields))
	for i, f := range fields {
		v, err := strconv.ParseUint(string(f), 10, 8)
		if err != nil {
			return nil, fmt.Errorf("pixel %d: %q is not in 0 to 255", i, f)
		}
		grey[i] = byte(v)
	}
	return grey, nil
}
