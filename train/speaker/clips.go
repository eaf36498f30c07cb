// Package speaker trains and measures the network that tells by lips and sound which of several faces speaks. It learns
// without labels: from talking faces with their own voices, against the same faces with the voices of other clips, with
// their own shifted in time, and with none (Chung and Zisserman 2016).
//
// Clips are cut into tracks, the mouths and the sound of one (clips.go), which a folder keeps (cache.go). Train makes
// batches of them (batch.go) for the two-stream network of package nn (network.go). Evaluate judges a model by scenes
// that are put together from several tracks (scene.go, evaluate.go).
package speaker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/sample"
)

// Track is one clip as the network reads it: the mouths and the sound of the face that is seen most. Slot j of the
// mouth clock has the sound of the time pipeline.MouthSpec.Every before it.
type Track struct {
	ID, Set, Speaker, Split string // as of dataset.Clip
	Size                    int    // mouths are Size x Size pixels, grey
	Mouths                  []byte // one a slot, zeros where there is none
	There                   []bool // which slots have a mouth
	// Sound is 16 kHz, filtered (capture.HighPass), as many samples as the slots have.
	Sound []int16
	// Voiced says in which slots the clip's own voice is heard: its level is within 30 dB of the loudest slot's.
	Voiced []bool
}

// Slots returns how many slots of the mouth clock the track has.
func (t *Track) Slots() int { return len(t.There) }

// mouth returns the pixels of a slot.
func (t *Track) mouth(slot int) []byte {
	n := t.Size * t.Size
	return t.Mouths[slot*n : (slot+1)*n]
}

// Options of Prepare.
type Options struct {
	Mouths pipeline.MouthSpec
	// Finder makes a face finder for each worker; one that has a Close method is closed.
	Finder   func() (pipeline.FaceFinder, error)
	CacheDir string // keeps tracks by the content of their files; "" keeps none
	Workers  int    // clips that are cut at a time, at least one
	// Progress, unless nil, is called from one goroutine at a time with the number of clips that are done.
	Progress func(done, total int)
}

// ErrNoClips is returned where the data has no talking face.
var ErrNoClips = errors.New("no talking faces: the data has no video with sound in which a face is seen")

// stills are the endings of files that have no sound; they are not opened.
var stills = []string{".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp"}

// Talking returns the clips that may be talking faces: those with a video. The others are not opened.
func Talking(clips []dataset.Clip) []dataset.Clip {
	return slices.DeleteFunc(slices.Clone(clips), func(c dataset.Clip) bool {
		return c.Row != nil || c.Video == "" || slices.Contains(stills, strings.ToLower(filepath.Ext(c.Video)))
	})
}

// Prepare cuts clips into tracks, or reads them from the cache. Clips that cannot be read, or that lack a face or
// sound, are left out and named in skipped. The error is ErrNoClips if none is left, that of the finder, or ctx's
// cause.
func Prepare(ctx context.Context, clips []dataset.Clip, o Options) (tracks []*Track, skipped []string, err error) {
	if err := o.Mouths.Validate(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all, failed := make([]*Track, len(clips)), make([]error, len(clips))
	hashes := sample.OpenFileHashes(o.CacheDir)
	jobs := make(chan int)
	var mu sync.Mutex
	done := 0
	var wg sync.WaitGroup
	for range cmp.Or(max(0, o.Workers), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			w := &cutter{o: o, hashes: hashes}
			defer w.close()
			for i := range jobs {
				all[i], failed[i] = w.track(ctx, &clips[i])
				if errors.Is(failed[i], errFinder) {
					cancel(failed[i])
				}
				mu.Lock()
				done++
				if o.Progress != nil {
					o.Progress(done, len(clips))
				}
				mu.Unlock()
			}
		})
	}
	for i := range clips {
		select {
		case jobs <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(jobs)
	wg.Wait()
	if ctx.Err() != nil {
		return nil, nil, fmt.Errorf("speaker: %w", context.Cause(ctx))
	}
	if o.CacheDir != "" {
		if err := hashes.Save(); err != nil {
			return nil, nil, fmt.Errorf("speaker: %w", err)
		}
	}
	for i, t := range all {
		switch {
		case failed[i] != nil:
			skipped = append(skipped, fmt.Sprintf("%s: %v", clips[i].Path(), failed[i]))
		default:
			tracks = append(tracks, t)
		}
	}
	if len(tracks) == 0 {
		return nil, skipped, ErrNoClips
	}
	return tracks, skipped, nil
}

var (
	errFinder = errors.New("the face finder failed")
	errEmpty  = errors.New("it has no face, or no sound")
)

// cutter is one worker of Prepare.
type cutter struct {
	o      Options
	hashes *sample.FileHashes
	finder pipeline.FaceFinder
}

func (w *cutter) close() {
	if c, ok := w.finder.(interface{ Close() error }); ok {
		c.Close()
	}
}

// track returns a clip's track, from the cache if it is there.
func (w *cutter) track(ctx context.Context, c *dataset.Clip) (*Track, error) {
	path := ""
	if w.o.CacheDir != "" {
		key, err := trackKey(ctx, c, w.o.Mouths, w.hashes)
		if err != nil {
			return nil, err
		}
		path = filepath.Join(w.o.CacheDir, fmt.Sprintf("lips-%x.track", key[:12]))
	}
	t, err := readTrack(path, w.o.Mouths)
	if err != nil { // it is not there, or damaged
		if t, err = w.cut(ctx, c); err != nil {
			return nil, err
		}
		if err := writeTrack(path, t); err != nil {
			return nil, err
		}
	}
	if t.Slots() == 0 {
		return nil, errEmpty
	}
	t.ID, t.Set, t.Speaker, t.Split = c.ID, c.Dataset, c.Speaker, c.Split
	t.Voiced = voiced(t.Sound, t.Slots())
	return t, nil
}

// cut cuts a clip with the code that cuts live media. A track without a face or sound has no slots.
func (w *cutter) cut(ctx context.Context, c *dataset.Clip) (*Track, error) {
	if w.finder == nil {
		f, err := w.o.Finder()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errFinder, err)
		}
		w.finder = f
	}
	src, err := sample.OpenClip(ctx, c)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	t := &Track{Size: w.o.Mouths.Size}
	if info := src.Info(); !info.HasAudio || !info.HasVideo || info.Still {
		return t, nil
	}
	var mouths []pipeline.Mouth
	var sound []float32
	var filter capture.HighPass
	err = pipeline.Cut(ctx, src, w.finder, cutSpec, pipeline.Options{
		Mouths:   w.o.Mouths,
		OnMouths: func(ms []pipeline.Mouth) { mouths = append(mouths, ms...) },
		OnSamples: func(s *capture.Samples) {
			at := int(s.Time * capture.SampleRate / time.Second)
			if at != len(sound) {
				filter.Reset()
			}
			if n := at + len(s.Data) - len(sound); n > 0 {
				sound = append(sound, make([]float32, n)...)
			}
			filter.Filter(sound[at:at+len(s.Data)], s.Data)
		},
	}, func(*pipeline.Window) error { return nil })
	if err != nil {
		return nil, err
	}
	fill(t, mouths, sound, w.o.Mouths)
	return t, nil
}

// cutSpec is the shape of the windows that a clip is cut into beside its mouths; they are not used.
var cutSpec = pipeline.Spec{
	Window: 2560 * time.Millisecond, Hop: 2560 * time.Millisecond, VideoFrames: 8, CropSize: 8, Channels: 1,
	CropMargin: 2.6,
}

// fill makes a track of the mouths of the subject that has most, and of the sound up to its last.
func fill(t *Track, mouths []pipeline.Mouth, sound []float32, spec pipeline.MouthSpec) {
	counts := map[int]int{}
	for _, m := range mouths {
		counts[m.Subject]++
	}
	best := -1
	for _, s := range slices.Sorted(slices.Values(subjects(mouths))) {
		if best < 0 || counts[s] > counts[best] {
			best = s
		}
	}
	perSlot := slotSamples(spec)
	slots := 0
	for _, m := range mouths {
		if n := int(m.Slot) + 1; m.Subject == best && n*perSlot <= len(sound)+perSlot {
			slots = max(slots, n)
		}
	}
	if slots < 8 {
		return
	}
	pixels := spec.Size * spec.Size
	t.There, t.Mouths, t.Sound = make([]bool, slots), make([]byte, slots*pixels), make([]int16, slots*perSlot)
	for _, m := range mouths {
		if m.Subject == best && int(m.Slot) < slots {
			copy(t.Mouths[int(m.Slot)*pixels:], m.Pixels)
			t.There[m.Slot] = true
		}
	}
	// Slot 0 ends at the timeline's start: its sound lies before it.
	for i := perSlot; i < len(t.Sound) && i-perSlot < len(sound); i++ {
		t.Sound[i] = int16(math.Round(float64(min(max(sound[i-perSlot], -1), 1)) * 32767))
	}
}

func subjects(mouths []pipeline.Mouth) (all []int) {
	for _, m := range mouths {
		if !slices.Contains(all, m.Subject) {
			all = append(all, m.Subject)
		}
	}
	return all
}

// slotSamples returns how many samples of sound belong to a slot.
func slotSamples(spec pipeline.MouthSpec) int {
	return int(spec.Every * capture.SampleRate / time.Second)
}

// voicedWithin is how far below the loudest slot's level, in dB, a slot of a voice may lie.
const voicedWithin = 30

// voiced returns in which slots sound is loud enough to be a clip's voice.
func voiced(sound []int16, slots int) []bool {
	n := len(sound) / slots
	power, most := make([]float64, slots), 0.0
	for i := range power {
		for _, v := range sound[i*n : (i+1)*n] {
			power[i] += float64(v) * float64(v)
		}
		most = max(most, power[i])
	}
	out := make([]bool, slots)
	for i, p := range power {
		out[i] = p > most*math.Pow(10, -voicedWithin/10.0) && most > 0
	}
	return out
}
