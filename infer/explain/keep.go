package explain

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"tandem/pipeline"
)

// Keeper is a Recognizer that keeps windows to be explained: of each subject that with the most senses, among those the
// one of which sound or pictures fill most, and among those the one whose emotion it is surest of; or, of the subjects
// that are there at a time, the one whose middle lies nearest to it. Any number of goroutines may use it.
type Keeper struct {
	pipeline.Recognizer
	at *time.Duration

	mu   sync.Mutex
	kept map[int]kept // by subject
}

type kept struct {
	window *pipeline.Window
	away   time.Duration // from the time that is asked for
	senses int
	filled time.Duration
	sure   float32
}

// compare is negative where k is rather kept than o.
func (k kept) compare(o kept) int {
	return cmp.Or(
		cmp.Compare(k.away, o.away), cmp.Compare(o.senses, k.senses), cmp.Compare(o.filled, k.filled),
		cmp.Compare(o.sure, k.sure),
	)
}

// NewKeeper returns a Recognizer that passes all windows on to r. at is the time of the windows that are kept, nil for
// the surest.
func NewKeeper(r pipeline.Recognizer, at *time.Duration) *Keeper {
	return &Keeper{Recognizer: r, at: at, kept: map[int]kept{}}
}

// Recognize is that of the recognizer, whose answers decide what is kept.
func (k *Keeper) Recognize(ctx context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	p, err := k.Recognizer.Recognize(ctx, ws)
	if err != nil {
		return p, err
	}
	spec := k.Spec()
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, w := range ws {
		this := kept{senses: senses(w), filled: w.Covered, sure: slices.Max(p[i].Emotion)}
		if w.Covered == 0 {
			this.filled = spec.Window
		}
		if k.at != nil {
			// The last window may end up to a hop before the media does.
			if *k.at < w.Start-spec.Hop || *k.at > w.End+spec.Hop {
				continue
			}
			this.away = (w.Start + (w.End-w.Start)/2 - *k.at).Abs()
		}
		if old, ok := k.kept[w.Subject]; !ok || this.compare(old) < 0 {
			this.window = copyOf(w) // the pipeline may use its own again
			k.kept[w.Subject] = this
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
