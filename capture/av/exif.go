package av

/*
#include "shim.h"
*/
import "C"

import (
	"bytes"
	"encoding/binary"
	"unsafe"
)

// exifOrientations are the values 1 to 8 of the tag Orientation (Exif 3.0, 4.6.5.1.6): which sides of the shown picture
// the first stored row and column are.
var exifOrientations = [...]orientation{
	upright, {a: -1, d: 1}, {a: -1, d: -1}, {a: 1, d: -1}, {b: 1, c: 1}, {b: 1, c: -1}, {b: -1, c: -1}, {b: -1, c: 1},
}

// exifOrientation reads how a coded picture is to be turned from its Exif data; upright if it has none or they are
// broken. Libav does so for JPEG only, and once the picture is decoded.
func exifOrientation(codec C.enum_AVCodecID, b []byte) orientation {
	switch codec {
	case C.AV_CODEC_ID_PNG, C.AV_CODEC_ID_APNG:
		return tiffOrientation(pngExif(b))
	case C.AV_CODEC_ID_WEBP:
		return tiffOrientation(webpExif(b))
	case C.AV_CODEC_ID_MJPEG:
		return tiffOrientation(jpegExif(b))
	case C.AV_CODEC_ID_TIFF: // whose tags Exif took over
		return tiffOrientation(b)
	}
	return upright
}

// pngExif returns the chunk eXIf of a PNG (PNG, third edition, 11.3.4.5).
func pngExif(b []byte) []byte {
	const signature, around = 8, 12 // length, name, checksum
	for at := signature; at+around <= len(b); {
		n := int64(binary.BigEndian.Uint32(b[at:]))
		if int64(at)+around+n > int64(len(b)) {
			return nil
		}
		if string(b[at+4:at+8]) == "eXIf" {
			return b[at+8:][:n]
		}
		at += around + int(n)
	}
	return nil
}

// webpExif returns the chunk "EXIF" of a WebP (RFC 9649, 2.7.1.5). Some programs put "Exif\0\0" before it, as in JPEG.
func webpExif(b []byte) []byte {
	for at := 12; at+8 <= len(b); { // "RIFF", size, "WEBP"
		n := int64(binary.LittleEndian.Uint32(b[at+4:]))
		if int64(at)+8+n > int64(len(b)) {
			return nil
		}
		if string(b[at:at+4]) == "EXIF" {
			return bytes.TrimPrefix(b[at+8:][:n], []byte("Exif\x00\x00"))
		}
		at += 8 + int(n+n&1)
	}
	return nil
}

// jpegExif returns the Exif data in the segment APP1 of a JPEG (Exif 3.0, 4.7.2).
func jpegExif(b []byte) []byte {
	const app1, startOfScan = 0xe1, 0xda
	for at := 2; at+4 <= len(b) && b[at] == 0xff && b[at+1] != startOfScan; {
		n := int(binary.BigEndian.Uint16(b[at+2:]))
		if n < 2 || at+2+n > len(b) {
			return nil
		}
		if exif, ok := bytes.CutPrefix(b[at+4:at+2+n], []byte("Exif\x00\x00")); ok && b[at+1] == app1 {
			return exif
		}
		at += 2 + n
	}
	return nil
}

// tiffOrientation reads the tag Orientation from the first directory of a TIFF (TIFF 6.0, section 2), which Exif is.
func tiffOrientation(b []byte) orientation {
	const tag, short, entry = 0x112, 3, 12
	if len(b) < 8 {
		return upright
	}
	var order binary.ByteOrder = binary.BigEndian
	switch string(b[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
	default:
		return upright
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return upright
	}
	entries := int64(order.Uint16(b[at:]))
	for at += 2; entries > 0 && at+entry <= int64(len(b)); entries, at = entries-1, at+entry {
		if e := b[at:]; order.Uint16(e) == tag && order.Uint16(e[2:]) == short {
			if v := int(order.Uint16(e[8:])); v >= 1 && v <= len(exifOrientations) {
				return exifOrientations[v-1]
			}
		}
	}
	return upright
}

// peek reads the packet of a still picture ahead, so that how it is to be turned, and so its size, are known at once.
func (in *Input) peek() {
	st := in.streams[video]
	if !in.info.Still || st == nil {
		return
	}
	in.arm()
	for {
		in.held = C.av_read_frame(in.fmt, in.pkt)
		if in.held == 0 && in.pkt.stream_index != st.index {
			C.av_packet_unref(in.pkt)
			continue
		}
		break
	}
	in.peeked = true
	if in.held == 0 && in.pkt.size > 0 {
		coded := unsafe.Slice((*byte)(unsafe.Pointer(in.pkt.data)), in.pkt.size)
		if turn := exifOrientation(st.codecpar.codec_id, coded); turn != upright {
			in.info.Width, in.info.Height = turn.size(in.info.Width, in.info.Height)
			in.turn = turn
		}
	}
}

// readPacket reads the next packet into in.pkt.
func (in *Input) readPacket() C.int {
	if in.peeked {
		in.peeked = false
		return in.held
	}
	return C.av_read_frame(in.fmt, in.pkt)
}
