// Package augment varies the sounds and the faces that a network is trained on, and blends them (mixup). Every
// variation is drawn from a random source that is passed in, so that a run's seed decides all of it.
package augment

// Config is the strengths of all variations, the part "augment" of a recipe.
type Config struct {
	Audio Audio `json:"sound"`
	Face  Face  `json:"face"`
}
