package speaker

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"os"

	"tandem/train/augment"
	"tandem/train/nn"
)

// Recipe is all that decides a training but the data. It is written as JSON.
type Recipe struct {
	Seed uint64         `json:"seed"`
	Arch nn.SpeakerArch `json:"arch"`
	// Steps is how many batches the network learns from. A batch has Groups of GroupSize clips, each of one speaker, so
	// that neither face nor voice says which belong together, and for each group Frozen faces more, which do not move.
	Steps     int `json:"steps"`
	Groups    int `json:"groups"`
	GroupSize int `json:"group_size"`
	Frozen    int `json:"frozen"`
	// SetBalance is the power of a set's number of clips by which it is drawn: 1 as it is, 0 all alike.
	SetBalance   float64 `json:"set_balance"`
	LearningRate float64 `json:"learning_rate"`
	WarmupSteps  int     `json:"warmup_steps"`
	WeightDecay  float64 `json:"weight_decay"`
	Clip         float64 `json:"clip"` // norm of the gradient
	EMA          float64 `json:"ema"`  // decay of the parameters' averages
	// Choice and Odds weigh the two losses: which voice and which face of a batch belong together, and the odds of each
	// pair by itself.
	Choice  float64 `json:"choice"`
	Odds    float64 `json:"odds"`
	Augment Augment `json:"augment"`
}

// Augment is by how much what is learned from varies.
type Augment struct {
	Sound augment.Audio `json:"sound"`
	// Offset (seconds, either way) is how far sound and pictures may lie apart.
	Offset float64 `json:"offset"`
	// Voice is the share of windows with another voice below the own one, by so many dB.
	Voice    float64    `json:"voice"`
	VoiceSNR [2]float64 `json:"voice_snr"`
	Lips     Lips       `json:"lips"`
}

// Lips is by how much mouths vary, all slots of a window alike but for Jitter and Drop.
type Lips struct {
	Move       float64 `json:"move"`       // parts of the side
	Zoom       float64 `json:"zoom"`       // part, either way
	Turn       float64 `json:"turn"`       // degrees, either way
	Jitter     float64 `json:"jitter"`     // parts of the side, of each slot
	Brightness float64 `json:"brightness"` // grey levels
	Contrast   float64 `json:"contrast"`   // part, either way
	Gamma      float64 `json:"gamma"`      // largest exponent; its inverse is the least
	Grain      float64 `json:"grain"`      // grey levels, greatest standard deviation of noise
	Coarse     float64 `json:"coarse"`     // share of windows of small faces, down to a third of the pixels a side
	Slow       float64 `json:"slow"`       // share of windows with fewer pictures, down to a third of the slots
	Drop       float64 `json:"drop"`       // share of slots without a mouth
}

//go:embed recipe.json
var defaultRecipe []byte

// DefaultRecipe returns the recipe of the embedded model.
func DefaultRecipe() Recipe {
	r, err := parseRecipe(defaultRecipe)
	if err != nil {
		panic(err) // a test reads it
	}
	return r
}

// ReadRecipe reads a recipe from a file; fields that it lacks are those of the default.
func ReadRecipe(path string) (Recipe, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Recipe{}, fmt.Errorf("recipe: %w", err)
	}
	r := DefaultRecipe()
	if err := decodeRecipe(b, &r); err != nil {
		return Recipe{}, fmt.Errorf("recipe %s: %w", path, err)
	}
	return r, nil
}

func parseRecipe(b []byte) (r Recipe, err error) { return r, decodeRecipe(b, &r) }

func decodeRecipe(b []byte, r *Recipe) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return err
	}
	r.Arch.Mouths = nn.DefaultMouths
	return r.Check()
}

// Check returns an error that names the first field out of range, by its name in the file.
func (r *Recipe) Check() error {
	if err := r.Arch.Check(); err != nil {
		return err
	}
	switch l := r.Augment.Lips; {
	case r.Steps < 1 || r.Steps > 1e6:
		return fmt.Errorf("steps %d: want 1 to 1000000", r.Steps)
	case r.Groups < 1 || r.GroupSize < 2 || r.Frozen < 0 || r.Groups*(r.GroupSize+r.Frozen) > 512:
		return fmt.Errorf("groups %d, group_size %d, frozen %d: want 1, 2 and 0 or more, and at most 512 faces a step",
			r.Groups, r.GroupSize, r.Frozen)
	case !(r.LearningRate > 0 && r.LearningRate < 1) || r.WarmupSteps < 0:
		return fmt.Errorf("learning_rate %g, warmup_steps %d: want a rate in (0, 1) and 0 steps or more",
			r.LearningRate, r.WarmupSteps)
	case r.WeightDecay < 0 || r.Clip < 0 || !(r.EMA >= 0 && r.EMA < 1) || r.SetBalance < 0 || r.SetBalance > 1:
		return fmt.Errorf("weight_decay %g, clip %g, ema %g, set_balance %g: want 0 or more, the last two at most 1",
			r.WeightDecay, r.Clip, r.EMA, r.SetBalance)
	case r.Choice < 0 || r.Odds < 0 || !(r.Choice+r.Odds > 0):
		return fmt.Errorf("choice %g, odds %g: want 0 or more, and not both 0", r.Choice, r.Odds)
	case math.Abs(r.Augment.Offset) > 0.2 || r.Augment.Voice < 0 || r.Augment.Voice > 1:
		return fmt.Errorf("augment: offset %g, voice %g: want at most 0.2 seconds and a share", r.Augment.Offset,
			r.Augment.Voice)
	case min(l.Move, l.Zoom, l.Turn, l.Jitter, l.Brightness, l.Contrast, l.Grain) < 0 || l.Gamma < 1 ||
		max(l.Move, l.Zoom, l.Jitter, l.Contrast) > 0.5:
		return fmt.Errorf("augment.lips: want strengths from 0 on, parts up to 0.5, and a gamma from 1 on")
	case min(l.Coarse, l.Slow, l.Drop) < 0 || max(l.Coarse, l.Slow, l.Drop) > 1:
		return fmt.Errorf("augment.lips: coarse %g, slow %g, drop %g: want shares", l.Coarse, l.Slow, l.Drop)
	}
	return r.Augment.Sound.Check()
}
