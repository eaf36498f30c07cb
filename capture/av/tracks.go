package av

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/text/language"
)

// AudioTrack is one of several tracks of sound.
type AudioTrack struct {
	Number   int    // from 1, in the container's order
	Language string // as the container says: ISO 639-2, or a BCP 47 tag; "" if it does not
	Title    string // likewise
	Codec    string // libav's name
	Channels int
}

// String describes the track in a few words.
func (t AudioTrack) String() string {
	parts := []string{t.Codec, fmt.Sprintf("%d channels", t.Channels)}
	if t.Channels == 1 {
		parts[1] = "1 channel"
	}
	if t.Language != "" {
		parts = append([]string{t.Language}, parts...)
	}
	if t.Title != "" {
		parts = append(parts, strconv.Quote(t.Title))
	}
	return fmt.Sprintf("%d (%s)", t.Number, strings.Join(parts, ", "))
}

// ErrNoTrack is wrapped by the error for Options.AudioTrack where there is no such track.
var ErrNoTrack = errors.New("no such audio track")

// findAudioTracks lists the tracks of sound.
func (in *Input) findAudioTracks(streams []*C.AVStream) (tracks []AudioTrack, at []C.int) {
	tag := func(st *C.AVStream, name string) string {
		key := C.CString(name)
		defer C.free(unsafe.Pointer(key))
		if e := C.av_dict_get(st.metadata, key, nil, 0); e != nil {
			return strings.ToValidUTF8(C.GoString(e.value), "\uFFFD")
		}
		return ""
	}
	for i, st := range streams {
		if st.codecpar.codec_type != C.AVMEDIA_TYPE_AUDIO {
			continue
		}
		t := AudioTrack{
			Number: len(tracks) + 1, Language: tag(st, "language"), Title: tag(st, "title"),
			Codec:    C.GoString(C.avcodec_get_name(st.codecpar.codec_id)),
			Channels: int(st.codecpar.ch_layout.nb_channels),
		}
		if t.Language == "und" { // "undetermined"
			t.Language = ""
		}
		tracks, at = append(tracks, t), append(at, C.int(i))
	}
	return tracks, at
}

// chooseAudioTrack returns which of the tracks wanted names, by number or language: an index, -1 for "".
func chooseAudioTrack(tracks []AudioTrack, wanted string) (int, error) {
	if wanted == "" {
		return -1, nil
	}
	if n, err := strconv.Atoi(wanted); err == nil {
		if n >= 1 && n <= len(tracks) {
			return n - 1, nil
		}
	} else {
		for i, t := range tracks {
			if t.Language != "" && sameLanguage(t.Language, wanted) {
				return i, nil
			}
		}
	}
	if len(tracks) == 0 {
		return -1, fmt.Errorf("%w %q: there is no sound", ErrNoTrack, wanted)
	}
	var names []string
	for _, t := range tracks {
		names = append(names, t.String())
	}
	return -1, fmt.Errorf("%w %q: there are %s", ErrNoTrack, wanted, strings.Join(names, "; "))
}

// bibliographic are the codes of ISO 639-2/B that are not those of 639-2/T, which Matroska has: these.
var bibliographic = map[string]string{
	"alb": "sqi", "arm": "hye", "baq": "eus", "bur": "mya", "chi": "zho", "cze": "ces", "dut": "nld", "fre": "fra",
	"geo": "kat", "ger": "deu", "gre": "ell", "ice": "isl", "mac": "mkd", "mao": "mri", "may": "msa", "per": "fas",
	"rum": "ron", "slo": "slk", "tib": "bod", "wel": "cym",
}

// sameLanguage reports whether two codes, of two or three letters or with more behind them, are of one language.
func sameLanguage(a, b string) bool {
	base := func(s string) string {
		s = strings.ToLower(s)
		first, _, _ := strings.Cut(strings.ReplaceAll(s, "_", "-"), "-")
		if t, ok := bibliographic[first]; ok {
			first = t
		}
		l, err := language.ParseBase(first)
		if err != nil {
			return s // at least it may be spelt alike
		}
		return l.ISO3()
	}
	return base(a) == base(b)
}
