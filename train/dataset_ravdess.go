package train

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// ravdessEmotions are the emotion codes 01 to 08 of RAVDESS (Livingstone and Russo 2018, "filename identifiers").
var ravdessEmotions = [...]string{"neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"}

// loadRAVDESS reads names of the form MM-VC-EM-IN-ST-RE-AC: modality (01 both, 02 video only, 03 audio only), vocal channel (01
// speech, 02 song), emotion, intensity, statement, repetition, actor (odd male, even female). Songs and the video-only
// doubles are ignored. A folder called ravdess-… (ravdess-warp) is a data set of that name with the same speakers.
func loadRAVDESS(l *loading, root string) error {
	dataset := "ravdess"
	if base := filepath.Base(root); strings.HasPrefix(base, "ravdess-") {
		dataset = base
	}
	err := walkMedia(root, []string{".wav", ".flac", ".mp4"}, func(path, id string) error {
		code, ok := ravdessCode(stem(path))
		if !ok || code[0] == 2 || code[1] != 1 {
			l.ignore(path)
			return nil
		}
		emotion, err := l.emotion(ravdessEmotions[code[2]-1])
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		actor := code[6]
		gender, err := l.gender([]string{"female", "male"}[actor%2])
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		c := Clip{
			ID: id, Dataset: dataset, Speaker: fmt.Sprintf("ravdess%02d", actor), Emotion: emotion, Gender: gender,
			Split: ravdessSplit(actor), Age: -1,
		}
		if strings.EqualFold(filepath.Ext(path), ".mp4") {
			c.Video = path
		} else {
			c.Audio = path
		}
		l.clips = append(l.clips, c)
		return nil
	})
	if err == nil && len(l.clips) == 0 {
		return nothingFound(root, "RAVDESS speech (names like 03-01-06-01-02-01-12.wav)")
	}
	return err
}

// ravdessCode takes a RAVDESS name apart; ok is false if it is none.
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
