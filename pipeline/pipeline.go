// Package pipeline is where media time is kept: it aligns sound and pictures, finds and follows faces, cuts
// sliding windows, has them recognised, smooths, and emits events.
package pipeline

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"tandem/capture"
)

// Spec is the shape of a window. It comes from the model's contract, so that training, files and live media
// are all cut alike.
type Spec struct {
	Window      time.Duration // length of a window, 2.56 s by default
	Hop         time.Duration // from one window's end to the next's, 0.25 s by default
	VideoFrames int           // T: face crops a window; the face clock ticks every Window/T
	CropSize    int           // S: a crop is S x S pixels
	Channels    int           // C: 1 grey (ITU-R BT.601 luma), 3 RGB
	// CropMargin is the side of a crop in face units, a face unit being the larger of the distance between
	// the eyes and that from between the eyes to the mouth (so that a turned head keeps its size).
	CropMargin float64
	// Partial says that the model reads windows which begin empty, see Window.Covered.
	Partial bool
}

// LeastCovered is the shortest part of a window that is recognised: less sound than a word has, and one or two crops.
const LeastCovered = 400 * time.Millisecond

// AudioSamples is the number of sound samples a window holds.
func (s Spec) AudioSamples() int {
	return int(s.Window * capture.SampleRate / time.Second)
}

// FaceTick is the time between two ticks of the face clock, at which faces are looked for.
func (s Spec) FaceTick() time.Duration { return s.Window / time.Duration(s.VideoFrames) }

// Point is a place in a picture, in pixels of the source.
type Point struct{ X, Y float64 }

// Face is one detected face, in pixels of the source. The eyes are named as the viewer sees them: LeftEye has
// the smaller X on an upright face.
type Face struct {
	X, Y, W, H                     float64 // upright box
	Score                          float64 // 0..1
	LeftEye, RightEye, Nose, Mouth Point
}

// Window is the input of a recognition: Spec.Window of sound and T face crops of one subject.
type Window struct {
	Start, End time.Duration // media time, half-open
	// Covered is how much of Spec.Window there was media for: the window's end, from Start on. What lies before is
	// zeros and masked crops. 0 stands for all of it, which a model without Spec.Partial always gets.
	Covered time.Duration
	Subject int
	// Audio is Spec.AudioSamples() samples, filtered (capture.HighPass), zero where there was no sound.
	Audio []float32
	// AudioPresent is false where there was no sound at all, where it was silence by level, and where it was no voice
	// (Options.Voice).
	AudioPresent bool
	// Speaking is the probability that the subject is the one who speaks at the window's end; nil where it was not
	// asked (Options.Speaker), or cannot be told. If it was asked, Audio has the subject's voice only.
	Speaking *float64
	// Voice reports whether a voice, whoever's, is heard in the hop before the window's end.
	Voice bool
	// Video is T crops of S*S*C bytes, oldest first, concatenated; zero where VideoMask is false.
	Video     []byte
	VideoMask []bool // T
	// FeatureCaches has a cache for each crop, which the windows in which the crop stands share. Elements are nil where
	// VideoMask is false, and FeatureCaches is nil where no crops are shared.
	FeatureCaches []*FeatureCache
	// Face is the last face seen in the window, nil if none, and Frame the size of the picture it was seen in.
	Face  *Face
	Frame FrameSize
	// Arrived is the wall clock at which a live source got the window's last media; zero offline.
	Arrived time.Time
}

// FeatureCache holds what a Recognizer, or a SpeakerDetector, has computed of one crop, so that it reads the crop once
// for all windows that overlap there. Any number of goroutines may use one. It is freed with the windows that share it.
type FeatureCache struct{ atomic.Value }

// VideoPresent reports whether the window has any crop.
func (w *Window) VideoPresent() bool {
	for _, p := range w.VideoMask {
		if p {
			return true
		}
	}
	return false
}

// Sound returns the samples of Audio that are covered; they share its memory.
func (w *Window) Sound() []float32 {
	if w.Covered == 0 {
		return w.Audio
	}
	return w.Audio[len(w.Audio)-int(sampleAt(w.Covered)):]
}

// Prediction is a recogniser's answer for one window: calibrated probabilities in the order of Labels, each
// summing to 1.
type Prediction struct {
	Emotion []float32
	Gender  []float32
}

// Labels names the outputs of a Recognizer, in order.
type Labels struct {
	Emotions []string
	Genders  []string
}

// ErrLate is wrapped by a Recognizer's error for windows of a live source that it could not get to in time. They are
// dropped and counted, and the run goes on.
var ErrLate = errors.New("not recognised in time")

// SourceError is an error about one source, which its message names.
type SourceError struct {
	Source string // Info().Name
	Err    error
}

func (e *SourceError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// Recognizer recognises emotion and gender in windows, all in one batch; one Prediction a Window, in order.
// Windows with neither modality are never passed in.
type Recognizer interface {
	Spec() Spec
	Labels() Labels
	Recognize(ctx context.Context, ws []*Window) ([]Prediction, error)
}
