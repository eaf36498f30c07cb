package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// How the voice is given to who speaks.
const (
	// readableWithin and readableShare decide whether lips can be read: in the newest slots of a window, so many,
	// there is a mouth in this share of those that have passed.
	readableWithin, readableShare = 24, 0.6
	// leastGiven is how many pieces of VoicePiece of a subject's voice a window must have, to have it at all: as long
	// as the shortest window that is recognised.
	leastGiven = int(LeastCovered*16/time.Millisecond) / VoicePiece
	// mostReadable bounds whose lips are read at a time.
	mostReadable = 8
	// nowSlots is the end of a window in which one speaks now, if one does.
	nowSlots = 4
)

// readLips cuts the mouths of the faces seen at a tick, where somebody wants them.
func (s *faceStage) readLips(t *tick, faces []Tracked) {
	switch {
	case s.o.OnMouths != nil:
		s.o.OnMouths(s.mouths.add(t, faces))
		s.mouths.mouths = nil // the caller has them
	case s.o.Speaker == nil:
	case len(faces) > 1 || s.o.SpeakerAlways:
		s.mouths.add(t, faces)
	default:
		s.mouths.note(t.time, faces)
	}
}

// lipsOf are the lips of one face in the slots of a window.
type lipsOf struct {
	subject int // below 0: it is not followed
	Lips
}

// readable returns the faces whose lips can be read in the slots from first to last: subjects first, at most
// mostReadable. begun is the slot before which there were no pictures.
func (m *mouthTrack) readable(first, last, begun int64) []lipsOf {
	pixels := m.spec.Size * m.spec.Size
	var all []lipsOf
	for _, k := range m.mouths {
		if k.Slot < first || k.Slot > last {
			continue
		}
		i := slices.IndexFunc(all, func(l lipsOf) bool { return l.subject == k.Subject })
		if i < 0 {
			i = len(all)
			n := m.spec.Slots
			l := Lips{make([]byte, n*pixels), make([]bool, n), make([]*FeatureCache, n)}
			all = append(all, lipsOf{k.Subject, l})
		}
		slot := int(k.Slot - first)
		copy(all[i].Pixels[slot*pixels:], k.Pixels)
		all[i].There[slot], all[i].Caches[slot] = true, k.cache
	}
	newest := int64(-1) // ticks are behind the sound: what follows the last of them is not known yet
	for _, l := range all {
		for i, there := range l.There {
			if there {
				newest = max(newest, first+int64(i))
			}
		}
	}
	from := max(first, newest-readableWithin+1, begun)
	all = slices.DeleteFunc(all, func(l lipsOf) bool {
		seen := 0
		for slot := from; slot <= newest; slot++ {
			if l.There[slot-first] {
				seen++
			}
		}
		return float64(seen) < readableShare*float64(newest-from+1)
	})
	slices.SortStableFunc(all, func(a, b lipsOf) int { // 0, 1, …, then -1, -2, …
		if (a.subject < 0) != (b.subject < 0) {
			return cmp.Compare(b.subject, a.subject)
		}
		return cmp.Compare(max(a.subject, -a.subject), max(b.subject, -b.subject))
	})
	return all[:min(len(all), mostReadable)]
}

// giveVoice gives the sound of a cut, which has a voice, to the windows of those who speak, each what it says. alone
// says that one face is seen; it keeps the voice where its lips cannot be read.
func (s *faceStage) giveVoice(ctx context.Context, c *cut, ws []*Window, alone bool) error {
	spec := s.mouths.spec
	last := int64(c.end / spec.Every)
	first := last - int64(spec.Slots) + 1
	faces := s.mouths.readable(first, last, int64((c.start+spec.Every-1)/spec.Every))
	silence := make([]float32, len(c.audio))
	for _, w := range ws {
		w.Audio = silence
	}
	s.asked++
	if len(faces) == 0 {
		s.unread++
		if alone {
			ws[0].Audio, ws[0].AudioPresent = c.audio, true
		}
		return nil
	}
	lips := make([]Lips, len(faces))
	for i, f := range faces {
		lips[i] = f.Lips
	}
	from := sampleAt(c.end) - int64(len(c.audio)) // where the cut's sound begins
	odds, err := s.o.Speaker.Speaking(ctx, slotSound(c.audio, from, first, spec), lips)
	if err != nil {
		return fmt.Errorf("pipeline: asking who speaks at %v: %w", c.end, err)
	}
	if err := checkOdds(odds, len(faces), spec.Slots); err != nil {
		return err
	}
	posterior := SpeakerPosterior(odds)
	for _, w := range ws {
		i := slices.IndexFunc(faces, func(f lipsOf) bool { return f.subject == w.Subject })
		if i < 0 {
			continue
		}
		w.Speaking = new(float64)
		for _, p := range posterior[i][spec.Slots-nowSlots:] {
			*w.Speaking += p / nowSlots
		}
		if given := keepVoice(c, first, posterior[i], spec); given != nil {
			w.Audio, w.AudioPresent = given, true
		}
	}
	return nil
}

// checkOdds returns what is wrong with a SpeakerDetector's answer.
func checkOdds(odds [][]float64, faces, slots int) error {
	if len(odds) != faces {
		return fmt.Errorf("pipeline: the speaker detector gave %d answers for %d faces", len(odds), faces)
	}
	for _, o := range odds {
		if len(o) != slots {
			return fmt.Errorf("pipeline: the speaker detector gave %d numbers for %d slots", len(o), slots)
		}
		if i := slices.IndexFunc(o, math.IsNaN); i >= 0 {
			return fmt.Errorf("pipeline: the speaker detector gave %v: its model may be broken", o[i])
		}
	}
	return nil
}

// slotSamples returns how many samples belong to a slot.
func (s MouthSpec) slotSamples() int64 { return sampleAt(s.Every) }

// slotSound returns the sound of the slots from first on, of some that begins at a sample of the timeline; zeros where
// there is none.
func slotSound(audio []float32, from, first int64, spec MouthSpec) []float32 {
	n := spec.slotSamples()
	out := make([]float32, int64(spec.Slots)*n)
	at := from - (first-1)*n // of out, where audio begins
	if at >= 0 {
		copy(out[min(at, int64(len(out))):], audio)
	} else {
		copy(out, audio[min(-at, int64(len(audio))):])
	}
	return out
}

// keepVoice returns the sound of the slots in which a face speaks, the rest zeros; nil if these have too little of a
// voice. What comes before the first slot counts to it, and what follows the last to that.
func keepVoice(c *cut, first int64, p []float64, spec MouthSpec) []float32 {
	n, length := spec.slotSamples(), int64(len(c.audio))
	begin := (first-1)*n - (sampleAt(c.end) - length) // of the first slot, in audio
	speaks := func(sample int64) bool {
		i := (sample - begin) / n
		return p[min(max(i, 0), int64(len(p)-1))] >= SpeakerCertain
	}
	given := 0
	for _, end := range c.pieces {
		if speaks(end - VoicePiece/2) {
			given++
		}
	}
	if given < leastGiven {
		return nil
	}
	out := make([]float32, length)
	for i, v := range c.audio {
		if speaks(int64(i)) {
			out[i] = v
		}
	}
	return out
}
