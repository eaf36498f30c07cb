package overlay

import (
	"image"
	"slices"
	"strconv"
	"time"

	"tandem/pipeline"
)

// unknownColor is that of voices of which it is not known whose they are.
var unknownColor = RGB{143, 150, 163}

// speakerColor returns a subject's own colour.
func speakerColor(subject int) RGB {
	if subject == pipeline.UnknownSpeaker {
		return unknownColor
	}
	return pipeline.SubjectColor(subject)
}

// Spoken is a part of a turn in which its subject showed one emotion.
type Spoken struct {
	Subject  int // or pipeline.UnknownSpeaker
	From, To time.Duration
	Emotion  string // "" where it is not known
}

// Spoken returns who spoke between two times, and with what emotion, in order.
func (l *Timeline) Spoken(from, to time.Duration) (parts []Spoken) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range append(slices.Clone(l.spoken), l.turns.Rest()...) {
		t.From, t.To = max(t.From, from), min(t.To, to)
		if t.From >= t.To {
			continue
		}
		at := t.From
		if h := l.subjects[t.Subject]; h != nil {
			for _, w := range h.results[h.firstResult(t.From+1):] {
				if at >= t.To {
					break
				}
				emotion := ""
				if w.Emotion != nil {
					emotion = w.Emotion.Label
				}
				end := min(w.T, t.To)
				if n := len(parts); n > 0 && parts[n-1].Subject == t.Subject && parts[n-1].To == at &&
					parts[n-1].Emotion == emotion {
					parts[n-1].To = end
				} else {
					parts = append(parts, Spoken{t.Subject, at, end, emotion})
				}
				at = end
			}
		}
		if at < t.To {
			parts = append(parts, Spoken{t.Subject, at, t.To, ""})
		}
	}
	return parts
}

// holdSpeaker is how long who speaks stands where nothing newer is known: as long as answers come late.
const holdSpeaker = 500 * time.Millisecond

// speaker returns who speaks at t.
func (l *Timeline) speaker(t time.Duration) (subject int, ok bool) {
	for _, turns := range [][]pipeline.Turn{l.turns.Rest(), l.spoken} {
		for _, s := range slices.Backward(turns) {
			if s.From <= t {
				return s.Subject, t < s.To || s.To == l.newest && t < s.To+holdSpeaker
			}
		}
	}
	return 0, false
}

// speechRows is for how many Speech has room in large letters: two subjects and those who are not known.
const speechRows = 3

// SpeechHeight returns the height in pixels that Speech likes to have.
func (o *Overlay) SpeechHeight() int { return speechRows * (o.t.height + o.em/3) }

// Speech draws who spoke over the ChartTime before end into r: a row for each, with blocks in the subject's own colour
// that say which emotion it showed, with this emotion's colour below.
func (o *Overlay) Speech(p *Canvas, r image.Rectangle, labels []string, parts []Spoken, end time.Duration) {
	p.fill(r, Ink, 1)
	var rows []int
	for _, s := range parts {
		if !slices.Contains(rows, s.Subject) {
			rows = append(rows, s.Subject)
		}
	}
	slices.SortFunc(rows, func(a, b int) int { // those who are not known last
		if (a == pipeline.UnknownSpeaker) != (b == pipeline.UnknownSpeaker) {
			return b - a
		}
		return a - b
	})
	c := o.chartIn(r, end)
	if len(rows) == 0 || c.plot.Dx() < 2*o.em {
		return
	}
	height := r.Dy() / max(len(rows), speechRows)
	for i, subject := range rows {
		top := r.Min.Y + i*height
		row := image.Rect(c.plot.Min.X, top+1, c.plot.Max.X, top+height-1)
		name := strconv.Itoa(subject)
		if subject == pipeline.UnknownSpeaker {
			name = "?"
		}
		if height >= o.t.capital+4 {
			base := top + (height+o.t.capital)/2
			w := o.t.width(name)
			p.fill(image.Rect(row.Min.X-w-o.em, row.Min.Y, row.Min.X-o.em/2, row.Max.Y), speakerColor(subject), 1)
			p.text(o.t, row.Min.X-w-o.em*3/4, base, name, Ink)
		}
		for _, s := range parts {
			if s.Subject != subject {
				continue
			}
			block := image.Rect(round(c.x(s.From)), row.Min.Y, round(c.x(s.To)), row.Max.Y).Intersect(row)
			p.fill(block, speakerColor(subject), 1)
			strip := block
			strip.Min.Y = block.Max.Y - max(height/5, 2)
			if s.Emotion != "" {
				p.fill(strip, o.labelColor(labels, s.Emotion), 1)
			}
			if fits := o.t.width(s.Emotion) <= block.Dx()-o.em/4; fits && height >= o.t.capital+4 {
				p.text(o.t, block.Min.X+o.em/8, block.Min.Y+(strip.Min.Y-block.Min.Y+o.t.capital)/2, s.Emotion, Ink)
			}
		}
	}
}
