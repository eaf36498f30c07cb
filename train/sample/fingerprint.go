package sample

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"

	"tandem/train/dataset"
)

// Fingerprint names the content of a data set in a run.
type Fingerprint struct {
	Name    string `json:"name"`
	Clips   int    `json:"clips"`
	Windows int    `json:"windows"`
	Split   string `json:"split"`  // dataset.SplitHash
	SHA256  string `json:"sha256"` // of the clips' names, labels and windows, in order
	Licence string `json:"licence"`
	// SharedSpeakers is how many speakers stand in several splits.
	SharedSpeakers int `json:"shared_speakers,omitempty"`
}

// Fingerprints hashes the windows of p, set by set: two runs of equal fingerprints saw the same bytes. Those that the
// cache keeps were read and hashed when Prepare found them, and are not read again. The error is ctx's cause.
func Fingerprints(ctx context.Context, p *Prepared) ([]Fingerprint, error) {
	set := make([]int, len(p.Clips))
	var sums []Fingerprint
	for g, group := range dataset.GroupByDataset(p.Clips) {
		clips := make([]dataset.Clip, len(group))
		for i, c := range group {
			clips[i], set[c] = p.Clips[c], g
		}
		name := clips[0].Dataset
		sums = append(sums, Fingerprint{
			Name: name, Clips: len(clips), Split: dataset.SplitHash(clips),
			Licence: dataset.Licence(name), SharedSpeakers: len(dataset.SharedSpeakers(clips)),
		})
	}
	all := make([]hash.Hash, len(sums))
	for g := range all {
		all[g] = sha256.New()
	}
	for from := 0; from < len(p.Samples); {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		clip := p.Samples[from].Clip
		to := from
		for to < len(p.Samples) && p.Samples[to].Clip == clip {
			to++
		}
		c, g := &p.Clips[clip], set[clip]
		sums[g].Windows += to - from
		fmt.Fprintf(all[g], "%s %d %d\n", c.PortableID(), c.Emotion, c.Gender)
		if c.Soft != nil {
			fmt.Fprintf(all[g], "votes %v %v\n", c.Soft.Emotion, c.Soft.Gender)
		}
		content := p.windowsHash(clip, p.Samples[from:to])
		all[g].Write(content[:])
		from = to
	}
	for g := range sums {
		sums[g].SHA256 = hex.EncodeToString(all[g].Sum(nil))
	}
	return sums, nil
}

// windowsHash returns the hash of a clip's windows, all of them: that which was found when they were read from the
// cache, or else one of what they hold.
func (p *Prepared) windowsHash(clip int, windows []Sample) Content {
	if clip < len(p.hashes) && p.hashes[clip] != (Content{}) {
		return p.hashes[clip]
	}
	h := sha256.New()
	var audio []byte
	for _, s := range windows {
		fmt.Fprintf(h, "%v %v\n", s.Still, s.VideoMask)
		audio = audio[:0]
		for _, v := range s.Audio {
			audio = binary.LittleEndian.AppendUint16(audio, uint16(v))
		}
		h.Write(s.Video)
		h.Write(audio)
	}
	return Content(h.Sum(nil))
}

// CheckSameData returns an error that names the first difference between the data of a run as it was and as it is.
func CheckSameData(was, is []Fingerprint) error {
	now := map[string]Fingerprint{}
	for _, d := range is {
		now[d.Name] = d
	}
	for _, d := range was {
		n, ok := now[d.Name]
		switch {
		case !ok:
			return fmt.Errorf("the data set %s is missing", d.Name)
		case n.Clips != d.Clips || n.Windows != d.Windows:
			return fmt.Errorf("the data set %s had %d clips and %d windows and has %d and %d", d.Name, d.Clips,
				d.Windows, n.Clips, n.Windows)
		case n.Split != d.Split:
			return fmt.Errorf("the data set %s is divided into other splits", d.Name)
		case n.SHA256 != d.SHA256:
			return fmt.Errorf("the data set %s has other pictures, sounds or labels", d.Name)
		}
		delete(now, d.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		return fmt.Errorf("the data set %s is new", name)
	}
	return nil
}
