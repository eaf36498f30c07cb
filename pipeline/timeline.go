package pipeline

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"time"
)

//go:embed timeline.html
var timelinePage string

// NewTimelineWriter writes a run as a page that opens without a network: who spoke when with what emotion, for each
// subject a row of what it showed when, each label's share of the time, how often one label followed another, and its
// picture if there are portraits (nil: none). It is written as a whole at the end of the run, and takes one run only.
func NewTimelineWriter(w io.Writer, portraits *Portraits) EventWriter {
	return &timelineWriter{tiersWriter: tiersWriter{w: w}, portraits: portraits}
}

type timelineWriter struct {
	tiersWriter
	portraits *Portraits
}

func (t *timelineWriter) Write(e Event) error {
	if e.End == nil {
		return t.tiersWriter.Write(e)
	}
	if t.start == nil {
		return nil
	}
	t.speak()
	b, err := t.page(e.End)
	if err == nil {
		_, err = t.w.Write(b)
	}
	return err
}

// timelineRow is one tier on the page.
type timelineRow struct {
	Name  string
	Parts []timelinePart
}

// timelinePart is an annotation: its place in parts of a hundred of the row, and its colour, by its label's number.
type timelinePart struct {
	Left, Width float64
	Label       string
	From, To    string
	Colour      int
}

// timelineSubject is a subject on the page.
type timelineSubject struct {
	Number      int
	Color       string       // its own, as CSS has it
	Picture     template.URL // "" for none
	Rows        []timelineRow
	Shares      []timelineShare
	Transitions []timelineTransition
}

type timelineShare struct {
	Label   string
	Colour  int
	Percent float64
	Seconds float64
}

type timelineTransition struct {
	From, To string
	Times    int
}

// sensesColour is that of the tier of senses, beyond those of labels.
const sensesColour = 7

// colourOf numbers a label for its colour: as the page of a session does, emotions by their order.
func (t *timelineWriter) colourOf(what, label string) int {
	switch what {
	case "emotion":
		return max(slices.Index(t.start.Emotions, label), 0) % sensesColour
	case "gender":
		return 2 + max(slices.Index(t.start.Genders, label), 0)*4
	}
	return sensesColour
}

func (t *timelineWriter) page(end *EndEvent) ([]byte, error) {
	bySubject := map[int]*timelineSubject{}
	for _, name := range slices.SortedFunc(maps.Keys(t.tiers), compareTiers) {
		if name.what == "speech" { // it has rows of its own
			continue
		}
		s := bySubject[name.subject]
		if s == nil {
			s = t.subject(name.subject)
			bySubject[name.subject] = s
		}
		row := timelineRow{Name: name.what}
		for _, a := range t.tiers[name] {
			row.Parts = append(row.Parts, timelinePart{
				Left: t.percent(a.from), Width: t.percent(a.to - a.from), Label: a.text, From: clockOf(a.from),
				To: clockOf(a.to), Colour: t.colourOf(name.what, a.text),
			})
		}
		s.Rows = append(s.Rows, row)
		if name.what == "emotion" {
			s.Shares, s.Transitions = t.shares(t.tiers[name]), transitions(t.tiers[name], t.start.Hop)
		}
	}
	var subjects []*timelineSubject
	for _, n := range slices.Sorted(maps.Keys(bySubject)) {
		subjects = append(subjects, bySubject[n])
	}
	var ticks []timelinePart
	for at := time.Duration(0); at <= t.end; at += tickEvery(t.end) {
		ticks = append(ticks, timelinePart{Left: t.percent(at), Label: clockOf(at)})
	}
	page, err := template.New("timeline").Parse(timelinePage)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, struct {
		Source, Length string
		Windows        int
		Subjects       []*timelineSubject
		Ticks          []timelinePart
		Speakers       []timelineSpeaker
		Turns          []timelineTurn
	}{t.start.Source, clockOf(t.end), end.Windows, subjects, ticks, t.speakers(), t.listed()})
	return b.Bytes(), err
}

func (t *timelineWriter) subject(n int) *timelineSubject {
	s := &timelineSubject{Number: n, Color: cssColor(n)}
	if b := t.portraits.of(n); b != nil {
		s.Picture = template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b))
	}
	return s
}

// cssColor returns a subject's own colour as CSS has it, grey for UnknownSpeaker.
func cssColor(subject int) string {
	if subject == UnknownSpeaker {
		return "#8f96a3"
	}
	return fmt.Sprintf("#%x", SubjectColor(subject))
}

// percent returns a time in parts of a hundred of the run.
func (t *timelineWriter) percent(at time.Duration) float64 {
	return 100 * at.Seconds() / max(t.end.Seconds(), 1e-3)
}

// shares are of the time that a subject has answers for, the largest first.
func (t *timelineWriter) shares(all []annotation) (shares []timelineShare) {
	sums, whole := map[string]time.Duration{}, time.Duration(0)
	for _, a := range all {
		sums[a.text] += a.to - a.from
		whole += a.to - a.from
	}
	for label, sum := range sums {
		shares = append(shares, timelineShare{
			label, t.colourOf("emotion", label), 100 * sum.Seconds() / max(whole.Seconds(), 1e-3), sum.Seconds(),
		})
	}
	slices.SortFunc(shares, func(a, b timelineShare) int {
		if a.Seconds != b.Seconds && a.Seconds > b.Seconds {
			return -1
		} else if a.Seconds < b.Seconds {
			return 1
		}
		return slices.Compare([]byte(a.Label), []byte(b.Label))
	})
	return shares
}

// transitions counts how often a label followed another at once, the most frequent first.
func transitions(all []annotation, hop time.Duration) (counted []timelineTransition) {
	type pair struct{ from, to string }
	times := map[pair]int{}
	for i := range all[1:] {
		if all[i+1].from-all[i].to <= hop/2 {
			times[pair{all[i].text, all[i+1].text}]++
		}
	}
	for p, n := range times {
		counted = append(counted, timelineTransition{p.from, p.to, n})
	}
	slices.SortFunc(counted, func(a, b timelineTransition) int {
		if a.Times != b.Times {
			return b.Times - a.Times
		}
		return slices.Compare([]byte(a.From+"\x00"+a.To), []byte(b.From+"\x00"+b.To))
	})
	return counted
}

// tickEvery returns how far apart the marks of a run's time stand.
func tickEvery(length time.Duration) time.Duration {
	for _, step := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
		5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour,
	} {
		if length/step <= 10 {
			return step
		}
	}
	return max(length/10, time.Second)
}

// clockOf writes a time as minutes and seconds, with hours where there are some.
func clockOf(t time.Duration) string {
	s := t.Seconds()
	if s < 60 {
		return fmt.Sprintf("%.1f s", s)
	}
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", int(s)/60, int(s)%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", int(s)/3600, int(s)/60%60, int(s)%60)
}
