package pipeline

import "time"

// unknownSpeaker stands for the subject of a voice of which it is not known whose it is: its face is not seen, or which
// of several speaks can't be told.
const unknownSpeaker = -1

// joinWithin is the longest pause within a turn, as of the reference segments of NIST's Rich Transcription
// evaluations.
const joinWithin = 300 * time.Millisecond

// Speaks reports whether the subject speaks in the hop before T: a voice is heard then, and it is the subject's, of
// several faces by Speaking, and of one that is seen alone since there is no other.
func (w *WindowEvent) Speaks() bool {
	switch {
	case !w.Voice:
		return false
	case w.Speaking != nil:
		return *w.Speaking >= SpeakerCertain
	}
	return w.Audio && w.Video
}

// turn is a stretch of time in which one subject, or unknownSpeaker, speaks.
type turn struct {
	subject  int
	from, to time.Duration
}

// turns puts the windows of a run together to turns. They do not overlap: two at once are not told.
type turns struct {
	hop   time.Duration
	at    time.Duration // of the windows that come
	voice bool          // one of them has heard a voice
	who   int           // the subject of theirs that speaks
	open  *turn         // the newest, which may go on
}

// add takes a run's next window, and returns a turn that is over, if one is.
func (s *turns) add(w *WindowEvent) (over *turn) {
	if w.T != s.at {
		over = s.close()
		s.at, s.voice, s.who = w.T, false, unknownSpeaker
	}
	if w.Voice && !s.voice {
		s.voice, s.who = true, unknownSpeaker
	}
	if w.Speaks() && s.who == unknownSpeaker {
		s.who = w.Subject
	}
	return over
}

// close takes the windows of one time, and returns a turn that is over, if one is.
func (s *turns) close() (over *turn) {
	if !s.voice {
		return nil
	}
	from := max(s.at-s.hop, 0)
	if o := s.open; o != nil {
		if o.subject == s.who && from-o.to < joinWithin {
			o.to = s.at
			return nil
		}
		from = max(from, o.to)
	}
	over, s.open = s.open, &turn{s.who, from, s.at}
	return over
}

// end returns the turns that are left at the end of a run.
func (s *turns) end() (over []turn) {
	for _, t := range []*turn{s.close(), s.open} {
		if t != nil {
			over = append(over, *t)
		}
	}
	*s = turns{hop: s.hop}
	return over
}
