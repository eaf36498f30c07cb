package train

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
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

// checkNumbers returns an error that names the first number out of its range, and the range.
func (r Recipe) checkNumbers() error {
	window := r.Arch.WindowSpec()
	const noEnd = math.MaxFloat64
	for _, n := range []struct {
		field         string
		value         float64
		least, most   float64
		noLeast, open bool   // the least, or the most, is out of range itself
		note          string // what the numbers mean
	}{
		{"arch.width", r.Arch.Width, 0, 4, true, false, ", such as 0.25"},
		{"set_temperature", r.SetTemperature, 1, 1000, false, false, ": each clip alike, to each data set alike"},
		{"frame_dropout", r.FrameDropout, 0, 1, false, false, ", a chance"},
		{"face_blank", r.FaceBlank, 0, 1, false, false, ", a chance"},
		{"partial_share", r.PartialShare, 0, 1, false, false, ", a chance"},
		{"partial_least", r.PartialLeast, 0.1, window.Window.Seconds(), false, false, " seconds, the window's length"},
		{"epochs", float64(r.Epochs), 1, noEnd, false, false, ""},
		{"steps_per_epoch", float64(r.StepsPerEpoch), 1, noEnd, false, false, ""},
		{"stills", float64(r.Stills), 0, noEnd, false, false, ""},
		{"voices", float64(r.Voices), 0, noEnd, false, false, ""},
		{"talking", float64(r.Talking), 0, noEnd, false, false, ""},
		{"pairs", float64(r.Pairs), 0, noEnd, false, false, ""},
		{"emotion_stills", r.EmotionStills, 0, 1, false, false, ", a share"},
		{"learning_rate", r.LearningRate, 0, 10, true, false, ", such as 0.001"},
		{"dropout", r.Dropout, 0, 1, false, true, ", a chance"},
		{"label_smoothing", r.LabelSmoothing, 0, 1, false, true, ", a share"},
		{"sense_dropout", r.SenseDropout, 0, 1, false, false, ", a chance"},
		{"mixup_share", r.MixupShare, 0, 1, false, false, ", a share"},
		{"warmup_steps", float64(r.WarmupSteps), 0, noEnd, false, false, ""},
		{"weight_decay", r.WeightDecay, 0, noEnd, false, false, ""},
		{"clip", r.Clip, 0, noEnd, false, false, "; 0 is no clipping"},
		{"patience", float64(r.Patience), 0, noEnd, false, false, " epochs; 0 is no early stopping"},
		{"accumulate", float64(r.Accumulate), 1, 1000, false, false, " batches a step"},
		{"ema", r.EMA, 0, 1, false, true, ", a decay such as 0.999"},
	} {
		if n.value > n.least && n.value < n.most || n.value == n.least && !n.noLeast || n.value == n.most && !n.open {
			continue
		}
		from, to := fmt.Sprintf("%g or more", n.least), fmt.Sprintf(", at most %g", n.most)
		if n.noLeast {
			from = fmt.Sprintf("more than %g", n.least)
		}
		if n.open {
			to = fmt.Sprintf(", less than %g", n.most)
		}
		if n.most == noEnd {
			to = ""
		}
		return fmt.Errorf("%s %v: want %s%s%s", n.field, n.value, from, to, n.note)
	}
	return r.checkTogether()
}

// checkTogether returns an error for numbers that are in their ranges but do not go together.
func (r Recipe) checkTogether() error {
	switch {
	case r.PartialShare > 0 && !r.Arch.WindowSpec().Partial:
		return fmt.Errorf("partial_share %g: arch.kind %q reads full windows only", r.PartialShare, r.Arch.Kind)
	case r.Stills+r.Voices+r.Talking < 2:
		return fmt.Errorf("stills %d, voices %d, talking %d: want at least two samples a batch", r.Stills, r.Voices,
			r.Talking)
	case r.MixupShare > 0 && !(r.MixupAlpha > 0 && r.MixupAlpha <= 100):
		return fmt.Errorf("mixup_alpha %g: want more than 0, at most 100, where mixup_share is not 0", r.MixupAlpha)
	case r.Schedule == "step" && r.DecayEpochs < 1:
		return fmt.Errorf("decay_epochs %d: schedule step wants 1 or more", r.DecayEpochs)
	case r.Schedule == "step" && !(r.DecayFactor > 0 && r.DecayFactor <= 1):
		return fmt.Errorf("decay_factor %g: schedule step wants more than 0, at most 1", r.DecayFactor)
	}
	return nil
}

// Remarks says what in a recipe is allowed but has no effect, a sentence each.
func (r Recipe) Remarks() []string {
	m, err := r.weighting()
	if n := weighting.UniformEpochs(m); err == nil && r.Epochs <= n {
		return []string{fmt.Sprintf("the weights of %s are uniform in its first %d epochs, and there are %d: it is "+
			"static:0.5,0.5 here", r.Weighting, n, r.Epochs)}
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
	switch softmax, ok := w.(weighting.Softmax); {
	case !(floor >= 0 && floor < 0.5):
		return nil, fmt.Errorf("weight_floor %g: want 0 or more and, of two tasks, less than 0.5", floor)
	case !(temperature > 0 && temperature <= 1e6):
		return nil, fmt.Errorf("weight_temperature %g: want a number above 0; 1 is the paper's", temperature)
	case !(entropy >= 0 && entropy <= 1e6):
		return nil, fmt.Errorf("weight_entropy %g: want nats, 0 or more; 0 is the paper's", entropy)
	case ok:
		softmax.Floor, softmax.Temperature, softmax.Entropy = floor, temperature, entropy
		return softmax, nil
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
