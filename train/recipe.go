package train

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
)

// Recipe is everything that decides a training run, but for the data.
type Recipe struct {
	Seed      uint64 `json:"seed"`
	Weighting string `json:"weighting"` // see ParseWeighting
	Modal     string `json:"modal"`     // multi, audio or video: which senses are trained
	Arch      Arch   `json:"arch"`

	Epochs        int `json:"epochs"`
	StepsPerEpoch int `json:"steps_per_epoch"`
	Patience      int `json:"patience"` // epochs without a better validation score before it stops early and keeps the best; 0: never, and the last is kept

	// What a batch holds: stills and voices are single-sense samples, talking have both, pairs are made up of a
	// still and a voice of the batch that share a label.
	Stills int `json:"stills"`
	// EmotionStills is the share of the stills that is drawn from those with an emotion label, where there are both.
	EmotionStills float64 `json:"emotion_stills"`

	Voices  int `json:"voices"`
	Talking int `json:"talking"`
	Pairs   int `json:"pairs"`

	StillWeight   float64 `json:"still_weight"` // of a row's loss, by kind
	VoiceWeight   float64 `json:"voice_weight"`
	TalkingWeight float64 `json:"talking_weight"`
	PairWeight    float64 `json:"pair_weight"`

	SenseDropout   float64 `json:"sense_dropout"` // chance that a talking row loses one of its senses
	Dropout        float64 `json:"dropout"`
	LabelSmoothing float64 `json:"label_smoothing"` // of the emotions; a half of it of the genders
	LearningRate   float64 `json:"learning_rate"`   // Adam's, at its peak
	WarmupSteps    int     `json:"warmup_steps"`    // linear rise; a cosine to zero follows
	WeightDecay    float64 `json:"weight_decay"`    // decoupled (AdamW)
	Clip           float64 `json:"clip"`            // of the gradient's global norm; 0: none
}

//go:embed recipes/default.json
var defaultRecipe []byte

// DefaultRecipe is the recipe of the default model.
func DefaultRecipe() Recipe {
	r, err := ParseRecipe(defaultRecipe)
	if err != nil {
		panic(err) // the embedded file is tested
	}
	return r
}

// ReadRecipe reads a recipe file.
func ReadRecipe(path string) (Recipe, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Recipe{}, fmt.Errorf("recipe: %w", err)
	}
	r, err := ParseRecipe(b)
	if err != nil {
		return r, fmt.Errorf("recipe %s: %w", path, err)
	}
	return r, nil
}

// ParseRecipe reads a recipe's JSON; unknown fields are errors, since a misspelt one would be left out silently.
func ParseRecipe(b []byte) (Recipe, error) {
	var r Recipe
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	return r, r.check()
}

func (r Recipe) check() error {
	if _, err := ParseWeighting(r.Weighting); err != nil {
		return err
	}
	switch {
	case r.Modal != "multi" && r.Modal != "audio" && r.Modal != "video":
		return fmt.Errorf("modal %q: want multi, audio or video", r.Modal)
	case r.Epochs < 1 || r.StepsPerEpoch < 1:
		return fmt.Errorf("epochs %d, steps_per_epoch %d: want at least 1", r.Epochs, r.StepsPerEpoch)
	case r.Stills < 0 || r.Voices < 0 || r.Talking < 0 || r.Pairs < 0 || r.Stills+r.Voices+r.Talking < 2:
		return fmt.Errorf("stills %d, voices %d, talking %d, pairs %d: want none negative and at least two samples a batch", r.Stills, r.Voices, r.Talking, r.Pairs)
	case r.LearningRate <= 0 || r.Dropout < 0 || r.Dropout >= 1 || r.LabelSmoothing < 0 || r.LabelSmoothing >= 1 || r.SenseDropout < 0 || r.SenseDropout > 1 || r.EmotionStills < 0 || r.EmotionStills > 1:
		return fmt.Errorf("learning_rate %g, dropout %g, label_smoothing %g, sense_dropout %g, emotion_stills %g: out of range", r.LearningRate, r.Dropout, r.LabelSmoothing, r.SenseDropout, r.EmotionStills)
	}
	return nil
}
