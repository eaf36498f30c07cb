package train

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/internal/atomicfile"
)

// stepColumns are the columns of steps.csv: losses in nats, weights and the norm of the gradient before clipping.
var stepColumns = []string{
	"step", "learning_rate", "joint", "emotion", "gender", "weight_emotion", "weight_gender",
	"gradient_norm",
}

// Steps are the rows of steps.csv: a row a step, with the values of stepColumns.
type Steps [][]float64

// stepLog is a run's log of every step. The run's goroutine owns it.
type stepLog struct {
	file *os.File
	w    *bufio.Writer
	rows Steps // all of them, for the charts

	flushed time.Time
}

// openSteps opens the log, keeping the rows up to a step: what was written after the checkpoint that a run resumes from
// is written again.
func openSteps(path string, step int) (*stepLog, error) {
	l := &stepLog{}
	if step > 0 {
		var err error
		if l.rows, err = ReadSteps(path, step); err != nil {
			return nil, err
		}
	}
	var head strings.Builder
	head.WriteString(strings.Join(stepColumns, ",") + "\n")
	for _, r := range l.rows {
		head.WriteString(stepRow(r))
	}
	if err := atomicfile.WriteBytes(path, []byte(head.String())); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	l.file, l.w = f, bufio.NewWriter(f)
	return l, nil
}

// ReadSteps reads the rows of a run's steps.csv up to a step, none where there is no file. A row that a kill has cut
// off ends the file.
func ReadSteps(path string, step int) (Steps, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := csv.NewReader(f)
	in.FieldsPerRecord = -1
	var rows Steps
	for line := 1; ; line++ {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if line == 1 {
			if strings.Join(record, ",") != strings.Join(stepColumns, ",") {
				return nil, fmt.Errorf("%s: not the log of a run's steps", path)
			}
			continue
		}
		if len(record) != len(stepColumns) {
			return rows, nil
		}
		row := make([]float64, len(record))
		for i, v := range record {
			if row[i], err = strconv.ParseFloat(v, 64); err != nil {
				return rows, nil
			}
		}
		if row[0] > float64(step) {
			return rows, nil
		}
		rows = append(rows, row)
	}
}

func stepRow(row []float64) string {
	cells := make([]string, len(row))
	for i, v := range row {
		cells[i] = strconv.FormatFloat(v, 'g', 7, 64)
	}
	return strings.Join(cells, ",") + "\n"
}

// add appends a row, which is written within about a second of steps, so that one may watch the file.
func (l *stepLog) add(row []float64) error {
	l.rows = append(l.rows, row)
	_, err := l.w.WriteString(stepRow(row))
	if now := time.Now(); err == nil && now.Sub(l.flushed) >= time.Second {
		l.flushed, err = now, l.w.Flush()
	}
	return err
}

// close writes what is held back.
func (l *stepLog) close() error { return errors.Join(l.w.Flush(), l.file.Close()) }

// Series returns a column of steps.csv by step, in means of so many rows that a chart has some hundreds of points; x is
// the last step of each mean. A column that there is not is that of the steps.
func (s Steps) Series(column string) (x, y []float64) {
	at := max(0, slices.Index(stepColumns, column))
	each := max(1, len(s)/300)
	for part := range slices.Chunk(s, each) {
		sum := 0.0
		for _, r := range part {
			sum += r[at]
		}
		x, y = append(x, part[len(part)-1][0]), append(y, sum/float64(len(part)))
	}
	return x, y
}
