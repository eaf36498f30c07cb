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
	SHA256  string `json:"sha256"` // of the windows' crops and sounds and the clips' labels, in order
	Licence string `json:"licence"`
	// SharedSpeakers is how many speakers stand in several splits.
	SharedSpeakers int `json:"shared_speakers,omitempty"`
}

// Fingerprints hashes the windows of p, set by set: two runs of equal fingerprints saw the same bytes. The error is
// ctx's cause.
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
	hashes := make([]hash.Hash, len(sums))
	for g := range hashes {
		hashes[g] = sha256.New()
	}
	var audio []byte
	for _, s := range p.Samples {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c, g := &p.Clips[s.Clip], set[s.Clip]
		sums[g].Windows++
		fmt.Fprintf(hashes[g], "%s %d %d %v %v\n", c.ID, c.Emotion, c.Gender, s.Still, s.VideoMask)
		if c.Soft != nil {
			fmt.Fprintf(hashes[g], "votes %v %v\n", c.Soft.Emotion, c.Soft.Gender)
		}
		audio = audio[:0]
		for _, v := range s.Audio {
			audio = binary.LittleEndian.AppendUint16(audio, uint16(v))
		}
		hashes[g].Write(s.Video)
		hashes[g].Write(audio)
	}
	for g := range sums {
		sums[g].SHA256 = hex.EncodeToString(hashes[g].Sum(nil))
	}
	return sums, nil
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
