package av

import (
	"slices"
	"time"
)

// maxComing bounds the packets whose pictures are waited for. H.264 reorders at most 16 pictures (ITU-T H.264 annex A).
const maxComing = 64

// needed takes the time of the next packet, in the order of decoding, and reports whether its picture may have to be
// handed out: one that will not, and from which no other is made, need not be decoded. It errs only where a picture
// that nothing refers to is followed by one that is shown before it, which no encoder does.
func (c *frameConverter) needed(t time.Duration) bool {
	if c.shown && t <= c.last || len(c.coming) == maxComing { // the times were turned back
		c.coming = c.coming[:0]
		return true
	}
	i, _ := slices.BinarySearch(c.coming, t)
	c.coming = slices.Insert(c.coming, i, t)
	shown, last := c.shown, c.last
	for _, at := range c.coming[:i] {
		if !shown || c.farEnough(last, at) {
			shown, last = true, at
		}
	}
	return !shown || c.farEnough(last, t)
}

// came takes the time of the next picture: those before it will not come.
func (c *frameConverter) came(t time.Duration) {
	i, _ := slices.BinarySearch(c.coming, t+1)
	c.coming = slices.Delete(c.coming, 0, i)
	c.decoded++
}
