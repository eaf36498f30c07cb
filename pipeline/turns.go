package pipeline

import "time"

// UnknownSpeaker stands for the subject of a voice of which it is not known whose it is: its face is not seen, or which
// of several speaks can't be told.
const UnknownSpeaker = -1

// joinWithin is the longest pause within a turn, as of the reference segments of NIST's Rich Transcription
// evaluations.
const joinWithin = 300 * time.Millisecond

// knownWithin is how long it takes at most to know whose a voice is. Chosen by conversations as those of
// docs/speaker.md, of the training split's speakers.
const knownWithin = 500 * time.Millisecond

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

// Turns puts the windows of a run together to turns. They do not overlap: two at once are not told. Whose a voice is is
// known some time after it begins: the end of a turn of UnknownSpeaker, knownWithin at most, is the subject's that
// speaks on. It is for one goroutine.
type Turns struct {
	Hop time.Duration // of the run

	at    time.Duration // of the windows that come
	voice bool          // one of them has heard a voice
	who   int           // the subject of theirs that speaks
	// open is the newest turn, which may go on, and before the one before it, if open is UnknownSpeaker's and may yet
	// prove to belong to it. They are empty where there is none.
	before, open Turn
}

// Add takes a run's next window, and returns the turns that are over: two at most.
func (s *Turns) Add(w *WindowEvent) (over []Turn) {
	if w.T != s.at {
		over = s.close()
		s.at, s.voice, s.who = w.T, false, UnknownSpeaker
	}
	s.voice = s.voice || w.Voice
	if w.Speaks() && s.who == UnknownSpeaker {
		s.who = w.Subject
	}
	return over
}

// close takes the windows of one time, and returns the turns that are over.
func (s *Turns) close() (over []Turn) {
	if !s.voice {
		return nil
	}
	from := max(s.at-s.Hop, s.open.To)
	if s.open.To == 0 || from-s.open.To >= joinWithin {
		over = s.rest()
		s.before, s.open = Turn{}, Turn{s.who, from, s.at}
		return over
	}
	if s.open.Subject == UnknownSpeaker && s.who != UnknownSpeaker { // it is known now
		from = max(s.open.From, s.open.To-knownWithin)
		if s.open.To = from; from == s.open.From {
			s.before, s.open = Turn{}, s.before
		}
	}
	switch {
	case s.open.To > 0 && s.open.Subject == s.who:
		s.open.To = s.at
		if s.who == UnknownSpeaker && s.before.To > 0 && s.at-s.open.From > knownWithin {
			over, s.before = []Turn{s.before}, Turn{}
		}
		return over
	case s.who == UnknownSpeaker:
		s.before = s.open
	default:
		over, s.before = s.rest(), Turn{}
	}
	s.open = Turn{s.who, from, s.at}
	return over
}

// rest returns before and open.
func (s *Turns) rest() (rest []Turn) {
	for _, t := range []Turn{s.before, s.open} {
		if t.To > 0 {
			rest = append(rest, t)
		}
	}
	return rest
}

// Rest returns the turns that would follow if the run ended now: three at most.
func (s Turns) Rest() []Turn { return append(s.close(), s.rest()...) }
