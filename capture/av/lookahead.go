package av

import (
	"slices"
	"time"
)

// maxAhead bounds the packets of which a lookahead knows. H.264 reorders at most 16 pictures (ITU-T H.264 annex A).
const maxAhead = 64

// lookahead foresees from the times of packets, which come in the order of decoding, which pictures will be handed out
// when a least interval lies between them, so that those which will not, and from which no other is made, need not be
// decoded. It errs only where a picture that nothing refers to is followed by one that is shown before it, which no
// encoder does.
type lookahead struct {
	begun   bool
	last    time.Duration   // of the latest picture that was handed out
	coming  []time.Duration // of the packets whose pictures have not come, in order
	decoded int             // pictures that came
}

// needed takes the time of the next packet and reports whether its picture may have to be handed out.
func (l *lookahead) needed(t, interval time.Duration) bool {
	if l.begun && t <= l.last || len(l.coming) == maxAhead { // the times were turned back
		l.coming = l.coming[:0]
		return true
	}
	i, _ := slices.BinarySearch(l.coming, t)
	l.coming = slices.Insert(l.coming, i, t)
	begun, last := l.begun, l.last
	for _, c := range l.coming[:i] {
		if !begun || farEnough(c-last, interval) {
			begun, last = true, c
		}
	}
	return !begun || farEnough(t-last, interval)
}

// came takes the time of the next picture, and whether it was handed out.
func (l *lookahead) came(t time.Duration, handedOut bool) {
	i, _ := slices.BinarySearch(l.coming, t+1)
	l.coming = slices.Delete(l.coming, 0, i)
	l.decoded++
	if handedOut {
		l.begun, l.last = true, t
	}
}
