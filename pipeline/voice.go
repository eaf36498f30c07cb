package pipeline

import (
	"context"
	"fmt"
)

// VoicePiece is how many samples a VoiceStream takes at a time: 32 ms.
const VoicePiece = 512

// VoiceDetector tells voices from other sound. Any number of goroutines may use one.
type VoiceDetector interface {
	// NewVoiceStream returns what listens to one timeline's sound.
	NewVoiceStream() VoiceStream
}

// VoiceStream listens to sound that is continuous. It belongs to one goroutine.
type VoiceStream interface {
	// Voice returns the probability, 0..1, that the next VoicePiece samples are of a voice.
	Voice(ctx context.Context, piece []float32) (float64, error)
	// Reset forgets the sound so far: what comes next does not follow it.
	Reset()
}

// When a window's sound counts as a voice. Chosen by TestVoiceAndNoise's figures (docs/benchmarks.md, "Voice").
const (
	// voiceBegins is the probability from which on a piece is of a voice, and voiceEnds that below which it no longer
	// is, if the one before it was.
	voiceBegins, voiceEnds = 0.5, 0.35
	// leastVoice is how many pieces of a window must be of a voice, one after the other.
	leastVoice = 4
)

// voiceTrack hears the voices of a timeline, each sample once. The zero value, without a stream, hears a voice in any
// sound. It belongs to one goroutine.
type voiceTrack struct {
	stream  VoiceStream
	next    int64     // the sample at which pending begins
	pending []float32 // less than a piece
	voiced  bool      // the last piece was of a voice
	ends    []int64   // where the pieces that are of a voice end, in samples
}

// add takes the sound from a sample of the timeline on.
func (v *voiceTrack) add(ctx context.Context, start int64, data []float32) error {
	if v.stream == nil {
		return nil
	}
	if start != v.next+int64(len(v.pending)) {
		v.stream.Reset()
		v.next, v.pending, v.voiced = start, v.pending[:0], false
	}
	v.pending = append(v.pending, data...)
	done := 0
	for ; len(v.pending)-done >= VoicePiece; done += VoicePiece {
		p, err := v.stream.Voice(ctx, v.pending[done:done+VoicePiece])
		if err != nil {
			return fmt.Errorf("pipeline: listening for voices: %w", err)
		}
		v.next += VoicePiece
		least := voiceBegins
		if v.voiced {
			least = voiceEnds
		}
		if v.voiced = p >= least; v.voiced {
			v.ends = append(v.ends, v.next)
		}
	}
	v.pending = v.pending[:copy(v.pending, v.pending[done:])]
	return nil
}

// heard reports whether enough of the sound in [from, to) is of a voice. Pieces count that lie within it whole, so that
// what came after it makes no difference.
func (v *voiceTrack) heard(from, to int64) bool {
	if v.stream == nil {
		return true
	}
	run, last := 0, int64(-1)
	for _, end := range v.ends {
		if end-VoicePiece < from || end > to {
			continue
		}
		if run++; end != last+VoicePiece {
			run = 1
		}
		if last = end; run >= leastVoice {
			return true
		}
	}
	return false
}

// pieces returns the ends of the pieces in [from, to) that are of a voice, by sample; all are without a detector.
func (v *voiceTrack) pieces(from, to int64) (ends []int64) {
	if v.stream == nil {
		for end := from + VoicePiece; end <= to; end += VoicePiece {
			ends = append(ends, end)
		}
		return ends
	}
	for _, end := range v.ends {
		if end-VoicePiece >= from && end <= to {
			ends = append(ends, end)
		}
	}
	return ends
}

// discardBefore forgets what lies before a sample.
func (v *voiceTrack) discardBefore(sample int64) {
	i := 0
	for i < len(v.ends) && v.ends[i] <= sample {
		i++
	}
	v.ends = v.ends[:copy(v.ends, v.ends[i:])]
}
