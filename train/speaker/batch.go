package speaker

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"tandem/capture"
	"tandem/train/dataset"
)

// batch holds the examples of one step. Faces are those of all groups, then the frozen ones of all groups; voices are
// those of all groups, then noise. Face i and voice i belong together.
type batch struct {
	mouths []byte    // [faces, T, S, S]
	there  []float32 // [faces, T]
	audio  []float32 // [voices, samples]
	voiced []float32 // [pairs, T]: 1 where the own voice is heard and the mouth is seen
}

// noises is how many voices of a batch are none, but noise.
const noises = 2

// batcher draws batches from tracks. It does not change once it is made.
type batcher struct {
	recipe   Recipe
	tracks   []*Track
	speakers []speakerTracks
}

// speakerTracks are the tracks of one speaker, and how probable it is that a group is theirs.
type speakerTracks struct {
	tracks []*Track
	share  float64
}

// newBatcher takes the tracks for training that have enough of a voice. A speaker with fewer than two is of no use.
func newBatcher(tracks []*Track, r Recipe) (*batcher, error) {
	b := &batcher{recipe: r}
	sets := map[string]float64{}
	by := map[string][]*Track{}
	for _, t := range tracks {
		if t.Split == dataset.SplitTrain && count(t.Voiced) >= 5 {
			b.tracks = append(b.tracks, t)
			by[t.Speaker] = append(by[t.Speaker], t)
			sets[t.Set]++
		}
	}
	for name, own := range by {
		if len(own) > 1 && name != "" {
			s := speakerTracks{tracks: own}
			for _, t := range own {
				s.share += math.Pow(sets[t.Set], r.SetBalance-1)
			}
			b.speakers = append(b.speakers, s)
		}
	}
	if len(b.speakers) == 0 {
		return nil, fmt.Errorf("%w: a speaker needs two clips of the training split at least", ErrNoClips)
	}
	slices.SortFunc(b.speakers, func(x, y speakerTracks) int { return cmp.Compare(x.tracks[0].ID, y.tracks[0].ID) })
	return b, nil
}

func count(b []bool) (n int) {
	for _, v := range b {
		if v {
			n++
		}
	}
	return n
}

// speaker draws one.
func (b *batcher) speaker(rng *rand.Rand) speakerTracks {
	var sum float64
	for _, s := range b.speakers {
		sum += s.share
	}
	at := rng.Float64() * sum
	for _, s := range b.speakers {
		if at -= s.share; at < 0 {
			return s
		}
	}
	return b.speakers[len(b.speakers)-1]
}

// batch draws the batch of a step; it depends on the seed and the step alone.
func (b *batcher) batch(step int) *batch {
	rng := rand.New(rand.NewPCG(b.recipe.Seed, uint64(step)))
	r := b.recipe
	t, size, samples := r.Arch.Mouths.Slots, r.Arch.Mouths.Size, r.Arch.AudioSamples()
	pairs, frozen := r.Groups*r.GroupSize, r.Groups*r.Frozen
	out := &batch{
		mouths: make([]byte, (pairs+frozen)*t*size*size), there: make([]float32, (pairs+frozen)*t),
		audio: make([]float32, (pairs+noises)*samples), voiced: make([]float32, pairs*t),
	}
	face := func(i int, slot func(int) []byte) {
		pixels := t * size * size
		r.Augment.Lips.apply(out.mouths[i*pixels:(i+1)*pixels], out.there[i*t:(i+1)*t], size, slot, rng)
	}
	for g := range r.Groups {
		s := b.speaker(rng)
		order := rng.Perm(len(s.tracks))
		for k := range r.GroupSize {
			i := g*r.GroupSize + k
			track := s.tracks[order[k%len(order)]]
			from := b.window(track, rng)
			face(i, func(j int) []byte { return track.seen(from + j) })
			b.sound(out.audio[i*samples:(i+1)*samples], track, from, rng)
			for j := range t {
				if at := from + j; at >= 0 && at < track.Slots() && track.Voiced[at] && out.there[i*t+j] > 0 {
					out.voiced[i*t+j] = 1
				}
			}
		}
		for k := range r.Frozen {
			track := s.tracks[rng.IntN(len(s.tracks))]
			at := rng.IntN(track.Slots())
			face(pairs+g*r.Frozen+k, func(int) []byte { return track.seen(at) })
		}
	}
	for i := pairs; i < pairs+noises; i++ {
		noise(out.audio[i*samples:(i+1)*samples], rng)
	}
	return out
}

// seen returns the mouth of a slot, nil where there is none.
func (t *Track) seen(slot int) []byte {
	if slot < 0 || slot >= t.Slots() || !t.There[slot] {
		return nil
	}
	return t.mouth(slot)
}

// window draws the first slot of a window that has the clip's voice.
func (b *batcher) window(t *Track, rng *rand.Rand) int {
	slots := b.recipe.Arch.Mouths.Slots
	k := rng.IntN(count(t.Voiced))
	for i, v := range t.Voiced {
		if v {
			if k == 0 {
				from := i - slots/8 - rng.IntN(slots*3/4)
				if rng.IntN(8) == 0 { // it may begin before the clip, or end after it
					return from
				}
				return max(min(from, t.Slots()-slots), 0)
			}
			k--
		}
	}
	return 0
}

// sound writes a variation of a track's sound from a slot on.
func (b *batcher) sound(dst []float32, t *Track, from int, rng *rand.Rand) {
	a := b.recipe.Augment
	off := int(uniform(rng, -a.Offset, a.Offset) * capture.SampleRate)
	src := make([]int16, len(dst))
	copySound(src, t.Sound, from*slotSamples(b.recipe.Arch.Mouths)+off)
	if rng.Float64() < a.Voice {
		other := b.tracks[rng.IntN(len(b.tracks))]
		under := make([]int16, len(dst))
		copySound(under, other.Sound, rng.IntN(max(1, len(other.Sound)-len(dst)+1)))
		mix(src, under, uniform(rng, a.VoiceSNR[0], a.VoiceSNR[1]))
	}
	a.Sound.Apply(dst, src, rng)
}

// copySound copies samples from an index on, zeros where there are none.
func copySound(dst, src []int16, from int) {
	for i := range dst {
		if k := from + i; k >= 0 && k < len(src) {
			dst[i] = src[k]
		}
	}
}

// mix adds other sound so many dB below that of dst.
func mix(dst, other []int16, snr float64) {
	p, q := power(dst), power(other)
	if p == 0 || q == 0 {
		return
	}
	scale := math.Sqrt(p/q) * math.Pow(10, -snr/20)
	for i, v := range other {
		dst[i] = int16(min(max(float64(dst[i])+scale*float64(v), -32768), 32767))
	}
}

// power returns the mean square.
func power(x []int16) (sum float64) {
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum / float64(len(x))
}

// noise fills a window with noise that gets louder and softer.
func noise(dst []float32, rng *rand.Rand) {
	level := math.Pow(10, uniform(rng, -4, -1))
	rate, phase, depth := uniform(rng, 0.5, 6), uniform(rng, 0, 2*math.Pi), uniform(rng, 0, 1)
	low, keep := 0.0, uniform(rng, 0, 0.98)
	for i := range dst {
		low = keep*low + (1-keep)*rng.NormFloat64()
		swell := 1 + depth*math.Sin(2*math.Pi*rate*float64(i)/capture.SampleRate+phase)
		dst[i] = float32(min(max(level*swell*low/math.Sqrt((1-keep)/(1+keep)), -1), 1))
	}
}
