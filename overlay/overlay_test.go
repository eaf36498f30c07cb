package overlay

import (
	"image"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"tandem/capture"
	"tandem/pipeline"
)

var testStart = &pipeline.StartEvent{
	Source:   "clip.mp4",
	Emotions: []string{"neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"},
	Genders:  []string{"female", "male"},
}

// testResult is a result at a time, happy with a probability.
func testResult(subject int, at time.Duration, happy float64) *pipeline.WindowEvent {
	w := &pipeline.WindowEvent{
		T: at, Start: at - 2560*time.Millisecond, End: at, Subject: subject, Audio: true, Video: true,
		Emotion: &pipeline.Scores{Label: "happy"},
		Gender: &pipeline.Scores{
			Label: "female",
			P:     pipeline.Classes{{Label: "female", P: 0.9}, {Label: "male", P: 0.1}},
		},
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

func testTimeline(events ...*pipeline.WindowEvent) *Timeline {
	l := &Timeline{}
	l.Event(pipeline.Event{Start: testStart})
	for _, w := range events {
		l.Event(pipeline.Event{Window: w})
	}
	return l
}

func tracked(subject int, x float64) pipeline.Tracked {
	return pipeline.Tracked{Subject: subject, Face: pipeline.Face{X: x, Y: 50, W: 40, H: 40, Score: 0.9}}
}

func TestTimelineJoinsBoxes(t *testing.T) {
	l := testTimeline()
	const s = time.Second
	l.Faces(1*s, []pipeline.Tracked{tracked(0, 100)})
	l.Faces(1500*time.Millisecond, []pipeline.Tracked{tracked(0, 200)})
	l.Faces(5*s, []pipeline.Tracked{tracked(0, 300)})
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
		if sc := l.At(tt.at); len(sc.Subjects) == 1 {
			got = sc.Subjects[0].Box.X
		}
		if math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("at %v the face is at %v, want %v", tt.at, got, tt.want)
		}
	}
}

func TestTimelineChoosesResults(t *testing.T) {
	l := testTimeline(
		testResult(0, 2560*time.Millisecond, 0.5),
		testResult(0, 2810*time.Millisecond, 0.7),
		testResult(1, 9*time.Second, 0.9),
	)
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
		if sc := l.At(tt.at); len(sc.Subjects) == 1 && sc.Subjects[0].Result != nil {
			got = sc.Subjects[0].Result.Emotion.P.P("happy")
		}
		if got != tt.happy {
			t.Errorf("at %v happy is %v, want %v", tt.at, got, tt.happy)
		}
	}
}

// size returns how many faces and results are remembered.
func (l *Timeline) size() int {
	n := 0
	for _, h := range l.subjects {
		n += len(h.boxes) + len(h.results)
	}
	return n
}

// A live stream may never end: an hour of it leaves no more in memory than a minute.
func TestLiveAnnotatorForgets(t *testing.T) {
	l := NewLiveAnnotator(filepath.Join(t.TempDir(), "never.mp4"), capture.Info{Live: true, HasVideo: true})
	defer l.Finish()
	l.Event(pipeline.Event{Start: testStart})
	after := map[time.Duration]int{}
	for at := time.Duration(0); at <= time.Hour; at += 250 * time.Millisecond {
		l.Event(pipeline.Event{Window: testResult(0, at, 0.5)})
		l.Faces(at, []pipeline.Tracked{tracked(0, 100)})
		after[at] = l.size()
	}
	if minute, hour := after[time.Minute], after[time.Hour]; hour > minute || minute == 0 {
		t.Errorf("%d faces and results are kept after a minute and %d after an hour", minute, hour)
	}
	if sc := l.At(time.Hour - time.Second); len(sc.Subjects) != 1 || sc.Subjects[0].Box == nil {
		t.Errorf("what was there a second ago is not drawn: %+v", sc)
	}
}

func TestTimelineForgets(t *testing.T) {
	l := testTimeline()
	l.keep = 10 * time.Second
	for i := range 1000 {
		at := time.Duration(i) * 250 * time.Millisecond
		l.Event(pipeline.Event{Window: testResult(i/100, at, 0.5)})
		l.Faces(at, []pipeline.Tracked{tracked(i/100, 0)})
	}
	if kept := l.size(); kept > 90 {
		t.Errorf("%d entries are kept of the last 10 s, want about 80", kept)
	}
	if got := l.Since(245*time.Second, 249750*time.Millisecond); len(got) != 20 {
		t.Errorf("%d results since, want 20", len(got))
	}
}

func pixel(p *Canvas, x, y int) RGB { return RGB(p.Pix[3*(y*p.W+x):][:3]) }

func TestOverlayDrawsBoxAndBars(t *testing.T) {
	for _, size := range []image.Point{{320, 240}, {640, 480}, {1920, 1080}, {480, 640}} {
		l := testTimeline(testResult(0, 0, 1))
		x, y, side := float64(size.X)*0.6, float64(size.Y)*0.6, float64(size.Y)*0.3
		l.Faces(0, []pipeline.Tracked{{Subject: 0, Face: pipeline.Face{X: x, Y: y, W: side, H: side}}})
		p := NewCanvas(size.X, size.Y, RGB{100, 100, 100})
		o := New(size.X, size.Y)
		o.Draw(p, l.At(0), 0)
		happy, own := ColorOf(1), RGB(pipeline.SubjectColor(0))
		if got := pixel(p, int(x+side/2), int(math.Round(y+side))-1); got != own {
			t.Errorf("%v: the box's lower edge is %v, want %v", size, got, own)
		}
		if got := pixel(p, int(x+side/2), int(y+side/2)); got != (RGB{100, 100, 100}) {
			t.Errorf("%v: the face is painted over with %v", size, got)
		}
		// The bar of happy is full: nearly all of it has its colour.
		bar, want := 0, 5*o.em*o.t.capital
		panel := image.Rectangle{image.Pt(o.em/2, o.em/2), image.Pt(o.em/2, o.em/2).Add(o.panelSize(l.At(0)))}
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

// A panel covers no face, however large and wherever it is; in a picture with room it is there, in small letters if
// need be.
func TestPanelCoversNoFace(t *testing.T) {
	ground := RGB{100, 100, 100}
	for _, size := range []image.Point{{320, 240}, {640, 480}, {1280, 720}, {480, 640}} {
		for _, share := range []float64{0.3, 0.5, 0.7, 0.9} {
			for _, at := range []float64{0, 0.5, 1} {
				l := testTimeline(testResult(0, 0, 1))
				side := share * float64(min(size.X, size.Y))
				x, y := at*(float64(size.X)-side), (float64(size.Y)-side)/2
				l.Faces(0, []pipeline.Tracked{{Subject: 0, Face: pipeline.Face{X: x, Y: y, W: side, H: side}}})
				p := NewCanvas(size.X, size.Y, ground)
				o := New(size.X, size.Y)
				o.Draw(p, l.At(0), 0)
				inner := image.Rect(int(x), int(y), int(x+side), int(y+side)).Inset(o.em)
				inner.Max.X = min(inner.Max.X, size.X-5*o.em) // where the clock may be
				for py := inner.Min.Y; py < inner.Max.Y; py++ {
					for px := inner.Min.X; px < inner.Max.X; px++ {
						if got := pixel(p, px, py); got != ground {
							t.Fatalf("%v, a face of %.0f at %.0f: %d, %d is %v", size, side, x, px, py, got)
						}
					}
				}
			}
		}
	}
	o := New(640, 480)
	s := Scene{Emotions: testStart.Emotions, Genders: testStart.Genders}
	beside := float64(o.panelSize(s).X - 5)
	s.Subjects = []SubjectView{{Box: &pipeline.FaceBox{X: beside, Y: 40, W: 640 - 2*beside, H: 400}}}
	if _, ok := o.place(s, s.Subjects[0], nil); ok {
		t.Error("a panel in large letters beside a large face")
	}
	if _, ok := o.small.place(s, s.Subjects[0], nil); !ok {
		t.Error("no panel in small letters beside a large face")
	}
}

// Nothing that comes from outside may make the drawing fail: sizes, boxes, numbers.
func TestOverlayOutsideThePicture(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []image.Point{{1, 1}, {2, 500}, {500, 2}, {64, 48}, {320, 240}} {
		for range 50 {
			l := testTimeline()
			for s := range rng.IntN(6) {
				l.Event(pipeline.Event{Window: testResult(s, 0, rng.Float64())})
				w := math.Exp(rng.NormFloat64() * 4)
				face := pipeline.Face{X: rng.NormFloat64() * 500, Y: rng.NormFloat64() * 500, W: w, H: w}
				l.Faces(0, []pipeline.Tracked{{Subject: s, Face: face}})
			}
			p := NewCanvas(size.X, size.Y, white)
			o := New(size.X, size.Y)
			o.Draw(p, l.At(0), time.Hour)
			o.Chart(p, image.Rect(0, size.Y/2, size.X, size.Y), testStart.Emotions, l.Since(-time.Hour, 0), 0)
		}
	}
}

func TestStripDrawsThePast(t *testing.T) {
	var events []*pipeline.WindowEvent
	for i := range 41 {
		events = append(events, testResult(0, time.Duration(i)*250*time.Millisecond, 0.75))
	}
	l := testTimeline(events...)
	p := NewCanvas(640, 200, Ink)
	o := New(640, 480)
	end := 10 * time.Second
	o.Chart(p, image.Rect(0, 0, 640, 200), testStart.Emotions, l.Since(0, end), end)
	columns := 0
	for x := range p.W {
		for y := range p.H {
			if pixel(p, x, y) == ColorOf(1) {
				columns++
				break
			}
		}
	}
	if columns < 550 {
		t.Errorf("the line of happy spans %d columns of 640", columns)
	}
}

func BenchmarkOverlay(b *testing.B) {
	l := testTimeline(testResult(0, 0, 0.5))
	l.Faces(0, []pipeline.Tracked{tracked(0, 300)})
	p := NewCanvas(640, 480, white)
	o := New(640, 480)
	for b.Loop() {
		o.Draw(p, l.At(0), 0)
	}
}
