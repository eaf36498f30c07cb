package train

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"tandem/internal/atomicfile"
)

// stepColumns are those of steps.csv.
var stepColumns = []string{
	"step", "learning_rate", "joint", "emotion", "gender", "weight_emotion", "weight_gender",
	"gradient_norm",
}

// StepLog is a run's log of every step.
type StepLog struct {
	file *os.File
	w    *bufio.Writer
	Rows [][]float64 // all of them, for the charts
}

// openSteps opens the log, keeping the rows up to a step: what was written after the checkpoint that a run resumes from
// is written again.
func openSteps(path string, step int) (*StepLog, error) {
	l := &StepLog{}
	if step > 0 {
		var err error
		if l.Rows, err = ReadSteps(path, step); err != nil {
			return nil, err
		}
	}
	var head strings.Builder
	head.WriteString(strings.Join(stepColumns, ",") + "\n")
	for _, r := range l.Rows {
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

// ReadSteps reads the rows up to a step. A row that a kill has cut off ends the file.
func ReadSteps(path string, step int) ([][]float64, error) {
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
	var rows [][]float64
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

func (l *StepLog) Add(row []float64) error {
	l.Rows = append(l.Rows, row)
	_, err := l.w.WriteString(stepRow(row))
	return err
}

// close writes what is held back.
func (l *StepLog) close() error { return errors.Join(l.w.Flush(), l.file.Close()) }

// Series is a column by step, in means of so many rows that a chart has some hundreds of points.
func (l *StepLog) Series(column string) (x, y []float64) {
	at := 0
	for i, c := range stepColumns {
		if c == column {
			at = i
		}
	}
	each := max(1, len(l.Rows)/300)
	for i := 0; i < len(l.Rows); i += each {
		part := l.Rows[i:min(i+each, len(l.Rows))]
		sum := 0.0
		for _, r := range part {
			sum += r[at]
		}
		x, y = append(x, part[len(part)-1][0]), append(y, sum/float64(len(part)))
	}
	return x, y
}
