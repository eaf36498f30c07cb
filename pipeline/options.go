package pipeline

import (
	"errors"
	"fmt"
	"time"

	"tandem/capture"
)

// What Options mean by default.
const (
	DefaultFaces       = 1
	DefaultSmoothing   = 500 * time.Millisecond
	DefaultSilenceDBFS = -60
	DefaultMaxWait     = time.Second
	DefaultLostAfter   = 2 * time.Second
	DefaultMaxAhead    = 30 * time.Second
	DefaultFirstAfter  = 750 * time.Millisecond
)

// batchSets is how many hops are recognised in one batch offline.
const batchSets = 16

// Options tune a pipeline. The zero value is ready to use and smooths nothing; the
// command line starts from DefaultOptions.
type Options struct {
	// Faces is the largest number of subjects followed at a time; 0 means DefaultFaces.
	Faces int
	// Smoothing is the time constant of the exponential smoothing of each subject's probabilities, in media
	// time; 0 turns smoothing off. See smoother for the equation.
	Smoothing time.Duration
	// Raw adds the probabilities before smoothing to the events.
	Raw bool
	// FirstAfter is how much media a timeline's first window takes, if the model reads windows that begin empty
	// (Spec.Partial): more follow each hop, growing until one is full. 0: all windows are full, but for the one of a
	// recording that is shorter.
	FirstAfter time.Duration
	// NoGender leaves gender out of the events.
	NoGender bool
	// SilenceDBFS is the level in dB below full scale (an RMS of 1) under which a window's sound counts as
	// silence; 0 means DefaultSilenceDBFS, math.Inf(-1) lets only digital silence count.
	SilenceDBFS float64
	// Voice decides, of sound that is no silence, whether it is a voice; with nil any is.
	Voice VoiceDetector
	// OneSpeaker says that the sound is that of the one who is followed, whoever else is seen, as in recordings that
	// are made for training.
	OneSpeaker bool
	// Speaker tells who speaks where several faces are seen, and with SpeakerAlways where one is; with nil the voice is
	// nobody's where several are seen.
	Speaker       SpeakerDetector
	SpeakerAlways bool
	// Model is put into the start event: the SHA-256 of the model file in hex.
	Model string
	// Precision is put into the start event: that of the network's convolutions, fp32 or int8.
	Precision string

	// MaxWait is how far, in media time, one modality of a live source may fall behind the other before windows
	// no longer wait for it; 0 means DefaultMaxWait.
	MaxWait time.Duration
	// MaxAhead is the same for files, where it bounds memory only; 0 means DefaultMaxAhead.
	MaxAhead time.Duration
	// MaxQueue is how long, in wall time, a live picture may wait for face finding or a live window for
	// recognition before it is dropped and counted; 0 means two hops.
	MaxQueue time.Duration
	// LostAfter is how long a face may be away before its subject's place is given up; 0 means DefaultLostAfter. Its
	// number is its own for a minute more, see docs/output.md.
	LostAfter time.Duration

	// OnFrame sees every picture and OnSamples all sound in order, with times on the pipeline's clock, before
	// they are used; both are called from one goroutine. OnFaces sees the faces followed at each tick of the
	// face clock, from another. What they are given is shared: it may be kept, but not written to. They must
	// return soon: the pipeline waits for them.
	OnFrame   func(*capture.Frame)
	OnSamples func(*capture.Samples)
	OnFaces   func(t time.Duration, faces []Tracked)
	// Portraits keeps a picture of each subject; nil: none is kept.
	Portraits *Portraits
	// OnMouths sees, after OnFaces, the mouths of these faces since the last tick, cut by Mouths, in the order of their
	// slots. nil: no mouths are cut but for Speaker. With it, Speaker must be nil.
	OnMouths func([]Mouth)
	Mouths   MouthSpec
	// OnDrop is called at once for what Stats counts in the end as Late and Slow, from several goroutines.
	OnDrop func(DropReason, Dropped)
}

// DropReason is why something was lost within a pipeline.
type DropReason string

// The reasons.
const (
	DropLate DropReason = "late" // it came too late to be used
	DropSlow DropReason = "slow" // face finding or recognition was slower than the media
)

func (o *Options) drop(why DropReason, d Dropped) {
	if o.OnDrop != nil {
		o.OnDrop(why, d)
	}
}

// DefaultOptions are the defaults of the command line.
func DefaultOptions() Options {
	return Options{Smoothing: DefaultSmoothing, FirstAfter: DefaultFirstAfter}.filled(Spec{})
}

// filled replaces zeros by what they mean.
func (o Options) filled(spec Spec) Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if o.Faces == 0 {
		o.Faces = DefaultFaces
	}
	if o.SilenceDBFS == 0 {
		o.SilenceDBFS = DefaultSilenceDBFS
	}
	set(&o.MaxWait, DefaultMaxWait)
	set(&o.MaxAhead, DefaultMaxAhead)
	set(&o.MaxQueue, 2*spec.Hop)
	set(&o.LostAfter, DefaultLostAfter)
	return o
}

func (o Options) validate() error {
	if o.Speaker != nil && o.OnMouths != nil {
		return errors.New("pipeline: mouths are cut for Speaker or for OnMouths, not for both")
	}
	if o.mouthSpec() != (MouthSpec{}) || o.OnMouths != nil {
		if err := o.mouthSpec().Validate(); err != nil {
			return err
		}
	}
	if o.Faces < 0 {
		return fmt.Errorf("pipeline: %d faces to follow: give 1 or more", o.Faces)
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"smoothing", o.Smoothing},
		{"longest wait for a sense", o.MaxWait},
		{"furthest a sense may be ahead", o.MaxAhead},
		{"longest time in a queue", o.MaxQueue},
		{"time after which a face is lost", o.LostAfter},
	} {
		if d.d < 0 {
			return fmt.Errorf("pipeline: the %s is negative: %v", d.name, d.d)
		}
	}
	if o.FirstAfter != 0 && o.FirstAfter < LeastCovered {
		return fmt.Errorf("pipeline: a first window after %v: it must be %v or more", o.FirstAfter, LeastCovered)
	}
	return nil
}

// Validate returns what is wrong with a Spec, nil if it is usable.
func (s Spec) Validate() error {
	switch {
	case s.Window <= 0 || s.Window > time.Minute:
		return fmt.Errorf("pipeline: a window of %v: it must be longer than 0 and at most a minute", s.Window)
	case s.Hop < time.Millisecond || s.Hop > time.Minute:
		return fmt.Errorf("pipeline: a hop of %v: it must be between 1 ms and a minute", s.Hop)
	case s.VideoFrames < 1 || s.FaceTick() < time.Millisecond:
		return fmt.Errorf("pipeline: %d face crops in %v: there must be one or more, and at most one a millisecond",
			s.VideoFrames, s.Window)
	case s.CropSize < 1 || s.CropSize > 1024:
		return fmt.Errorf("pipeline: a crop of %d pixels: it must be 1 to 1024", s.CropSize)
	case s.Channels != 1 && s.Channels != 3:
		return fmt.Errorf("pipeline: %d channels in a crop: it must be 1 (grey) or 3 (RGB)", s.Channels)
	case !(s.CropMargin > 0 && s.CropMargin <= 100):
		return fmt.Errorf("pipeline: a crop margin of %v: it must be above 0 and at most 100", s.CropMargin)
	}
	return nil
}

// cropBytes returns the size of one crop in bytes.
func (s Spec) cropBytes() int { return s.CropSize * s.CropSize * s.Channels }

// mouthSpec is how mouths are cut; the zero value where none are.
func (o *Options) mouthSpec() MouthSpec {
	switch {
	case o.OnMouths != nil:
		return o.Mouths
	case o.Speaker != nil:
		return o.Speaker.Mouths()
	}
	return MouthSpec{}
}

// speakerMode returns the value of StartEvent.Speaker.
func (o *Options) speakerMode() string {
	switch {
	case o.Speaker == nil:
		return ""
	case o.SpeakerAlways:
		return SpeakerAlways
	}
	return SpeakerAuto
}
