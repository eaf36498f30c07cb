package explain

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"tandem/pipeline"
)

// Keeper is a Recognizer that keeps windows to be explained: of each subject the one whose emotion it is surest of,
// among those with the most senses and, of these, those that are full; or the one whose middle lies nearest to a time.
// Any number of goroutines may use it.
type Keeper struct {
	pipeline.Recognizer
	at    time.Duration
	timed bool

	mu   sync.Mutex
	kept map[int]kept // by subject
}

type kept struct {
	window *pipeline.Window
	rank   float64 // the larger, the rather
}

// NewKeeper returns a Recognizer that passes all windows on to r. at is the time of the windows that are kept, nil for
// the surest.
func NewKeeper(r pipeline.Recognizer, at *time.Duration) *Keeper {
	k := &Keeper{Recognizer: r, kept: map[int]kept{}}
	if at != nil {
		k.at, k.timed = *at, true
	}
	return k
}

// Recognize is that of the recognizer, whose answers decide what is kept.
func (k *Keeper) Recognize(ctx context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	p, err := k.Recognizer.Recognize(ctx, ws)
	if err != nil {
		return p, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, w := range ws {
		rank := float64(slices.Max(p[i].Emotion)) + 2*float64(senses(w))
		if w.Covered == 0 || w.Covered == k.Spec().Window {
			rank++
		}
		if k.timed {
			rank = -(w.Start + (w.End-w.Start)/2 - k.at).Abs().Seconds()
		}
		if old, ok := k.kept[w.Subject]; !ok || rank > old.rank {
			k.kept[w.Subject] = kept{copyOf(w), rank} // the pipeline may use its own again
		}
	}
	return p, nil
}

// senses counts what a window has: a face, sound.
func senses(w *pipeline.Window) (n int) {
	if slices.Contains(w.VideoMask, true) {
		n++
	}
	if w.AudioPresent {
		n++
	}
	return n
}

// Windows returns what was kept, by subject.
func (k *Keeper) Windows() (ws []*pipeline.Window) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, subject := range slices.Sorted(maps.Keys(k.kept)) {
		ws = append(ws, k.kept[subject].window)
	}
	return ws
}
