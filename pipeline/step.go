package pipeline

import (
	"time"

	"tandem/capture"
)

// step is one thing that falls due: exactly one of tick and cut is set.
type step struct {
	tick *tick
	cut  *cut
	due  time.Time // when it fell due
}

type tick struct {
	k     int64
	time  time.Duration
	frame *capture.Frame
	// mouths are the pictures of the mouth clock's slots since the last tick.
	mouths []mouthFrame
}

type cut struct {
	start, end  time.Duration // start is later than end less the window's length where the window begins empty
	audio       []float32     // of all the window
	voice       bool          // enough of the sound is of a voice
	voiceNow    bool          // and some of the last hop's
	pieces      []int64       // the ends, in samples of audio, of the pieces of VoicePiece that are
	first, last int64         // ticks; first may be negative
	arrived     time.Time
}

// covered is the cut's sound from its start on.
func (c *cut) covered() []float32 {
	return c.audio[max(0, int64(len(c.audio))-sampleAt(c.end-c.start)):]
}
