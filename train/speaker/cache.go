package speaker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"

	"tandem/capture"
	"tandem/internal/atomicfile"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/sample"
)

// trackVersion is part of every track's key: raise it with any change to how mouths and sound are cut.
const trackVersion = 1

// A track's file, little-endian: trackMagic; the side of a mouth u32, slots u32, samples of sound u32; a byte a slot, 1
// if it has a mouth; the mouths; the sound as i16; CRC-32C of all before u32.
const (
	trackMagic  = "tandem-lips-1\n\r\n"
	trackHeader = len(trackMagic) + 12
	// maxTrack bounds what a damaged file can ask for: an hour of slots.
	maxTrackSlots = 1 << 16
)

var errTrack = errors.New("it is no whole track")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// trackKey returns the key of a clip's track: SHA-256 over the content of its files, its part and crop, how mouths are
// cut and trackVersion.
func trackKey(
	ctx context.Context, c *dataset.Clip, spec pipeline.MouthSpec, hashes *sample.FileHashes,
) (key [sha256.Size]byte, err error) {
	spec.Slots = 0 // does not matter to a track
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %+v %v %v %v\n", trackVersion, capture.SampleRate, spec, c.Start, c.End, c.Crop)
	for _, path := range c.Files() {
		if path == "" {
			fmt.Fprintln(h)
			continue
		}
		sum, _, err := hashes.Sum(ctx, path)
		if err != nil {
			return key, err
		}
		fmt.Fprintf(h, "%x\n", sum)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// marshalTrack returns the bytes of a track's file.
func marshalTrack(t *Track) []byte {
	b := []byte(trackMagic)
	for _, n := range []int{t.Size, t.Slots(), len(t.Sound)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	for _, there := range t.There {
		if there {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	b = append(b, t.Mouths...)
	for _, v := range t.Sound {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// unmarshalTrack is the inverse of marshalTrack for mouths of a spec; errTrack if b is no such file.
func unmarshalTrack(b []byte, spec pipeline.MouthSpec) (*Track, error) {
	if len(b) < trackHeader+4 || !bytes.HasPrefix(b, []byte(trackMagic)) {
		return nil, errTrack
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	at := func(i int) int { return int(binary.LittleEndian.Uint32(b[len(trackMagic)+4*i:])) }
	size, slots, samples := at(0), at(1), at(2)
	if size != spec.Size || slots > maxTrackSlots || samples != slots*slotSamples(spec) ||
		len(body) != trackHeader+slots+slots*size*size+2*samples || crc32.Checksum(body, castagnoli) != sum {
		return nil, errTrack
	}
	rest := body[trackHeader:]
	t := &Track{Size: size, There: make([]bool, slots), Sound: make([]int16, samples)}
	for i := range t.There {
		t.There[i] = rest[i] == 1
	}
	rest = rest[slots:]
	t.Mouths, rest = rest[:slots*size*size:slots*size*size], rest[slots*size*size:]
	for i := range t.Sound {
		t.Sound[i] = int16(binary.LittleEndian.Uint16(rest[2*i:]))
	}
	return t, nil
}

// readTrack reads a track; the error is fs.ErrNotExist for a path of "".
func readTrack(path string, spec pipeline.MouthSpec) (*Track, error) {
	if path == "" {
		return nil, fs.ErrNotExist
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return unmarshalTrack(b, spec)
}

// writeTrack writes a track, to nowhere if path is "".
func writeTrack(path string, t *Track) error {
	if path == "" {
		return nil
	}
	return atomicfile.WriteBytes(path, marshalTrack(t))
}
