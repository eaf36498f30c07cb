package sample

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"tandem/pipeline"
)

// clipWindows is what one clip was cut into: its sound once, and where in it each window's begins.
type clipWindows struct {
	audio   []int16
	windows []storedWindow // none: it shows no face and makes no sound
}

type storedWindow struct {
	audioAt int // index into clipWindows.audio, -1 for none
	video   []byte
	mask    []bool
	still   bool
}

var errCache = errors.New("damaged cache")

// appendWindows appends a cut as the cache keeps it, little-endian: number of sound samples u32, number of windows u32, the samples i16; for
// each window: where its sound begins i32 (-1 none), still u8, number of crops u8, their mask a byte each, length of the crops u32
// and the crops.
func appendWindows(b []byte, c *clipWindows) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(c.audio)))
	b = le.AppendUint32(b, uint32(len(c.windows)))
	for _, v := range c.audio {
		b = le.AppendUint16(b, uint16(v))
	}
	for _, w := range c.windows {
		b = le.AppendUint32(b, uint32(int32(w.audioAt)))
		b = append(b, bit(w.still), byte(len(w.mask)))
		for _, m := range w.mask {
			b = append(b, bit(m))
		}
		b = le.AppendUint32(b, uint32(len(w.video)))
		b = append(b, w.video...)
	}
	return b
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// parseWindows is the inverse of appendWindows. Sound and crops share data's memory: of a mapped file they cost none until they are used.
func parseWindows(data []byte, spec pipeline.Spec) (clipWindows, error) {
	d := decoder{data: data}
	samples, windows := int(d.u32()), int(d.u32())
	c := clipWindows{audio: int16s(d.bytes(2 * samples))}
	if d.bad || windows > len(d.data) {
		return c, errCache
	}
	c.windows = make([]storedWindow, windows)
	for j := range c.windows {
		w := &c.windows[j]
		w.audioAt = int(int32(d.u32()))
		flags := d.bytes(2)
		if d.bad || flags[0] > 1 {
			return c, errCache
		}
		w.still = flags[0] == 1
		crops := 1
		if !w.still {
			crops = int(flags[1])
		}
		for _, m := range d.bytes(int(flags[1])) {
			if m > 1 {
				return c, errCache
			}
			w.mask = append(w.mask, m == 1)
		}
		if video := d.bytes(int(d.u32())); len(video) > 0 {
			w.video = video
		}
		if d.bad || w.audioAt < -1 || w.audioAt >= 0 && w.audioAt+spec.AudioSamples() > len(c.audio) ||
			len(w.mask) != 0 && len(w.mask) != spec.VideoFrames || (len(w.mask) == 0) != (w.video == nil) ||
			w.video != nil && len(w.video) != crops*CropBytes(spec) {
			return c, errCache
		}
	}
	if d.bad || len(d.data) != 0 {
		return c, errCache
	}
	return c, nil
}

// int16s is b as little-endian numbers, in the same memory where the machine's own numbers are such.
func int16s(b []byte) []int16 {
	if len(b) < 2 {
		return nil
	}
	if p := unsafe.Pointer(unsafe.SliceData(b)); uintptr(p)%2 == 0 && binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return unsafe.Slice((*int16)(p), len(b)/2)
	}
	v := make([]int16, len(b)/2)
	for i := range v {
		v[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return v
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
