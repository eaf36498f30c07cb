package pipeline

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// NewTextGridWriter writes a run as a TextGrid of Praat, NewELANWriter as an ELAN annotation document (EAF 3.0): a tier
// for each subject and task, one for each subject's senses, and one for when it speaks; of voices of which it is not
// known whose they are one too. An annotation goes from a window's time less a hop to its time, those with the same
// label as one; a time at which a subject has no window has none. Both are written as a whole at the end of the run,
// and take one run only.
func NewTextGridWriter(w io.Writer) EventWriter { return &tiersWriter{w: w, encode: textGrid} }

// NewELANWriter is described with NewTextGridWriter.
func NewELANWriter(w io.Writer) EventWriter { return &tiersWriter{w: w, encode: elan} }

// tiersWriter gathers the annotations of a run.
type tiersWriter struct {
	w      io.Writer
	encode func(source string, end time.Duration, tiers []tier) ([]byte, error)
	start  *StartEvent
	tiers  map[tierName][]annotation
	turns  Turns
	spoken []Turn
	end    time.Duration
}

type tierName struct {
	subject int
	what    string // "emotion", "gender", "senses", "speech"
}

func (n tierName) String() string {
	if n.subject == UnknownSpeaker {
		return "unknown " + n.what
	}
	return fmt.Sprintf("subject %d %s", n.subject, n.what)
}

// compareTiers orders tiers by subject, what is not known to be one's last, and those of one by what they are of.
func compareTiers(a, b tierName) int {
	return cmp.Or(compareSpeakers(a.subject, b.subject), strings.Compare(a.what, b.what))
}

// compareSpeakers orders subjects by their number, UnknownSpeaker last.
func compareSpeakers(a, b int) int { return cmp.Compare(uint(a), uint(b)) }

// tier is a row of annotations that do not overlap, in order.
type tier struct {
	name        string
	annotations []annotation
}

type annotation struct {
	from, to time.Duration
	text     string
}

func (t *tiersWriter) Write(e Event) error {
	switch {
	case e.Start != nil:
		if t.start != nil {
			return errors.New("a file of tiers takes one input: write each to a file of its own")
		}
		t.start, t.tiers, t.turns = e.Start, map[tierName][]annotation{}, Turns{Hop: e.Start.Hop}
	case t.start == nil:
		return nil
	case e.Window != nil:
		t.window(e.Window)
	case e.End != nil:
		t.speak()
		var tiers []tier
		for _, name := range slices.SortedFunc(maps.Keys(t.tiers), compareTiers) {
			tiers = append(tiers, tier{name.String(), t.tiers[name]})
		}
		b, err := t.encode(t.start.Source, t.end, tiers)
		if err == nil {
			_, err = t.w.Write(b)
		}
		return err
	}
	return nil
}

// window adds a window's labels.
func (t *tiersWriter) window(w *WindowEvent) {
	t.end = max(t.end, w.T)
	t.spoken = append(t.spoken, t.turns.Add(w)...)
	senses := "none"
	switch {
	case w.Audio && w.Video:
		senses = "face and voice"
	case w.Audio:
		senses = "voice"
	case w.Video:
		senses = "face"
	}
	for _, l := range []struct {
		what, text string
	}{{"emotion", w.Emotion.label()}, {"gender", w.Gender.label()}, {"senses", senses}} {
		if l.text == "" {
			continue
		}
		name := tierName{w.Subject, l.what}
		all := t.tiers[name]
		from := max(w.T-t.start.Hop, 0)
		if n := len(all); n > 0 {
			last := &all[n-1]
			// Times are rounded to milliseconds where they were read, and the first hop after a first look is longer.
			if from <= last.to+t.start.Hop/2 {
				if last.text == l.text {
					last.to = w.T
					continue
				}
				from = last.to
			}
		}
		t.tiers[name] = append(all, annotation{from, w.T, l.text})
	}
}

// speak ends the turns, and makes tiers of them.
func (t *tiersWriter) speak() {
	t.spoken = append(t.spoken, t.turns.Rest()...)
	for _, s := range t.spoken {
		name := tierName{s.Subject, "speech"}
		t.tiers[name] = append(t.tiers[name], annotation{s.From, s.To, "speaks"})
	}
}

// label returns the most probable label, "" without scores.
func (s *Scores) label() string {
	if s == nil {
		return ""
	}
	return s.Label
}

// textGrid returns Praat's long text format ("TextGrid file formats" in its manual): intervals without a gap, those
// without a label empty, quotes doubled.
func textGrid(_ string, end time.Duration, tiers []tier) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0\nxmax = %s\n", praat(end))
	if len(tiers) == 0 {
		b.WriteString("tiers? <absent>\n")
		return b.Bytes(), nil
	}
	fmt.Fprintf(&b, "tiers? <exists>\nsize = %d\nitem []:\n", len(tiers))
	for i, t := range tiers {
		var all []annotation
		at := time.Duration(0)
		for _, a := range t.annotations {
			if a.from > at {
				all = append(all, annotation{from: at, to: a.from})
			}
			all = append(all, a)
			at = a.to
		}
		if at < end {
			all = append(all, annotation{from: at, to: end})
		}
		fmt.Fprintf(&b, "    item [%d]:\n        class = \"IntervalTier\"\n        name = \"%s\"\n        xmin = 0\n"+
			"        xmax = %s\n        intervals: size = %d\n", i+1, quoted(t.name), praat(end), len(all))
		for k, a := range all {
			fmt.Fprintf(&b, "        intervals [%d]:\n            xmin = %s\n            xmax = %s\n"+
				"            text = \"%s\"\n", k+1, praat(a.from), praat(a.to), quoted(a.text))
		}
	}
	return b.Bytes(), nil
}

func praat(t time.Duration) string { return fmt.Sprintf("%.3f", t.Seconds()) }

func quoted(s string) string { return strings.ReplaceAll(s, `"`, `""`) }

// The elements of an ELAN annotation document (EAF Annotation Format 3.0), as far as tiers need them.
type (
	elanDocument struct {
		XMLName xml.Name   `xml:"ANNOTATION_DOCUMENT"`
		Author  string     `xml:"AUTHOR,attr"`
		Date    string     `xml:"DATE,attr"`
		Format  string     `xml:"FORMAT,attr"`
		Version string     `xml:"VERSION,attr"`
		Header  elanHeader `xml:"HEADER"`
		Slots   []elanSlot `xml:"TIME_ORDER>TIME_SLOT"`
		Tiers   []elanTier `xml:"TIER"`
		Type    elanType   `xml:"LINGUISTIC_TYPE"`
	}
	elanHeader struct {
		File  string     `xml:"MEDIA_FILE,attr"`
		Units string     `xml:"TIME_UNITS,attr"`
		Media *elanMedia `xml:"MEDIA_DESCRIPTOR"`
	}
	elanMedia struct {
		URL  string `xml:"MEDIA_URL,attr"`
		Type string `xml:"MIME_TYPE,attr"`
	}
	elanSlot struct {
		ID   string `xml:"TIME_SLOT_ID,attr"`
		Time int64  `xml:"TIME_VALUE,attr"`
	}
	elanTier struct {
		Type        string           `xml:"LINGUISTIC_TYPE_REF,attr"`
		ID          string           `xml:"TIER_ID,attr"`
		Annotations []elanAnnotation `xml:"ANNOTATION>ALIGNABLE_ANNOTATION"`
	}
	elanAnnotation struct {
		ID    string `xml:"ANNOTATION_ID,attr"`
		From  string `xml:"TIME_SLOT_REF1,attr"`
		To    string `xml:"TIME_SLOT_REF2,attr"`
		Value string `xml:"ANNOTATION_VALUE"`
	}
	elanType struct {
		References string `xml:"GRAPHIC_REFERENCES,attr"`
		ID         string `xml:"LINGUISTIC_TYPE_ID,attr"`
		Alignable  string `xml:"TIME_ALIGNABLE,attr"`
	}
)

// elan returns an ELAN annotation document. Its date is the epoch's: the same run gives the same file.
func elan(source string, _ time.Duration, tiers []tier) ([]byte, error) {
	d := elanDocument{
		Author: "tandem", Date: "1970-01-01T00:00:00Z", Format: "3.0", Version: "3.0",
		Header: elanHeader{Units: "milliseconds"},
		Type:   elanType{"false", "tandem", "true"},
	}
	if source != "" {
		d.Header.Media = &elanMedia{URL: strings.ToValidUTF8(source, "\uFFFD"), Type: "unknown"}
	}
	slot := func(t time.Duration) string {
		s := elanSlot{fmt.Sprintf("ts%d", len(d.Slots)+1), int64(math.Round(t.Seconds() * 1000))}
		d.Slots = append(d.Slots, s)
		return s.ID
	}
	n := 0
	for _, t := range tiers {
		row := elanTier{Type: d.Type.ID, ID: t.name}
		for _, a := range t.annotations {
			n++
			row.Annotations = append(row.Annotations, elanAnnotation{
				ID: fmt.Sprintf("a%d", n), From: slot(a.from), To: slot(a.to), Value: a.text,
			})
		}
		d.Tiers = append(d.Tiers, row)
	}
	b, err := xml.MarshalIndent(d, "", " ")
	return append([]byte(xml.Header), append(b, '\n')...), err
}
