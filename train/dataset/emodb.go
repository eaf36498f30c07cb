package dataset

import "fmt"

// emodbEmotions are the emotion letters of EmoDB (German words; Burkhardt et al. 2005).
var emodbEmotions = map[byte]string{
	'W': "angry", 'L': "bored", 'E': "disgusted", 'A': "fearful", 'F': "happy", 'T': "sad", 'N': "neutral",
}

// emodbSpeakers are the speakers of EmoDB and their gender, as its page lists them.
var emodbSpeakers = map[string]string{
	"03": "male", "08": "female", "09": "female", "10": "male", "11": "male", "12": "male", "13": "female",
	"14": "female", "15": "male", "16": "female",
}

// loadEmoDB reads names of the form SSTTTEV: speaker (two digits), text (a letter and two digits), emotion letter,
// version.
func loadEmoDB(l *loader, root string) error {
	err := walkMedia(root, []string{".wav", ".flac"}, func(path, id string) error {
		name := stem(path)
		if len(name) < 6 || len(name) > 7 || emodbSpeakers[name[:2]] == "" || emodbEmotions[name[5]] == "" {
			l.ignore(path)
			return nil
		}
		speaker := name[:2]
		emotion, err := l.emotion(emodbEmotions[name[5]])
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		gender, err := l.gender(emodbSpeakers[speaker])
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		l.clips = append(l.clips, Clip{
			Audio: path, ID: id, Dataset: "emodb", Speaker: "emodb" + speaker, Emotion: emotion, Gender: gender,
			Split: emodbSplit(speaker), Age: -1,
		})
		return nil
	})
	if err == nil && len(l.clips) == 0 {
		return nothingFound(root, "EmoDB recordings (names like 03a01Fa.wav)")
	}
	return err
}

// emodbSplit divides by speaker, a man and a woman a side: 12 and 14 val, 15 and 16 test, the rest train.
func emodbSplit(speaker string) string {
	switch speaker {
	case "12", "14":
		return SplitVal
	case "15", "16":
		return SplitTest
	}
	return SplitTrain
}
