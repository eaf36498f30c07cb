// Package sample turns clips into what a network is trained and judged on: windows of sound samples and face crops, cut
// by the code that cuts live media (pipeline.Cut).
//
// Prepare does so for whole data sets, on all cores, and keeps the windows in a cache by the content of the clips'
// files, so that the next run maps them into memory instead of decoding again. Fingerprints name the data that a run
// saw.
package sample

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/train/dataset"
)

// Sample is one window of a clip, as it is given to the network.
type Sample struct {
	Clip int // index into Prepared.Clips
	// Audio is Spec.AudioSamples() samples of 16 bits at capture.SampleRate, or, where the clip is shorter than a
	// window and the network reads those (Spec.Partial), all that the clip has, which is the window's end. It is nil
	// where the window is silent or has no sound. Windows of one clip share memory: never write to it.
	Audio []int16
	// Video is T crops of CropBytes(Spec) bytes, oldest first, zero where VideoMask is false; for a still it is one
	// crop, which stands for all T. nil where no face was found.
	Video     []byte
	VideoMask []bool // T = Spec.VideoFrames; nil where Video is
	Still     bool
}

// Skipped is a clip that gave no sample.
type Skipped struct {
	Clip int    // index into Prepared.Clips
	Path string // the clip's Path
	Err  error  // names the file too

	id, name string // the clip's ID and PortableID
	files    [2]string
}

// Reason returns Err's message without places on this machine, for a report that travels: each of the clip's files is
// named by the clip's PortableID instead.
func (s *Skipped) Reason() string {
	places := map[string]string{s.Path: s.name}
	for _, f := range s.files {
		places[f] = s.name
	}
	if s.id != s.name {
		places[s.id] = s.name
	}
	for _, path := range pathsIn(s.Err) {
		if _, ok := places[path]; !ok {
			places[path] = filepath.Base(path)
		}
	}
	delete(places, "")
	// A longer path comes first: another may be its beginning.
	paths := slices.SortedFunc(maps.Keys(places), func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var replace []string
	for _, path := range paths {
		replace = append(replace, path, places[path])
	}
	return strings.NewReplacer(replace...).Replace(s.Err.Error())
}

// pathsIn returns the paths of the errors in err's tree that know theirs.
func pathsIn(err error) []string {
	var paths []string
	switch e := err.(type) {
	case *fs.PathError:
		paths = append(paths, e.Path)
	case *os.LinkError:
		paths = append(paths, e.Old, e.New)
	case *capture.InputError:
		paths = append(paths, e.Name)
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		paths = append(paths, pathsIn(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, under := range e.Unwrap() {
			paths = append(paths, pathsIn(under)...)
		}
	}
	return paths
}

// Prepared is a data set cut into windows. The sound and the crops of Samples lie in mapped files of the cache, so that
// they take no memory but what the system has to spare; without a cache they are held in memory.
type Prepared struct {
	Spec    pipeline.Spec
	Clips   []dataset.Clip
	Samples []Sample // in the order of Clips, and of time within a clip
	Skipped []Skipped

	Unheard  int   // clips that are nothing but sound in which the voice detector hears no voice; cut as if it did
	Cached   int   // clips that were in the cache
	CacheErr error // why not all windows are kept for the next run; nil if they are

	stamps   map[string]string // size and time of each file, when it was read
	contents []Content         // of each clip; zero where it is not known
	hashes   []Content         // of each clip's windows; zero where that is yet to be found
}

// Content is a SHA-256.
type Content [sha256.Size]byte

// Content returns the hash of a clip's files and of its part of them, which is the same whatever they are called; ok is
// false where it is not known.
func (p *Prepared) Content(clip int) (c Content, ok bool) {
	if clip < len(p.contents) {
		c = p.contents[clip]
	}
	return c, c != Content{}
}

// Errors of Prepare; errors.Is finds them.
var (
	// ErrNoModality is the error of a clip that can be read and is skipped, since it shows no face and makes no sound.
	ErrNoModality = errors.New("no face found and no sound above silence")
	// ErrUnreadable ends Prepare if more clips of a data set cannot be read than can be overlooked.
	ErrUnreadable = errors.New("too many clips cannot be read")
)

// Prepare refuses a data set of which more clips cannot be read than both of these: it is not the release that it
// should be.
const (
	mostUnreadable      = 10
	mostUnreadableShare = 0.05
)

// SilenceDBFS is the level, in dB of full scale, under which a window of a clip counts as silent. It is lower than the
// one for live sound, since a data set has voices that were recorded very softly, and no microphone's noise between
// them.
const SilenceDBFS = -70

// checkReadable returns ErrUnreadable if too many clips of a data set could not be read.
func (p *Prepared) checkReadable() error {
	for _, group := range dataset.GroupByDataset(p.Clips) {
		bad, first := 0, error(nil)
		for _, s := range p.Skipped {
			if p.Clips[s.Clip].Dataset == p.Clips[group[0]].Dataset && !errors.Is(s.Err, ErrNoModality) &&
				!errors.Is(s.Err, pipeline.ErrTooShort) {
				bad++
				first = cmp.Or(first, s.Err)
			}
		}
		if bad > mostUnreadable && float64(bad) > mostUnreadableShare*float64(len(group)) {
			return fmt.Errorf("prepare: %w: %d of the %d of %s, such as %w; tandem data names them all", ErrUnreadable,
				bad, len(group), p.Clips[group[0]].Dataset, first)
		}
	}
	return nil
}

// Only returns p with the samples of one split alone; Clips and Skipped stay, and so do the indices into them.
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

// Changed returns the files whose size or time is not that of when Prepare read them, sorted. The samples are still
// those of then.
func (p *Prepared) Changed() []string {
	var changed []string
	for path, was := range p.stamps {
		if now, _, err := statFile(path); was != "" && (err != nil || now != was) {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	return changed
}

// Window returns sample i as a recogniser takes it: sound in [-1, 1], zero where there is none, and a still's crop T
// times.
func (p *Prepared) Window(i int) *pipeline.Window {
	s := &p.Samples[i]
	w := &pipeline.Window{
		End: p.Spec.Window, Audio: make([]float32, p.Spec.AudioSamples()), AudioPresent: s.Audio != nil,
		VideoMask: make([]bool, p.Spec.VideoFrames),
	}
	before := len(w.Audio) - len(s.Audio)
	if s.Audio != nil && before > 0 {
		w.Covered = time.Duration(len(s.Audio)) * time.Second / capture.SampleRate
		w.Start = w.End - w.Covered
	}
	for j, v := range s.Audio {
		w.Audio[before+j] = float32(v) / 32768
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

// CropBytes returns the length of one crop in bytes: CropSize rows of CropSize pixels of Channels.
func CropBytes(s pipeline.Spec) int { return s.CropSize * s.CropSize * s.Channels }
