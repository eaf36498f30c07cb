package dataset

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ravdessEmotions are the emotion codes 01 to 08 of RAVDESS (Livingstone and Russo 2018, "filename identifiers").
var ravdessEmotions = [...]string{"neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"}

// The modality codes of RAVDESS.
const (
	ravdessBoth      = 1
	ravdessVideoOnly = 2
	ravdessAudioOnly = 3
)

// ravdessTake is the files of one take: the same performance is published with picture and sound, as picture and as
// sound.
type ravdessTake struct{ path, id [4]string } // by modality

// loadRAVDESS reads names of the form MM-VC-EM-IN-ST-RE-AC: modality (01 both, 02 video only, 03 audio only), vocal
// channel (01 speech, 02 song), emotion, intensity, statement, repetition, actor (odd male, even female). Songs are
// ignored. A take is one clip, whichever of its three forms are there: with picture and sound, else the pictures with
// the sound of the other file, else what there is; an option takes one form alone. A folder called ravdess-…
// (ravdess-warp) is a data set of that name with the same speakers.
func loadRAVDESS(l *loader, root string) error {
	dataset := "ravdess"
	if base := filepath.Base(root); strings.HasPrefix(base, "ravdess-") {
		dataset = base
	}
	if len(l.options) > 1 {
		return fmt.Errorf("%w %q: give one word only", ErrUnknownOption, strings.Join(l.options, "+"))
	}
	takes := map[[7]int]*ravdessTake{}
	err := walkMedia(root, []string{".wav", ".flac", ".mp4"}, func(path, id string) error {
		code, ok := ravdessCode(stem(path))
		if !ok || code[1] != 1 || !l.ravdessWants(code[0]) {
			l.ignore(path)
			return nil
		}
		modality := code[0]
		code[0] = 0
		take := takes[code]
		if take == nil {
			take = &ravdessTake{}
			takes[code] = take
		}
		if take.path[modality] != "" {
			l.ignore(path)
			return nil
		}
		take.path[modality], take.id[modality] = path, id
		return nil
	})
	if err != nil {
		return err
	}
	if len(takes) == 0 {
		return nothingFound(root, "RAVDESS speech (names like 03-01-06-01-02-01-12.wav)")
	}
	actors := map[int]bool{}
	for _, code := range slices.SortedFunc(maps.Keys(takes),
		func(a, b [7]int) int { return slices.Compare(a[:], b[:]) }) {
		take := takes[code]
		emotion, err := l.emotion(ravdessEmotions[code[2]-1])
		if err != nil {
			return err
		}
		actor := code[6]
		actors[actor] = true
		gender, err := l.gender([]string{"female", "male"}[actor%2])
		if err != nil {
			return err
		}
		c := Clip{
			Dataset: dataset, Speaker: fmt.Sprintf("ravdess%02d", actor), Emotion: emotion, Gender: gender,
			Split: ravdessSplit(actor), Age: -1,
		}
		both := take.path[ravdessBoth]
		if strings.EqualFold(filepath.Ext(both), ".mp4") || both == "" {
			c.Video, c.ID = both, take.id[ravdessBoth]
		} else {
			c.Audio, c.ID = both, take.id[ravdessBoth]
		}
		if both == "" {
			c.Video, c.Audio = take.path[ravdessVideoOnly], take.path[ravdessAudioOnly]
			c.ID = take.id[ravdessVideoOnly]
			if c.ID == "" {
				c.ID = take.id[ravdessAudioOnly]
			}
		} else {
			for _, double := range []int{ravdessVideoOnly, ravdessAudioOnly} {
				if take.path[double] != "" {
					l.ignore(take.path[double])
				}
			}
		}
		l.clips = append(l.clips, c)
	}
	l.ravdessMissing(takes, actors)
	return nil
}

// ravdessWants reports whether files of a modality are taken.
func (l *loader) ravdessWants(modality int) bool {
	if len(l.options) == 0 {
		return true
	}
	return l.options[0] == [...]string{"", "both", "video", "audio"}[modality]
}

// ravdessMissing reports the takes that are missing of those actors of whom there are any: two statements, each said
// twice, in eight emotions, of which all but neutral in two intensities.
func (l *loader) ravdessMissing(takes map[[7]int]*ravdessTake, actors map[int]bool) {
	for actor := range actors {
		for emotion := 1; emotion <= len(ravdessEmotions); emotion++ {
			for i := range 8 {
				code := [7]int{0, 1, emotion, 1 + i/4, 1 + i/2%2, 1 + i%2, actor}
				if takes[code] == nil && (emotion != 1 || code[3] == 1) {
					l.report.Missing = append(l.report.Missing,
						fmt.Sprintf("actor %02d: ??-01-%02d-%02d-%02d-%02d-%02d", actor, emotion, code[3], code[4],
							code[5], actor))
				}
			}
		}
	}
	slices.Sort(l.report.Missing)
}

// ravdessCode parses a RAVDESS name; ok is false if it is none.
func ravdessCode(name string) (code [7]int, ok bool) {
	parts := strings.Split(name, "-")
	if len(parts) != len(code) {
		return code, false
	}
	most := [7]int{3, 2, len(ravdessEmotions), 2, 2, 2, 24}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || len(p) != 2 || n < 1 || n > most[i] {
			return code, false
		}
		code[i] = n
	}
	return code, true
}

// ravdessSplit divides by speaker: 02–16 train, 17–20 val, the rest test.
func ravdessSplit(actor int) string {
	switch {
	case actor >= 2 && actor <= 16:
		return SplitTrain
	case actor >= 17 && actor <= 20:
		return SplitVal
	}
	return SplitTest
}
