package av_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image/jpeg"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"tandem/capture/av"
)

// exif is a TIFF with the tag Orientation and one before it.
func exif(order binary.AppendByteOrder, mark string, orientation uint16) []byte {
	b := order.AppendUint32(append([]byte(mark), 0, 0, 0, 0)[:4], 8)
	b = order.AppendUint16(b, 2)
	for _, e := range [][2]uint16{{0x10f, 0}, {0x112, orientation}} {
		b = order.AppendUint16(order.AppendUint16(b, e[0]), 3)
		b = order.AppendUint16(order.AppendUint32(b, 1), e[1])
		b = order.AppendUint16(b, 0)
	}
	return order.AppendUint32(b, 0)
}

func withPNGExif(b, exif []byte) []byte {
	chunk := append([]byte("eXIf"), exif...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk))
	chunk = append(binary.BigEndian.AppendUint32(nil, uint32(len(exif))), chunk...)
	return slices.Insert(slices.Clone(b), 8+25, chunk...) // behind IHDR
}

func withJPEGExif(b, exif []byte) []byte {
	segment := append([]byte("\xff\xe1\x00\x00Exif\x00\x00"), exif...)
	binary.BigEndian.PutUint16(segment[2:], uint16(len(segment)-2))
	return slices.Insert(slices.Clone(b), 2, segment...)
}

// withWebPExif makes a simple WebP of w x h pixels an extended one (RFC 9649, 2.7).
func withWebPExif(b, exif []byte, w, h int) []byte {
	const hasExif = 8
	out := append([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00"), hasExif, 0, 0, 0,
		byte(w-1), byte((w-1)>>8), 0, byte(h-1), byte((h-1)>>8), 0)
	out = append(out, b[12:]...)
	out = binary.LittleEndian.AppendUint32(append(out, "EXIF"...), uint32(len(exif)))
	out = append(out, exif...)
	if len(exif)%2 == 1 {
		out = append(out, 0)
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}

// A picture is turned as its Exif data say, whatever the format, and its size is known when it is opened.
func TestExifOrientation(t *testing.T) {
	const w, h = 64, 32
	img := testImage(w, h)
	var asPNG, asJPEG bytes.Buffer
	png.Encode(&asPNG, img)
	jpeg.Encode(&asJPEG, img, &jpeg.Options{Quality: 95})
	files := map[string]func(exif []byte) []byte{
		"a.png": func(e []byte) []byte { return withPNGExif(asPNG.Bytes(), e) },
		"a.jpg": func(e []byte) []byte { return withJPEGExif(asJPEG.Bytes(), e) },
	}
	if webp := foreignStill(t, asPNG.Bytes(), "a.webp", "-lossless", "1"); webp != nil {
		files["a.webp"] = func(e []byte) []byte { return withWebPExif(webp, e, w, h) }
		files["prefixed.webp"] = func(e []byte) []byte {
			return withWebPExif(webp, append([]byte("Exif\x00\x00"), e...), w, h)
		}
	}
	// The quarters are red, green, blue and white. Exif names the sides that the first row and column are shown at.
	const red, green, blue, white = 'r', 'g', 'b', 'w'
	quarters := []string{"rgbw", "grwb", "wbgr", "bwrg", "rbgw", "brwg", "wgbr", "gwrb"}
	for name, with := range files {
		for i, want := range quarters {
			for mark, order := range map[string]binary.AppendByteOrder{
				"II*\x00": binary.LittleEndian, "MM\x00*": binary.BigEndian,
			} {
				m := read(t, save(t, name, with(exif(order, mark, uint16(i+1)))), av.Options{})
				if m.err != nil || len(m.frames) != 1 {
					t.Fatalf("%s: %d pictures, %v", name, len(m.frames), m.err)
				}
				f := m.frames[0]
				if f.Width != m.info.Width || f.Height != m.info.Height || (f.Width < f.Height) != (i >= 4) {
					t.Errorf("%s, orientation %d: %d x %d, and %+v", name, i+1, f.Width, f.Height, m.info)
				}
				var got string
				for _, at := range [][2]int{{1, 1}, {f.Width - 2, 1}, {1, f.Height - 2}, {f.Width - 2, f.Height - 2}} {
					p := f.Pix[3*(at[1]*f.Width+at[0]):][:3]
					bits := p[0]>>7 | p[1]>>7<<1 | p[2]>>7<<2
					got += string(map[byte]rune{1: red, 2: green, 4: blue, 7: white}[bits])
				}
				if got != want {
					t.Errorf("%s, orientation %d: %s, want %s", name, i+1, got, want)
				}
			}
		}
		for _, broken := range [][]byte{nil, []byte("II*\x00"), []byte("II*\x00\xff\xff\xff\xff"), exif(
			binary.BigEndian, "MM\x00*", 9)} {
			if m := read(t, save(t, name, with(broken)), av.Options{}); m.err != nil || m.info.Width != w {
				t.Errorf("%s with broken Exif data: %+v, %v", name, m.info, m.err)
			}
		}
	}
}

// foreignStill has ffmpeg make a picture of a PNG; nil if it cannot.
func foreignStill(t *testing.T, from []byte, name string, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args = append([]string{"-v", "error", "-i", save(t, "from.png", from)}, args...)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", append(args, path)...).CombinedOutput(); err != nil {
		t.Logf("no %s: %v %s", name, err, out)
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
