package pipeline

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// conversation is a run of two subjects, one of whom is away for a while, with a label that holds a quote.
func conversation() []Event {
	labels := []string{"calm", `"oh"`}
	window := func(subject int, t time.Duration, p float64, audio bool) Event {
		return Event{Window: &WindowEvent{
			T: t, End: t, Subject: subject, Audio: audio, Video: true,
			Emotion: newScores(labels, []float64{p, 1 - p}, nil),
		}}
	}
	return []Event{
		{Start: &StartEvent{Source: "a<b>.mp4", Hop: ms(250), Window: ms(2560), Emotions: labels}},
		window(0, ms(750), 0.9, true), window(0, ms(1000), 0.8, true), window(0, ms(1250), 0.2, false),
		window(1, ms(1250), 0.9, false), window(0, ms(1500), 0.1, false),
		window(0, ms(9000), 0.1, false), window(0, ms(9250), 0.9, false),
		{End: &EndEvent{Windows: 7}},
	}
}

func writeAll(t *testing.T, w EventWriter) {
	t.Helper()
	for _, e := range conversation() {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTextGrid(t *testing.T) {
	var b bytes.Buffer
	writeAll(t, NewTextGridWriter(&b))
	s := b.String()
	for _, want := range []string{
		"xmax = 9.250\ntiers? <exists>\nsize = 4\n", `name = "subject 0 emotion"`, `name = "subject 1 senses"`,
		"xmin = 0.500\n            xmax = 1.000\n            text = \"calm\"",
		"xmin = 1.000\n            xmax = 1.500\n            text = \"\"\"oh\"\"\"",
		"xmin = 1.500\n            xmax = 8.750\n            text = \"\"", // away
		"xmin = 9.000\n            xmax = 9.250\n            text = \"calm\"",
		"text = \"face and voice\"",
	} {
		if !strings.Contains(s, want) {
			t.Errorf("the grid lacks %q:\n%s", want, s)
		}
	}
	// Praat wants intervals without gap or overlap, from 0 to the end, as many as it is told.
	for _, item := range strings.Split(s, "    item [")[1:] {
		at, n := "0.000", 0
		interval := regexp.MustCompile(`xmin = ([\d.]+)\n +xmax = ([\d.]+)\n +text`)
		for _, m := range interval.FindAllStringSubmatch(item, -1) {
			if n++; m[1] != at {
				t.Errorf("an interval begins at %s, not %s:\n%s", m[1], at, item)
			}
			at = m[2]
		}
		if at != "9.250" || !strings.Contains(item, "size = "+strconv.Itoa(n)+"\n") {
			t.Errorf("%d intervals to %s:\n%s", n, at, item)
		}
	}
}

// Who speaks has tiers of its own, and so have voices of which it is not known whose they are.
func TestTiersOfSpeech(t *testing.T) {
	var b bytes.Buffer
	w := NewELANWriter(&b)
	for _, e := range dialogueEvents("a.mp4") {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	var d elanDocument
	if err := xml.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	times := map[string]int64{}
	for _, s := range d.Slots {
		times[s.ID] = s.Time
	}
	var got []string
	for _, tier := range d.Tiers {
		if strings.HasSuffix(tier.ID, "speech") {
			for _, a := range tier.Annotations {
				got = append(got, fmt.Sprint(tier.ID, " ", a.Value, " ", times[a.From], " ", times[a.To]))
			}
		}
	}
	want := []string{
		"subject 0 speech speaks 500 1500", "subject 1 speech speaks 1500 2500", "unknown speech speaks 2500 3500",
	}
	if !slices.Equal(got, want) || d.Tiers[len(d.Tiers)-1].ID != "unknown speech" {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestELAN(t *testing.T) {
	var b bytes.Buffer
	writeAll(t, NewELANWriter(&b))
	var d elanDocument
	if err := xml.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Tiers) != 4 || d.Tiers[0].ID != "subject 0 emotion" || d.Header.Media.URL != "a<b>.mp4" ||
		d.Header.Units != "milliseconds" || d.Type.ID != d.Tiers[0].Type {
		t.Errorf("%+v", d)
	}
	times := map[string]int64{}
	for _, s := range d.Slots {
		times[s.ID] = s.Time
	}
	a := d.Tiers[0].Annotations
	if len(a) != 4 || a[1].Value != `"oh"` || times[a[1].From] != 1000 || times[a[1].To] != 1500 ||
		times[a[2].From] != 8750 {
		t.Errorf("%+v at %v", a, times)
	}
}

// Nothing but a beginning is nothing to write, an empty run is an empty file, and a second one is refused.
func TestTiersOfOneRun(t *testing.T) {
	var b bytes.Buffer
	w := NewTextGridWriter(&b)
	start, end := conversation()[0], Event{End: &EndEvent{}}
	if err := errors.Join(w.Write(start), w.Write(end)); err != nil || !strings.Contains(b.String(), "<absent>") {
		t.Errorf("%v: %s", err, b.String())
	}
	if err := w.Write(start); err == nil || !strings.Contains(err.Error(), "one input") {
		t.Error(err)
	}
	if err := NewELANWriter(failingWriter{}).Write(end); err != nil {
		t.Error("an end without a start is written:", err)
	}
	e := NewELANWriter(failingWriter{})
	if err := errors.Join(e.Write(start), e.Write(end)); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// The page has each subject's row, shares of the time that it was there, and what followed what at once; what a label
// or a file's name holds stays text.
func TestTimeline(t *testing.T) {
	var b bytes.Buffer
	writeAll(t, NewTimelineWriter(&b, nil))
	s := b.String()
	for _, want := range []string{
		"</span> Subject 0</h2>", "</span> Subject 1</h2>", "a&lt;b&gt;.mp4", "7 answers",
		`title="calm, 0.5 s to 1.0 s"`, "left:5.405%;width:5.405%", // of 9.25 s
		"&#34;oh&#34;</td>|</span>&#34;oh&#34;<td>50 %<td>0.8", "</span>calm<td>50 %<td>0.8",
		"<tr><td>calm<td style=\"text-align:left\">&#34;oh&#34;<td>1",
		"<tr><td>&#34;oh&#34;<td style=\"text-align:left\">calm<td>1",
	} {
		found := false
		for _, w := range strings.Split(want, "|") {
			found = found || strings.Contains(s, w)
		}
		if !found {
			t.Errorf("the page lacks %q:\n%s", want, s)
		}
	}
	b.Reset()
	w := NewTimelineWriter(&b, nil)
	if err := errors.Join(w.Write(conversation()[0]), w.Write(Event{End: &EndEvent{}})); err != nil ||
		!strings.Contains(b.String(), "Nobody was seen or heard") {
		t.Errorf("%v: %s", err, b.String())
	}
	for length, want := range map[time.Duration]string{
		5 * time.Second: "5.0 s", 100 * time.Second: "1:40", 2*time.Hour + 61*time.Second: "2:01:01",
	} {
		if got := clockOf(length); got != want || length/tickEvery(length) > 10 {
			t.Errorf("%v is %s, marked every %v", length, got, tickEvery(length))
		}
	}
}
