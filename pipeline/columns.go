package pipeline

import (
	"fmt"
	"slices"
	"time"
)

// column is one of a table of windows: CSV and Parquet have the same.
type column struct {
	name     string
	kind     kind
	optional bool // a window may have no value
	trueOnly bool // the JSONL and the CSV leave false out
	// of returns a window's value, of the kind's type, or nil.
	of func(*StartEvent, *WindowEvent) any
}

// kind is the type of a column's values.
type kind int

const (
	textKind    kind = iota // string
	integerKind             // int64
	numberKind              // float64
	boolKind                // bool
)

// columnsOf returns the columns for a run; raw adds those for Options.Raw.
func columnsOf(s *StartEvent, raw bool) []column {
	number := func(name string, of func(*WindowEvent) any) column {
		return column{name: name, kind: numberKind, of: func(_ *StartEvent, w *WindowEvent) any { return of(w) }}
	}
	optional := func(c column) column {
		c.optional = true
		return c
	}
	face := func(name string, of func(*FaceBox) float64) column {
		return optional(number(name, func(w *WindowEvent) any {
			if w.Face == nil {
				return nil
			}
			return of(w.Face)
		}))
	}
	flag := func(name string, trueOnly bool, of func(*WindowEvent) bool) column {
		return column{
			name: name, kind: boolKind, trueOnly: trueOnly,
			of: func(_ *StartEvent, w *WindowEvent) any { return of(w) },
		}
	}
	columns := []column{
		{name: "source", kind: textKind, of: func(s *StartEvent, _ *WindowEvent) any { return s.Source }},
		number("t", func(w *WindowEvent) any { return seconds(w.T).float() }),
		number("start", func(w *WindowEvent) any { return seconds(w.Start).float() }),
		number("end", func(w *WindowEvent) any { return seconds(w.End).float() }),
		{name: "subject", kind: integerKind, of: func(_ *StartEvent, w *WindowEvent) any { return int64(w.Subject) }},
	}
	emotion := func(w *WindowEvent) *Scores { return w.Emotion }
	gender := func(w *WindowEvent) *Scores { return w.Gender }
	columns = append(columns, scoreColumns("emotion", s.Emotions, raw, emotion)...)
	columns = append(columns, scoreColumns("gender", s.Genders, raw, gender)...)
	return append(columns,
		flag("audio", false, func(w *WindowEvent) bool { return w.Audio }),
		flag("video", false, func(w *WindowEvent) bool { return w.Video }),
		face("face_x", func(f *FaceBox) float64 { return f.X }),
		face("face_y", func(f *FaceBox) float64 { return f.Y }),
		face("face_w", func(f *FaceBox) float64 { return f.W }),
		face("face_h", func(f *FaceBox) float64 { return f.H }),
		face("face_score", func(f *FaceBox) float64 { return f.Score }),
		column{name: "latency_ms", kind: integerKind, optional: true, of: func(_ *StartEvent, w *WindowEvent) any {
			if w.Latency == nil {
				return nil
			}
			return w.Latency.Round(time.Millisecond).Milliseconds()
		}},
		optional(number("covered", func(w *WindowEvent) any {
			if w.Covered <= 0 {
				return nil
			}
			return seconds(w.Covered).float()
		})),
		optional(number("speaking", func(w *WindowEvent) any {
			if w.Speaking == nil {
				return nil
			}
			return *w.Speaking
		})),
		flag("voice", true, func(w *WindowEvent) bool { return w.Voice }),
	)
}

// scoreColumns are those of a task: its label, and each label's probability. There are none without labels.
func scoreColumns(task string, labels []string, raw bool, of func(*WindowEvent) *Scores) []column {
	if len(labels) == 0 {
		return nil
	}
	columns := []column{{name: task, kind: textKind, optional: true, of: func(_ *StartEvent, w *WindowEvent) any {
		if s := of(w); s != nil {
			return s.Label
		}
		return nil
	}}}
	add := func(prefix string, classes func(*Scores) Classes) {
		for _, label := range labels {
			columns = append(columns, column{
				name: prefix + label, kind: numberKind, optional: true,
				of: func(_ *StartEvent, w *WindowEvent) any {
					if s := of(w); s != nil && len(classes(s)) > 0 {
						return classes(s).P(label)
					}
					return nil
				},
			})
		}
	}
	add(task+"_", func(s *Scores) Classes { return s.P })
	if raw {
		add(task+"_raw_", func(s *Scores) Classes { return s.Raw })
	}
	return columns
}

func namesOf(columns []column) []string {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// rows makes rows of windows. Its columns are those of the first run; further runs must have the same labels.
type rows struct {
	format  string // for errors
	raw     bool
	start   *StartEvent
	columns []column
}

// add takes the next event and returns a window's values, one a column, and nil for any other event.
func (r *rows) add(e Event) ([]any, error) {
	switch {
	case e.Start != nil:
		columns := columnsOf(e.Start, r.raw)
		if r.start != nil && !slices.Equal(namesOf(columns), namesOf(r.columns)) {
			source := e.Start.Source
			return nil, &SourceError{source, fmt.Errorf(
				"%s: %s has other labels than the runs before it: write it to a file of its own", r.format, source)}
		}
		r.start, r.columns = e.Start, columns
	case e.Window != nil:
		if r.start == nil {
			return nil, fmt.Errorf("%s: a window event came before the start event, which has the labels", r.format)
		}
		values := make([]any, len(r.columns))
		for i, c := range r.columns {
			values[i] = c.of(r.start, e.Window)
		}
		return values, nil
	}
	return nil, nil
}
