package nn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/ml/model"
)

// Parts are those of the network that can be frozen: the encoders of faces and sounds, what follows faces over time,
// the layer in which the senses meet, and the output layers of each task.
var Parts = []string{"face", "sound", "temporal", "fusion", "emotion", "gender"}

// PartOf is the part that a parameter belongs to.
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

// CheckFreeze refuses parts that there are not, and to freeze them all.
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

// IsHead is whether a parameter of the network belongs to the output layers of one task.
func IsHead(v *model.Variable) bool {
	part := PartOf(strings.TrimPrefix(v.Path(), "/net/"))
	return part == "emotion" || part == "gender"
}
