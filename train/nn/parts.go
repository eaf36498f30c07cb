package nn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/ml/model"
)

// Parts names the parts of the network that can be frozen: the encoders of faces and of audio, what follows faces over
// time, the layer in which the modalities meet, and the output layers of each task.
var Parts = []string{"face", "sound", "temporal", "fusion", "emotion", "gender"}

// PartOf returns the part that a parameter belongs to, by its name such as "face/0/w".
func PartOf(name string) string {
	pieces := strings.Split(name, "/")
	switch {
	case len(pieces) == 3 && (pieces[1] == "emotion" || pieces[1] == "gender"):
		return pieces[1]
	case pieces[0] == "video":
		return "temporal"
	case pieces[0] == "fuse" || pieces[0] == "lstm":
		return "fusion"
	}
	if strings.HasPrefix(pieces[0], "face") {
		return "face" // any of them
	}
	return pieces[0] // sound
}

// CheckFreeze returns an error if freeze names a part that there is not, or one twice, or all of them.
func CheckFreeze(freeze []string) error {
	for i, p := range freeze {
		if !slices.Contains(Parts, p) || slices.Contains(freeze[:i], p) {
			return fmt.Errorf("freeze %q: want some of %s, each once", p, strings.Join(Parts, ", "))
		}
	}
	if len(freeze) == len(Parts) {
		return fmt.Errorf("freeze: of %s one must be left to train", strings.Join(Parts, ", "))
	}
	return nil
}

// IsHead reports whether a variable under "/net" belongs to the output layers of one task.
func IsHead(v *model.Variable) bool {
	part := PartOf(strings.TrimPrefix(v.Path(), "/net/"))
	return part == "emotion" || part == "gender"
}
