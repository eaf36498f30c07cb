package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"tandem/capture"
	"tandem/pipeline"
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

// SkippedClip is a clip that gave no sample.
type SkippedClip struct {
	Path string
	Err  error // names the file too
}

// Prepared is a data set cut into windows.
type Prepared struct {
	Spec    pipeline.Spec
	Clips   []Clip
	Samples []Sample // in the order of Clips, and of time within a clip
	Skipped []SkippedClip
}

// ErrNoSense is why a readable clip is skipped that shows no face and makes no sound.
var ErrNoSense = errors.New("no face found and no sound above silence")

// Prepare cuts clips into windows of spec with the code that cuts live media, pipeline.Cut. A clip that cannot be read, or shows
// and says nothing, is skipped and named; any other failure ends Prepare.
//
// finder makes a face finder for each of the workers (at least one); one that has a Close method is closed. What was cut is kept in
// cacheDir, a file a data set, and is read from there as long as the clips, their files' size and time, their splits, spec and the
// cutting code are the same; "" keeps nothing. progress, unless nil, is called from one goroutine at a time with the number of
// clips that are done.
func Prepare(ctx context.Context, clips []Clip, spec pipeline.Spec, finder func() (pipeline.FaceFinder, error), cacheDir string,
	workers int, progress func(done, total int),
) (*Prepared, error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	p := &Prepared{Spec: spec, Clips: clips}
	cuts := make([]clipCut, len(clips))
	done := 0
	for _, group := range byDataset(clips) {
		path, err := cachePath(cacheDir, clips, group, spec)
		if err != nil {
			return nil, fmt.Errorf("prepare: %w", err)
		}
		of := make([]clipCut, len(group))
		if readCache(path, of, spec) != nil { // not there, of older code, or damaged: cut anew
			err := cutAll(ctx, clips, group, of, spec, finder, workers, func(n int) { progress(done+n, len(clips)) })
			if err != nil {
				return nil, fmt.Errorf("prepare: %w", err)
			}
			if err := writeCache(path, of); err != nil {
				return nil, fmt.Errorf("prepare: %w", err)
			}
		}
		for i, c := range group {
			cuts[c] = of[i]
		}
		done += len(group)
		progress(done, len(clips))
	}
	for i := range cuts {
		if cuts[i].err != "" {
			p.Skipped = append(p.Skipped, SkippedClip{Path: clips[i].Path(), Err: errors.New(cuts[i].err)})
			continue
		}
		for _, w := range cuts[i].windows {
			s := Sample{Clip: i, Video: w.video, VideoMask: w.mask, Still: w.still}
			if w.audioAt >= 0 {
				s.Audio = cuts[i].audio[w.audioAt : w.audioAt+spec.AudioSamples() : w.audioAt+spec.AudioSamples()]
			}
			p.Samples = append(p.Samples, s)
		}
	}
	return p, nil
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
		w.Video = make([]byte, p.Spec.VideoFrames*cropBytes(p.Spec))
		copy(w.Video, s.Video)
	}
	return w
}

// cropBytes is the length of one crop.
func cropBytes(s pipeline.Spec) int { return s.CropSize * s.CropSize * s.Channels }

// byDataset groups the indices of clips by data set, in the order of first appearance.
func byDataset(clips []Clip) [][]int {
	var groups [][]int
	at := map[string]int{}
	for i := range clips {
		g, ok := at[clips[i].Dataset]
		if !ok {
			g = len(groups)
			at[clips[i].Dataset] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

// clipCut is what one clip was cut into: its sound once, and where in it each window's begins.
type clipCut struct {
	audio   []int16
	windows []windowCut
	err     string // why there are none
}

type windowCut struct {
	audioAt int // index into clipCut.audio, -1 for none
	video   []byte
	mask    []bool
	still   bool
}

// cutAll cuts the clips of group into of, with one finder a worker.
func cutAll(ctx context.Context, clips []Clip, group []int, of []clipCut, spec pipeline.Spec,
	finder func() (pipeline.FaceFinder, error), workers int, progress func(done int),
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan int)
	var mu sync.Mutex // guards done and calls of progress
	var wg sync.WaitGroup
	done := 0
	for range max(1, workers) {
		wg.Go(func() {
			f, err := finder()
			if err != nil {
				cancel(err)
				return
			}
			if c, ok := f.(io.Closer); ok {
				defer c.Close()
			}
			for i := range jobs {
				cut, err := cutClip(ctx, &clips[group[i]], spec, f)
				if failed := (*finderError)(nil); errors.As(err, &failed) {
					cancel(err)
				}
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					cut = clipCut{err: err.Error()}
				}
				of[i] = cut
				mu.Lock()
				done++
				progress(done)
				mu.Unlock()
			}
		})
	}
	for i := range group {
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

// cutClip cuts one clip. An error is the clip's own fault, a *finderError, or ctx's end.
func cutClip(ctx context.Context, c *Clip, spec pipeline.Spec, finder pipeline.FaceFinder) (clipCut, error) {
	src, err := openClip(ctx, c)
	if err != nil {
		return clipCut{}, err
	}
	defer src.Close()
	finder = checkedFinder{finder}
	still := src.Info().Still
	if usual := canonicalFaces[c.Dataset]; still && usual != nil {
		finder = alignedFinder{finder, usual}
	}
	var cut clipCut
	var first time.Duration
	seen := map[time.Duration]bool{}
	err = pipeline.Cut(ctx, src, finder, spec, pipeline.Options{Faces: 1}, func(w *pipeline.Window) error {
		if seen[w.End] || !w.AudioPresent && !w.VideoPresent() { // the clip has one speaker: its first subject
			return nil
		}
		seen[w.End] = true
		if len(cut.windows) == 0 {
			first = w.Start
		}
		cut.add(w, w.Start-first, spec, still)
		return nil
	})
	if err == nil && len(cut.windows) == 0 {
		err = fmt.Errorf("%s: %w", c.Path(), ErrNoSense)
	}
	return cut, err
}

// add keeps a window that begins at a time after the first. Windows overlap, so each adds only the sound that is new.
func (c *clipCut) add(w *pipeline.Window, at time.Duration, spec pipeline.Spec, still bool) {
	cut := windowCut{audioAt: -1, still: still}
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
			n := cropBytes(spec)
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

// fileStamp is a file's size and time, by which the cache notices a change.
func fileStamp(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d@%d", info.Size(), info.ModTime().UnixNano()), nil
}
