package sample

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"
	"unsafe"

	"tandem/pipeline"
)

// clipWindows is the windows of one clip. Their sound, which overlaps, is there once.
type clipWindows struct {
	audio   []int16
	unheard bool           // the voice detector hears no voice in the clip, which is nothing but sound
	windows []storedWindow // none of a clip that shows no face and makes no sound
	hash    Content        // of all of them as the cache keeps them; only of those that are read from it
}

// storedWindow is one window, as Sample has it.
type storedWindow struct {
	audioAt int // index into clipWindows.audio, -1 for none
	video   []byte
	mask    []bool
	still   bool
}

// errCache is the error of a file or an entry of the cache that is not as it was written.
var errCache = errors.New("damaged cache")

// appendWindows appends the windows of a clip as the cache keeps them, little-endian: number of sound samples u32,
// number of windows u32, unheard u32, the samples i16; for each window: index of its first sample i32 (-1 for none),
// still u8, number of crops u8, their mask a byte each, length of the crops in bytes u32 and the crops. Raise
// cutVersion with any change.
func appendWindows(b []byte, c *clipWindows) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(c.audio)))
	b = le.AppendUint32(b, uint32(len(c.windows)))
	b = le.AppendUint32(b, uint32(bit(c.unheard)))
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

// bit returns 1 for true.
func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// parseWindows is the inverse of appendWindows, and errCache if data cannot be of spec. Sound and crops share data's
// memory: of a mapped file they cost none until they are used.
func parseWindows(data []byte, spec pipeline.Spec) (clipWindows, error) {
	d := decoder{data: data}
	samples, windows, unheard := int(d.u32()), int(d.u32()), d.u32()
	c := clipWindows{audio: int16s(d.bytes(2 * samples)), unheard: unheard == 1}
	if d.bad || windows > len(d.data) || unheard > 1 {
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
		need := spec.AudioSamples()
		if windows == 1 && spec.Partial {
			need = min(need, max(1, len(c.audio))) // of a clip shorter than a window
		}
		if d.bad || w.audioAt < -1 || w.audioAt >= 0 && w.audioAt+need > len(c.audio) ||
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

// int16s returns b as little-endian numbers, in the same memory where the machine's own numbers are such.
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

// decoder takes values off the front of data; bad is set once data is too short.
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

// add appends a window that begins so long after the first. Windows overlap, so each adds only the sound that is new.
func (c *clipWindows) add(w *pipeline.Window, at time.Duration, spec pipeline.Spec, still bool) {
	stored := storedWindow{audioAt: -1, still: still}
	if w.AudioPresent {
		stored.audioAt = samplesIn(at)
		audio := w.Sound()
		if need := stored.audioAt + len(audio); need > len(c.audio) {
			c.audio = append(c.audio, make([]int16, need-len(c.audio))...)
		}
		for i, v := range audio {
			c.audio[stored.audioAt+i] = toInt16(v)
		}
	}
	if w.VideoPresent() {
		if still {
			n := CropBytes(spec)
			k := slices.Index(w.VideoMask, true)
			stored.video = slices.Clone(w.Video[k*n : (k+1)*n])
			stored.mask = make([]bool, len(w.VideoMask))
			for i := range stored.mask {
				stored.mask[i] = true
			}
		} else {
			stored.video, stored.mask = slices.Clone(w.Video), slices.Clone(w.VideoMask)
		}
	}
	c.windows = append(c.windows, stored)
}

// toInt16 returns a sample in [-1, 1] at 16 bits.
func toInt16(v float32) int16 {
	return int16(min(max(math.Round(float64(v)*32768), math.MinInt16), math.MaxInt16))
}
