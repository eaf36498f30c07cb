package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/ml/model"
)

// Parts are those of the network that can be frozen: the encoders of faces and sounds, what follows faces over time, the layer
// in which the senses meet, and the output layers of each task.
var Parts = []string{"face", "sound", "temporal", "fusion", "emotion", "gender"}

// partOf is the part that a parameter belongs to.
func partOf(name string) string {
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

// checkFreeze refuses parts that there are not, and to freeze them all.
func checkFreeze(freeze []string) error {
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

// freeze keeps the optimizer from the parameters of the recipe's frozen parts.
func (n *network) freeze(net *model.Scope) {
	if len(n.recipe.Freeze) == 0 {
		return
	}
	for v := range net.IterVariables() {
		if !ofOptimizer(v.Path()) && slices.Contains(n.recipe.Freeze, partOf(strings.TrimPrefix(v.Path(), "/net/"))) {
			v.SetTrainable(false)
		}
	}
}
