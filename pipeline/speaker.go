package pipeline

import (
	"context"
	"math"
	"slices"
)

// SpeakerDetector tells by lips and sound which of several faces speaks. Any number of goroutines may use one.
type SpeakerDetector interface {
	// Mouths returns how mouths are cut for it.
	Mouths() MouthSpec
	// Speaking returns, for each face and each of Mouths().Slots slots, the log-odds by which the slot speaks for sound
	// being the face's voice; 0 where there is no mouth. sound is that of the slots, filtered.
	Speaking(ctx context.Context, sound []float32, faces []Lips) ([][]float64, error)
}

// Lips are the mouths of one face in the slots of a window.
type Lips struct {
	Pixels []byte // MouthSpec.Size squared a slot, oldest first; zeros where there is none
	There  []bool // which slots have a mouth
	// Caches has a cache for each mouth, which the windows in which it stands share; nil where none are shared.
	Caches []*FeatureCache
}

// Cache returns the cache of a slot, nil if it has none.
func (l Lips) Cache(slot int) *FeatureCache {
	if l.Caches == nil {
		return nil
	}
	return l.Caches[slot]
}

// What StartEvent.Speaker may be; "" is off.
const (
	SpeakerAuto   = "auto"   // it is asked who speaks where several faces are seen
	SpeakerAlways = "always" // and where one is
)

// What the posterior takes for granted of conversations. Chosen by scenes as those of docs/speaker.md, of the training
// split's speakers.
const (
	// turnSlots is how many slots a turn lasts in the mean: a second and a half.
	turnSlots = 24
	// unseenPrior is the share of turns that are nobody's in the picture.
	unseenPrior = 0.08
	// sharpness is by how much more a slot counts than its odds say. These are such that they sum up to those of a
	// second in which nothing changes; with more a change of turn is told sooner.
	sharpness = 2.5
	// mostOdds bounds what one slot can say.
	mostOdds = 1.5
)

// SpeakerCertain is the posterior probability from which on a slot's voice is given to a face.
const SpeakerCertain = 0.5

// SpeakerPosterior returns, for each of some faces and each slot, the probability that this face is the one that
// speaks; what is left to 1 is that none of them does. odds are those of a SpeakerDetector, [faces][slots].
//
// It is the posterior of a hidden Markov model (Rabiner 1989, equations 19 to 27). Its states are each face and nobody.
// A slot's likelihood in a state is the exponential of the face's odds, that of nobody is 1, and a turn ends with a
// probability of 1/turnSlots a slot; the next one's state is drawn by the priors. Two at once are not thought of.
func SpeakerPosterior(odds [][]float64) [][]float64 {
	n := len(odds)
	if n == 0 {
		return nil
	}
	slots, prior := len(odds[0]), make([]float64, n+1) // the last is nobody
	for i := range n {
		prior[i] = (1 - unseenPrior) / float64(n)
	}
	prior[n] = unseenPrior
	const jump = 1.0 / turnSlots
	weigh := func(p []float64, t int) {
		var sum float64
		for s := range p {
			if s < n {
				p[s] *= math.Exp(sharpness * min(max(odds[s][t], -mostOdds), mostOdds))
			}
			sum += p[s]
		}
		for s := range p {
			p[s] /= sum
		}
	}
	forward := make([][]float64, slots)
	p, back := slices.Clone(prior), slices.Repeat([]float64{1}, n+1)
	for t := range slots {
		if t > 0 {
			for s := range p { // p sums to 1
				p[s] = (1-jump)*p[s] + jump*prior[s]
			}
		}
		weigh(p, t)
		forward[t] = slices.Clone(p)
	}
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, slots)
	}
	for t := slots - 1; t >= 0; t-- {
		var sum, mean float64
		for s := range back {
			sum += forward[t][s] * back[s]
		}
		for i := range out {
			out[i][t] = forward[t][i] * back[i] / sum
		}
		weigh(back, t)
		for s := range back {
			mean += prior[s] * back[s]
		}
		for s := range back {
			back[s] = (1-jump)*back[s] + jump*mean
		}
	}
	return out
}
