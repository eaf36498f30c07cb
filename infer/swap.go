package infer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"tandem/pipeline"
)

// ErrOther is wrapped by Swap's error for a recognizer of other windows or labels.
var ErrOther = errors.New("the model reads other windows, or tells other things")

// Swappable is a recognizer that can be replaced while streams use it. What a window's caches hold of another
// recognizer is not used.
type Swappable struct {
	mu  sync.RWMutex
	rec *Recognizer
}

// NewSwappable returns one that begins with rec.
func NewSwappable(rec *Recognizer) *Swappable { return &Swappable{rec: rec} }

// Swap has rec used from now on, and returns the one before when no window is at it any more: the caller closes it. The
// windows and labels of both must be the same, and what sound they want; else all is as before.
func (s *Swappable) Swap(rec *Recognizer) (before *Recognizer, err error) {
	s.mu.Lock() // waits for the recognitions under way
	defer s.mu.Unlock()
	is, was := rec.Contract(), s.rec.Contract()
	switch {
	case rec.Spec() != s.rec.Spec():
		return nil, fmt.Errorf("%w: its windows are %+v, those of the model in use %+v", ErrOther, rec.Spec(),
			s.rec.Spec())
	case !slices.Equal(rec.Labels().Emotions, s.rec.Labels().Emotions) ||
		!slices.Equal(rec.Labels().Genders, s.rec.Labels().Genders):
		return nil, fmt.Errorf("%w: its labels are %v, those of the model in use %v", ErrOther, rec.Labels(),
			s.rec.Labels())
	case is.AnySound != was.AnySound:
		return nil, fmt.Errorf("%w: one of both takes voices alone", ErrOther)
	}
	before, s.rec = s.rec, rec
	return before, nil
}

// Spec returns the shape of the windows.
func (s *Swappable) Spec() pipeline.Spec {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rec.Spec()
}

// Labels returns the names of the outputs.
func (s *Swappable) Labels() pipeline.Labels {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rec.Labels()
}

// Recognize is Recognizer's, of the one in use.
func (s *Swappable) Recognize(ctx context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rec.Recognize(ctx, ws)
}

// SwappableSpeaker is a speaker detector that can be replaced while streams use it. What a mouth's cache holds of
// another one is not used.
type SwappableSpeaker struct {
	mu      sync.RWMutex
	speaker *Speaker
}

var _ pipeline.SpeakerDetector = (*SwappableSpeaker)(nil)

// NewSwappableSpeaker returns one that begins with speaker.
func NewSwappableSpeaker(speaker *Speaker) *SwappableSpeaker {
	return &SwappableSpeaker{speaker: speaker}
}

// Swap has speaker used from now on, and returns the one before when nobody asks it any more: the caller closes it. The
// mouths of both must be cut in the same way; else the error wraps ErrOther and all is as before.
func (s *SwappableSpeaker) Swap(speaker *Speaker) (before *Speaker, err error) {
	s.mu.Lock() // waits for the answers under way
	defer s.mu.Unlock()
	if is, was := speaker.Mouths(), s.speaker.Mouths(); is != was {
		return nil, fmt.Errorf("%w: its mouths are %+v, those of the model in use %+v", ErrOther, is, was)
	}
	before, s.speaker = s.speaker, speaker
	return before, nil
}

// Mouths returns how mouths are cut for all that are swapped.
func (s *SwappableSpeaker) Mouths() pipeline.MouthSpec {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.speaker.Mouths()
}

// Speaking is Speaker's, of the one in use.
func (s *SwappableSpeaker) Speaking(
	ctx context.Context, sound []float32, faces []pipeline.Lips,
) ([][]float64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.speaker.Speaking(ctx, sound, faces)
}
