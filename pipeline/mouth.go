package pipeline

import (
	"fmt"
	"slices"
	"time"

	"tandem/capture"
)

// MouthSpec is how mouths are cut out for a network that reads lips. The mouth clock has slots at j*Every, j = 0, 1, …,
// from the timeline's start; a slot's picture is the latest one with Time <= its time + TickSlack, if it is not older
// than MouthHold, and its sound is that of the time Every before it.
type MouthSpec struct {
	Every  time.Duration // from one slot to the next
	Size   int           // a crop is Size x Size pixels, grey (ITU-R BT.601 luma)
	Margin float64       // side of a crop in the face units of Spec.CropMargin
	Slots  int           // that the network reads at a time
}

// MouthHold is how long a picture stands for those that do not follow it in the eyes of one who reads lips: at fewer
// than five a second there is nothing to read.
const MouthHold = 200 * time.Millisecond

// Validate returns what is wrong with a MouthSpec, nil if it is usable.
func (s MouthSpec) Validate() error {
	switch {
	case s.Every < 20*time.Millisecond || s.Every > 200*time.Millisecond:
		return fmt.Errorf("pipeline: mouths every %v: it must be 20 to 200 ms", s.Every)
	case s.Size < 8 || s.Size > 256:
		return fmt.Errorf("pipeline: a mouth of %d pixels: it must be 8 to 256", s.Size)
	case !(s.Margin > 0 && s.Margin <= 10):
		return fmt.Errorf("pipeline: a mouth's margin of %v: it must be above 0 and at most 10", s.Margin)
	case s.Slots < 4 || s.Slots > 1024:
		return fmt.Errorf("pipeline: %d mouths at a time: it must be 4 to 1024", s.Slots)
	}
	return nil
}

// mouthBelow is how far below the mouth's middle a crop's middle lies, in its sides: jaws move more than noses.
const mouthBelow = 0.08

// CropMouth cuts the mouth out of a picture as Crop does the face: upright by the eyes, its middle a little below that
// of the mouth, Size*Size bytes. It returns nil for a MouthSpec that is not valid.
func CropMouth(f *capture.Frame, face Face, spec MouthSpec) []byte {
	if spec.Validate() != nil {
		return nil
	}
	if f.Width < 1 || f.Height < 1 || len(f.Pix) != 3*f.Width*f.Height {
		return make([]byte, spec.Size*spec.Size)
	}
	a := cropArea(f, face, Spec{CropMargin: spec.Margin})
	if face.usable() {
		a.anchor = face.Mouth
	} else {
		a.anchor.Y += 0.4 * face.H
	}
	return cropped(f, a, 0.5-mouthBelow, spec.Size, 1)
}

// between returns the face that lies between two of the same subject: f at 0, g at 1.
func (f Face) between(g Face, part float64) Face {
	mix := func(a, b float64) float64 { return a + (b-a)*part }
	point := func(a, b Point) Point { return Point{mix(a.X, b.X), mix(a.Y, b.Y)} }
	return Face{
		X: mix(f.X, g.X), Y: mix(f.Y, g.Y), W: mix(f.W, g.W), H: mix(f.H, g.H), Score: mix(f.Score, g.Score),
		LeftEye: point(f.LeftEye, g.LeftEye), RightEye: point(f.RightEye, g.RightEye),
		Nose: point(f.Nose, g.Nose), Mouth: point(f.Mouth, g.Mouth),
	}
}

// Mouth is one crop of a subject's mouth.
type Mouth struct {
	Slot    int64 // of the mouth clock
	Subject int
	Pixels  []byte // MouthSpec.Size squared, shared: not to be written to
	cache   *FeatureCache
}

// mouthFrame is the picture of a slot.
type mouthFrame struct {
	slot  int64
	frame *capture.Frame
}

// mouthClock gives each slot its picture. The zero value, without a spec, gives none.
type mouthClock struct {
	every   time.Duration // 0: no slots
	next    int64
	pending []mouthFrame // not yet handed out
}

// to decides the slots up to and with t by the picture that is held.
func (c *mouthClock) to(t time.Duration, held *capture.Frame, still bool) {
	if c.every == 0 {
		return
	}
	last := int64(t / c.every)
	for ; c.next <= last; c.next++ {
		at := time.Duration(c.next) * c.every
		if held == nil || at-held.Time > MouthHold && !still {
			c.next = last + 1 // nothing to see until t
			return
		}
		c.pending = append(c.pending, mouthFrame{c.next, held})
	}
}

// take returns the slots up to and with a time, and forgets them.
func (c *mouthClock) take(t time.Duration) []mouthFrame {
	n := 0
	for n < len(c.pending) && time.Duration(c.pending[n].slot)*c.every <= t {
		n++
	}
	taken := slices.Clone(c.pending[:n])
	c.pending = slices.Delete(c.pending, 0, n)
	return taken
}

// mouthTrack keeps the mouths of the subjects that are followed, for as long as a window lasts.
type mouthTrack struct {
	spec   MouthSpec
	last   map[int]Face // of the last tick with faces, by subject
	lastAt time.Duration
	mouths []Mouth // by slot
}

// add cuts the mouths of the faces seen at a tick out of the pictures since the last one. A face that was seen at both
// ticks has moved evenly in between.
func (m *mouthTrack) add(t *tick, faces []Tracked) (added []Mouth) {
	for _, p := range t.mouths {
		if p.frame.Width != t.frame.Width || p.frame.Height != t.frame.Height {
			continue // the faces' places are in the tick's picture
		}
		at := time.Duration(p.slot) * m.spec.Every
		for _, f := range faces {
			face := f.Face
			if before, ok := m.last[f.Subject]; ok && t.time > m.lastAt && at > m.lastAt {
				face = before.between(face, float64(at-m.lastAt)/float64(t.time-m.lastAt))
			}
			added = append(added, Mouth{p.slot, f.Subject, CropMouth(p.frame, face, m.spec), new(FeatureCache)})
		}
	}
	m.mouths = append(m.mouths, added...)
	m.note(t.time, faces)
	return added
}

// note remembers where the faces of a tick are.
func (m *mouthTrack) note(at time.Duration, faces []Tracked) {
	m.last, m.lastAt = make(map[int]Face, len(faces)), at
	for _, f := range faces {
		m.last[f.Subject] = f.Face
	}
}

// discardBefore forgets the mouths before a slot.
func (m *mouthTrack) discardBefore(slot int64) {
	n := 0
	for n < len(m.mouths) && m.mouths[n].Slot < slot {
		n++
	}
	m.mouths = slices.Delete(m.mouths, 0, n)
}
