package pipeline

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"tandem/capture"
)

// EventVersion is the version of the events' format, which docs/output.md describes. Fields may be added
// within a version: readers ignore those they do not know.
const EventVersion = 1

// ErrEvent is wrapped by the errors of ParseEvent and ReadAll for a line that is no event.
var ErrEvent = errors.New("not a tandem event")

// Event is one event of a run; exactly one of its fields is set. A run's events are one Start, any number of
// Windows, and one End.
type Event struct {
	Start  *StartEvent
	Window *WindowEvent
	End    *EndEvent
}

// StartEvent describes a run.
type StartEvent struct {
	Source string // as it was named: any bytes
	Model  string // SHA-256 of the model file, hex
	// Precision is that of the network's convolutions, fp32 or int8; "" if it is not known.
	Precision string
	Window    time.Duration
	Hop       time.Duration
	Emotions  []string // in the order of the outputs
	Genders   []string // empty with Options.NoGender
	// Speaker says when it is asked who speaks: SpeakerAuto, SpeakerAlways, or "" for never.
	Speaker string
	// AudioTracks are the source's tracks of sound where there are several, and AudioTrack the number of the one that
	// is used, 0 if none is.
	AudioTracks []capture.AudioTrack
	AudioTrack  int
}

// WindowEvent is the result for one subject in one window.
type WindowEvent struct {
	T          time.Duration // media time the result is for: End
	Start, End time.Duration // media time, half-open
	// Covered is how much media there was of a window that begins empty, see Window.Covered; 0: it is full.
	Covered time.Duration
	Subject int
	Emotion *Scores // nil if neither modality was there
	Gender  *Scores // likewise, or with Options.NoGender
	Audio   bool    // which modalities were used
	Video   bool
	// Speaking is the probability that the subject is the one who speaks at End; nil where it was not asked, or cannot
	// be told.
	Speaking *float64
	// Voice reports whether a voice, whoever's, is heard in the hop before End.
	Voice bool
	Face  *FaceBox   // the last one in the window, nil if none
	Frame *FrameSize // of the picture that Face is a part of, nil if there is no Face
	// Latency is the wall time from the arrival of the window's last media to the event; nil for a source that
	// is not live.
	Latency *time.Duration
}

// EndEvent sums a run up.
type EndEvent struct {
	Windows int // window events before this one
	Dropped Dropped
	Summary map[int]Summary // by subject
}

// Dropped counts what was lost: pictures, sound samples at capture.SampleRate, and windows.
type Dropped struct {
	Frames  int `json:"frames"`
	Samples int `json:"samples"`
	Windows int `json:"windows"`
}

func (d *Dropped) add(c capture.Drops) {
	d.Frames += c.Frames
	d.Samples += c.Samples
}

// Summary sums one subject up: probabilities are means over its windows, before smoothing.
type Summary struct {
	Emotion *Scores `json:"emotion,omitempty"`
	Gender  *Scores `json:"gender,omitempty"`
}

// Scores are the probabilities for one task.
type Scores struct {
	Label string  `json:"label"`         // the most probable
	P     Classes `json:"p"`             // smoothed; sums to 1
	Raw   Classes `json:"raw,omitempty"` // before smoothing, with Options.Raw
}

// Classes are probabilities by label, in the order of the model's outputs. In JSON they are one object with its
// keys in that order.
type Classes []Class

// Class is the probability of one label.
type Class struct {
	Label string
	P     float64
}

// FaceBox is an upright box around a face in pixels of the source, with the detector's score, 0 to 1.
type FaceBox struct {
	X     float64 `json:"x"`
	Y     float64 `json:"y"`
	W     float64 `json:"w"`
	H     float64 `json:"h"`
	Score float64 `json:"score"`
}

// FrameSize is the size of a picture in pixels. A stream may change it at any time.
type FrameSize struct {
	W int `json:"w"`
	H int `json:"h"`
}

// P is the probability of a label, 0 if there is none of that name.
func (c Classes) P(label string) float64 {
	for _, x := range c {
		if x.Label == label {
			return x.P
		}
	}
	return 0
}

// newScores puts labels to probabilities, rounding these to six decimals in such a way that they still sum to
// 1: what is over or missing goes to the largest.
func newScores(labels []string, p, raw []float64) *Scores {
	classes := func(p []float64) Classes {
		const unit = 1e6
		c := make(Classes, len(p))
		top, rest := 0, int64(unit)
		whole := make([]int64, len(p))
		for i, v := range p {
			whole[i] = int64(math.Round(v * unit))
			rest -= whole[i]
			if v > p[top] {
				top = i
			}
		}
		whole[top] += rest
		for i := range p {
			c[i] = Class{labels[i], float64(whole[i]) / unit}
		}
		return c
	}
	s := &Scores{P: classes(p)}
	s.Label = slices.MaxFunc(s.P, func(a, b Class) int { return cmp.Compare(a.P, b.P) }).Label
	if raw != nil {
		s.Raw = classes(raw)
	}
	return s
}

// seconds is a time in JSON: seconds, to the millisecond.
type seconds time.Duration

// maxSeconds is the longest time that an event may hold; it fits a time.Duration.
const maxSeconds = 9e9

func (s seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, s.float(), 'f', -1, 64), nil
}

func (s seconds) float() float64 {
	return float64(time.Duration(s).Round(time.Millisecond).Milliseconds()) / 1000
}

func (s *seconds) UnmarshalJSON(b []byte) error {
	var v float64
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	if math.Abs(v) > maxSeconds {
		return fmt.Errorf("a time of %v s is out of range", v)
	}
	*s = seconds(math.Round(v*1000) * float64(time.Millisecond))
	return nil
}

// MarshalJSON writes an object with the labels as keys, in order.
func (c Classes) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, x := range c {
		if i > 0 {
			b = append(b, ',')
		}
		key, err := json.Marshal(x.Label)
		if err != nil {
			return nil, err
		}
		b = append(append(b, key...), ':')
		b = strconv.AppendFloat(b, x.P, 'f', -1, 64)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads an object and keeps the order of its keys.
func (c *Classes) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("probabilities must be an object of numbers by label")
	}
	*c = Classes{}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		label, _ := t.(string)
		if seen[label] {
			return fmt.Errorf("the label %q stands twice", label)
		}
		seen[label] = true
		var p *float64
		if err := d.Decode(&p); err != nil {
			return fmt.Errorf("the probability of %q: %w", label, err)
		}
		if p == nil || !(*p >= 0 && *p <= 1) {
			return fmt.Errorf("the probability of %q must be a number from 0 to 1", label)
		}
		*c = append(*c, Class{label, *p})
	}
	return nil
}

// The events as they are written; the order of the fields is that of the format.
type (
	head struct {
		V    int    `json:"v"`
		Type string `json:"type"`
	}
	startWire struct {
		head
		Source   string      `json:"source"`
		Bytes    []byte      `json:"source_base64,omitempty"` // of a source that is no UTF-8
		Model    string      `json:"model"`
		Precise  string      `json:"precision,omitempty"`
		Window   seconds     `json:"window"`
		Hop      seconds     `json:"hop"`
		Emotions []string    `json:"emotions"`
		Genders  []string    `json:"genders"`
		Speaker  string      `json:"speaker,omitempty"`
		Track    int         `json:"audio_track,omitempty"`
		Tracks   []trackWire `json:"audio_tracks,omitempty"`
	}
	trackWire struct {
		Number   int    `json:"track"`
		Language string `json:"language,omitempty"`
		Title    string `json:"title,omitempty"`
		Codec    string `json:"codec"`
		Channels int    `json:"channels"`
	}
	windowWire struct {
		head
		T          seconds    `json:"t"`
		Start      seconds    `json:"start"`
		End        seconds    `json:"end"`
		Partial    bool       `json:"partial,omitempty"`
		Covered    seconds    `json:"covered,omitempty"`
		Subject    int        `json:"subject"`
		Emotion    *Scores    `json:"emotion,omitempty"`
		Gender     *Scores    `json:"gender,omitempty"`
		Modalities modalities `json:"senses"`
		Speaking   *float64   `json:"speaking,omitempty"`
		Voice      bool       `json:"voice,omitempty"`
		Face       *FaceBox   `json:"face,omitempty"`
		Frame      *FrameSize `json:"frame,omitempty"`
		Latency    *int64     `json:"latency_ms,omitempty"`
	}
	modalities struct {
		Audio bool `json:"audio"`
		Video bool `json:"video"`
	}
	endWire struct {
		head
		Windows int         `json:"windows"`
		Dropped Dropped     `json:"dropped"`
		Summary summaryWire `json:"summary"`
	}
	summaryWire map[int]Summary
)

// MarshalJSON writes the subjects in numeric order; a plain map's keys would be sorted as text.
func (m summaryWire) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(strconv.AppendInt(append(b, '"'), int64(k), 10), '"', ':')
		v, err := json.Marshal(m[k])
		if err != nil {
			return nil, err
		}
		b = append(b, v...)
	}
	return append(b, '}'), nil
}

// MarshalJSON writes an event as docs/output.md has it, on one line.
func (e Event) MarshalJSON() ([]byte, error) {
	switch {
	case e.Start != nil:
		s := e.Start
		out := startWire{
			head: head{EventVersion, "start"}, Source: s.Source, Model: s.Model, Precise: s.Precision,
			Window: seconds(s.Window), Hop: seconds(s.Hop), Emotions: list(s.Emotions), Genders: list(s.Genders),
			Speaker: s.Speaker,
		}
		if len(s.AudioTracks) > 1 {
			out.Track = s.AudioTrack
			for _, t := range s.AudioTracks {
				out.Tracks = append(out.Tracks, trackWire(t))
			}
		}
		if !utf8.ValidString(s.Source) {
			out.Bytes = []byte(s.Source)
		}
		return json.Marshal(out)
	case e.Window != nil:
		w := e.Window
		out := windowWire{
			head: head{EventVersion, "window"}, T: seconds(w.T), Start: seconds(w.Start), End: seconds(w.End),
			Subject: w.Subject, Emotion: w.Emotion, Gender: w.Gender, Modalities: modalities{w.Audio, w.Video},
			Speaking: w.Speaking, Voice: w.Voice, Face: w.Face, Frame: w.Frame,
		}
		out.Partial, out.Covered = w.Covered > 0, seconds(w.Covered)
		if w.Latency != nil {
			ms := w.Latency.Round(time.Millisecond).Milliseconds()
			out.Latency = &ms
		}
		return json.Marshal(out)
	case e.End != nil:
		return json.Marshal(endWire{head{EventVersion, "end"}, e.End.Windows, e.End.Dropped, e.End.Summary})
	}
	return nil, errors.New("pipeline: an event without content")
}

// list makes an empty list [] rather than null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// UnmarshalJSON reads one event; see ParseEvent.
func (e *Event) UnmarshalJSON(b []byte) error {
	v, err := ParseEvent(b)
	if err == nil {
		*e = v
	}
	return err
}

// ParseEvent reads one event: one line of JSONL, or the data of a server-sent event. Fields that it does not
// know are ignored. Errors wrap ErrEvent.
func ParseEvent(line []byte) (Event, error) {
	bad := func(err error) (Event, error) { return Event{}, fmt.Errorf("%w: %w", ErrEvent, err) }
	var h struct {
		V    *int   `json:"v"`
		Type string `json:"type"`
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return bad(err)
	}
	switch {
	case h.V == nil:
		return bad(errors.New(`there is no "v"`))
	case *h.V != EventVersion:
		return bad(fmt.Errorf("it is of version %d, and this reads version %d", *h.V, EventVersion))
	}
	switch h.Type {
	case "start":
		var w startWire
		if err := json.Unmarshal(line, &w); err != nil {
			return bad(err)
		}
		if w.Bytes != nil {
			w.Source = string(w.Bytes)
		}
		start := &StartEvent{
			Source: w.Source, Model: w.Model, Precision: w.Precise,
			Window: time.Duration(w.Window), Hop: time.Duration(w.Hop),
			Emotions: list(w.Emotions), Genders: list(w.Genders), Speaker: w.Speaker, AudioTrack: w.Track,
		}
		for _, t := range w.Tracks {
			start.AudioTracks = append(start.AudioTracks, capture.AudioTrack(t))
		}
		return Event{Start: start}, nil
	case "window":
		var w windowWire
		if err := json.Unmarshal(line, &w); err != nil {
			return bad(err)
		}
		if w.Subject < 0 {
			return bad(fmt.Errorf("the subject is %d", w.Subject))
		}
		if w.Covered < 0 || w.Partial != (w.Covered > 0) {
			return bad(fmt.Errorf("partial is %v, and covered %v", w.Partial, w.Covered.float()))
		}
		out := &WindowEvent{
			T: time.Duration(w.T), Start: time.Duration(w.Start), End: time.Duration(w.End), Subject: w.Subject,
			Covered: time.Duration(w.Covered),
			Emotion: w.Emotion, Gender: w.Gender, Audio: w.Modalities.Audio, Video: w.Modalities.Video,
			Speaking: w.Speaking, Voice: w.Voice, Face: w.Face, Frame: w.Frame,
		}
		if w.Speaking != nil && !(*w.Speaking >= 0 && *w.Speaking <= 1) {
			return bad(fmt.Errorf("speaking is %v", *w.Speaking))
		}
		if w.Latency != nil {
			if ms := *w.Latency; ms > maxSeconds || ms < -maxSeconds {
				return bad(fmt.Errorf("latency_ms is %d", ms))
			}
			d := time.Duration(*w.Latency) * time.Millisecond
			out.Latency = &d
		}
		return Event{Window: out}, nil
	case "end":
		var w endWire
		if err := json.Unmarshal(line, &w); err != nil {
			return bad(err)
		}
		if w.Summary == nil {
			w.Summary = summaryWire{}
		}
		for k := range w.Summary {
			if k < 0 {
				return bad(fmt.Errorf("the subject is %d", k))
			}
		}
		return Event{End: &EndEvent{w.Windows, w.Dropped, w.Summary}}, nil
	}
	return bad(fmt.Errorf("its type is %q, and not start, window or end", h.Type))
}
