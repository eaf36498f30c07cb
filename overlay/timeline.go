package overlay

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"tandem/pipeline"
)

const (
	// HoldResult is how long a result stands where no newer one is known.
	HoldResult = 1500 * time.Millisecond
	// holdBox is the same for a face.
	holdBox = 700 * time.Millisecond
	// maxInterpolation is the longest gap between two detections in which a face is taken to have moved evenly.
	maxInterpolation = time.Second
)

// Timeline holds the faces and results of a run by media time. Any goroutine may use it.
type Timeline struct {
	keep time.Duration // what is older than the newest by more than this is forgotten; 0: nothing

	mu       sync.Mutex
	emotions []string
	genders  []string
	subjects map[int]*history
	turns    pipeline.Turns
	spoken   []pipeline.Turn // those that are over
	newest   time.Duration   // time of a result
}

// NewTimeline returns an empty timeline that forgets what is older than the newest by more than keep. With 0 it keeps
// everything, which only a run that ends may do.
func NewTimeline(keep time.Duration) *Timeline { return &Timeline{keep: keep} }

// history has the faces and results of one subject, each in order of time.
type history struct {
	boxes   []boxAt
	results []*pipeline.WindowEvent
}

type boxAt struct {
	t   time.Duration
	box pipeline.FaceBox
}

// Scene holds all there is to draw on one picture.
type Scene struct {
	Emotions, Genders []string // all labels, in the model's order
	Subjects          []SubjectView
}

// SubjectView is one subject in a scene.
type SubjectView struct {
	Subject int                   // its number in the events
	Box     *pipeline.FaceBox     // nil: its face is not in the picture
	Result  *pipeline.WindowEvent // nil: none yet
	Speaks  bool                  // it is the one who speaks now
}

// Scaled magnifies the boxes of a scene by k, in place, and returns it.
func (s Scene) Scaled(k float64) Scene {
	for i, v := range s.Subjects {
		if v.Box != nil {
			b := *v.Box
			b.X, b.Y, b.W, b.H = k*b.X, k*b.Y, k*b.W, k*b.H
			s.Subjects[i].Box = &b
		}
	}
	return s
}

// Event adds an event of the run. A start event empties the timeline.
func (l *Timeline) Event(e pipeline.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.Start != nil:
		l.emotions, l.genders, l.subjects = e.Start.Emotions, e.Start.Genders, map[int]*history{}
		l.turns, l.spoken, l.newest = pipeline.Turns{Hop: e.Start.Hop}, nil, 0
	case e.Window != nil:
		h := l.of(e.Window.Subject)
		h.results = append(h.results, e.Window)
		l.newest = max(l.newest, e.Window.T)
		l.spoken = append(l.spoken, l.turns.Add(e.Window)...)
		l.forget(e.Window.T)
	}
}

// Faces adds the faces found in the picture at t. It has the form of pipeline.Options.OnFaces.
func (l *Timeline) Faces(t time.Duration, faces []pipeline.Tracked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range faces {
		h := l.of(f.Subject)
		box := pipeline.FaceBox{X: f.Face.X, Y: f.Face.Y, W: f.Face.W, H: f.Face.H, Score: f.Face.Score}
		h.boxes = append(h.boxes, boxAt{t, box})
	}
	l.forget(t)
}

func (l *Timeline) of(subject int) *history {
	h := l.subjects[subject]
	if h == nil {
		h = &history{}
		l.subjects[subject] = h
	}
	return h
}

// forget drops what is too old at the time now.
func (l *Timeline) forget(now time.Duration) {
	if l.keep == 0 {
		return
	}
	l.spoken = slices.DeleteFunc(l.spoken, func(s pipeline.Turn) bool { return s.To < now-l.keep })
	for k, h := range l.subjects {
		h.boxes = slices.DeleteFunc(h.boxes, func(b boxAt) bool { return b.t < now-l.keep })
		h.results = slices.DeleteFunc(h.results, func(w *pipeline.WindowEvent) bool {
			return w.T < now-l.keep
		})
		if len(h.boxes)+len(h.results) == 0 {
			delete(l.subjects, k)
		}
	}
}

// At returns the scene at the media time t.
func (l *Timeline) At(t time.Duration) Scene {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Scene{Emotions: l.emotions, Genders: l.genders}
	speaker, someone := l.speaker(t)
	for _, k := range slices.Sorted(maps.Keys(l.subjects)) {
		h := l.subjects[k]
		v := SubjectView{Subject: k, Box: h.box(t), Result: h.result(t), Speaks: someone && k == speaker}
		if v.Box != nil || v.Result != nil {
			s.Subjects = append(s.Subjects, v)
		}
	}
	// The result of a subject that is gone says nothing where another has come.
	if seen := slices.ContainsFunc(s.Subjects, func(v SubjectView) bool { return v.Box != nil }); seen {
		s.Subjects = slices.DeleteFunc(s.Subjects, func(v SubjectView) bool { return v.Box == nil })
	} else if len(s.Subjects) > 1 {
		newest := slices.MaxFunc(s.Subjects, func(a, b SubjectView) int {
			return cmp.Compare(a.Result.T, b.Result.T)
		})
		s.Subjects = []SubjectView{newest}
	}
	return s
}

// box returns where the face is at t, between two detections on the straight line from one to the other; nil if it is
// not known.
func (h *history) box(t time.Duration) *pipeline.FaceBox {
	i, _ := slices.BinarySearchFunc(h.boxes, t+1, func(b boxAt, t time.Duration) int { return cmp.Compare(b.t, t) })
	if i == 0 {
		return nil
	}
	a := h.boxes[i-1]
	if i < len(h.boxes) && h.boxes[i].t-a.t <= maxInterpolation {
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

// result returns the latest at t, or nil. Before the first it is the first, if t lies in its window: a clip that is
// hardly longer than a window would show nothing else.
func (h *history) result(t time.Duration) *pipeline.WindowEvent {
	i := h.firstResult(t + 1)
	switch {
	case i > 0 && t-h.results[i-1].T <= HoldResult:
		return h.results[i-1]
	case i == 0 && len(h.results) > 0 && h.results[0].Start <= t:
		return h.results[0]
	}
	return nil
}

// firstResult returns the index of the first result at or after t.
func (h *history) firstResult(t time.Duration) int {
	i, _ := slices.BinarySearchFunc(h.results, t, func(w *pipeline.WindowEvent, t time.Duration) int {
		return cmp.Compare(w.T, t)
	})
	return i
}

// Since returns the results from t on of the subject that the scene at end shows first, for the chart.
func (l *Timeline) Since(t, end time.Duration) []*pipeline.WindowEvent {
	s := l.At(end)
	if len(s.Subjects) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.subjects[s.Subjects[0].Subject]
	if h == nil {
		return nil
	}
	i := h.firstResult(t)
	return slices.Clone(h.results[i:])
}
