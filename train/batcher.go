package train

import (
	"errors"
	"math"
	"math/rand/v2"

	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/sample"
)

// batcher chooses the samples of each batch, see batch.go for the rest. What a batch holds depends on the recipe's seed
// and the batch's number alone, so a resumed run trains on what the first would have.
type batcher struct {
	recipe Recipe
	arch   nn.Arch
	data   *sample.Prepared
	drops  []nn.DropoutLayer

	stills  [2]deck    // samples that show an emotion, and the others
	voices  [][]int    // windows of each clip with audio only, as samples
	talking [][]int    // and of each with faces
	stillBy [2]chooser // nil: dealt
	voiceBy chooser
	talkBy  chooser
}

// deck deals samples in passes over all of them, each pass in an order of its own.
type deck struct {
	samples []int
	seed    uint64
	pass    int // the pass whose order is held, from 1
	order   []int
}

// deal returns the i-th sample of the whole run.
func (d *deck) deal(i int) int {
	n := len(d.samples)
	if pass := 1 + i/n; pass != d.pass {
		d.pass = pass
		d.order = rand.New(rand.NewPCG(d.seed, uint64(pass))).Perm(n)
	}
	return d.samples[d.order[i%n]]
}

// chooser draws items so that those of rarer classes come more often.
type chooser []float64 // cumulative

// balances holds, by the recipe's name of it, the power of a class's size by which its items come more rarely.
var balances = map[string]float64{"none": 0, "sqrt": 0.5, "full": 1}

// newChooser returns a chooser of as many items as there are classes, each the class of one item.
func newChooser(classes []int, balance string) chooser {
	count := map[int]int{}
	for _, k := range classes {
		count[k]++
	}
	c := make(chooser, len(classes))
	sum := 0.0
	for i, k := range classes {
		sum += math.Pow(float64(count[k]), -balances[balance])
		c[i] = sum
	}
	return c
}

// draw returns the index of an item.
func (c chooser) draw(rng *rand.Rand) int {
	x := rng.Float64() * c[len(c)-1]
	lo, hi := 0, len(c)-1
	for lo < hi {
		if mid := (lo + hi) / 2; c[mid] < x {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// newBatcher returns a batcher of samples, which are to be of the training split alone. Kinds of sample that there are
// none of are left out of the recipe's batch; it is an error if nothing is left.
func newBatcher(recipe Recipe, arch nn.Arch, data *sample.Prepared) (*batcher, error) {
	b := &batcher{recipe: recipe, arch: arch, data: data, drops: nn.DropoutLayers(arch)}
	b.stills[0].seed, b.stills[1].seed = recipe.Seed^0xe307, recipe.Seed^0x6e4d
	b.sort()
	stills := len(b.stills[0].samples) + len(b.stills[1].samples)
	if stills+len(b.voices)+len(b.talking) == 0 {
		return nil, errors.New("training: no sample of the train split has a sense that is trained; " +
			"check --data and --modal")
	}
	if stills == 0 {
		b.recipe.Stills = 0
	}
	if len(b.voices) == 0 {
		b.recipe.Voices = 0
	}
	if len(b.talking) == 0 {
		b.recipe.Talking = 0
	}
	if b.recipe.Stills == 0 || b.recipe.Voices == 0 {
		b.recipe.Pairs = 0
	}
	if b.recipe.Stills+b.recipe.Voices+b.recipe.Talking == 0 {
		return nil, errors.New("training: the recipe's batch holds none of the kinds of sample that there are; " +
			"raise stills, voices or talking")
	}
	b.balance()
	return b, nil
}

// sort divides the samples into the kinds of which a batch is made, by the modalities that are trained.
func (b *batcher) sort() {
	byClip := map[int][]int{}
	var clips []int
	for i, s := range b.data.Samples {
		if s.Still {
			if b.recipe.Modal != "audio" {
				d := &b.stills[1]
				if b.data.Clips[s.Clip].Emotion >= 0 {
					d = &b.stills[0]
				}
				d.samples = append(d.samples, i)
			}
			continue
		}
		if len(byClip[s.Clip]) == 0 {
			clips = append(clips, s.Clip)
		}
		byClip[s.Clip] = append(byClip[s.Clip], i)
	}
	for _, c := range clips {
		audio, video := false, false
		for _, i := range byClip[c] {
			audio = audio || b.data.Samples[i].Audio != nil
			video = video || b.data.Samples[i].Video != nil
		}
		switch {
		case video && b.recipe.Modal != "audio":
			b.talking = append(b.talking, byClip[c])
		case audio && b.recipe.Modal != "video":
			b.voices = append(b.voices, byClip[c])
		}
	}
}

// balance makes the choosers. Stills without an emotion are balanced by their gender.
func (b *batcher) balance() {
	r := b.recipe
	emotions := func(clips [][]int) []int {
		classes := make([]int, len(clips))
		for i, windows := range clips {
			classes[i] = b.clip(windows[0]).Emotion
		}
		return classes
	}
	b.voiceBy = newChooser(emotions(b.voices), r.VoiceBalance)
	b.talkBy = newChooser(emotions(b.talking), r.VoiceBalance)
	if r.StillBalance == "none" {
		return
	}
	for k := range b.stills {
		classes := make([]int, len(b.stills[k].samples))
		for i, s := range b.stills[k].samples {
			classes[i] = b.clip(s).Emotion
			if k == 1 {
				classes[i] = b.clip(s).Gender
			}
		}
		b.stillBy[k] = newChooser(classes, r.StillBalance)
	}
}

// clip returns the clip of a sample.
func (b *batcher) clip(sample int) *dataset.Clip { return &b.data.Clips[b.data.Samples[sample].Clip] }

// still returns the sample of the i-th of the stills of a batch.
func (b *batcher) still(batch, i int, rng *rand.Rand) int {
	n := b.recipe.Stills
	first := int(math.Round(b.recipe.EmotionStills * float64(n)))
	switch {
	case len(b.stills[0].samples) == 0:
		first = 0
	case len(b.stills[1].samples) == 0:
		first = n
	}
	k, at := 0, batch*first+i
	if i >= first {
		k, at = 1, batch*(n-first)+i-first
	}
	if b.stillBy[k] != nil {
		return b.stills[k].samples[b.stillBy[k].draw(rng)]
	}
	return b.stills[k].deal(at)
}

// window returns a window of a clip that by chooses, as a sample.
func (b *batcher) window(clips [][]int, by chooser, rng *rand.Rand) int {
	windows := clips[by.draw(rng)]
	return windows[rng.IntN(len(windows))]
}
