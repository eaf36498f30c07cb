package pipeline

import "time"

// UnknownSpeaker stands for the subject of a voice of which it is not known whose it is: its face is not seen, or which
// of several speaks can't be told.
const UnknownSpeaker = -1

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

// Turn is a stretch of media time in which one subject, or UnknownSpeaker, speaks.
type Turn struct {
	Subject  int
	From, To time.Duration
}

// Turns puts the windows of a run together to turns. They do not overlap: two at once are not told. It is for one
// goroutine.
type Turns struct {
	Hop time.Duration // of the run

	at    time.Duration // of the windows that come
	voice bool          // one of them has heard a voice
	who   int           // the subject of theirs that speaks
	open  Turn          // the newest, which may go on; it is empty where there is none
}

// Add takes a run's next window, and returns a turn that is over, if one is.
func (s *Turns) Add(w *WindowEvent) (over Turn, ok bool) {
	if w.T != s.at {
		over, ok = s.close()
		s.at, s.voice, s.who = w.T, false, UnknownSpeaker
	}
	s.voice = s.voice || w.Voice
	if w.Speaks() && s.who == UnknownSpeaker {
		s.who = w.Subject
	}
	return over, ok
}

// close takes the windows of one time, and returns a turn that is over, if one is.
func (s *Turns) close() (over Turn, ok bool) {
	if !s.voice {
		return over, false
	}
	from := max(s.at-s.Hop, 0)
	over, ok = s.open, s.open.To > 0
	if ok {
		if over.Subject == s.who && from-over.To < joinWithin {
			s.open.To = s.at
			return Turn{}, false
		}
		from = max(from, over.To)
	}
	s.open = Turn{s.who, from, s.at}
	return over, ok
}

// Rest returns the turns that would follow if the run ended now: none, one, or two.
func (s Turns) Rest() (rest []Turn) {
	if over, ok := s.close(); ok {
		rest = append(rest, over)
	}
	if s.open.To > 0 {
		rest = append(rest, s.open)
	}
	return rest
}
