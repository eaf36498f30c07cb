package pipeline

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
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
	return &csvWriter{w: csv.NewWriter(w), raw: raw}
}

type csvWriter struct {
	w      *csv.Writer
	raw    bool
	start  *StartEvent
	header []string
}

// CSVHeader are the columns of a CSV for a run.
func CSVHeader(s *StartEvent, raw bool) []string {
	h := []string{"source", "t", "start", "end", "subject"}
	for _, task := range []struct {
		name   string
		labels []string
	}{{"emotion", s.Emotions}, {"gender", s.Genders}} {
		if len(task.labels) == 0 {
			continue
		}
		h = append(h, task.name)
		for _, l := range task.labels {
			h = append(h, task.name+"_"+l)
		}
		if raw {
			for _, l := range task.labels {
				h = append(h, task.name+"_raw_"+l)
			}
		}
	}
	return append(h, "audio", "video", "face_x", "face_y", "face_w", "face_h", "face_score", "latency_ms", "covered",
		"speaking", "voice")
}

func (c *csvWriter) Write(e Event) error {
	switch {
	case e.Start != nil:
		h := CSVHeader(e.Start, c.raw)
		if c.header != nil && !slices.Equal(h, c.header) {
			source := e.Start.Source
			return &SourceError{source, fmt.Errorf(
				"csv: %s has other labels than the runs before it: write it to a file of its own", source)}
		}
		first := c.header == nil
		c.start, c.header = e.Start, h
		if first {
			return c.row(h)
		}
	case e.Window != nil:
		if c.start == nil {
			return errors.New("csv: a window event came before the start event, which has the labels")
		}
		return c.row(c.window(e.Window))
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

func (c *csvWriter) window(w *WindowEvent) []string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	r := []string{
		c.start.Source, number(seconds(w.T).float()), number(seconds(w.Start).float()), number(seconds(w.End).float()),
		strconv.Itoa(w.Subject),
	}
	scores := func(labels []string, s *Scores) {
		if len(labels) == 0 {
			return
		}
		if s == nil {
			s = &Scores{}
		}
		column := func(classes Classes) {
			for _, l := range labels {
				if len(classes) == 0 {
					r = append(r, "")
				} else {
					r = append(r, number(classes.P(l)))
				}
			}
		}
		r = append(r, s.Label)
		column(s.P)
		if c.raw {
			column(s.Raw)
		}
	}
	scores(c.start.Emotions, w.Emotion)
	scores(c.start.Genders, w.Gender)
	r = append(r, strconv.FormatBool(w.Audio), strconv.FormatBool(w.Video))
	if f := w.Face; f != nil {
		r = append(r, number(f.X), number(f.Y), number(f.W), number(f.H), number(f.Score))
	} else {
		r = append(r, "", "", "", "", "")
	}
	var latency, covered string
	if w.Latency != nil {
		latency = strconv.FormatInt(w.Latency.Round(time.Millisecond).Milliseconds(), 10)
	}
	if w.Covered > 0 {
		covered = number(seconds(w.Covered).float())
	}
	speaking := ""
	if w.Speaking != nil {
		speaking = number(*w.Speaking)
	}
	voice := ""
	if w.Voice {
		voice = "true"
	}
	return append(r, latency, covered, speaking, voice)
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
