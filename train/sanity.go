package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"tandem/train/augment"
	"tandem/train/dataset"
)

// Sanity holds what is worth knowing before hours are spent: whether the network learns a batch by heart, at which
// learning rates it learns at all, and what it is shown.
type Sanity struct {
	Recipe  Recipe
	Overfit Overfit
	Rates   RateTest

	shown []shown
}

// Overfit is how the losses fell when one batch was learned by heart: without augmentation, mixup, smoothing and
// dropout, which keep a network from it. A network that can't has a mistake in it, or in its labels.
type Overfit struct {
	Stills, Voices, Talking, Pairs int       // of the batch
	Emotion, Gender                []float64 // losses by step in nats, of the network before the step
	Rate                           float64   // the recipe's, without a schedule
	// Learned is true once the losses' sum is at most overfitted of what it was at first.
	Learned bool
}

// RateTest is a learning-rate range test (Smith 2017, "Cyclical learning rates for training neural networks", section
// 3.3): the rate rises from step to step by the same factor, each with a batch of its own, until the loss explodes.
type RateTest struct {
	Rates  []float64
	Losses []float64 // the sum of both tasks', without weights, in nats
	Smooth []float64 // of these, an exponential average
	// Steepest is the rate at which the smoothed loss falls fastest by the logarithm of the rate, and Lowest that at
	// which it is lowest: rates from the one to a third of the other are worth trying. 0: it does not fall.
	Steepest, Lowest float64
	Diverged         bool // the loss was no number any more, or four times the lowest
}

const (
	overfitted  = 0.1  // share of the first losses
	fewOfAKind  = 8    // samples of each kind that are learned by heart
	lowestRate  = 1e-6 // of the range test
	highestRate = 1
	rateSteps   = 100
	smoothing   = 0.9 // of the range test's losses, as usual there
)

// overfitSteps is how many are made at most.
const overfitSteps = 150

// CheckSanity makes the checks by the options' recipe and data. Of o.Run nothing is used, and nothing is written.
func CheckSanity(ctx context.Context, o Options) (*Sanity, error) {
	if err := o.Recipe.Check(); err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	data, err := o.Prepare(ctx)
	if err != nil {
		return nil, err
	}
	return o.checkSanity(ctx, data)
}

// checkSanity is CheckSanity on data that is cut already.
func (o *Options) checkSanity(ctx context.Context, data *Data) (*Sanity, error) {
	t := &Sanity{Recipe: o.Recipe}
	if err := o.overfit(ctx, data, &t.Overfit); err != nil {
		return nil, fmt.Errorf("one batch by heart: %w", err)
	}
	if err := o.rangeTest(ctx, data, &t.Rates); err != nil {
		return nil, fmt.Errorf("learning-rate range test: %w", err)
	}
	var err error
	t.shown, err = o.show(data)
	return t, err
}

// network returns a network, new or that of --init, and the batches that a recipe makes for it.
func (o *Options) network(data *Data, recipe Recipe) (*network, *batcher, error) {
	labels := recipe.Labels()
	arch := recipe.archFor(data.Spec)
	weighting, err := recipe.weighting()
	if err != nil {
		return nil, nil, err
	}
	batches, err := newBatcher(recipe, arch, data.Only(dataset.SplitTrain))
	if err != nil {
		return nil, nil, err
	}
	backend, err := NewBackend(cmp.Or(o.Backend, DefaultBackend))
	if err != nil {
		return nil, nil, err
	}
	net, err := newNetwork(arch, weighting, recipe, backend)
	if err == nil && o.Init != nil {
		_, err = net.begin(o.Init, labels)
	}
	return net, batches, err
}

// overfit learns one batch by heart.
func (o *Options) overfit(ctx context.Context, data *Data, out *Overfit) error {
	r := o.Recipe
	r.Augment = augment.Config{}
	r.Augment.Face.Gamma = 1
	r.MixupShare, r.LabelSmoothing, r.Dropout, r.WeightDecay = 0, 0, 0, 0
	r.SenseDropout, r.FrameDropout, r.FaceBlank, r.PartialShare = 0, 0, 0, 0
	r.Votes, r.Accumulate, r.EMA = "majority", 1, 0
	r.Stills, r.Voices = min(r.Stills, fewOfAKind), min(r.Voices, fewOfAKind)
	r.Talking, r.Pairs = min(r.Talking, fewOfAKind/2), min(r.Pairs, fewOfAKind/2)
	net, batches, err := o.network(data, r)
	if err != nil {
		return err
	}
	used := batches.recipe // without the kinds that there are none of
	out.Stills, out.Voices, out.Talking, out.Pairs = used.Stills, used.Voices, used.Talking, used.Pairs
	out.Rate = r.LearningRate
	b := batches.batch(0)
	for step := range overfitSteps {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b.rate = float32(r.LearningRate * min(float64(step+1)/10, 1)) // Adam's first steps are large
		result, err := net.run(net.step, b)
		if errors.Is(err, ErrDiverged) {
			return nil // it has not learned
		}
		if err != nil {
			return err
		}
		out.Emotion, out.Gender = append(out.Emotion, result.Emotion), append(out.Gender, result.Gender)
		sum, first := result.Emotion+result.Gender, out.Emotion[0]+out.Gender[0]
		o.Progress(Progress{
			Stage: "train", Done: step + 1, Total: overfitSteps + rateSteps,
			Text: fmt.Sprintf("one batch by heart, emotion %.3f + gender %.3f", result.Emotion, result.Gender),
		})
		if out.Learned = sum <= overfitted*first; out.Learned {
			break
		}
	}
	return nil
}

// rangeTest makes steps of a rising learning rate.
func (o *Options) rangeTest(ctx context.Context, data *Data, out *RateTest) error {
	r := o.Recipe
	r.Accumulate, r.EMA = 1, 0
	net, batches, err := o.network(data, r)
	if err != nil {
		return err
	}
	lowest := math.Inf(1)
	average := 0.0
	for step := range rateSteps {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b := batches.batch(step)
		rate := lowestRate * math.Pow(highestRate/lowestRate, float64(step)/(rateSteps-1))
		b.rate = float32(rate)
		result, err := net.run(net.step, b)
		if errors.Is(err, ErrDiverged) {
			out.Diverged = true
			break
		}
		if err != nil {
			return err
		}
		loss := result.Emotion + result.Gender
		average = smoothing*average + (1-smoothing)*loss
		// As if it had begun with the first loss.
		smooth := average / (1 - math.Pow(smoothing, float64(step+1)))
		out.Rates, out.Losses = append(out.Rates, rate), append(out.Losses, loss)
		out.Smooth = append(out.Smooth, smooth)
		o.Progress(Progress{
			Stage: "train", Done: overfitSteps + step + 1, Total: overfitSteps + rateSteps,
			Text: fmt.Sprintf("range test, rate %.2g, loss %.3f", rate, smooth),
		})
		if lowest = min(lowest, smooth); smooth > 4*lowest {
			out.Diverged = true
			break
		}
	}
	out.read()
	return nil
}

// read finds the steepest fall and the lowest loss.
func (t *RateTest) read() {
	const ahead = 5 // steps over which a slope is taken
	t.Steepest, t.Lowest = 0, 0
	if len(t.Smooth) <= ahead {
		return
	}
	lowest := slices.Index(t.Smooth, slices.Min(t.Smooth))
	steepest, slope := -1, 0.0
	for i := range max(lowest-ahead+1, 0) {
		if fall := t.Smooth[i+ahead] - t.Smooth[i]; fall < slope {
			steepest, slope = i+ahead/2, fall
		}
	}
	if steepest < 0 {
		return
	}
	t.Steepest, t.Lowest = t.Rates[steepest], t.Rates[lowest]
}

// Findings are sentences about what was found; ok is false if training is not worth beginning.
func (t *Sanity) Findings() (lines []string, ok bool) {
	f := &t.Overfit
	if n := len(f.Emotion); n > 0 {
		first, last := f.Emotion[0]+f.Gender[0], f.Emotion[n-1]+f.Gender[n-1]
		if f.Learned {
			lines = append(lines, fmt.Sprintf("one batch by heart: losses from %.3f to %.3f nats in %d steps: the "+
				"network learns what it is shown", first, last, n))
		} else {
			lines = append(lines, fmt.Sprintf("one batch by heart: losses from %.3f to %.3f nats in %d steps, which "+
				"is not learned: look at learning_rate (%g), at freeze, and for clips that are there twice with other "+
				"labels", first, last, n, f.Rate))
		}
	} else {
		lines = append(lines, "one batch by heart: the first step's loss was no number: lower learning_rate")
	}
	r, rate := &t.Rates, t.Recipe.LearningRate
	switch {
	case r.Steepest == 0:
		lines = append(lines, "learning rates: the loss fell at none of them: see the plot")
	case rate > r.Lowest:
		lines = append(lines, fmt.Sprintf("learning rates: the loss falls fastest at %.2g and rises from %.2g on: the "+
			"recipe's %g is too high", r.Steepest, r.Lowest, rate))
	case rate < r.Steepest/30: // the test itself, which begins slowly, finds rates a few times too high
		lines = append(lines, fmt.Sprintf("learning rates: the loss falls fastest at %.2g and rises from %.2g on: the "+
			"recipe's %g is low", r.Steepest, r.Lowest, rate))
	default:
		lines = append(lines, fmt.Sprintf("learning rates: the loss falls fastest at %.2g and rises from %.2g on; the "+
			"recipe's is %g", r.Steepest, r.Lowest, rate))
	}
	return lines, f.Learned
}
