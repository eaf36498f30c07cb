package pipeline

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tandem/capture"
)

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// full are events with every field.
func full() []Event {
	latency, speaking := 41400*time.Microsecond, 0.93
	emotion := []string{"neutral", "happy"}
	gender := []string{"female", "male"}
	return []Event{
		{Start: &StartEvent{
			"clip.mp4", "5f70bf18", "int8", ms(2560), ms(250), emotion, gender, SpeakerAuto,
			[]capture.AudioTrack{{Number: 1, Language: "en", Codec: "aac", Channels: 2}, {Number: 2, Codec: "opus"}},
			2,
		}},
		{Window: &WindowEvent{
			T: ms(2560), Start: 0, End: ms(2560), Subject: 0,
			Emotion: newScores(emotion, []float64{0.25, 0.75}, []float64{0.1, 0.9}),
			Gender:  newScores(gender, []float64{0.98, 0.02}, []float64{0.99, 0.01}),
			Audio:   true, Video: true, Speaking: &speaking, Voice: true,
			Face: &FaceBox{201.5, 96, 180.2, 180.2, 0.967}, Latency: &latency,
		}},
		{Window: &WindowEvent{T: ms(2810), Start: ms(250), End: ms(2810), Subject: 1}},
		{End: &EndEvent{2, Dropped{1, 2, 3}, map[int]Summary{
			10: {Emotion: newScores(emotion, []float64{0.5, 0.5}, nil)},
			2: {
				Emotion: newScores(emotion, []float64{0.25, 0.75}, nil),
				Gender:  newScores(gender, []float64{1, 0}, nil),
			},
		}}},
	}
}

// The formats, to the byte.
var (
	//go:embed testdata/events.jsonl
	golden string
	//go:embed testdata/events.csv
	goldenCSV string
	//go:embed testdata/events-raw.csv
	goldenRawCSV string
)

// A file's name may be no UTF-8: what is written names it to the byte.
func TestSourceIsNoUTF8(t *testing.T) {
	for _, name := range []string{"caf\xe9.mp4", "\xff", "café.mp4", "a\ufffd.mp4"} {
		b, err := json.Marshal(Event{Start: &StartEvent{Source: name}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := ParseEvent(b)
		if err != nil || e.Start.Source != name {
			t.Errorf("%q comes back as %q, %v: %s", name, e.Start.Source, err, b)
		}
		if got, want := bytes.Contains(b, []byte("source_base64")), !utf8.ValidString(name); got != want {
			t.Errorf("%q: %s", name, b)
		}
	}
}

func TestJSONL(t *testing.T) {
	var b bytes.Buffer
	w := NewJSONLWriter(&b)
	for _, e := range full() {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if b.String() != golden {
		t.Errorf("got\n%s\nwant\n%s", b.String(), golden)
	}
	got, err := ReadAll(&b)
	if err != nil {
		t.Fatal(err)
	}
	want := full()
	*want[1].Window.Latency = ms(41) // to the millisecond
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got back %+v", got)
	}
	if err := w.Write(Event{}); err == nil {
		t.Error("an empty event was written")
	}
}

func TestCSV(t *testing.T) {
	for _, c := range []struct {
		raw  bool
		want string
	}{{false, goldenCSV}, {true, goldenRawCSV}} {
		var b bytes.Buffer
		w := NewCSVWriter(&b, c.raw)
		for _, e := range full() {
			if err := w.Write(e); err != nil {
				t.Fatal(err)
			}
		}
		if b.String() != c.want {
			t.Errorf("got\n%s\nwant\n%s", b.String(), c.want)
		}
		// Another run with the same labels has no header of its own; one with others is refused.
		n := b.Len()
		if err := w.Write(full()[0]); err != nil || b.Len() != n {
			t.Errorf("a second run: %v, %q", err, b.String()[n:])
		}
		if err := w.Write(Event{Start: &StartEvent{Emotions: []string{"calm"}}}); err == nil {
			t.Error("a run with other labels passed")
		}
	}
	if err := NewCSVWriter(&bytes.Buffer{}, false).Write(full()[1]); err == nil {
		t.Error("a window without a start passed")
	}
	h := strings.Join(CSVHeader(&StartEvent{Emotions: []string{"a"}}, false), ",")
	const want = "source,t,start,end,subject,emotion,emotion_a,audio,video," +
		"face_x,face_y,face_w,face_h,face_score,latency_ms,covered,speaking,voice"
	if h != want {
		t.Errorf("without gender: %s", h)
	}
}

func TestScoresSumToOne(t *testing.T) {
	labels := []string{"a", "b", "c", "d", "e", "f", "g"}
	p := make([]float64, 7)
	for i := range p {
		p[i] = 1.0 / 7
	}
	s := newScores(labels, p, nil)
	sum := 0
	for _, c := range s.P {
		sum += int(math.Round(c.P * 1e6))
	}
	if sum != 1e6 {
		t.Errorf("%v sums to %d millionths", s.P, sum)
	}
}

func TestParseEventIgnoresTheUnknown(t *testing.T) {
	e, err := ParseEvent([]byte(` {"new":[1,{"x":null}],"type":"window","v":1,"t":1.5,
		"senses":{"audio":true,"smell":true},"emotion":{"label":"a","p":{"a":1},"why":"b"}} `))
	if err != nil || e.Window == nil || e.Window.T != ms(1500) || !e.Window.Audio || e.Window.Emotion.P.P("a") != 1 {
		t.Errorf("%+v, %v", e.Window, err)
	}
}

func TestParseEventErrors(t *testing.T) {
	for line, want := range map[string]string{
		``:                                     "unexpected end",
		`null`:                                 `no "v"`,
		`[]`:                                   "cannot unmarshal array",
		`{"type":"window"}`:                    `no "v"`,
		`{"v":2,"type":"window"}`:              "version 2",
		`{"v":1}`:                              `type is ""`,
		`{"v":1,"type":"pause"}`:               `type is "pause"`,
		`{"v":1,"type":"window"} {}`:           "after top-level value",
		`{"v":1,"type":"window","t":1e300}`:    "out of range",
		`{"v":1,"type":"window","t":"1"}`:      "cannot unmarshal string",
		`{"v":1,"type":"window","subject":-1}`: "subject is -1",
		`{"v":1,"type":"window","latency_ms":9223372036854775807}`:                 "latency_ms",
		`{"v":1,"type":"window","emotion":{"p":{"a":2}}}`:                          "from 0 to 1",
		`{"v":1,"type":"window","emotion":{"p":{"a":null}}}`:                       "from 0 to 1",
		`{"v":1,"type":"window","emotion":{"p":{"a":0,"a":1}}}`:                    "twice",
		`{"v":1,"type":"window","emotion":{"p":[1]}}`:                              "must be an object",
		`{"v":1,"type":"end","summary":{"-4":{}}}`:                                 "subject is -4",
		`{"v":1,"type":"end","summary":{"x":{}}}`:                                  "cannot unmarshal",
		`{"v":1,"type":"start","window":2.56,"emotions":{"not":"a list"}}`:         "cannot unmarshal object",
		`{"v":1,"type":"end","dropped":{"frames":1.5,"samples":0,"windows":true}}`: "cannot unmarshal",
	} {
		_, err := ParseEvent([]byte(line))
		if !errors.Is(err, ErrEvent) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

func TestReadAllNamesTheLine(t *testing.T) {
	in := golden[:strings.Index(golden, "\n")+1] + "\n  \nnonsense\n"
	events, err := ReadAll(strings.NewReader(in))
	if len(events) != 1 || !errors.Is(err, ErrEvent) || !strings.HasPrefix(err.Error(), "line 4:") {
		t.Errorf("%d events, %v", len(events), err)
	}
	if _, err := ReadAll(strings.NewReader(strings.Repeat(" ", 2*maxLine))); err == nil {
		t.Error("a line without end passed")
	}
}

func FuzzParseEvent(f *testing.F) {
	for line := range strings.Lines(golden) {
		f.Add([]byte(line))
	}
	f.Add([]byte(`{"v":1,"type":"window","t":-0.0004,"emotion":{"label":"","p":{"\u2028":1e-9}}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := ParseEvent(line)
		if err != nil {
			if !errors.Is(err, ErrEvent) {
				t.Fatalf("%v is no ErrEvent", err)
			}
			return
		}
		out, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseEvent(out)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if b, _ := json.Marshal(again); !bytes.Equal(b, out) {
			t.Fatalf("%s became %s", out, b)
		}
	})
}

// fenced are the blocks of a language in a page.
func fenced(page, language string) []string {
	var blocks []string
	for _, part := range strings.Split(page, "```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	return blocks
}

// keys are all the names in JSON, but for labels and subjects.
func keys(v any, found map[string]bool) {
	if m, ok := v.(map[string]any); ok {
		for k, x := range m {
			found[k] = true
			if k == "p" || k == "raw" {
				continue
			}
			if k == "summary" {
				for _, s := range x.(map[string]any) {
					keys(s, found)
				}
				continue
			}
			keys(x, found)
		}
	}
}

// docs/output.md is held to the code: its examples are as the code writes them, and it describes every field,
// column and default.
func TestOutputPage(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "output.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	jsonl := strings.Join(fenced(page, "jsonl"), "")
	events, err := ReadAll(strings.NewReader(jsonl))
	if err != nil || len(events) < 4 {
		t.Fatalf("the page has %d events: %v", len(events), err)
	}
	var out, table bytes.Buffer
	csv := NewCSVWriter(&table, false)
	for _, e := range events {
		if err := NewJSONLWriter(&out).Write(e); err != nil {
			t.Fatal(err)
		}
		if err := csv.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if out.String() != jsonl {
		t.Errorf("the page's events are\n%s\nthe code writes\n%s", jsonl, out.String())
	}
	if blocks := fenced(page, "csv"); len(blocks) != 1 || blocks[0] != table.String() {
		t.Errorf("the page's CSV is\n%s\nthe code writes\n%s", blocks, table.String())
	}

	found := map[string]bool{}
	for line := range strings.Lines(golden) {
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		keys(v, found)
	}
	for k := range found {
		if !strings.Contains(page, "`"+k+"`") && !strings.Contains(page, "."+k+"`") {
			t.Errorf("the page does not describe %q", k)
		}
	}
	for _, want := range []string{
		fmt.Sprintf("τ is %v s by default", DefaultSmoothing.Seconds()),
		fmt.Sprintf("above %d dBFS", DefaultSilenceDBFS),
		fmt.Sprintf("not more than %v s (or one tick", HoldAtLeast.Seconds()),
		fmt.Sprintf("within %d ms of the end", SnapAudio.Milliseconds()),
		fmt.Sprintf("more than %v s behind or %v s ahead of what was expected", MaxBack.Seconds(), MaxGap.Seconds()),
		fmt.Sprintf("until the other is %v s ahead", DefaultMaxAhead.Seconds()),
		fmt.Sprintf("falls %v s behind", DefaultMaxWait.Seconds()),
		fmt.Sprintf("losses of up to %v s", DefaultLostAfter.Seconds()),
		fmt.Sprintf("score under %v", sureScore),
		fmt.Sprintf("%v times as large as a subject's for %v s", takeOverSize, takeOverAfter.Seconds()),
		fmt.Sprintf("at most %d subjects", maxSummaries),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
