package pipeline

import (
	"slices"
	"strings"
	"time"
)

// timelineSpeaker is one who spoke, on the page: a row of its turns.
type timelineSpeaker struct {
	*timelineSubject
	Unknown bool // whose voices they are is not known; then there is no subject but for its colour
	Parts   []timelinePart
	Turns   int
	Seconds float64
	Percent float64 // of all that was spoken
}

// timelineTurn is a turn in the page's list.
type timelineTurn struct {
	From, To string
	Unknown  bool
	Number   int
	Emotions string // those that its subject showed meanwhile, in order
}

// speakers returns those who spoke, subjects first.
func (t *timelineWriter) speakers() []timelineSpeaker {
	var all []timelineSpeaker
	var whole time.Duration
	for _, s := range t.spoken {
		i := slices.IndexFunc(all, func(a timelineSpeaker) bool { return a.Number == s.Subject })
		if i < 0 {
			i = len(all)
			all = append(all, timelineSpeaker{
				timelineSubject: t.subject(s.Subject), Unknown: s.Subject == UnknownSpeaker,
			})
		}
		a := &all[i]
		a.Turns++
		a.Seconds += (s.To - s.From).Seconds()
		whole += s.To - s.From
		for _, e := range t.emotionsIn(s) {
			colour := sensesColour
			if e.text != "" {
				colour = t.colourOf("emotion", e.text)
			}
			a.Parts = append(a.Parts, timelinePart{
				Left: t.percent(e.from), Width: t.percent(e.to - e.from), Label: e.text, From: clockOf(e.from),
				To: clockOf(e.to), Colour: colour,
			})
		}
	}
	for i := range all {
		all[i].Percent = 100 * all[i].Seconds / max(whole.Seconds(), 1e-3)
	}
	slices.SortFunc(all, func(a, b timelineSpeaker) int { return compareSpeakers(a.Number, b.Number) })
	return all
}

// listed returns the turns in order.
func (t *timelineWriter) listed() (list []timelineTurn) {
	for _, s := range t.spoken {
		var shown []string
		for _, e := range t.emotionsIn(s) {
			if e.text != "" {
				shown = append(shown, e.text)
			}
		}
		list = append(list, timelineTurn{
			clockOf(s.From), clockOf(s.To), s.Subject == UnknownSpeaker, s.Subject, strings.Join(shown, ", "),
		})
	}
	return list
}

// emotionsIn returns what a turn's subject showed in it, without a gap: parts in which it is not known have no text.
func (t *timelineWriter) emotionsIn(s Turn) (parts []annotation) {
	at := s.From
	put := func(to time.Duration, text string) {
		if to > at {
			parts = append(parts, annotation{at, to, text})
			at = to
		}
	}
	shown := t.tiers[tierName{s.Subject, "emotion"}]
	first, _ := slices.BinarySearchFunc(shown, s.From, func(a annotation, t time.Duration) int {
		if a.to > t {
			return 1
		}
		return -1
	})
	for _, a := range shown[first:] {
		if a.from >= s.To {
			break
		}
		put(a.from, "")
		put(min(a.to, s.To), a.text)
	}
	put(s.To, "")
	return parts
}
