package train

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/augment"
	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/optim"
	"tandem/train/weighting"
)

// Recipe is everything that decides a training run, but for the data. docs/recipe.md describes each field, by its name
// in JSON.
type Recipe struct {
	Seed      uint64 `json:"seed"`
	Weighting string `json:"weighting"` // of the tasks' losses, see weighting.Parse
	// Options of weighting softmax alone, see weighting.Softmax; 0, 1 and 0 are the paper's.
	WeightFloor       float64 `json:"weight_floor"`
	WeightTemperature float64 `json:"weight_temperature"`
	WeightEntropy     float64 `json:"weight_entropy"`

	Modal string  `json:"modal"` // multi, audio or video: which modalities are trained
	Arch  nn.Arch `json:"arch"`
	// Emotions and Genders are the labels of the network's outputs, in their order.
	Emotions []string `json:"emotions"`
	Genders  []string `json:"genders"`
	Freeze   []string `json:"freeze"` // those of nn.Parts that are not trained

	Epochs        int `json:"epochs"`
	StepsPerEpoch int `json:"steps_per_epoch"`
	// Patience is how many epochs without a better StopMetric end training early, keeping the best; 0: none do, and the
	// last is kept.
	Patience   int    `json:"patience"`
	StopMetric string `json:"stop_metric"` // one of stopMetrics

	// How many rows of each kind a batch holds: stills and voices have one modality, talking faces both; pairs are made
	// up of a still and a voice of the batch that share a label.
	Stills int `json:"stills"`
	// EmotionStills is the share of the stills that is drawn from those with an emotion label, where there are both.
	EmotionStills float64 `json:"emotion_stills"`

	Voices  int `json:"voices"`
	Talking int `json:"talking"`
	Pairs   int `json:"pairs"`

	// How often samples of rare emotions come: "none", each clip as often as any other; "full", each emotion; "sqrt",
	// between the two. Where stills have no emotion their gender counts.
	StillBalance string `json:"still_balance"`
	VoiceBalance string `json:"voice_balance"` // and of talking faces

	// SetTemperature T makes clips of a data set with n of them (of a kind: stills, voices, talking faces) come in
	// proportion to n^(1/T): 1, each clip as often as any other; the larger, the more alike the sets.
	SetTemperature float64 `json:"set_temperature"`
	// Hears says which sound the model is given, in training as in use: "voice", such as a voice detector calls one, or
	// "any", all that is no silence.
	Hears string `json:"hears"`
	// LabelSpace is "set", the loss is over the labels that a clip's data set has (see dataset.Spaces), or "all".
	LabelSpace string `json:"label_space"`
	// Votes is how a clip's several labels are used (Barsoum et al. 2016): "majority", that with most votes;
	// "distribution", their shares; "drawn", one of them, drawn anew each time.
	Votes string `json:"votes"`

	StillWeight   float64 `json:"still_weight"` // of a row's loss, by kind
	VoiceWeight   float64 `json:"voice_weight"`
	TalkingWeight float64 `json:"talking_weight"`
	PairWeight    float64 `json:"pair_weight"`

	SenseDropout float64 `json:"sense_dropout"` // chance that a talking row loses one of its modalities
	FrameDropout float64 `json:"frame_dropout"` // chance that a crop of a talking face is left out
	FaceBlank    float64 `json:"face_blank"`    // chance that a talking face with audio shows one grey level only
	// PartialShare is the chance that the window of a voice or a talking face is cut to its end, as long as a number of
	// seconds from PartialLeast to the window's length: so begin a stream, and a clip shorter than a window.
	PartialShare   float64 `json:"partial_share"`
	PartialLeast   float64 `json:"partial_least"`
	Dropout        float64 `json:"dropout"`
	LabelSmoothing float64 `json:"label_smoothing"` // of the emotions; a half of it of the genders
	// Mixup (Zhang et al. 2018) blends a still with another still, or a voice with another voice, and their labels
	// alike: MixupShare of them are blended, by shares drawn from Beta(MixupAlpha, MixupAlpha).
	MixupShare float64 `json:"mixup_share"`
	MixupAlpha float64 `json:"mixup_alpha"`

	Optimizer    string  `json:"optimizer"`     // see package optim: adamw; adam, whose weight decay is L2; or muon
	LearningRate float64 `json:"learning_rate"` // at its peak
	WarmupSteps  int     `json:"warmup_steps"`  // linear rise
	Schedule     string  `json:"schedule"`      // what follows: cosine to zero, step or constant
	DecayEpochs  int     `json:"decay_epochs"`  // of schedule step: every so many epochs
	DecayFactor  float64 `json:"decay_factor"`  // of schedule step: it is multiplied by this
	WeightDecay  float64 `json:"weight_decay"`
	Clip         float64 `json:"clip"`       // of the gradient's global norm; 0: none
	Accumulate   int     `json:"accumulate"` // batches whose gradients make one step
	// EMA is the decay a step of a moving average of the weights, which is then validated and exported; 0: none.
	EMA float64 `json:"ema"`

	Augment augment.Config `json:"augment"`
}

//go:embed recipes/default.json
var defaultRecipe []byte

// DefaultRecipe returns the recipe of the default model.
func DefaultRecipe() Recipe {
	var r Recipe
	if err := r.read(defaultRecipe); err != nil {
		panic(err) // the embedded file is tested
	}
	return r
}

//go:embed recipes/paper.json
var paperRecipe []byte

// PaperRecipe returns that of Chae et al. 2018; docs/paper.md says where it departs from theirs.
func PaperRecipe() Recipe {
	r, err := ParseRecipe(paperRecipe)
	if err != nil {
		panic(err) // the embedded file is tested
	}
	return r
}

// ReadRecipe reads a recipe file, see ParseRecipe.
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

// ParseRecipe reads a recipe's JSON and checks it. What it leaves out is as in the default; unknown fields are errors,
// since a misspelt one would be left out silently.
func ParseRecipe(b []byte) (Recipe, error) {
	r := DefaultRecipe()
	return r, r.read(b)
}

func (r *Recipe) read(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind the recipe")
	}
	return r.Check()
}

// Check returns an error that names the first field out of its range.
func (r Recipe) Check() error {
	if _, err := r.weighting(); err != nil {
		return err
	}
	for _, c := range []struct {
		field, value string
		known        []string
	}{
		{"arch.kind", r.Arch.Kind, []string{nn.KindTandem, nn.KindPaper}},
		{"modal", r.Modal, []string{"multi", "audio", "video"}},
		{"optimizer", r.Optimizer, optim.Names()},
		{"schedule", r.Schedule, []string{"cosine", "step", "constant"}},
		{"hears", r.Hears, []string{infer.HearsVoice, infer.HearsAny}},
		{"label_space", r.LabelSpace, []string{"set", "all"}},
		{"votes", r.Votes, []string{"majority", "distribution", "drawn"}},
		{"still_balance", r.StillBalance, slices.Sorted(maps.Keys(balances))},
		{"voice_balance", r.VoiceBalance, slices.Sorted(maps.Keys(balances))},
		{"stop_metric", r.StopMetric, slices.Sorted(maps.Keys(stopMetrics))},
	} {
		if !slices.Contains(c.known, c.value) {
			return fmt.Errorf("%s %q: known are %s", c.field, c.value, strings.Join(c.known, ", "))
		}
	}
	if err := r.checkNumbers(); err != nil {
		return err
	}
	return errors.Join(dataset.CheckLabels("emotion", r.Emotions), dataset.CheckLabels("gender", r.Genders),
		nn.CheckFreeze(r.Freeze), r.Augment.Audio.Check(), r.Augment.Face.Check())
}

// checkNumbers returns an error that names the first number out of its range.
func (r Recipe) checkNumbers() error {
	switch {
	case !(r.Arch.Width > 0 && r.Arch.Width <= 4):
		return fmt.Errorf("arch.width %g: want more than 0, such as 0.25, and at most 4", r.Arch.Width)
	case !(r.SetTemperature >= 1 && r.SetTemperature <= 1000):
		return fmt.Errorf(
			"set_temperature %g: want 1 (each clip alike) to 1000 (each data set alike)",
			r.SetTemperature,
		)
	case !(r.FrameDropout >= 0 && r.FrameDropout <= 1):
		return fmt.Errorf("frame_dropout %g: want a chance from 0 to 1", r.FrameDropout)
	case !(r.FaceBlank >= 0 && r.FaceBlank <= 1):
		return fmt.Errorf("face_blank %g: want a chance from 0 to 1", r.FaceBlank)
	case !(r.PartialShare >= 0 && r.PartialShare <= 1):
		return fmt.Errorf("partial_share %g: want a chance from 0 to 1", r.PartialShare)
	case !(r.PartialLeast >= 0.1 && r.PartialLeast <= r.Arch.WindowSpec().Window.Seconds()):
		return fmt.Errorf("partial_least %g: want seconds from 0.1 to the window's %g", r.PartialLeast,
			r.Arch.WindowSpec().Window.Seconds())
	case r.PartialShare > 0 && !r.Arch.WindowSpec().Partial:
		return fmt.Errorf("partial_share %g: arch.kind %q reads full windows only", r.PartialShare, r.Arch.Kind)
	case r.Epochs < 1 || r.StepsPerEpoch < 1:
		return fmt.Errorf("epochs %d, steps_per_epoch %d: want at least 1", r.Epochs, r.StepsPerEpoch)
	case r.Stills < 0 || r.Voices < 0 || r.Talking < 0 || r.Pairs < 0 || r.Stills+r.Voices+r.Talking < 2:
		return fmt.Errorf("stills %d, voices %d, talking %d, pairs %d: want none negative and at least two samples a "+
			"batch", r.Stills, r.Voices, r.Talking, r.Pairs)
	case r.LearningRate <= 0 || r.Dropout < 0 || r.Dropout >= 1 || r.LabelSmoothing < 0 || r.LabelSmoothing >= 1 ||
		r.SenseDropout < 0 || r.SenseDropout > 1 || r.EmotionStills < 0 || r.EmotionStills > 1:
		return fmt.Errorf("learning_rate %g, dropout %g, label_smoothing %g, sense_dropout %g, emotion_stills %g: "+
			"out of range", r.LearningRate, r.Dropout, r.LabelSmoothing, r.SenseDropout, r.EmotionStills)
	case r.MixupShare < 0 || r.MixupShare > 1 || r.MixupShare > 0 && !(r.MixupAlpha > 0 && r.MixupAlpha <= 100):
		return fmt.Errorf("mixup_share %g, mixup_alpha %g: want a share from 0 to 1 and an alpha above 0", r.MixupShare,
			r.MixupAlpha)
	case r.WarmupSteps < 0 || r.WeightDecay < 0 || r.Clip < 0 || r.Patience < 0:
		return fmt.Errorf("warmup_steps %d, weight_decay %g, clip %g, patience %d: want none negative", r.WarmupSteps,
			r.WeightDecay, r.Clip, r.Patience)
	case r.Schedule == "step" && (r.DecayEpochs < 1 || !(r.DecayFactor > 0 && r.DecayFactor <= 1)):
		return fmt.Errorf("decay_epochs %d, decay_factor %g: schedule step wants at least 1 epoch and a factor above "+
			"0, at most 1", r.DecayEpochs, r.DecayFactor)
	case r.Accumulate < 1 || r.Accumulate > 1000:
		return fmt.Errorf("accumulate %d: want 1 to 1000 batches a step", r.Accumulate)
	case !(r.EMA >= 0 && r.EMA < 1):
		return fmt.Errorf("ema %g: want a decay from 0 to below 1, such as 0.999", r.EMA)
	}
	return nil
}

// Labels returns the labels of the network's outputs.
func (r Recipe) Labels() pipeline.Labels {
	return pipeline.Labels{Emotions: r.Emotions, Genders: r.Genders}
}

// weighting returns the recipe's weighting with its options.
func (r Recipe) weighting() (weighting.Method, error) {
	w, err := weighting.Parse(r.Weighting)
	if err != nil {
		return nil, err
	}
	floor, temperature, entropy := r.WeightFloor, r.WeightTemperature, r.WeightEntropy
	switch _, ok := w.(weighting.Softmax); {
	case !(floor >= 0 && floor < 0.5):
		return nil, fmt.Errorf("weight_floor %g: want 0 or more and, of two tasks, less than 0.5", floor)
	case !(temperature > 0 && temperature <= 1e6):
		return nil, fmt.Errorf("weight_temperature %g: want a number above 0; 1 is the paper's", temperature)
	case !(entropy >= 0 && entropy <= 1e6):
		return nil, fmt.Errorf("weight_entropy %g: want nats, 0 or more; 0 is the paper's", entropy)
	case ok:
		return weighting.Softmax{Floor: floor, Temperature: temperature, Entropy: entropy}, nil
	case floor != 0 || temperature != 1 || entropy != 0:
		return nil, fmt.Errorf("weight_floor, weight_temperature and weight_entropy are of --weighting softmax "+
			"alone, not of %s: leave them out", r.Weighting)
	}
	return w, nil
}

// CheckWeighting returns an error if the weighting is none, or its options are out of range or another weighting's.
func (r Recipe) CheckWeighting() error {
	_, err := r.weighting()
	return err
}
