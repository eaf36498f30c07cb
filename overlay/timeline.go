package main

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"tandem/pipeline"
)

// How long what was seen last still stands, where nothing newer is known.
const (
	holdBox    = 700 * time.Millisecond
	holdResult = 1500 * time.Millisecond
	// joinBoxes is the longest gap in which a face is taken to have moved evenly.
	joinBoxes = time.Second
)

// timeline is what is known of a run by media time: faces and results. Any goroutine may use it.
type timeline struct {
	keep time.Duration // what is older than the newest by this is forgotten; 0: nothing

	mu       sync.Mutex
	emotions []string
	genders  []string
	subjects map[int]*history
}

// history is of one subject, in order of time.
type history struct {
	boxes   []boxAt
	results []*pipeline.WindowEvent
}

type boxAt struct {
	t   time.Duration
	box pipeline.FaceBox
}

// scene is what a picture shows.
type scene struct {
	emotions, genders []string // all labels, in order
	subjects          []subjectView
}

// subjectView is one subject in a scene.
type subjectView struct {
	subject int
	box     *pipeline.FaceBox     // nil: not to be seen
	result  *pipeline.WindowEvent // nil: none yet
}

// event takes an event of the run.
func (l *timeline) event(e pipeline.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.Start != nil:
		l.emotions, l.genders, l.subjects = e.Start.Emotions, e.Start.Genders, map[int]*history{}
	case e.Window != nil:
		h := l.of(e.Window.Subject)
		h.results = append(h.results, e.Window)
		l.forget(e.Window.T)
	}
}

// faces is for pipeline.Options.OnFaces.
func (l *timeline) faces(t time.Duration, faces []pipeline.Tracked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range faces {
		h := l.of(f.Subject)
		h.boxes = append(h.boxes, boxAt{t, pipeline.FaceBox{X: f.Face.X, Y: f.Face.Y, W: f.Face.W, H: f.Face.H, Score: f.Face.Score}})
	}
	l.forget(t)
}

func (l *timeline) of(subject int) *history {
	h := l.subjects[subject]
	if h == nil {
		h = &history{}
		l.subjects[subject] = h
	}
	return h
}

func (l *timeline) forget(now time.Duration) {
	if l.keep == 0 {
		return
	}
	for k, h := range l.subjects {
		h.boxes = slices.DeleteFunc(h.boxes, func(b boxAt) bool { return b.t < now-l.keep })
		h.results = slices.DeleteFunc(h.results, func(w *pipeline.WindowEvent) bool { return w.T < now-l.keep })
		if len(h.boxes)+len(h.results) == 0 {
			delete(l.subjects, k)
		}
	}
}

// at is the scene at a time.
func (l *timeline) at(t time.Duration) scene {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := scene{emotions: l.emotions, genders: l.genders}
	for _, k := range slices.Sorted(maps.Keys(l.subjects)) {
		h := l.subjects[k]
		v := subjectView{subject: k, box: h.box(t), result: h.result(t)}
		if v.box != nil || v.result != nil {
			s.subjects = append(s.subjects, v)
		}
	}
	// The result of a subject that is gone says nothing where another has come.
	if seen := slices.ContainsFunc(s.subjects, func(v subjectView) bool { return v.box != nil }); seen {
		s.subjects = slices.DeleteFunc(s.subjects, func(v subjectView) bool { return v.box == nil })
	} else if len(s.subjects) > 1 {
		newest := slices.MaxFunc(s.subjects, func(a, b subjectView) int {
			return cmp.Compare(a.result.T, b.result.T)
		})
		s.subjects = []subjectView{newest}
	}
	return s
}

// box is where the face is at t, between two looks on the straight line from one to the other.
func (h *history) box(t time.Duration) *pipeline.FaceBox {
	i, _ := slices.BinarySearchFunc(h.boxes, t+1, func(b boxAt, t time.Duration) int { return cmp.Compare(b.t, t) })
	if i == 0 {
		return nil
	}
	a := h.boxes[i-1]
	if i < len(h.boxes) && h.boxes[i].t-a.t <= joinBoxes {
		b := h.boxes[i]
		f := float64(t-a.t) / float64(b.t-a.t)
		mix := func(a, b float64) float64 { return a + f*(b-a) }
		return &pipeline.FaceBox{
			X: mix(a.box.X, b.box.X), Y: mix(a.box.Y, b.box.Y), W: mix(a.box.W, b.box.W), H: mix(a.box.H, b.box.H),
			Score: mix(a.box.Score, b.box.Score),
		}
	}
	if t-a.t > holdBox {
		return nil
	}
	return &a.box
}

// result is the latest at t. Before the first there is the first, if t lies in its window: a clip that is hardly
// longer than a window would show nothing else.
func (h *history) result(t time.Duration) *pipeline.WindowEvent {
	i, _ := slices.BinarySearchFunc(h.results, t+1, func(w *pipeline.WindowEvent, t time.Duration) int { return cmp.Compare(w.T, t) })
	switch {
	case i > 0 && t-h.results[i-1].T <= holdResult:
		return h.results[i-1]
	case i == 0 && len(h.results) > 0 && h.results[0].Start <= t:
		return h.results[0]
	}
	return nil
}

// since are the results from a time on of the subject that the scene at the end shows first; for the strip chart.
func (l *timeline) since(t, end time.Duration) []*pipeline.WindowEvent {
	s := l.at(end)
	if len(s.subjects) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.subjects[s.subjects[0].subject]
	if h == nil {
		return nil
	}
	i, _ := slices.BinarySearchFunc(h.results, t, func(w *pipeline.WindowEvent, t time.Duration) int { return cmp.Compare(w.T, t) })
	return slices.Clone(h.results[i:])
}
