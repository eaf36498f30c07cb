package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tandem/capture"
)

// faceStage looks for faces at the ticks of the face clock, follows and crops them, and puts windows together.
//
// Each subject seen in a window gets a window of its own. There is one sound. It goes to a subject whose face is the
// only one in the window, of those that are not followed too; with more, it goes to the one that speaks, for as long as
// it does (giveVoice), and without a SpeakerDetector to nobody. It is masked where it is silence or no voice. With no
// face in the window, the window belongs to the last subject that was alone in one, or else to subject 0.
type faceStage struct {
	spec         Spec
	o            Options
	scout        faceScout // without a finder: no faces
	tracker      tracker
	lastFrame    *capture.Frame
	found        []Face
	observations []observation
	lastSolo     int
	mouths       mouthTrack

	asked, unread int // see Stats
}

// observation holds the faces that were followed at one tick, with a crop and a cache of each.
type observation struct {
	k      int64
	frame  FrameSize
	faces  []Tracked
	crops  [][]byte
	caches []*FeatureCache
	others bool // faces were seen that are not followed
}

func newFaceStage(spec Spec, info capture.Info, finder FaceFinder, o Options) *faceStage {
	return &faceStage{
		// More than are followed are asked for, so that a subject is not lost to a larger newcomer.
		spec: spec, o: o,
		scout: faceScout{finder: finder, still: info.Still, limit: 2*o.Faces + 2},
		tracker: tracker{
			max: o.Faces, lostAfter: o.LostAfter, trusting: info.Still, bystanding: info.HasAudio && !o.OneSpeaker,
		},
		mouths: mouthTrack{spec: o.mouthSpec()},
	}
}

// detect takes a tick.
func (s *faceStage) detect(ctx context.Context, t *tick) error {
	if s.scout.finder == nil {
		return nil
	}
	if t.frame != s.lastFrame {
		if last := s.lastFrame; last != nil {
			s.tracker.rescale(float64(t.frame.Width)/float64(last.Width), float64(t.frame.Height)/float64(last.Height))
		}
		found, err := s.scout.find(ctx, t.time, t.frame, &s.tracker)
		if err != nil {
			return fmt.Errorf("pipeline: looking for faces at %v: %w", t.frame.Time, err)
		}
		s.lastFrame, s.found = t.frame, found
	}
	l := observation{
		k: t.k, frame: FrameSize{t.frame.Width, t.frame.Height}, faces: s.tracker.update(t.time, t.frame, s.found),
	}
	for _, f := range l.faces {
		l.crops = append(l.crops, Crop(t.frame, f.Face, s.spec))
		l.caches = append(l.caches, new(FeatureCache))
	}
	if s.o.OnFaces != nil {
		s.o.OnFaces(t.time, slices.Clone(l.faces))
	}
	if s.o.Portraits != nil {
		s.o.Portraits.see(t.frame, l.faces)
	}
	others := s.tracker.bystanders(t.time)
	l.others = s.tracker.bystanding && len(others) > 0
	s.readLips(t, append(slices.Clone(l.faces), others...))
	if len(l.faces) > 0 || l.others {
		s.observations = append(s.observations, l)
	}
	return nil
}

// windows puts together those of a cut, by subject; there is at least one.
func (s *faceStage) windows(ctx context.Context, c *cut) ([]*Window, error) {
	i := 0
	for i < len(s.observations) && s.observations[i].k < c.first {
		i++
	}
	s.observations = slices.Delete(s.observations, 0, i)
	if every := s.mouths.spec.Every; every > 0 {
		s.mouths.discardBefore(int64(c.end/every) - int64(s.mouths.spec.Slots) + 1)
	}

	var ws []*Window
	others := false
	for _, l := range s.observations {
		if l.k > c.last {
			break
		}
		others = others || l.others
		for j, f := range l.faces {
			i, ok := slices.BinarySearchFunc(ws, f.Subject,
				func(w *Window, subject int) int { return w.Subject - subject })
			if !ok {
				ws = slices.Insert(ws, i, s.blank(c, f.Subject))
			}
			w := ws[i]
			slot := int(l.k - c.first)
			copy(w.Video[slot*s.spec.cropBytes():], l.crops[j])
			w.VideoMask[slot], w.FeatureCaches[slot] = true, l.caches[j]
			w.Face, w.Frame = &f.Face, l.frame
		}
	}
	switch len(ws) {
	case 0:
		ws = append(ws, s.blank(c, s.lastSolo))
	case 1:
		if !others {
			s.lastSolo = ws[0].Subject
		}
	}
	now := c.voiceNow && !silent(c.audio[max(0, int64(len(c.audio))-sampleAt(s.spec.Hop)):], s.o.SilenceDBFS)
	for _, w := range ws {
		w.Voice = now
	}
	// Whose voice it is is asked where several faces are seen, or where it is always asked.
	alone := len(ws) == 1 && !others
	ask := s.o.Speaker != nil && (!alone || s.o.SpeakerAlways)
	if c.voice && !silent(c.covered(), s.o.SilenceDBFS) {
		switch {
		case ask:
			return ws, s.giveVoice(ctx, c, ws, alone)
		case alone:
			ws[0].Audio, ws[0].AudioPresent = c.audio, true
			return ws, nil
		}
	}
	clear(c.audio)
	for _, w := range ws {
		w.Audio = c.audio
		if ask {
			w.Speaking = new(float64)
		}
	}
	return ws, nil
}

func (s *faceStage) blank(c *cut, subject int) *Window {
	w := &Window{
		Start: c.start, End: c.end, Subject: subject, Arrived: c.arrived,
		Video:         make([]byte, s.spec.VideoFrames*s.spec.cropBytes()),
		VideoMask:     make([]bool, s.spec.VideoFrames),
		FeatureCaches: make([]*FeatureCache, s.spec.VideoFrames),
	}
	if covered := c.end - c.start; covered < s.spec.Window {
		w.Covered = covered
	}
	return w
}

// windowSet is the windows of one cut.
type windowSet struct {
	windows []*Window
	due     time.Time
}
