package main

import (
	"bytes"
	"image"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/pipeline"
)

var testStart = &pipeline.StartEvent{
	Source: "clip.mp4", Emotions: []string{"neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"}, Genders: []string{"female", "male"},
}

// testResult is a result at a time, happy with a probability.
func testResult(subject int, at time.Duration, happy float64) *pipeline.WindowEvent {
	w := &pipeline.WindowEvent{
		T: at, Start: at - 2560*time.Millisecond, End: at, Subject: subject, Audio: true, Video: true,
		Emotion: &pipeline.Scores{Label: "happy"},
		Gender:  &pipeline.Scores{Label: "female", P: pipeline.Classes{{Label: "female", P: 0.9}, {Label: "male", P: 0.1}}},
	}
	for _, l := range testStart.Emotions {
		p := (1 - happy) / 6
		if l == "happy" {
			p = happy
		}
		w.Emotion.P = append(w.Emotion.P, pipeline.Class{Label: l, P: p})
	}
	return w
}

func testTimeline(events ...*pipeline.WindowEvent) *timeline {
	l := &timeline{}
	l.event(pipeline.Event{Start: testStart})
	for _, w := range events {
		l.event(pipeline.Event{Window: w})
	}
	return l
}

func tracked(subject int, x float64) pipeline.Tracked {
	return pipeline.Tracked{Subject: subject, Face: pipeline.Face{X: x, Y: 50, W: 40, H: 40, Score: 0.9}}
}

func TestTimelineJoinsBoxes(t *testing.T) {
	l := testTimeline()
	const s = time.Second
	l.faces(1*s, []pipeline.Tracked{tracked(0, 100)})
	l.faces(1500*time.Millisecond, []pipeline.Tracked{tracked(0, 200)})
	l.faces(5*s, []pipeline.Tracked{tracked(0, 300)})
	for _, tt := range []struct {
		at   time.Duration
		want float64 // x, or -1
	}{
		{900 * time.Millisecond, -1},
		{1 * s, 100},
		{1250 * time.Millisecond, 150},
		{1500 * time.Millisecond, 200},
		{1900 * time.Millisecond, 200}, // held
		{3 * s, -1},                    // a gap too long to be joined or held
		{5 * s, 300},
	} {
		got := -1.0
		if sc := l.at(tt.at); len(sc.subjects) == 1 {
			got = sc.subjects[0].box.X
		}
		if math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("at %v the face is at %v, want %v", tt.at, got, tt.want)
		}
	}
}

func TestTimelineChoosesResults(t *testing.T) {
	l := testTimeline(testResult(0, 2560*time.Millisecond, 0.5), testResult(0, 2810*time.Millisecond, 0.7), testResult(1, 9*time.Second, 0.9))
	for _, tt := range []struct {
		at    time.Duration
		happy float64 // 0: none
	}{
		{time.Second, 0.5}, // before the first result, inside its window
		{2600 * time.Millisecond, 0.5},
		{2810 * time.Millisecond, 0.7},
		{3500 * time.Millisecond, 0.7},
		{5 * time.Second, 0},
		{9 * time.Second, 0.9},
	} {
		got := 0.0
		if sc := l.at(tt.at); len(sc.subjects) == 1 && sc.subjects[0].result != nil {
			got = sc.subjects[0].result.Emotion.P.P("happy")
		}
		if got != tt.happy {
			t.Errorf("at %v happy is %v, want %v", tt.at, got, tt.happy)
		}
	}
}

func TestTimelineForgets(t *testing.T) {
	l := testTimeline()
	l.keep = 10 * time.Second
	for i := range 1000 {
		at := time.Duration(i) * 250 * time.Millisecond
		l.event(pipeline.Event{Window: testResult(i/100, at, 0.5)})
		l.faces(at, []pipeline.Tracked{tracked(i/100, 0)})
	}
	kept := 0
	for _, h := range l.subjects {
		kept += len(h.boxes) + len(h.results)
	}
	if kept > 90 {
		t.Errorf("%d entries are kept of the last 10 s, want about 80", kept)
	}
	if got := l.since(245*time.Second, 249750*time.Millisecond); len(got) != 20 {
		t.Errorf("%d results since, want 20", len(got))
	}
}

func pixel(p *canvas, x, y int) rgb { return rgb(p.pix[3*(y*p.w+x):][:3]) }

func TestOverlayDrawsBoxAndBars(t *testing.T) {
	for _, size := range []image.Point{{320, 240}, {640, 480}, {1920, 1080}, {480, 640}} {
		l := testTimeline(testResult(0, 0, 1))
		x, y, side := float64(size.X)*0.6, float64(size.Y)*0.6, float64(size.Y)*0.3
		l.faces(0, []pipeline.Tracked{{Subject: 0, Face: pipeline.Face{X: x, Y: y, W: side, H: side}}})
		p := newCanvas(size.X, size.Y, rgb{100, 100, 100})
		o := newOverlay(size.X, size.Y)
		o.draw(p, l.at(0), 0)
		happy := colorOf(1)
		if got := pixel(p, int(x+side/2), int(math.Round(y+side))-1); got != happy {
			t.Errorf("%v: the box's lower edge is %v, want %v", size, got, happy)
		}
		if got := pixel(p, int(x+side/2), int(y+side/2)); got != (rgb{100, 100, 100}) {
			t.Errorf("%v: the face is painted over with %v", size, got)
		}
		// The bar of happy is full: nearly all of it has its colour.
		bar, want := 0, 5*o.em*o.t.capital
		panel := image.Rectangle{image.Pt(o.em/2, o.em/2), image.Pt(o.em/2, o.em/2).Add(o.panelSize(l.at(0)))}
		for y := panel.Min.Y; y < panel.Max.Y; y++ {
			for x := panel.Min.X; x < panel.Max.X; x++ {
				if pixel(p, x, y) == happy {
					bar++
				}
			}
		}
		if bar < want {
			t.Errorf("%v: the bar has %d pixels, want at least %d", size, bar, want)
		}
	}
}

// Nothing that comes from outside may make the drawing fail: sizes, boxes, numbers.
func TestOverlayOutsideThePicture(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []image.Point{{1, 1}, {2, 500}, {500, 2}, {64, 48}, {320, 240}} {
		for range 50 {
			l := testTimeline()
			for s := range rng.IntN(6) {
				l.event(pipeline.Event{Window: testResult(s, 0, rng.Float64())})
				w := math.Exp(rng.NormFloat64() * 4)
				l.faces(0, []pipeline.Tracked{{Subject: s, Face: pipeline.Face{X: rng.NormFloat64() * 500, Y: rng.NormFloat64() * 500, W: w, H: w}}})
			}
			p := newCanvas(size.X, size.Y, white)
			o := newOverlay(size.X, size.Y)
			o.draw(p, l.at(0), time.Hour)
			o.strip(p, image.Rect(0, size.Y/2, size.X, size.Y), testStart.Emotions, l.since(-time.Hour, 0), 0)
		}
	}
}

func TestStripDrawsThePast(t *testing.T) {
	var events []*pipeline.WindowEvent
	for i := range 41 {
		events = append(events, testResult(0, time.Duration(i)*250*time.Millisecond, 0.75))
	}
	l := testTimeline(events...)
	p := newCanvas(640, 200, ink)
	o := newOverlay(640, 480)
	end := 10 * time.Second
	o.strip(p, image.Rect(0, 0, 640, 200), testStart.Emotions, l.since(0, end), end)
	columns := 0
	for x := range p.w {
		for y := range p.h {
			if pixel(p, x, y) == colorOf(1) {
				columns++
				break
			}
		}
	}
	if columns < 550 {
		t.Errorf("the line of happy spans %d columns of 640", columns)
	}
}

func TestTableOnATerminal(t *testing.T) {
	var out bytes.Buffer
	c := testConsole(&out, &out)
	c.outTTY = true
	r := newReporter(c, &options{})
	r.begin(capture.Info{Name: "clip.mp4", HasVideo: true, HasAudio: true, Width: 640, Height: 480, FPS: 25, Duration: 4 * time.Second})
	for _, e := range []pipeline.Event{
		{Start: testStart},
		{Window: testResult(0, 2*time.Second, 0.5)},
		{End: &pipeline.EndEvent{Windows: 1, Summary: map[int]pipeline.Summary{0: {Emotion: testResult(0, 0, 0.5).Emotion, Gender: testResult(0, 0, 0.5).Gender}}}},
	} {
		if err := r.event(e); err != nil {
			t.Fatal(err)
		}
	}
	r.end()
	screen := out.String()
	for _, want := range []string{"clip.mp4: video 640×480 at 25/s and sound", "50 %", "subject 0  voice and face", "\x1b[1m  happy", "█ ", "\x1b[J", "subject 0: happy 0.50"} {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen lacks %q:\n%s", want, screen)
		}
	}
	for line := range strings.Lines(screen[:strings.Index(screen, "\x1b[J")]) {
		if n := len([]rune(escapes.Replace(line))); n > 81 {
			t.Errorf("a line of %d columns wraps at 80: %q", n, line)
		}
	}
	// All that was drawn is taken away before the summary.
	block := strings.Count(screen[:strings.Index(screen, "\x1b[J")], "\n")
	if i := strings.LastIndex(screen, "\x1b["); i < 0 || !strings.Contains(screen, "\x1b[13A\x1b[J") || block != 13 {
		t.Errorf("a block of %d lines is not erased:\n%q", block, screen)
	}
}

var escapes = strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "", "\x1b[K", "", "\n", "")

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		part float64
		want string
	}{{0, "    "}, {1, "████"}, {0.5, "██  "}, {0.53125, "██▏ "}, {-1, "    "}, {7, "████"}, {math.NaN(), "    "}} {
		if got := barOf(tt.part, 4); got != tt.want {
			t.Errorf("barOf(%v) is %q, want %q", tt.part, got, tt.want)
		}
	}
}

func BenchmarkOverlay(b *testing.B) {
	l := testTimeline(testResult(0, 0, 0.5))
	l.faces(0, []pipeline.Tracked{tracked(0, 300)})
	p := newCanvas(640, 480, white)
	o := newOverlay(640, 480)
	for b.Loop() {
		o.draw(p, l.at(0), 0)
	}
}
