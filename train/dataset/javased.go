package dataset

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// javaSEDEmotions are the emotion codes 01 to 06 of Java-SED.
var javaSEDEmotions = [...]string{"neutral", "sad", "happy", "surprised", "fearful", "angry"}

// javaSEDGenders are the genders of speakers as they look in the videos; the publishers list none. Speakers 03 and 08
// were not looked at.
var javaSEDGenders = map[string]string{
	"01": "female", "02": "female", "04": "female", "05": "female", "06": "male", "07": "male", "09": "male",
	"10": "male",
}

// loadJavaSED reads names of the form SPEAKER-SENTENCE-EMOTION_REPETITION, such as 01-02-03_04. Repetition 01 is
// published as a video with its sound and as that sound too, the others as sound alone: of a take whose video is there,
// that is the clip, and the sound file is ignored.
func loadJavaSED(l *loader, root string) error {
	at := map[string]int{} // index of a take's clip by name
	err := walkMedia(root, append([]string{".mp4"}, voiceFiles...), func(path, id string) error {
		v, ok := javaSEDName(stem(path))
		if !ok {
			l.ignore(path)
			return nil
		}
		c := Clip{Audio: path, ID: id, Dataset: "java-sed", Speaker: "java-sed" + v.speaker, Split: v.split, Age: -1}
		video := strings.EqualFold(filepath.Ext(path), ".mp4")
		if video {
			c.Video, c.Audio = path, ""
		}
		if i, double := at[stem(path)]; double {
			if !video || l.clips[i].Video != "" {
				l.ignore(path)
				return nil
			}
			l.ignore(l.clips[i].Audio)
			c.Emotion, c.Gender = l.clips[i].Emotion, l.clips[i].Gender
			l.clips[i] = c
			return nil
		}
		var err error
		if c.Emotion, err = l.emotion(v.emotion); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if c.Gender, err = l.gender(v.gender); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		at[stem(path)] = len(l.clips)
		l.clips = append(l.clips, c)
		return nil
	})
	if err == nil && len(l.clips) == 0 {
		return nothingFound(root, "recordings of java-sed (names like 01-02-03_01.mp4 and 01-02-03_04.wav)")
	}
	return err
}

func javaSEDName(name string) (v voice, ok bool) {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' })
	if len(parts) != 4 || len(name) != len("01-02-03_04") ||
		slices.ContainsFunc(parts, func(p string) bool { return !digits(p, 2, 2) }) ||
		parts[0] < "01" || parts[0] > "10" || parts[2] < "01" || parts[2] > "06" {
		return voice{}, false
	}
	return voice{
		speaker: parts[0], emotion: javaSEDEmotions[parts[2][1]-'1'], gender: javaSEDGenders[parts[0]],
		split: javaSEDSplit(parts[0]),
	}, true
}

// javaSEDSplit divides by speaker: 04 and 09 val, 03 and 08 test, the rest train.
func javaSEDSplit(speaker string) string {
	switch speaker {
	case "04", "09":
		return SplitVal
	case "03", "08":
		return SplitTest
	}
	return SplitTrain
}
