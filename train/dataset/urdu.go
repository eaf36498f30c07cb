package dataset

import "strings"

// urduEmotions are the emotion letters in the names of the Urdu data set.
var urduEmotions = map[byte]string{'A': "angry", 'H': "happy", 'N': "neutral", 'S': "sad"}

// loadUrdu reads names of the form SPEAKER_FILE_EMOTION, such as SM1_F2_A02: SM is a man and SF a woman, F2 is this
// speaker's second file, A02 the second of the angry ones (Latif et al. 2018).
func loadUrdu(l *loader, root string) error {
	return l.loadVoices(root, "urdu", "Angry/SM1_F1_A01.wav", urduName)
}

func urduName(name string) (v voice, ok bool) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 || len(parts[0]) < 3 || len(parts[1]) < 2 || len(parts[2]) < 2 || parts[1][0] != 'F' ||
		!digits(parts[0][2:], 1, 2) || !digits(parts[1][1:], 1, 3) || !digits(parts[2][1:], 1, 4) {
		return voice{}, false
	}
	v = voice{speaker: parts[0], emotion: urduEmotions[parts[2][0]], split: urduSplit(parts[0])}
	switch parts[0][:2] {
	case "SM":
		v.gender = "male"
	case "SF":
		v.gender = "female"
	}
	return v, v.emotion != "" && v.gender != ""
}

// urduSplit divides by speaker. Val has three men and two women, test all whose numbers are not named here.
func urduSplit(speaker string) string {
	switch speaker {
	case "SM1", "SM6", "SM20", "SF1", "SF11":
		return SplitVal
	case "SM4", "SM5", "SM7", "SM17", "SM18", "SM19", "SM21", "SM22", "SM23", "SM24", "SM26", "SM27",
		"SF2", "SF3", "SF4", "SF5", "SF7", "SF8", "SF10":
		return SplitTrain
	}
	return SplitTest
}
