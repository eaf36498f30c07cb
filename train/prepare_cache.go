package train

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"tandem/capture"
	"tandem/pipeline"
)

// cutVersion counts the changes of what cutting gives for the same clip; raising it makes every cache stale. Raise it with any
// change to the cropping, the face finder, the windows, or the layout of the cache.
const cutVersion = 1

// cacheMagic begins a cache file. Little-endian throughout: magic; number of clips u32; for each clip: length of its error u32 and
// the error; number of sound samples u32 and the samples i16; number of windows u32; for each window: where its sound
// begins i32 (-1 none), still u8, number of crops u8, their mask a byte each, length of the crops u32 and the crops; last a
// CRC-32C of all before.
const cacheMagic = "tandem-cut-1\n"

var errCache = errors.New("damaged cache")

// cachePath names the cache file of a group of clips by all that decides its content; "" without a folder.
func cachePath(dir string, clips []Clip, group []int, spec pipeline.Spec) (string, error) {
	if dir == "" {
		return "", nil
	}
	h := sha256.New()
	of := make([]Clip, 0, len(group))
	fmt.Fprintf(h, "%d %d %+v\n", cutVersion, capture.SampleRate, spec)
	for _, i := range group {
		c := &clips[i]
		of = append(of, *c)
		fmt.Fprintf(h, "%s", c.ID)
		files := []string{c.Video, c.Audio}
		if c.row != nil {
			files = []string{c.row.path}
		}
		for _, f := range files {
			stamp, err := fileStamp(f)
			if err != nil {
				stamp = "gone" // cutting it will say so
			}
			fmt.Fprintf(h, " %s", stamp)
		}
		fmt.Fprintln(h)
	}
	fmt.Fprintln(h, SplitHash(of))
	return filepath.Join(dir, fmt.Sprintf("%s-%s.cut", clips[group[0]].Dataset, hex.EncodeToString(h.Sum(nil)[:8]))), nil
}

// writeCache writes cuts to path by way of a temporary file, so that a half-written one never counts.
func writeCache(path string, cuts []clipCut) (err error) {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	buffered := bufio.NewWriterSize(f, 1<<20)
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	encodeCuts(io.MultiWriter(buffered, sum), cuts) // bufio keeps the first error for Flush
	buffered.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32()))
	if err := buffered.Flush(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func encodeCuts(w io.Writer, cuts []clipCut) {
	le := binary.LittleEndian
	w.Write(le.AppendUint32([]byte(cacheMagic), uint32(len(cuts))))
	var b []byte
	for i := range cuts {
		c := &cuts[i]
		b = le.AppendUint32(b[:0], uint32(len(c.err)))
		b = append(b, c.err...)
		b = le.AppendUint32(b, uint32(len(c.audio)))
		for _, v := range c.audio {
			b = le.AppendUint16(b, uint16(v))
		}
		b = le.AppendUint32(b, uint32(len(c.windows)))
		for _, cut := range c.windows {
			b = le.AppendUint32(b, uint32(int32(cut.audioAt)))
			b = append(b, bit(cut.still), byte(len(cut.mask)))
			for _, m := range cut.mask {
				b = append(b, bit(m))
			}
			b = le.AppendUint32(b, uint32(len(cut.video)))
			b = append(b, cut.video...)
		}
		w.Write(b)
	}
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// readCache fills cuts, one a clip, from the file at path.
func readCache(path string, cuts []clipCut, spec pipeline.Spec) error {
	if path == "" {
		return os.ErrNotExist
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return decodeCuts(data, cuts, spec)
}

// decodeCuts is the inverse of encodeCuts with its CRC behind. The crops share data's memory.
func decodeCuts(data []byte, cuts []clipCut, spec pipeline.Spec) error {
	if len(data) < len(cacheMagic)+8 || string(data[:len(cacheMagic)]) != cacheMagic {
		return errCache
	}
	body := data[:len(data)-4]
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(data[len(body):]) {
		return errCache
	}
	d := decoder{data: body[len(cacheMagic):]}
	if int(d.u32()) != len(cuts) {
		return errCache
	}
	for i := range cuts {
		c := &cuts[i]
		c.err = string(d.bytes(int(d.u32())))
		sound := d.bytes(2 * int(d.u32()))
		c.audio = make([]int16, len(sound)/2)
		for j := range c.audio {
			c.audio[j] = int16(binary.LittleEndian.Uint16(sound[2*j:]))
		}
		n := int(d.u32())
		if d.bad || n > len(d.data) {
			return errCache
		}
		c.windows = make([]windowCut, n)
		for j := range c.windows {
			w := &c.windows[j]
			w.audioAt = int(int32(d.u32()))
			flags := d.bytes(2)
			if d.bad {
				return errCache
			}
			w.still = flags[0] != 0
			crops := 1
			if !w.still {
				crops = int(flags[1])
			}
			for _, m := range d.bytes(int(flags[1])) {
				w.mask = append(w.mask, m != 0)
			}
			if video := d.bytes(int(d.u32())); len(video) > 0 {
				w.video = video
			}
			if d.bad || w.audioAt < -1 || w.audioAt >= 0 && w.audioAt+spec.AudioSamples() > len(c.audio) ||
				len(w.mask) != 0 && len(w.mask) != spec.VideoFrames || (len(w.mask) == 0) != (w.video == nil) ||
				w.video != nil && len(w.video) != crops*cropBytes(spec) {
				return errCache
			}
		}
	}
	if d.bad || len(d.data) != 0 {
		return errCache
	}
	return nil
}

// decoder takes values off data; bad is set once it is too short.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) bytes(n int) []byte {
	if d.bad || n < 0 || n > len(d.data) {
		d.bad = true
		return nil
	}
	b := d.data[:n:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) u32() uint32 {
	b := d.bytes(4)
	if d.bad {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}
