package av

import "time"

// The rules by which times in a container are believed.
const (
	maxJump  = 10 * time.Second       // a longer step forward is a fault, not a pause, unless clock.sound
	maxBack  = 500 * time.Millisecond // a shorter step back is waited out; a longer one is a fault
	longest  = 7 * 24 * time.Hour     // of what is believed at all
	seamless = 15 * time.Millisecond  // sound this near to where it goes on has no seam: half an Opus packet
)

// clock maps the times of an input's two streams, counted from the input's start, to media time. Where they are
// not believed they are rebased: the stream goes on where it was, by an offset which the other stream takes over
// if its times make the same jump. So media time neither goes back nor leaps, and sound and picture stay together.
type clock struct {
	tracks  [2]track
	sound   time.Duration // all times up to this one are believed, however far they step forward
	retimed int           // times not believed
}

type track struct {
	started bool
	offset  time.Duration // from container time to media time
	last    time.Duration // media time of the latest item
	next    time.Duration // media time at which the latest item ends
}

const (
	video = iota
	audio
)

// begin makes t a time to be believed, and what is near to it, for an input that was not read from its start.
func (c *clock) begin(t time.Duration) {
	for i := range c.tracks {
		c.tracks[i].next = t - maxJump/2
	}
}

// at gives the media time of an item of length whose time in the container is raw, or not known.
func (c *clock) at(stream int, raw time.Duration, known bool, length time.Duration) time.Duration {
	tr, other := &c.tracks[stream], &c.tracks[1-stream]
	t := tr.next
	if known {
		t = raw + tr.offset
		floor := tr.last + 1
		if stream == audio || !tr.started {
			floor = tr.next - seamless
		}
		limit := max(max(tr.next, other.next)+maxJump, c.sound)
		shared := raw + other.offset
		switch {
		case t >= floor && t <= limit:
		case other.offset != tr.offset && shared >= tr.next-maxBack && shared <= limit:
			c.retimed++
			tr.offset, t = other.offset, shared
		case t < floor && t >= tr.next-maxBack:
			if tr.started { // before the start it is but the codec's priming
				c.retimed++
			}
		default:
			c.retimed++
			t = tr.next
			tr.offset = t - raw
		}
		if stream == video { // sound that overlaps is cut to fit instead
			t = max(t, tr.last)
		}
	}
	tr.started = true
	tr.last = max(t, tr.last)
	tr.next = max(t+max(length, 0), tr.next)
	return t
}
