package sample

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/train/dataset"
)

// Sample is one window of a clip, as the network is shown it.
type Sample struct {
	Clip int // index into Prepared.Clips
	// Audio is Spec.AudioSamples() samples at 16 bits, nil where the window is silent or has no sound. Windows of
	// one clip share memory: never write to it.
	Audio []int16
	// Video is T crops of S*S*C bytes, oldest first, zero where VideoMask is false; for a still it is one crop, which
	// stands for all T. nil where no face was found.
	Video     []byte
	VideoMask []bool // T; nil where Video is
	Still     bool
}

// Skipped is a clip that gave no sample.
type Skipped struct {
	Clip int // index into Prepared.Clips
	Path string
	Err  error // names the file too
}

// Prepared is a data set cut into windows. The sound and the crops of Samples lie in mapped files of the cache, so that they take no
// memory but what the system has to spare; without a cache they are held in memory.
type Prepared struct {
	Spec    pipeline.Spec
	Clips   []dataset.Clip
	Samples []Sample // in the order of Clips, and of time within a clip
	Skipped []Skipped

	Cached   int   // clips that were in the cache
	CacheErr error // why not all that was cut is kept for the next run; nil if it is

	stamps map[string]string // size and time of each file, when it was read
}

// Errors of Prepare; errors.Is finds them.
var (
	// ErrNoModality is why a readable clip is skipped that shows no face and makes no sound.
	ErrNoModality = errors.New("no face found and no sound above silence")
	// ErrUnreadable ends Prepare where more clips of a data set cannot be read than can be overlooked.
	ErrUnreadable = errors.New("too many clips cannot be read")
)

// A data set of which more clips cannot be read than both of these is not what it should be.
const (
	mostUnreadable      = 10
	mostUnreadableShare = 0.05
)

// SilenceDBFS is the level under which a window of a clip counts as silent. It is lower than the one for live sound, since a data set
// has voices that were recorded very softly, and no microphone's noise between them.
const SilenceDBFS = -70

// Options say how Prepare cuts clips.
type Options struct {
	Spec pipeline.Spec // of the windows
	// Finder makes a face finder for each worker that has something to cut; one that has a Close method is closed.
	Finder func() (pipeline.FaceFinder, error)
	// CacheDir keeps what was cut by the content of the clips' files, Spec and the version of the cutting code, and it is read
	// from there whatever the files are called then. "" keeps nothing.
	CacheDir string
	Workers  int // clips that are cut at a time, at least one
	// Progress, unless nil, is called from one goroutine at a time with the number of clips that are done.
	Progress func(done, total int)
}

// Prepare cuts clips into windows with the code that cuts live media, pipeline.Cut. A clip that cannot be read, that changes
// while it is read, or shows and says nothing, is skipped and named; too many that cannot be read are an error, as is any other
// failure.
func Prepare(ctx context.Context, clips []dataset.Clip, o Options) (*Prepared, error) {
	spec, progress := o.Spec, o.Progress
	if progress == nil {
		progress = func(int, int) {}
	}
	p := &Prepared{Spec: spec, Clips: clips, stamps: map[string]string{}}
	c := &prepareJob{
		clips: clips, spec: spec, newFinder: o.Finder, progress: progress,
		cache: openWindowCache(o.CacheDir, spec), book: OpenFileHashes(o.CacheDir), keys: make([]cacheKey, len(clips)), errs: make([]error, len(clips)),
	}
	err := c.runAll(ctx, o.Workers)
	// What was cut before a failure is not cut again.
	p.CacheErr = errors.Join(c.cache.close(), c.book.Save())
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	p.Cached = c.cached
	for i := range clips {
		for _, f := range clips[i].Files() {
			if f != "" {
				p.stamps[f] = c.book.Stamp(f)
			}
		}
		cut, err := clipWindows{}, c.errs[i]
		if err == nil {
			var ok bool
			if cut, ok = c.cache.get(c.keys[i]); !ok {
				return nil, fmt.Errorf("prepare: %s: what was cut of it is lost: %w", clips[i].Path(), errors.Join(errCache, p.CacheErr))
			}
			if len(cut.windows) == 0 {
				err = fmt.Errorf("%s: %w", clips[i].Path(), ErrNoModality)
			}
		}
		if err != nil && clips[i].End > 0 { // one of many in its file
			err = fmt.Errorf("%s: %w", clips[i].ID, err)
		}
		if err != nil {
			p.Skipped = append(p.Skipped, Skipped{Clip: i, Path: clips[i].Path(), Err: err})
			continue
		}
		for _, w := range cut.windows {
			s := Sample{Clip: i, Video: w.video, VideoMask: w.mask, Still: w.still}
			if w.audioAt >= 0 {
				s.Audio = cut.audio[w.audioAt : w.audioAt+spec.AudioSamples() : w.audioAt+spec.AudioSamples()]
			}
			p.Samples = append(p.Samples, s)
		}
	}
	if err := p.checkReadable(); err != nil {
		return nil, err
	}
	return p, nil
}

// checkReadable refuses data sets of which too much could not be read.
func (p *Prepared) checkReadable() error {
	for _, group := range dataset.GroupByDataset(p.Clips) {
		bad, first := 0, error(nil)
		for _, s := range p.Skipped {
			if p.Clips[s.Clip].Dataset == p.Clips[group[0]].Dataset && !errors.Is(s.Err, ErrNoModality) {
				bad++
				first = cmp.Or(first, s.Err)
			}
		}
		if bad > mostUnreadable && float64(bad) > mostUnreadableShare*float64(len(group)) {
			return fmt.Errorf("prepare: %w: %d of the %d of %s, such as %w; tandem data names them all", ErrUnreadable, bad, len(group), p.Clips[group[0]].Dataset, first)
		}
	}
	return nil
}

// Only returns the part of p that belongs to a split.
func (p *Prepared) Only(split string) *Prepared {
	q := *p
	q.Samples = nil
	for _, s := range p.Samples {
		if p.Clips[s.Clip].Split == split {
			q.Samples = append(q.Samples, s)
		}
	}
	return &q
}

// Changed names the files that are not what they were when Prepare read them. The samples are still those of then.
func (p *Prepared) Changed() []string {
	var changed []string
	for path, was := range p.stamps {
		if now, err := fileStamp(path); was != "" && (err != nil || now != was) {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	return changed
}

// Window is sample i as a recogniser takes it.
func (p *Prepared) Window(i int) *pipeline.Window {
	s := &p.Samples[i]
	w := &pipeline.Window{
		End: p.Spec.Window, Audio: make([]float32, p.Spec.AudioSamples()), AudioPresent: s.Audio != nil,
		VideoMask: make([]bool, p.Spec.VideoFrames),
	}
	for j, v := range s.Audio {
		w.Audio[j] = float32(v) / 32768
	}
	copy(w.VideoMask, s.VideoMask)
	if s.Still {
		for range p.Spec.VideoFrames {
			w.Video = append(w.Video, s.Video...)
		}
	} else {
		w.Video = make([]byte, p.Spec.VideoFrames*CropBytes(p.Spec))
		copy(w.Video, s.Video)
	}
	return w
}

// CropBytes is the length of one crop.
func CropBytes(s pipeline.Spec) int { return s.CropSize * s.CropSize * s.Channels }

// prepareJob is the work of one Prepare.
type prepareJob struct {
	clips     []dataset.Clip
	spec      pipeline.Spec
	newFinder func() (pipeline.FaceFinder, error)
	progress  func(done, total int)
	cache     *windowCache
	book      *FileHashes

	keys []cacheKey // of each clip, and why it has none
	errs []error

	mu           sync.Mutex // guards these and calls of progress
	done, cached int
}

// runAll sees to it that each clip is in the cache or has an error.
func (c *prepareJob) runAll(ctx context.Context, workers int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range max(1, workers) {
		wg.Go(func() {
			w := &worker{prepareJob: c}
			defer w.close()
			for i := range jobs {
				cached, err := w.prepareClip(ctx, i)
				if failed := (*finderError)(nil); errors.As(err, &failed) {
					cancel(err)
				}
				if ctx.Err() != nil {
					return
				}
				c.errs[i] = err
				c.mu.Lock()
				c.done++
				if cached {
					c.cached++
				}
				c.progress(c.done, len(c.clips))
				c.mu.Unlock()
			}
		})
	}
	for i := range c.clips {
		select {
		case jobs <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(jobs)
	wg.Wait()
	return context.Cause(ctx)
}

// worker is one worker of it; its finder is made when it is needed.
type worker struct {
	*prepareJob
	finder pipeline.FaceFinder
}

// prepareClip sees to clip i. Its file may have been written to while it was read; once it is tried again.
func (w *worker) prepareClip(ctx context.Context, i int) (cached bool, err error) {
	clip := &w.clips[i]
	for try := range 2 {
		key, err := keyOf(ctx, clip, w.spec, w.book)
		if errors.Is(err, ErrChanged) && try == 0 {
			continue
		}
		if err != nil {
			return false, err
		}
		w.keys[i] = key
		if _, ok := w.cache.get(key); ok {
			return true, nil
		}
		if w.finder == nil {
			finder, err := w.newFinder()
			if err != nil { // what came with it may be a nil that is none as an interface
				return false, &finderError{err}
			}
			w.finder = finder
		}
		cut, cutErr := cutClip(ctx, clip, w.spec, w.finder)
		if again, err := keyOf(ctx, clip, w.spec, w.book); err != nil || again != key {
			continue
		}
		if cutErr != nil {
			return false, cutErr
		}
		w.cache.put(key, &cut)
		return false, nil
	}
	return false, fmt.Errorf("%s: %w", clip.Path(), ErrChanged)
}

func (w *worker) close() {
	if c, ok := w.finder.(io.Closer); ok {
		c.Close()
	}
}

// cutClip cuts one clip. An error is the clip's own fault, a *finderError, or ctx's end.
func cutClip(ctx context.Context, c *dataset.Clip, spec pipeline.Spec, finder pipeline.FaceFinder) (clipWindows, error) {
	src, err := OpenClip(ctx, c)
	if err != nil {
		return clipWindows{}, err
	}
	defer src.Close()
	finder = checkedFinder{finder}
	still := src.Info().Still
	if usual := canonicalFaces[c.Dataset]; still && usual != nil {
		finder = alignedFinder{finder, usual}
	}
	var cut clipWindows
	var first time.Duration
	seen := map[time.Duration]bool{}
	err = pipeline.Cut(ctx, src, finder, spec, pipeline.Options{Faces: 1, SilenceDBFS: SilenceDBFS}, func(w *pipeline.Window) error {
		if seen[w.End] || !w.AudioPresent && !w.VideoPresent() { // the clip has one speaker: its first subject
			return nil
		}
		seen[w.End] = true
		if len(cut.windows) == 0 {
			first = w.Start
		}
		cut.Add(w, w.Start-first, spec, still)
		return nil
	})
	return cut, err
}

// Add keeps a window that begins at a time after the first. Windows overlap, so each adds only the sound that is new.
func (c *clipWindows) Add(w *pipeline.Window, at time.Duration, spec pipeline.Spec, still bool) {
	cut := storedWindow{audioAt: -1, still: still}
	if w.AudioPresent {
		cut.audioAt = int((at*capture.SampleRate + time.Second/2) / time.Second)
		if need := cut.audioAt + len(w.Audio); need > len(c.audio) {
			c.audio = append(c.audio, make([]int16, need-len(c.audio))...)
		}
		for i, v := range w.Audio {
			c.audio[cut.audioAt+i] = toInt16(v)
		}
	}
	if w.VideoPresent() {
		if still {
			n := CropBytes(spec)
			k := slices.Index(w.VideoMask, true)
			cut.video = slices.Clone(w.Video[k*n : (k+1)*n])
			cut.mask = make([]bool, len(w.VideoMask))
			for i := range cut.mask {
				cut.mask[i] = true
			}
		} else {
			cut.video, cut.mask = slices.Clone(w.Video), slices.Clone(w.VideoMask)
		}
	}
	c.windows = append(c.windows, cut)
}

func toInt16(v float32) int16 {
	return int16(min(max(math.Round(float64(v)*32768), math.MinInt16), math.MaxInt16))
}
