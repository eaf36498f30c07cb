package train

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

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
	sets   []string                // names of the data sets of the samples, sorted
	spaces map[string][2][]float32 // of each set, 1 for the emotions, and the genders, over which its loss is, else 0
	known  map[string][2]bool      // of which tasks a set has labels

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

// chooser draws items so that those of rarer classes, and of smaller data sets, come more often.
type chooser []float64 // cumulative

// balances holds, by the recipe's name of it, the power of a class's size by which its items come more rarely.
var balances = map[string]float64{"none": 0, "sqrt": 0.5, "full": 1}

// choice is an item that a chooser draws.
type choice struct {
	set   string
	class int
}

// newChooser returns a chooser of items. Classes are balanced over all sets together at temperature 1; at a higher
// temperature T within each set, and a set of n items is drawn from in proportion to n^(1/T), as Arivazhagan et al.
// 2019 (arXiv 1907.05019, section 4.1) do with languages.
func newChooser(items []choice, balance string, temperature float64) chooser {
	key := func(i choice) choice {
		if temperature == 1 {
			i.set = ""
		}
		return i
	}
	classes, sets := map[choice]int{}, map[string]int{}
	for _, i := range items {
		classes[key(i)]++
		sets[i.set]++
	}
	weight := func(i choice) float64 { return math.Pow(float64(classes[key(i)]), -balances[balance]) }
	scale := map[string]float64{} // of a set's weights
	if temperature != 1 {
		for _, i := range items {
			scale[i.set] += weight(i)
		}
		for set, sum := range scale {
			scale[set] = math.Pow(float64(sets[set]), 1/temperature) / sum
		}
	}
	c := make(chooser, len(items))
	sum := 0.0
	for k, i := range items {
		w := weight(i)
		if temperature != 1 {
			w *= scale[i.set]
		}
		sum += w
		c[k] = sum
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
	b.learnSpaces()
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
	byEmotion := func(clips [][]int) []choice {
		items := make([]choice, len(clips))
		for i, windows := range clips {
			c := b.clip(windows[0])
			items[i] = choice{c.Dataset, c.Emotion}
		}
		return items
	}
	b.voiceBy = newChooser(byEmotion(b.voices), r.VoiceBalance, r.SetTemperature)
	b.talkBy = newChooser(byEmotion(b.talking), r.VoiceBalance, r.SetTemperature)
	if r.StillBalance == "none" && r.SetTemperature == 1 {
		return
	}
	for k := range b.stills {
		items := make([]choice, len(b.stills[k].samples))
		for i, s := range b.stills[k].samples {
			c := b.clip(s)
			items[i] = choice{c.Dataset, c.Emotion}
			if k == 1 {
				items[i].class = c.Gender
			}
		}
		b.stillBy[k] = newChooser(items, r.StillBalance, r.SetTemperature)
	}
}

// learnSpaces notes which labels the loss of each data set is over. A task of which a set has no label is over all,
// with weight 0.
func (b *batcher) learnSpaces() {
	b.spaces, b.known = map[string][2][]float32{}, map[string][2]bool{}
	spaces := dataset.Spaces(b.data.Clips, b.recipe.Labels())
	trained := map[string]bool{}
	for i := range b.data.Samples {
		trained[b.clip(i).Dataset] = true
	}
	b.sets = slices.Sorted(maps.Keys(trained))
	for set, space := range spaces {
		b.known[set] = [2]bool{space.Emotions != nil, space.Genders != nil}
		var over [2][]float32
		for k, has := range [2][]bool{space.Emotions, space.Genders} {
			over[k] = make([]float32, [2]int{b.arch.Emotions, b.arch.Genders}[k])
			for i := range over[k] {
				if has == nil || b.recipe.LabelSpace == "all" || has[i] {
					over[k][i] = 1
				}
			}
		}
		b.spaces[set] = over
	}
}

// knows reports whether a data set has labels of a task, 0 for emotion and 1 for gender.
func (b *batcher) knows(set string, task int) bool { return b.known[set][task] }

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
