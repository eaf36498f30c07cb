package train

import (
	"math/rand/v2"
	"slices"

	"tandem/pipeline"
	"tandem/train/augment"
	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/sample"
	"tandem/train/weighting"
)

// batch is the input of one pass of the network, forward and back. Its R rows take their modalities from the F crops
// and A windows of audio that are encoded, so that a face or a voice is encoded once however many rows use it. Whoever
// calls batcher.batch owns it.
type batch struct {
	crops []uint8   // [F, S, S, C]
	audio []float32 // [A, samples]
	// covered [A, 1] is the share of each window of audio, at its end, that holds sound; zeros come before.
	covered []float32
	// cropIndex[r][t] is the crop of row r at frame t, or -1; audioIndex[r] is its window of audio, or -1.
	cropIndex     [][]int
	audioIndex    []int
	emotion       [][]float32 // [R][E] targets, smoothed
	gender        [][]float32 // [R][G]
	emotionWeight []float32   // [R], 0 where unknown
	genderWeight  []float32
	emotionSpace  [][]float32          // [R][E], 1 for the labels that the row's data set has, else 0
	genderSpace   [][]float32          // [R][G]
	keepMasks     map[string][]float32 // dropout's, by its layers' names, see nn.GraphOps
	draw          []float32            // standard normal, one a task, see weighting.Draws; nil: zeros
	rate          float32              // learning rate
	samples       int                  // stills, voices and talking faces
	paths         []string             // of the files in the batch, for errors
	sets          []string             // of each row, its data set
}

// counts returns R, F and A.
func (b *batch) counts(s pipeline.Spec) nn.BatchCounts {
	return nn.BatchCounts{
		Rows: len(b.cropIndex), Crops: len(b.crops) / sample.CropBytes(s), Windows: len(b.audio) / s.AudioSamples(),
	}
}

// batchMaker is a batch in the making. The order in which its methods draw from rng is part of what a seed means.
type batchMaker struct {
	*batcher
	number int // of the batch, from 0
	rng    *rand.Rand
	out    *batch
	// The rows of stills come first, then those of voices; so do their crops and windows of audio.
	stillSamples []int
	voiceSamples []int
	voiceAudio   []int        // of each voice, its window of audio, or -1
	mixed        map[int]bool // rows that mixup has blended
}

// batch makes a batch, counted from 0: step*Accumulate+i is the i-th of a step.
func (b *batcher) batch(number int) *batch {
	r := b.recipe
	m := &batchMaker{
		batcher: b, number: number, rng: rand.New(rand.NewPCG(r.Seed, uint64(number))),
		out: &batch{
			rate: float32(r.rate(number / r.Accumulate)), draw: weighting.Draws(r.Seed, number),
			samples: r.Stills + r.Voices + r.Talking,
		},
	}
	m.addStills()
	m.addVoices()
	for range r.Talking {
		m.addTalking()
	}
	m.mix()
	for range r.Pairs {
		m.addPair()
	}
	m.pad()
	m.drawKeepMasks()
	return m.out
}

// row is one row of a batch, as its kind of sample describes it.
type row struct {
	clip   int
	crops  []int // of each frame, or -1
	audio  int   // or -1
	weight float64
	// Which labels of the clip count.
	emotion, gender bool
}

func (m *batchMaker) addRow(w row) {
	c, out := &m.data.Clips[w.clip], m.out
	var soft dataset.SoftLabels
	if c.Soft != nil {
		soft = *c.Soft
	}
	space := m.spaces[c.Dataset]
	emotion, emotionWeight := m.target(c.Emotion, soft.Emotion, space[0], m.recipe.LabelSmoothing)
	gender, genderWeight := m.target(c.Gender, soft.Gender, space[1], m.recipe.LabelSmoothing/2)
	if !w.emotion {
		emotionWeight = 0
	}
	if !w.gender {
		genderWeight = 0
	}
	out.cropIndex, out.audioIndex = append(out.cropIndex, w.crops), append(out.audioIndex, w.audio)
	out.emotion, out.gender = append(out.emotion, emotion), append(out.gender, gender)
	out.emotionWeight = append(out.emotionWeight, emotionWeight*float32(w.weight))
	out.genderWeight = append(out.genderWeight, genderWeight*float32(w.weight))
	out.emotionSpace, out.genderSpace = append(out.emotionSpace, space[0]), append(out.genderSpace, space[1])
	out.paths, out.sets = append(out.paths, c.Path()), append(out.sets, c.Dataset)
}

// setLosses sums the losses of the batch's rows, [R] by task, by data set. Rows of blends count as their larger part.
func (b *batch) setLosses(emotion, gender []float32) map[string]setLoss {
	sets := map[string]setLoss{}
	for r, set := range b.sets {
		l := sets[set]
		for k, loss := range [2]float32{emotion[r], gender[r]} {
			if weight := [2]float32{b.emotionWeight[r], b.genderWeight[r]}[k]; weight > 0 {
				l.Sum[k] += float64(loss)
				l.Rows[k]++
			}
		}
		sets[set] = l
	}
	return sets
}

// addCrops augments the first n crops of a sample alike and returns the index of the first.
func (m *batchMaker) addCrops(s *sample.Sample, n int) int {
	spec, size := m.arch.Spec, sample.CropBytes(m.arch.Spec)
	at := len(m.out.crops)
	m.out.crops = append(m.out.crops, make([]byte, n*size)...)
	m.recipe.Augment.Face.Apply(m.out.crops[at:], s.Video, n, spec.CropSize, spec.Channels, m.rng)
	return at / size
}

// addAudio augments the audio of a sample and returns its index, or -1 where there is none or none is trained.
func (m *batchMaker) addAudio(s *sample.Sample) int {
	if s.Audio == nil || m.recipe.Modal == "video" {
		return -1
	}
	at, n := len(m.out.audio), m.arch.Spec.AudioSamples()
	m.out.audio = append(m.out.audio, make([]float32, n)...)
	m.recipe.Augment.Audio.Apply(m.out.audio[at+n-len(s.Audio):], s.Audio, m.rng)
	m.out.covered = append(m.out.covered, float32(len(s.Audio))/float32(n))
	return at / n
}

// cutShort draws whether the window of a voice or a talking face is cut short, as those of a stream's first seconds
// are. If so it empties the beginning of its audio, unless that is -1, and leaves out the crops of before.
func (m *batchMaker) cutShort(audio int, crops []int) {
	r, spec := m.recipe, m.arch.Spec
	if r.PartialShare == 0 || m.rng.Float64() >= r.PartialShare {
		return
	}
	last := r.PartialLeast + m.rng.Float64()*(spec.Window.Seconds()-r.PartialLeast) // seconds that stay
	if audio >= 0 {
		n := spec.AudioSamples()
		stay := int(last / spec.Window.Seconds() * float64(n))
		clear(m.out.audio[audio*n : (audio+1)*n-stay])
		m.out.covered[audio] = min(m.out.covered[audio], float32(stay)/float32(n))
	}
	// The face clock ticks at the beginning of a timeline, and then every FaceTick.
	for t := range len(crops) - 1 - int(last/spec.FaceTick().Seconds()) {
		crops[t] = -1
	}
}

func (m *batchMaker) addStills() {
	for i := range m.recipe.Stills {
		k := m.still(m.number, i, m.rng)
		m.stillSamples = append(m.stillSamples, k)
		s := &m.data.Samples[k]
		m.addRow(row{
			clip: s.Clip, crops: m.repeat(m.addCrops(s, 1)), audio: -1, weight: m.recipe.StillWeight,
			emotion: true, gender: true,
		})
	}
}

func (m *batchMaker) addVoices() {
	for range m.recipe.Voices {
		k := m.window(m.voices, m.voiceBy, m.rng)
		s := &m.data.Samples[k]
		audio := m.addAudio(s)
		m.cutShort(audio, nil)
		m.voiceSamples, m.voiceAudio = append(m.voiceSamples, k), append(m.voiceAudio, audio)
		m.addRow(row{
			clip: s.Clip, crops: m.noCrops(), audio: audio, weight: m.recipe.VoiceWeight,
			emotion: audio >= 0, gender: audio >= 0,
		})
	}
}

// addTalking adds a talking face, which may lose frames, one of its modalities, or all that its crops show.
func (m *batchMaker) addTalking() {
	s, r, rng := &m.data.Samples[m.window(m.talking, m.talkBy, m.rng)], m.recipe, m.rng
	audio, crops := m.addAudio(s), m.noCrops()
	first := 0
	if s.Video != nil {
		first = m.addCrops(s, m.arch.Spec.VideoFrames)
		for t := range crops {
			if s.VideoMask[t] && rng.Float64() >= r.FrameDropout {
				crops[t] = first + t
			}
		}
	}
	if audio >= 0 && s.Video != nil && rng.Float64() < r.SenseDropout {
		if rng.IntN(2) == 0 {
			audio = -1
		} else {
			crops = m.noCrops()
		}
	} else if audio >= 0 && s.Video != nil && r.FaceBlank > 0 && rng.Float64() < r.FaceBlank {
		size := sample.CropBytes(m.arch.Spec)
		level := byte(rng.IntN(256))
		for i := range m.arch.Spec.VideoFrames * size {
			m.out.crops[first*size+i] = level
		}
	}
	m.cutShort(audio, crops)
	some := audio >= 0 || anyCrop(crops)
	m.addRow(row{clip: s.Clip, crops: crops, audio: audio, weight: r.TalkingWeight, emotion: some, gender: some})
}

// mix blends stills with stills and voices with voices.
func (m *batchMaker) mix() {
	out, stills := m.out, m.recipe.Stills
	how := augment.Mixup{Share: m.recipe.MixupShare, Alpha: m.recipe.MixupAlpha}
	emotion := augment.Targets{P: out.emotion, Weight: out.emotionWeight, Space: out.emotionSpace}
	gender := augment.Targets{P: out.gender, Weight: out.genderWeight, Space: out.genderSpace}

	crops := augment.MixupItems[byte]{
		Values: out.crops, Size: sample.CropBytes(m.arch.Spec), Blend: augment.BlendPixels,
	}
	for i := range stills {
		crops.Rows, crops.At = append(crops.Rows, i), append(crops.At, i*crops.Size)
	}
	m.mixed = map[int]bool{}
	for r := range augment.Blend(m.rng, how, crops, emotion, gender) {
		m.mixed[r] = true
	}

	audio := augment.MixupItems[float32]{
		Values: out.audio, Size: m.arch.Spec.AudioSamples(), Blend: augment.BlendSamples,
	}
	for i, k := range m.voiceAudio {
		if k >= 0 {
			audio.Rows, audio.At = append(audio.Rows, stills+i), append(audio.At, k*audio.Size)
		}
	}
	covered := slices.Clone(m.out.covered)
	for r, with := range augment.Blend(m.rng, how, audio, emotion, gender) {
		m.mixed[r] = true
		k, other := out.audioIndex[r], out.audioIndex[with]
		out.covered[k] = max(covered[k], covered[other]) // what one of the two covers holds sound
	}
}

// addPair makes a row of a voice and a still of this batch, neither blended, that show the same emotion, or failing
// that the same gender; the other task's label is left out, since the two are not one person.
func (m *batchMaker) addPair() {
	v := m.rng.IntN(len(m.voiceSamples))
	voice := m.data.Samples[m.voiceSamples[v]].Clip
	offset, stills := m.rng.IntN(len(m.stillSamples)), len(m.stillSamples)
	for _, byEmotion := range []bool{m.rng.IntN(4) > 0, false} {
		for i := range stills {
			k := (i + offset) % stills
			a, b := &m.data.Clips[voice], m.clip(m.stillSamples[k])
			same := byEmotion && a.Emotion >= 0 && b.Emotion == a.Emotion ||
				!byEmotion && a.Gender >= 0 && b.Gender == a.Gender
			if same && m.voiceAudio[v] >= 0 && !m.mixed[k] && !m.mixed[stills+v] {
				m.addRow(row{
					clip: voice, crops: m.out.cropIndex[k], audio: m.voiceAudio[v], weight: m.recipe.PairWeight,
					emotion: byEmotion, gender: !byEmotion,
				})
				return
			}
		}
	}
	m.addRow(row{clip: voice, crops: m.noCrops(), audio: -1}) // no partner in this batch
}

// pad brings crops and audio to the same number in each batch, at least one: another shape would be another compiled
// graph.
func (m *batchMaker) pad() {
	r, spec, out := m.recipe, m.arch.Spec, m.out
	if want := max(1, r.Stills+r.Talking*spec.VideoFrames) * sample.CropBytes(spec); len(out.crops) < want {
		out.crops = append(out.crops, make([]byte, want-len(out.crops))...)
	}
	if want := max(1, r.Voices+r.Talking) * spec.AudioSamples(); len(out.audio) < want {
		out.audio = append(out.audio, make([]float32, want-len(out.audio))...)
	}
	for len(out.covered)*spec.AudioSamples() < len(out.audio) {
		out.covered = append(out.covered, 1)
	}
}

// drawKeepMasks draws dropout's masks, whose sizes the batch's counts give.
func (m *batchMaker) drawKeepMasks() {
	m.out.keepMasks = map[string][]float32{}
	for _, d := range m.drops {
		keep := make([]float32, d.Rows(m.out.counts(m.arch.Spec))*d.Width)
		for i := range keep {
			if m.rng.Float64() >= m.recipe.Dropout {
				keep[i] = float32(1 / (1 - m.recipe.Dropout))
			}
		}
		m.out.keepMasks[d.Name] = keep
	}
}

// repeat returns a still's crop for every frame, or now and then for a few only, as when a face is found late.
func (m *batchMaker) repeat(crop int) []int {
	crops := m.noCrops()
	keep := m.rng.IntN(len(crops))
	for t := range crops {
		if t == keep || m.rng.Float64() > 0.2 {
			crops[t] = crop
		}
	}
	return crops
}

// noCrops returns a row's crops where it has none.
func (m *batchMaker) noCrops() []int {
	crops := make([]int, m.arch.Spec.VideoFrames)
	for t := range crops {
		crops[t] = -1
	}
	return crops
}

func anyCrop(crops []int) bool { return slices.ContainsFunc(crops, func(c int) bool { return c >= 0 }) }

// target returns the distribution that a row is taught, smoothed over the labels of its space, and its weight, 0 where
// the label is unknown. shares are those of several people's labels, nil where there is one.
func (m *batchMaker) target(label int, shares, space []float32, smoothing float64) ([]float32, float32) {
	t := make([]float32, len(space))
	if label < 0 {
		return t, 0
	}
	classes := 0.0
	for _, has := range space {
		classes += float64(has)
	}
	for i, has := range space {
		t[i] = has * float32(smoothing/classes)
	}
	switch {
	case shares != nil && m.recipe.Votes == "distribution":
		for i, p := range shares {
			t[i] += p * float32(1-smoothing)
		}
		return t, 1
	case shares != nil && m.recipe.Votes == "drawn":
		label = drawn(shares, m.rng.Float64())
	}
	t[label] += float32(1 - smoothing)
	return t, 1
}

// drawn returns the label at which the shares, added up in order, pass x from 0 to 1.
func drawn(shares []float32, x float64) int {
	last := 0
	for k, p := range shares {
		if p > 0 {
			last = k
			if x -= float64(p); x < 0 {
				break
			}
		}
	}
	return last
}
