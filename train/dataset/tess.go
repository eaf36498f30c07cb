package dataset

import "strings"

// tessSpeakers are the two actresses of TESS, the older and the younger.
var tessSpeakers = map[string]person{"OAF": {"female", 64}, "YAF": {"female", 26}}

// tessEmotions are the emotions in TESS's file names; ps is pleasant surprise.
var tessEmotions = map[string]string{
	"angry": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy", "neutral": "neutral", "ps": "surprise",
	"sad": "sad",
}

// loadTESS reads names of the form SPEAKER_WORD_EMOTION (Pichora-Fuller and Dupuis 2020). Both women are in the
// training split: one voice says too little of others to judge by it.
func loadTESS(l *loader, root string) error {
	return l.loadVoices(root, "tess", "OAF_angry/OAF_back_angry.wav", tessName)
}

// tessName parses a TESS name. One is published as OA_bite_neutral.
func tessName(name string) (v voice, ok bool) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 || parts[1] == "" || tessEmotions[parts[2]] == "" {
		return voice{}, false
	}
	if parts[0] == "OA" {
		parts[0] = "OAF"
	}
	who, ok := tessSpeakers[parts[0]]
	return voice{speaker: parts[0], emotion: tessEmotions[parts[2]], gender: who.gender, split: SplitTrain}, ok
}
