package pipeline

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// EventWriter writes events in some format. Each event is written through to the underlying writer.
type EventWriter interface {
	Write(Event) error
}

// NewJSONLWriter writes one event a line, as docs/output.md has it.
func NewJSONLWriter(w io.Writer) EventWriter { return jsonl{w} }

type jsonl struct{ w io.Writer }

func (j jsonl) Write(e Event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = j.w.Write(append(b, '\n'))
	return err
}

// NewCSVWriter writes one window a row, with the numbers of the JSONL in columns; raw adds the columns for
// Options.Raw. The header comes with the first start event and is fixed by its labels; events of further runs
// may follow if their labels are the same.
func NewCSVWriter(w io.Writer, raw bool) EventWriter {
	return &csvWriter{w: csv.NewWriter(w), rows: rows{format: "csv", raw: raw}}
}

type csvWriter struct {
	w    *csv.Writer
	rows rows
}

// CSVHeader are the columns of a CSV for a run.
func CSVHeader(s *StartEvent, raw bool) []string { return namesOf(columnsOf(s, raw)) }

func (c *csvWriter) Write(e Event) error {
	first := c.rows.start == nil
	window, err := c.rows.add(e)
	switch {
	case err != nil:
		return err
	case first && e.Start != nil:
		return c.row(namesOf(c.rows.columns))
	case window != nil:
		var r []string
		for i, v := range window {
			r = append(r, cell(v, c.rows.columns[i].trueOnly))
		}
		return c.row(r)
	}
	return nil
}

func (c *csvWriter) row(r []string) error {
	if err := c.w.Write(r); err != nil {
		return err
	}
	c.w.Flush()
	return c.w.Error()
}

// cell writes a value of a column. A false of a column that has but true is left out.
func cell(value any, trueOnly bool) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		if !v && trueOnly {
			return ""
		}
		return strconv.FormatBool(v)
	}
	panic(fmt.Sprintf("a column has a %T", value))
}

// maxLine is the longest line that ReadAll takes.
const maxLine = 1 << 20

// ReadAll reads events in JSONL; blank lines are skipped. Its errors name the line. What was read before an
// error is returned with it, so that the record of a run that was cut off is of use.
func ReadAll(r io.Reader) ([]Event, error) {
	var events []Event
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	n := 0
	for s.Scan() {
		n++
		line := bytes.TrimSpace(s.Bytes())
		if len(line) == 0 {
			continue
		}
		e, err := ParseEvent(line)
		if err != nil {
			return events, fmt.Errorf("line %d: %w", n, err)
		}
		events = append(events, e)
	}
	if err := s.Err(); err != nil {
		return events, fmt.Errorf("line %d: %w", n+1, err)
	}
	return events, nil
}
