package train

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"tandem/internal/atomicfile"
)

// epochLog is a run's CSV log, a row an epoch. Its columns are fixed by the first row.
type epochLog struct {
	path string
	rows [][]string // with the header
}

// openLog reads what an earlier part of the run has written, up to epoch.
func openLog(path string, epoch int) (*epochLog, error) {
	l := &epochLog{path: path}
	b, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || epoch == 0 {
		if err == nil {
			b.Close()
		}
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	defer b.Close()
	rows, err := csv.NewReader(b).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, r := range rows {
		if n, err := strconv.Atoi(r[0]); i == 0 || err == nil && n <= epoch {
			l.rows = append(l.rows, r)
		}
	}
	return l, nil
}

// column is one value of a row.
type column struct {
	name  string
	value float64
}

// add appends a row and writes the whole log anew, so that it is never half a line.
func (l *epochLog) add(cols []column) error {
	if len(l.rows) == 0 {
		var header []string
		for _, c := range cols {
			header = append(header, c.name)
		}
		l.rows = append(l.rows, header)
	}
	values := map[string]float64{}
	for _, c := range cols {
		values[c.name] = c.value
	}
	var row []string
	for _, name := range l.rows[0] {
		row = append(row, strconv.FormatFloat(values[name], 'g', 6, 64))
	}
	l.rows = append(l.rows, row)
	return atomicfile.Write(l.path, func(f *os.File) error {
		w := csv.NewWriter(f)
		_ = w.WriteAll(l.rows)
		return w.Error()
	})
}
