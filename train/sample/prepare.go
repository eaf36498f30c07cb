package sample

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"tandem/pipeline"
	"tandem/train/dataset"
)

// Options of Prepare.
type Options struct {
	Spec pipeline.Spec // the length of windows, and the number and shape of their crops
	// Finder makes a face finder for each worker that has something to cut; one that has a Close method is closed.
	Finder func() (pipeline.FaceFinder, error)
	// Voice makes a voice detector for each worker as Finder does a face finder; nil: any sound counts as a voice,
	// as it does in a clip that is nothing but sound in which it hears none.
	Voice func() (pipeline.VoiceDetector, error)
	// CacheDir keeps windows by the content of the clips' files, Spec and the version of the cutting code, whatever the
	// files are called. "" keeps nothing.
	CacheDir string
	Workers  int // clips that are cut at a time, at least one
	// Progress, unless nil, is called from one goroutine at a time with the number of clips that are done.
	Progress func(done, total int)
}

// Prepare cuts clips into windows with the code that cuts live media, pipeline.Cut, or reads them from the cache. A
// clip that cannot be read, that changes while it is read, or that shows no face and makes no sound, is skipped and
// named. The error is ErrUnreadable if too many cannot be read, that of the face finder, or ctx's cause. A cache that
// cannot be written is no error: see Prepared.CacheErr.
func Prepare(ctx context.Context, clips []dataset.Clip, o Options) (*Prepared, error) {
	job := &prepareJob{
		clips: clips, spec: o.Spec, newFinder: o.Finder, newVoice: o.Voice, progress: o.Progress,
		cache: openWindowCache(o.CacheDir, o.Spec), hashes: OpenFileHashes(o.CacheDir),
		keys: make([]cacheKey, len(clips)), errs: make([]error, len(clips)), contents: make([]Content, len(clips)),
	}
	if job.progress == nil {
		job.progress = func(int, int) {}
	}
	err := job.runAll(ctx, o.Workers)
	// What was cut before a failure is not cut again.
	cacheErr := errors.Join(job.cache.close(), job.hashes.Save())
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	p := &Prepared{Spec: o.Spec, Clips: clips, Cached: job.cached, CacheErr: cacheErr, stamps: map[string]string{}}
	p.contents, p.hashes = job.contents, make([]Content, len(clips))
	for i := range clips {
		if err := job.collect(p, i); err != nil {
			return nil, fmt.Errorf("prepare: %w", err)
		}
	}
	if err := p.checkReadable(); err != nil {
		return nil, err
	}
	return p, nil
}

// collect adds clip i to p: its samples, or why it is skipped. The error is that of a cache which has lost what was put
// into it.
func (j *prepareJob) collect(p *Prepared, i int) error {
	clip := &j.clips[i]
	for _, f := range clip.Files() {
		if f != "" {
			p.stamps[f] = j.hashes.stamp(f)
		}
	}
	var stored clipWindows
	err := j.errs[i]
	if err == nil {
		var ok bool
		if stored, ok = j.cache.get(j.keys[i]); !ok {
			return fmt.Errorf("%s: what was cut of it is lost: %w", clip.Path(), errors.Join(errCache, p.CacheErr))
		}
		if len(stored.windows) == 0 {
			err = fmt.Errorf("%s: %w", clip.Path(), ErrNoModality)
		}
	}
	if err != nil && clip.End > 0 { // one of many in its file
		err = fmt.Errorf("%s: %w", clip.ID, err)
	}
	if err != nil {
		p.Skipped = append(p.Skipped, Skipped{
			Clip: i, Path: clip.Path(), Err: err, name: clip.PortableID(), id: clip.ID, files: clip.Files(),
		})
		return nil
	}
	if stored.unheard {
		p.Unheard++
	}
	p.hashes[i] = stored.hash
	n := p.Spec.AudioSamples()
	for _, w := range stored.windows {
		s := Sample{Clip: i, Video: w.video, VideoMask: w.mask, Still: w.still}
		if w.audioAt >= 0 {
			end := min(w.audioAt+n, len(stored.audio)) // that of a short clip is shorter
			s.Audio = stored.audio[w.audioAt:end:end]
		}
		p.Samples = append(p.Samples, s)
	}
	return nil
}

// prepareJob is the state of one Prepare, which its workers share.
type prepareJob struct {
	clips     []dataset.Clip
	spec      pipeline.Spec
	newFinder func() (pipeline.FaceFinder, error)
	newVoice  func() (pipeline.VoiceDetector, error)
	progress  func(done, total int)
	cache     *windowCache
	hashes    *FileHashes

	keys     []cacheKey // of each clip; a worker writes those of its own
	contents []Content  // likewise
	errs     []error    // why a clip has none

	mu           sync.Mutex // guards done, cached and calls of progress
	done, cached int
}

// runAll prepares all clips by so many workers. Afterwards each is in the cache or has an error, unless runAll returns
// one.
func (j *prepareJob) runAll(ctx context.Context, workers int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range max(1, workers) {
		wg.Go(func() {
			w := &worker{prepareJob: j}
			defer w.close()
			for i := range jobs {
				cached, err := w.prepareClip(ctx, i)
				if failed := (*detectorError)(nil); errors.As(err, &failed) {
					cancel(err)
				}
				if ctx.Err() != nil {
					return
				}
				j.errs[i] = err
				j.mu.Lock()
				j.done++
				if cached {
					j.cached++
				}
				j.progress(j.done, len(j.clips))
				j.mu.Unlock()
			}
		})
	}
	for i := range j.clips {
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

// worker is a worker of a prepareJob; its detectors are made when the first clip needs them.
type worker struct {
	*prepareJob
	finder pipeline.FaceFinder
	voice  pipeline.VoiceDetector
}

// prepareClip puts the windows of clip i into the cache unless they are there. A clip whose file was written to while
// it was read is tried once more.
func (w *worker) prepareClip(ctx context.Context, i int) (cached bool, err error) {
	clip := &w.clips[i]
	for try := range 2 {
		key, err := keyOf(ctx, clip, w.spec, w.newVoice == nil, w.hashes)
		if errors.Is(err, ErrChanged) && try == 0 {
			continue
		}
		if err != nil {
			return false, err
		}
		w.keys[i] = key
		if w.contents[i], err = contentOf(ctx, clip, w.hashes); err != nil {
			return false, err
		}
		if _, ok := w.cache.get(key); ok {
			return true, nil
		}
		if err := w.open(); err != nil {
			return false, err
		}
		windows, cutErr := cutClip(ctx, clip, w.spec, w.finder, w.voice)
		if again, err := keyOf(ctx, clip, w.spec, w.newVoice == nil, w.hashes); err != nil || again != key {
			continue
		}
		if cutErr != nil {
			return false, cutErr
		}
		w.cache.put(key, &windows)
		return false, nil
	}
	return false, fmt.Errorf("%s: %w", clip.Path(), ErrChanged)
}

// open makes the detectors unless they are there. What comes with an error may be a nil that is none as an interface.
func (w *worker) open() error {
	if w.finder == nil {
		finder, err := w.newFinder()
		if err != nil {
			return &detectorError{"face finder", err}
		}
		w.finder = finder
	}
	if w.voice == nil && w.newVoice != nil {
		voice, err := w.newVoice()
		if err != nil {
			return &detectorError{"voice detector", err}
		}
		w.voice = voice
	}
	return nil
}

// close closes the detectors that can be closed.
func (w *worker) close() {
	for _, d := range []any{w.finder, w.voice} {
		if c, ok := d.(io.Closer); ok {
			c.Close()
		}
	}
}

// cutClip cuts one clip into windows. Sound without a voice is masked, as in use; but a clip of which nothing would be
// left is cut as if all its sound were one: its label says that there is a voice, though the detector does not hear it.
// An error is the clip's own fault, a *detectorError, or ctx's cause.
func cutClip(
	ctx context.Context, c *dataset.Clip, spec pipeline.Spec, finder pipeline.FaceFinder, voice pipeline.VoiceDetector,
) (clipWindows, error) {
	windows, err := cutWindows(ctx, c, spec, finder, voice)
	if err != nil || len(windows.windows) > 0 || voice == nil {
		return windows, err
	}
	windows, err = cutWindows(ctx, c, spec, finder, nil)
	windows.unheard = true
	return windows, err
}

// cutWindows cuts one clip into windows; a nil voice takes any sound for one.
func cutWindows(
	ctx context.Context, c *dataset.Clip, spec pipeline.Spec, finder pipeline.FaceFinder, voice pipeline.VoiceDetector,
) (clipWindows, error) {
	src, err := OpenClip(ctx, c)
	if err != nil {
		return clipWindows{}, err
	}
	defer src.Close()
	finder = checkedFinder(finder)
	still := src.Info().Still
	if usual := canonicalFace(c.Dataset); still && usual != nil {
		finder = alignedFinder{finder, usual}
	}
	var windows clipWindows
	var first time.Duration
	seen := map[time.Duration]bool{}
	o := pipeline.Options{Faces: 1, SilenceDBFS: SilenceDBFS, OneSpeaker: true}
	if voice != nil {
		o.Voice = checkedVoice{voice}
	}
	err = pipeline.Cut(ctx, src, finder, spec, o, func(w *pipeline.Window) error {
		if seen[w.End] || !w.AudioPresent && !w.VideoPresent() { // the clip has one speaker: its first subject
			return nil
		}
		seen[w.End] = true
		if len(windows.windows) == 0 {
			first = w.End
		}
		windows.add(w, w.End-first, spec, still)
		return nil
	})
	return windows, err
}

// detectorError is a failure of the face finder or of the voice detector, which is no fault of the clip.
type detectorError struct {
	what string
	err  error
}

func (e *detectorError) Error() string { return e.what + ": " + e.err.Error() }
func (e *detectorError) Unwrap() error { return e.err }

// checkedFinder marks the errors of a face finder as its own.
func checkedFinder(f pipeline.FaceFinder) pipeline.FaceFinder {
	return pipeline.WrapFinder(f, func(call func() error) error {
		if err := call(); err != nil {
			return &detectorError{"face finder", err}
		}
		return nil
	})
}

// checkedVoice marks the errors of a voice detector as its own.
type checkedVoice struct{ pipeline.VoiceDetector }

func (v checkedVoice) NewVoiceStream() pipeline.VoiceStream {
	return checkedStream{v.VoiceDetector.NewVoiceStream()}
}

type checkedStream struct{ pipeline.VoiceStream }

func (v checkedStream) Voice(ctx context.Context, piece []float32) (float64, error) {
	p, err := v.VoiceStream.Voice(ctx, piece)
	if err != nil {
		err = &detectorError{"voice detector", err}
	}
	return p, err
}
