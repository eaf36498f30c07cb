// Package explain tells which part of a face and of the sound an answer rests on, by occlusion (Zeiler and Fergus 2014,
// "Visualizing and understanding convolutional networks", section 4.2): part after part is hidden from the network,
// whose answer loses what it had from there. It needs no other network and no gradients.
//
// It finds where this network looks and listens in this window. That is no proof that it does so for the right reason,
// and two parts that tell the same can each be hidden without loss.
package explain

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tandem/pipeline"
)

// Sizes of what is hidden.
const (
	facePatch   = 4    // a patch's side is the crop's by this
	faceStride  = 12   // and the way from one to the next
	soundTile   = 0.32 // seconds
	soundStride = 0.16
	soundBands  = 12 // of equal width on the mel scale, of which two neighbours are hidden at a time
)

// batchSize is how many variants go through the network at a time.
const batchSize = 32

// Tasks are the names of the answers, by which arrays of two are indexed.
var Tasks = [2]string{"emotion", "gender"}

// Answer holds the network's answer to a window: a label of each task and its probability.
type Answer struct {
	Label       [2]int
	Probability [2]float64
}

// Map has, by task, how much probability of the answer is lost when a part is hidden: below 0 where hiding raises it.
// A cell's value is the mean over the patches that cover it.
type Map struct {
	Width, Height int
	Lost          [2][]float64 // row by row, [Height*Width]
}

// Part is the part of a map of which hiding costs most.
type Part struct {
	X0, Y0, X1, Y1 float64 // in shares of the map
	Lost           float64
}

// Explanation is that of a window.
type Explanation struct {
	Window *pipeline.Window
	Labels pipeline.Labels
	Spec   pipeline.Spec
	Answer Answer
	// FaceAlone and SoundAlone are the probabilities of the same labels without the other sense; nil where there is but
	// one.
	FaceAlone, SoundAlone *[2]float64

	Face  *Map // cells are pixels of the crop; nil without a face
	Sound *Map // cells are frames of soundHop samples by bins of the spectrum; nil without sound
	// MostOfFace and MostOfSound are the patches, by task, whose hiding costs most.
	MostOfFace, MostOfSound [2]Part
}

// LabelOf returns the name of the answer to a task.
func (e *Explanation) LabelOf(task int) string {
	return [2][]string{e.Labels.Emotions, e.Labels.Genders}[task][e.Answer.Label[task]]
}

// Window explains a recognizer's answer to one window, which has to have a face or sound. It asks some hundred variants
// of it.
func Window(ctx context.Context, r pipeline.Recognizer, w *pipeline.Window) (*Explanation, error) {
	e := &Explanation{Window: w, Labels: r.Labels(), Spec: r.Spec()}
	shown := slices.Contains(w.VideoMask, true)
	if !shown && !w.AudioPresent {
		return nil, fmt.Errorf("the window from %v to %v has neither a face nor sound", w.Start, w.End)
	}
	whole, err := e.ask(ctx, r, []*pipeline.Window{w})
	if err != nil {
		return nil, err
	}
	for task, p := range whole[0] {
		e.Answer.Label[task] = argmax(p)
		e.Answer.Probability[task] = float64(p[e.Answer.Label[task]])
	}
	if shown && w.AudioPresent {
		deaf, blind := copyOf(w), copyOf(w)
		clear(deaf.Audio)
		deaf.AudioPresent = false
		clear(blind.Video)
		clear(blind.VideoMask)
		p, err := e.ask(ctx, r, []*pipeline.Window{deaf, blind})
		if err != nil {
			return nil, err
		}
		e.FaceAlone, e.SoundAlone = e.of(p[0]), e.of(p[1])
	}
	if shown {
		if e.Face, e.MostOfFace, err = e.face(ctx, r); err != nil {
			return nil, err
		}
	}
	if w.AudioPresent {
		e.Sound, e.MostOfSound, err = e.sound(ctx, r)
	}
	return e, err
}

func argmax(p []float32) int {
	best := 0
	for i, v := range p {
		if v > p[best] {
			best = i
		}
	}
	return best
}

// of returns the probabilities of the answer's labels.
func (e *Explanation) of(p [2][]float32) *[2]float64 {
	return &[2]float64{float64(p[0][e.Answer.Label[0]]), float64(p[1][e.Answer.Label[1]])}
}

// ask returns the probabilities of both tasks for each window.
func (e *Explanation) ask(
	ctx context.Context, r pipeline.Recognizer, ws []*pipeline.Window,
) (p [][2][]float32, err error) {
	for batch := range slices.Chunk(ws, batchSize) {
		answers, err := r.Recognize(ctx, batch)
		if err != nil {
			return nil, err
		}
		for _, a := range answers {
			p = append(p, [2][]float32{a.Emotion, a.Gender})
		}
	}
	return p, nil
}

// copyOf returns a window that shares nothing with w, nor what a recognizer keeps of its crops.
func copyOf(w *pipeline.Window) *pipeline.Window {
	c := *w
	c.Audio, c.Video, c.VideoMask = slices.Clone(w.Audio), slices.Clone(w.Video), slices.Clone(w.VideoMask)
	c.FeatureCaches = nil
	return &c
}

// patch is a part that is hidden: cells of a map.
type patch struct{ x0, y0, x1, y1 int }

// occlude asks the variants that hide makes of the window, one a patch, and makes a map of them.
func (e *Explanation) occlude(
	ctx context.Context, r pipeline.Recognizer, width, height int, patches []patch,
	hide func(w *pipeline.Window, p patch),
) (*Map, [2]Part, error) {
	m := &Map{Width: width, Height: height}
	for task := range Tasks {
		m.Lost[task] = make([]float64, width*height)
	}
	covered := make([]float64, width*height)
	var most [2]Part
	for first := 0; first < len(patches); first += batchSize {
		batch := patches[first:min(first+batchSize, len(patches))]
		ws := make([]*pipeline.Window, len(batch))
		for i, p := range batch {
			ws[i] = copyOf(e.Window)
			hide(ws[i], p)
		}
		answers, err := e.ask(ctx, r, ws)
		if err != nil {
			return nil, most, err
		}
		for i, p := range batch {
			left := e.of(answers[i])
			for task := range Tasks {
				lost := e.Answer.Probability[task] - left[task]
				if part := (Part{
					float64(p.x0) / float64(width), float64(p.y0) / float64(height), float64(p.x1) / float64(width),
					float64(p.y1) / float64(height), lost,
				}); first+i == 0 || lost > most[task].Lost {
					most[task] = part
				}
				for y := p.y0; y < p.y1; y++ {
					for x := p.x0; x < p.x1; x++ {
						m.Lost[task][y*width+x] += lost
					}
				}
			}
			for y := p.y0; y < p.y1; y++ {
				for x := p.x0; x < p.x1; x++ {
					covered[y*width+x]++
				}
			}
		}
	}
	for i, n := range covered {
		for task := range Tasks {
			m.Lost[task][i] /= max(n, 1)
		}
	}
	return m, most, nil
}

// face hides patches of all crops of the window alike, in their mean grey or colour.
func (e *Explanation) face(ctx context.Context, r pipeline.Recognizer) (*Map, [2]Part, error) {
	s, channels := e.Spec.CropSize, e.Spec.Channels
	side, stride := max(s/facePatch, 1), max(s/faceStride, 1)
	var patches []patch
	for y := 0; y < s; y += stride {
		for x := 0; x < s; x += stride {
			patches = append(patches, patch{x, y, min(x+side, s), min(y+side, s)})
			if x+side >= s {
				break
			}
		}
		if y+side >= s {
			break
		}
	}
	n := s * s * channels
	var mean [3]byte
	for c := range channels {
		sum, count := 0, 0
		for t, shown := range e.Window.VideoMask {
			for i := t*n + c; shown && i < (t+1)*n; i += channels {
				sum, count = sum+int(e.Window.Video[i]), count+1
			}
		}
		mean[c] = byte(sum / max(count, 1))
	}
	return e.occlude(ctx, r, s, s, patches, func(w *pipeline.Window, p patch) {
		for t := range w.VideoMask {
			for y := p.y0; y < p.y1; y++ {
				for x := p.x0; x < p.x1; x++ {
					copy(w.Video[t*n+(y*s+x)*channels:], mean[:channels])
				}
			}
		}
	})
}

// Time returns where in the media a share of the window is.
func (e *Explanation) Time(share float64) time.Duration {
	return e.Window.End - time.Duration((1-share)*float64(e.Spec.Window))
}

// Place names the part of a face that a share of a crop's height shows: eyes lie at pipeline.CropEyeY, and a mouth as
// far below them as the eyes are apart, or a little less.
func Place(y float64) string {
	for _, p := range []struct {
		below float64
		name  string
	}{{0.30, "forehead"}, {0.50, "eyes"}, {0.66, "nose and cheeks"}, {0.86, "mouth"}} {
		if y < p.below {
			return p.name
		}
	}
	return "chin"
}
