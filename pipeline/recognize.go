package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// maxSummaries bounds how many subjects an end event sums up: a live run of days may see crowds pass.
const maxSummaries = 1024

// emitter is the last stage: it has windows recognised, smooths, and emits.
type emitter struct {
	rec    Recognizer
	labels Labels
	live   bool
	raw    bool // see Options.Raw
	emit   func(Event) error
	drop   func(Dropped) // counts windows that were not recognised in time
	smooth smoother
	sums   map[int]*sum

	windows                 int // window events emitted
	busyRecognize, busyEmit time.Duration
}

// sum is of the probabilities of one subject.
type sum struct {
	weight          float64 // windows, each by how much of it was covered
	emotion, gender []float64
}

// consume takes window sets until there are no more. Offline they go in batches of a fixed size, so that two runs of
// the same file compute the same; live each goes as it comes.
func (m *emitter) consume(ctx context.Context, sets *queue[windowSet]) error {
	size := batchSets
	if m.live {
		size = 1
	}
	for {
		var ws []*Window
		more := true
		for n := 0; n < size && more; n++ {
			var set windowSet
			var err error
			if set, more, err = sets.pop(ctx); err != nil {
				return err
			}
			ws = append(ws, set.windows...)
		}
		if err := m.recognize(ctx, ws); err != nil || !more {
			return err
		}
	}
}

func (m *emitter) recognize(ctx context.Context, ws []*Window) error {
	var present []*Window
	for _, w := range ws {
		if w.AudioPresent || w.VideoPresent() {
			present = append(present, w)
		}
	}
	var ps []Prediction
	if len(present) > 0 {
		began := time.Now()
		var err error
		ps, err = m.rec.Recognize(ctx, present)
		m.busyRecognize += time.Since(began)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, ErrLate) && m.live {
			m.drop(Dropped{Windows: len(ws)})
			return nil
		}
		if err != nil {
			return fmt.Errorf("pipeline: recognising the windows up to %v: %w", ws[len(ws)-1].End, err)
		}
		if len(ps) != len(present) {
			return fmt.Errorf("pipeline: the recognizer gave %d predictions for %d windows", len(ps), len(present))
		}
	}
	for _, w := range ws {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var p *Prediction
		if len(present) > 0 && present[0] == w {
			p, present, ps = &ps[0], present[1:], ps[1:]
		}
		ev, err := m.event(w, p)
		if err != nil {
			return err
		}
		if err := m.send(Event{Window: ev}); err != nil {
			return err
		}
		m.windows++
	}
	return nil
}

// event makes a window's event; p is nil where there was nothing to recognise.
func (m *emitter) event(w *Window, p *Prediction) (*WindowEvent, error) {
	ev := &WindowEvent{
		T: w.End, Start: w.Start, End: w.End, Covered: w.Covered, Subject: w.Subject,
		Audio: w.AudioPresent, Video: w.VideoPresent(), Voice: w.Voice,
	}
	if w.Speaking != nil {
		p := round(*w.Speaking, 1000)
		ev.Speaking = &p
	}
	if f := w.Face; f != nil {
		ev.Face = &FaceBox{round(f.X, 10), round(f.Y, 10), round(f.W, 10), round(f.H, 10), round(f.Score, 1000)}
		ev.Frame = &w.Frame
	}
	if p != nil {
		emotion, err := probabilities("emotion", p.Emotion, m.labels.Emotions)
		if err != nil {
			return nil, err
		}
		var gender []float64
		if len(m.labels.Genders) > 0 {
			if gender, err = probabilities("gender", p.Gender, m.labels.Genders); err != nil {
				return nil, err
			}
		}
		share := 1.0 // of a window, that was recognised
		if w.Covered > 0 {
			share = w.Covered.Seconds() / m.rec.Spec().Window.Seconds()
		}
		m.count(w.Subject, share, emotion, gender)
		e, g := m.smooth.add(w.Subject, w.End, emotion, gender)
		if w.Covered > 0 { // the next one holds all of it, so this adds nothing to that
			m.smooth.forget(w.Subject)
		}
		if !m.raw {
			emotion, gender = nil, nil
		}
		ev.Emotion = newScores(m.labels.Emotions, e, emotion)
		if g != nil {
			ev.Gender = newScores(m.labels.Genders, g, gender)
		}
	}
	if !w.Arrived.IsZero() {
		d := time.Since(w.Arrived)
		ev.Latency = &d
	}
	return ev, nil
}

// probabilities checks a recogniser's answer, since it is emitted as a contract.
func probabilities(task string, p []float32, labels []string) ([]float64, error) {
	if len(p) != len(labels) {
		return nil, fmt.Errorf("pipeline: the recognizer gave %d probabilities for %d labels of %s", len(p),
			len(labels), task)
	}
	out := make([]float64, len(p))
	var total float64
	for i, v := range p {
		out[i] = float64(v)
		if !(v >= 0) {
			return nil, fmt.Errorf("pipeline: the recognizer gave %v as a probability of %s %s: "+
				"the model may be broken", v, task, labels[i])
		}
		total += out[i]
	}
	if !(math.Abs(total-1) < 0.01) {
		return nil, fmt.Errorf("pipeline: the recognizer's probabilities of %s sum to %v: the model may be broken",
			task, total)
	}
	for i := range out {
		out[i] /= total
	}
	return out, nil
}

func round(v, unit float64) float64 { return math.Round(v*unit) / unit }

// send emits one event.
func (m *emitter) send(e Event) error {
	began := time.Now()
	err := m.emit(e)
	m.busyEmit += time.Since(began)
	if err != nil {
		return fmt.Errorf("pipeline: %w: %w", errEmit, err)
	}
	return nil
}

// count adds a prediction to its subject's sum, by a weight above 0.
func (m *emitter) count(subject int, weight float64, emotion, gender []float64) {
	s := m.sums[subject]
	if s == nil {
		if len(m.sums) >= maxSummaries {
			m.discardOld()
		}
		s = &sum{emotion: make([]float64, len(emotion)), gender: make([]float64, len(gender))}
		m.sums[subject] = s
	}
	s.weight += weight
	for i, v := range emotion {
		s.emotion[i] += weight * v
	}
	for i, v := range gender {
		s.gender[i] += weight * v
	}
}

// discardOld lets go of the older half of the subjects, but for the one seen most among them.
func (m *emitter) discardOld() {
	var subjects []int
	for k := range m.sums {
		subjects = append(subjects, k)
	}
	slices.Sort(subjects)
	old := subjects[:len(subjects)/2]
	most := slices.MaxFunc(old, func(a, b int) int { return cmp.Compare(m.sums[a].weight, m.sums[b].weight) })
	for _, k := range old {
		if k != most {
			delete(m.sums, k)
		}
	}
}

func (m *emitter) summary() map[int]Summary {
	out := map[int]Summary{}
	for k, s := range m.sums {
		mean := func(x []float64) []float64 {
			y := clone(x)
			for i := range y {
				y[i] /= s.weight
			}
			return y
		}
		v := Summary{Emotion: newScores(m.labels.Emotions, mean(s.emotion), nil)}
		if len(s.gender) > 0 {
			v.Gender = newScores(m.labels.Genders, mean(s.gender), nil)
		}
		out[k] = v
	}
	return out
}
