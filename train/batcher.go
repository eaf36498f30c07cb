package train

import (
	"errors"
	"math"
	"math/rand/v2"

	"tandem/pipeline"
	"tandem/train/augment"
	"tandem/train/nn"
	"tandem/train/sample"
	"tandem/train/weighting"
)

// batcher makes the batch of any step. What a batch holds depends on the recipe's seed and the step alone, so a
// resumed run sees what the first would have.
type batcher struct {
	recipe Recipe
	arch   nn.Arch
	data   *sample.Prepared
	drops  []nn.DropoutLayer

	stills  [2]deck // samples that show an emotion, and the others
	voices  [][]int // windows of each clip, as samples
	talking [][]int
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

// deal is the i-th sample of the whole run.
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

// balances are by which power of a class's size its items come more rarely.
var balances = map[string]float64{"none": 0, "sqrt": 0.5, "full": 1}

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

func newBatcher(recipe Recipe, arch nn.Arch, data *sample.Prepared) (*batcher, error) {
	b := &batcher{recipe: recipe, arch: arch, data: data, drops: nn.DropoutLayers(arch)}
	b.stills[0].seed, b.stills[1].seed = recipe.Seed^0xe307, recipe.Seed^0x6e4d
	byClip := map[int][]int{}
	var clips []int
	for i, s := range data.Samples {
		if s.Still {
			if recipe.Modal != "audio" {
				d := &b.stills[1]
				if data.Clips[s.Clip].Emotion >= 0 {
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
			audio = audio || data.Samples[i].Audio != nil
			video = video || data.Samples[i].Video != nil
		}
		switch {
		case video && recipe.Modal != "audio":
			b.talking = append(b.talking, byClip[c])
		case audio && recipe.Modal != "video":
			b.voices = append(b.voices, byClip[c])
		}
	}
	stills := len(b.stills[0].samples) + len(b.stills[1].samples)
	if stills+len(b.voices)+len(b.talking) == 0 {
		return nil, errors.New("training: no sample of the train split has a sense that is trained; check --data and --modal")
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
		return nil, errors.New("training: the recipe's batch holds none of the kinds of sample that there are; raise stills, voices or talking")
	}
	emotions := func(clips [][]int) []int {
		classes := make([]int, len(clips))
		for i, windows := range clips {
			classes[i] = data.Clips[data.Samples[windows[0]].Clip].Emotion
		}
		return classes
	}
	b.voiceBy, b.talkBy = newChooser(emotions(b.voices), recipe.VoiceBalance),
		newChooser(emotions(b.talking), recipe.VoiceBalance)
	if recipe.StillBalance != "none" {
		for k := range b.stills {
			classes := make([]int, len(b.stills[k].samples))
			for i, s := range b.stills[k].samples {
				classes[i] = data.Clips[data.Samples[s].Clip].Emotion
				if k == 1 {
					classes[i] = data.Clips[data.Samples[s].Clip].Gender
				}
			}
			b.stillBy[k] = newChooser(classes, recipe.StillBalance)
		}
	}
	return b, nil
}

// still is the i-th of the n stills of a batch.
func (b *batcher) still(step, i int, rng *rand.Rand) int {
	n := b.recipe.Stills
	first := int(math.Round(b.recipe.EmotionStills * float64(n)))
	switch {
	case len(b.stills[0].samples) == 0:
		first = 0
	case len(b.stills[1].samples) == 0:
		first = n
	}
	k, at := 0, step*first+i
	if i >= first {
		k, at = 1, step*(n-first)+i-first
	}
	if b.stillBy[k] != nil {
		return b.stills[k].samples[b.stillBy[k].draw(rng)]
	}
	return b.stills[k].deal(at)
}

// batch makes a batch, counted from 0: step*Accumulate+i is the i-th of a step.
func (b *batcher) batch(step int) *batch {
	rng := rand.New(rand.NewPCG(b.recipe.Seed, uint64(step)))
	s, r := b.arch.Spec, b.recipe
	out := &batch{lr: float32(r.rate(step / r.Accumulate)), draw: weighting.Draws(r.Seed, step)}
	size := s.CropSize * s.CropSize * s.Channels
	row := func(clip int, pick []int, hear int, weight float64, emotion, gender bool) {
		c := b.data.Clips[clip]
		et, ew := target(c.Emotion, b.arch.Emotions, r.LabelSmoothing)
		gt, gw := target(c.Gender, b.arch.Genders, r.LabelSmoothing/2)
		if !emotion {
			ew = 0
		}
		if !gender {
			gw = 0
		}
		out.pick, out.hear = append(out.pick, pick), append(out.hear, hear)
		out.emotion, out.gender = append(out.emotion, et), append(out.gender, gt)
		out.emotionWeight = append(out.emotionWeight, ew*float32(weight))
		out.genderWeight = append(out.genderWeight, gw*float32(weight))
		path := c.Video
		if path == "" {
			path = c.Audio
		}
		out.paths = append(out.paths, path)
	}
	crops := func(sample sample.Sample, n int) int {
		at := len(out.crops)
		out.crops = append(out.crops, make([]byte, n*size)...)
		r.Augment.Face.Apply(out.crops[at:], sample.Video, n, s.CropSize, s.Channels, rng)
		return at / size
	}
	sound := func(sample sample.Sample) int {
		if sample.Audio == nil || r.Modal == "video" {
			return -1
		}
		at := len(out.sounds)
		out.sounds = append(out.sounds, make([]float32, s.AudioSamples())...)
		r.Augment.Sound.Apply(out.sounds[at:], sample.Audio, rng)
		return at / s.AudioSamples()
	}

	stills := make([]int, r.Stills)
	for i := range stills {
		stills[i] = b.still(step, i, rng)
		row(b.data.Samples[stills[i]].Clip, b.repeat(crops(b.data.Samples[stills[i]], 1), rng), -1, r.StillWeight, true,
			true)
	}
	voices := make([]int, r.Voices)
	heard := make([]int, r.Voices)
	for i := range voices {
		windows := b.voices[b.voiceBy.draw(rng)]
		voices[i] = windows[rng.IntN(len(windows))]
		sample := b.data.Samples[voices[i]]
		heard[i] = sound(sample)
		row(sample.Clip, b.blind(), heard[i], r.VoiceWeight, heard[i] >= 0, heard[i] >= 0)
	}
	for range r.Talking {
		windows := b.talking[b.talkBy.draw(rng)]
		sample := b.data.Samples[windows[rng.IntN(len(windows))]]
		hear, pick := sound(sample), b.blind()
		first := 0
		if sample.Video != nil {
			first = crops(sample, s.VideoFrames)
			for t := range pick {
				if sample.VideoMask[t] && rng.Float64() >= r.FrameDropout {
					pick[t] = first + t
				}
			}
		}
		if hear >= 0 && sample.Video != nil && rng.Float64() < r.SenseDropout {
			if rng.IntN(2) == 0 {
				hear = -1
			} else {
				pick = b.blind()
			}
		} else if hear >= 0 && sample.Video != nil && r.FaceBlank > 0 && rng.Float64() < r.FaceBlank {
			level := byte(rng.IntN(256))
			for i := range s.VideoFrames * size {
				out.crops[first*size+i] = level
			}
		}
		sensed := hear >= 0 || anySeen(pick)
		row(sample.Clip, pick, hear, r.TalkingWeight, sensed, sensed)
	}
	mixed := b.mix(rng, out, heard)
	for range r.Pairs {
		b.pair(rng, out, stills, voices, heard, mixed, row)
	}

	// The encoders read at least one face and one sound.
	if len(out.crops) == 0 {
		out.crops = make([]byte, size)
	}
	if len(out.sounds) == 0 {
		out.sounds = make([]float32, s.AudioSamples())
	}
	b.fixShape(out, size)
	out.samples = r.Stills + r.Voices + r.Talking
	out.drop = map[string][]float32{}
	for _, d := range b.drops {
		keep := make([]float32, d.Rows(out.counts(s))*d.Width)
		for i := range keep {
			if rng.Float64() >= r.Dropout {
				keep[i] = float32(1 / (1 - r.Dropout))
			}
		}
		out.drop[d.Name] = keep
	}
	return out
}

// mix blends stills with stills and voices with voices; it returns the rows that are blended. The stills' rows come
// first, then the voices', and so do their crops.
func (b *batcher) mix(rng *rand.Rand, out *batch, heard []int) map[int]bool {
	r := b.recipe
	var rows, at []int
	size := sample.CropBytes(b.arch.Spec)
	for i := range r.Stills {
		rows, at = append(rows, i), append(at, i*size)
	}
	m := augment.Mixup{Share: r.MixupShare, Alpha: r.MixupAlpha}
	emotion, gender := augment.Targets{P: out.emotion, Weight: out.emotionWeight},
		augment.Targets{P: out.gender, Weight: out.genderWeight}
	mixed := augment.Blend(rng, m, augment.MixupItems[byte]{
		Rows: rows, At: at, Values: out.crops, Size: size,
		Blend: augment.BlendPixels,
	}, emotion, gender)
	rows, at = nil, nil
	for i, h := range heard {
		if h >= 0 {
			rows, at = append(rows, r.Stills+i), append(at, h*b.arch.Spec.AudioSamples())
		}
	}
	sounds := augment.MixupItems[float32]{
		Rows: rows, At: at, Values: out.sounds, Size: b.arch.Spec.AudioSamples(),
		Blend: augment.BlendSamples,
	}
	for row := range augment.Blend(rng, m, sounds, emotion, gender) {
		mixed[row] = true
	}
	return mixed
}

// fixShape pads faces and sounds to the same number in each batch: another shape would be another compiled graph.
func (b *batcher) fixShape(out *batch, size int) {
	r := b.recipe
	if want := max(1, r.Stills+r.Talking*b.arch.Spec.VideoFrames) * size; len(out.crops) < want {
		out.crops = append(out.crops, make([]byte, want-len(out.crops))...)
	}
	if want := max(1, r.Voices+r.Talking) * b.arch.Spec.AudioSamples(); len(out.sounds) < want {
		out.sounds = append(out.sounds, make([]float32, want-len(out.sounds))...)
	}
}

// pair makes a row of a voice and a still of this batch, neither blended, that show the same emotion, or failing that
// the same gender; the other task's label is left out, since the two are not one person.
func (b *batcher) pair(rng *rand.Rand, out *batch, stills, voices, heard []int, mixed map[int]bool,
	row func(clip int, pick []int, hear int, weight float64, emotion, gender bool),
) {
	v := rng.IntN(len(voices))
	voice := b.data.Clips[b.data.Samples[voices[v]].Clip]
	offset := rng.IntN(len(stills))
	for _, byEmotion := range []bool{rng.IntN(4) > 0, false} {
		for i := range stills {
			k := (i + offset) % len(stills)
			still := b.data.Clips[b.data.Samples[stills[k]].Clip]
			same := byEmotion && voice.Emotion >= 0 && still.Emotion == voice.Emotion ||
				!byEmotion && voice.Gender >= 0 && still.Gender == voice.Gender
			if same && heard[v] >= 0 && !mixed[k] && !mixed[len(stills)+v] {
				row(b.data.Samples[voices[v]].Clip, out.pick[k], heard[v], b.recipe.PairWeight, byEmotion, !byEmotion)
				return
			}
		}
	}
	row(b.data.Samples[voices[v]].Clip, b.blind(), -1, 0, false, false) // no partner in this batch
}

// repeat is a still's face in every frame, or now and then in a few only, as when a face is found late.
func (b *batcher) repeat(face int, rng *rand.Rand) []int {
	pick := b.blind()
	keep := rng.IntN(len(pick))
	for t := range pick {
		if t == keep || rng.Float64() > 0.2 {
			pick[t] = face
		}
	}
	return pick
}

func (b *batcher) blind() []int {
	pick := make([]int, b.arch.Spec.VideoFrames)
	for t := range pick {
		pick[t] = -1
	}
	return pick
}

func anySeen(pick []int) bool {
	for _, p := range pick {
		if p >= 0 {
			return true
		}
	}
	return false
}

// target is a smoothed one-hot row and its weight, 0 where the label is unknown.
func target(label, classes int, smoothing float64) ([]float32, float32) {
	t := make([]float32, classes)
	if label < 0 {
		return t, 0
	}
	for i := range t {
		t[i] = float32(smoothing / float64(classes))
	}
	t[label] += float32(1 - smoothing)
	return t, 1
}

func (b *batch) faces(s pipeline.Spec) int {
	return len(b.crops) / (s.CropSize * s.CropSize * s.Channels)
}

func (b *batch) counts(s pipeline.Spec) nn.BatchCounts {
	return nn.BatchCounts{Rows: len(b.pick), Faces: b.faces(s), Sounds: b.voices(s)}
}

func (b *batch) voices(s pipeline.Spec) int { return len(b.sounds) / s.AudioSamples() }
