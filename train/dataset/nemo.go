package dataset

import "strings"

// nemoSpeakers are the speakers of nEMO, as its data.tsv lists them.
var nemoSpeakers = map[string]person{
	"EB0": {"female", 27}, "IC0": {"female", 28}, "KD0": {"female", 28}, "KS0": {"male", 23}, "MK0": {"female", 23},
	"MP0": {"male", 24}, "SM0": {"male", 24}, "TP0": {"male", 26}, "WR0": {"male", 23},
}

// nemoEmotions are the emotions in nEMO's file names.
var nemoEmotions = map[string]bool{
	"anger": true, "fear": true, "happiness": true, "neutral": true, "sadness": true, "surprised": true,
}

// loadNEMO reads names of the form SPEAKER_EMOTION_SENTENCE (Christop 2024, arXiv 2404.06292). What data.tsv says of
// speakers is known without it.
func loadNEMO(l *loader, root string) error {
	return l.loadVoices(root, "nemo", "samples/WR0_sadness_1.wav", nemoName)
}

func nemoName(name string) (v voice, ok bool) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 || !nemoEmotions[parts[1]] || !digits(parts[2], 1, 2) {
		return voice{}, false
	}
	who, ok := nemoSpeakers[parts[0]]
	return voice{speaker: parts[0], emotion: parts[1], gender: who.gender, split: nemoSplit(parts[0])}, ok
}

// nemoSplit divides by speaker, a woman and a man a side: IC0 and TP0 val, KD0 and WR0 test, the rest train.
func nemoSplit(speaker string) string {
	switch speaker {
	case "IC0", "TP0":
		return SplitVal
	case "KD0", "WR0":
		return SplitTest
	}
	return SplitTrain
}
