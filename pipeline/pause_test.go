package pipeline

import (
	"testing"
	"time"
)

// A source whose times are to be believed keeps its pauses: what comes after is as late as it is, and windows that hold
// nothing are left out.
func TestPausesOfASoundSourceStay(t *testing.T) {
	for _, timed := range []bool{true, false} {
		src := &fakeSource{info: fileInfo(true, false)}
		src.info.Timed = timed
		for _, begin := range []time.Duration{0, 40 * time.Second} {
			for at := begin; at < begin+4*time.Second; at += faceTick {
				src.items = append(src.items, picture(at, 1))
			}
		}
		ws := cutAll(t, src, oneFace, testSpec, Options{})
		last, empty := ws[len(ws)-1].End, 0
		for _, w := range ws {
			if !w.VideoPresent() {
				empty++
			}
		}
		if timed != (last > 40*time.Second) || last > 44500*time.Millisecond || empty > 4 {
			t.Errorf("timed %v: %d windows, the last ends at %v, %d are empty", timed, len(ws), last, empty)
		}
	}
}
