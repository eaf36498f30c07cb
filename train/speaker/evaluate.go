package speaker

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"tandem/pipeline"
)

// Score is how well a detector does in the scenes of one kind, under one condition. A window is a second or more of
// voice in pipeline.MouthSpec.Slots slots; windows end every quarter of a second.
type Score struct {
	Set       string `json:"set"`
	Scene     string `json:"scene"`
	Condition string `json:"condition"`
	Windows   int    `json:"windows"`
	// Right is the share of windows most of whose voice goes to the face that is heard, Wrong to another, and Nobody
	// that of windows most of whose voice goes to no face. Where no face of the picture is heard alone, Right is 0.
	Right  float64 `json:"right"`
	Wrong  float64 `json:"wrong"`
	Nobody float64 `json:"nobody"`
	// Chosen is the share of windows in which the face that is heard has the higher sum of odds of all faces: what is
	// right where somebody in the picture is known to speak.
	Chosen float64 `json:"chosen"`
	// Turns counts changes of turn. Within is the share of them after which the new speaker has the voice within 0.7 s,
	// and Delay the median time until then, in seconds; a turn in which it never has counts with its length.
	Turns  int     `json:"turns,omitempty"`
	Within float64 `json:"within,omitempty"`
	Delay  float64 `json:"delay,omitempty"`
}

// Good returns the share that a good detector makes large: Right, or Nobody where no face of the picture is heard
// alone.
func (s *Score) Good() float64 {
	switch s.Scene {
	case "unseen", "unseen-moving", "overlap", "alone-narrator":
		return s.Nobody
	}
	return s.Right
}

// windowEvery is how many slots lie between the ends of two windows: a quarter of a second.
const windowEvery = 4

// leastVoice is how many of a window's slots must have a voice: about a second.
const leastVoice = 16

// turnWithin is how soon, in seconds, a new speaker is to have the voice.
const turnWithin = 0.7

// named is one line of an evaluation.
type named struct {
	scene, name string
	conditions
}

// lines lists what Evaluate measures, in order.
var lines = []named{
	{scene: "silent"},
	{scene: "moving"},
	{scene: "three"},
	{scene: "unseen"},
	{scene: "unseen-moving"},
	{scene: "overlap"},
	{scene: "turns"},
	{scene: "alone"},
	{scene: "alone-narrator"},
	{"silent", "noise 20 dB", conditions{Noisy: true, SNR: 20}},
	{"silent", "noise 10 dB", conditions{Noisy: true, SNR: 10}},
	{"silent", "noise 0 dB", conditions{Noisy: true, SNR: 0}},
	{"moving", "noise 20 dB", conditions{Noisy: true, SNR: 20}},
	{"moving", "noise 10 dB", conditions{Noisy: true, SNR: 10}},
	{"moving", "noise 0 dB", conditions{Noisy: true, SNR: 0}},
	{"moving", "sound 40 ms early", conditions{Offset: -640}},
	{"moving", "sound 40 ms late", conditions{Offset: 640}},
	{"moving", "sound 120 ms early", conditions{Offset: -1920}},
	{"moving", "sound 120 ms late", conditions{Offset: 1920}},
	{"moving", "8 pictures a second", conditions{Every: 2}},
	{"moving", "5 pictures a second", conditions{Every: 3}},
	{"moving", "mouths of 16 pixels", conditions{Side: 16}},
	{"moving", "mouths of 10 pixels", conditions{Side: 10}},
}

// Evaluate measures a detector by so many scenes of each kind, made of the tracks of a split, for each set by itself.
// The scenes depend on the seed alone.
func Evaluate(
	ctx context.Context, d pipeline.SpeakerDetector, tracks []*Track, split string, scenes int, seed uint64,
) ([]Score, error) {
	by := map[string][]*Track{}
	for _, t := range tracks {
		if (t.Split == split || split == "all") && count(t.Voiced) >= 12 {
			by[t.Set] = append(by[t.Set], t)
		}
	}
	var all []Score
	for _, set := range sortedKeys(by) {
		if len(speakersOf(by[set])) < 2 {
			continue
		}
		for i, l := range lines {
			if l.scene == "three" && len(speakersOf(by[set])) < 3 {
				continue
			}
			s := &stage{spec: d.Mouths(), tracks: by[set], rng: rand.New(rand.NewPCG(seed, uint64(i)))}
			score, err := s.score(ctx, d, l, scenes)
			if err != nil {
				return nil, err
			}
			score.Set = set
			all = append(all, score)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: scenes need two speakers of one set in split %s", ErrNoClips, split)
	}
	return all, nil
}

func sortedKeys(m map[string][]*Track) []string { return slices.Sorted(maps.Keys(m)) }

func speakersOf(tracks []*Track) map[string]bool {
	all := map[string]bool{}
	for _, t := range tracks {
		all[t.Speaker] = true
	}
	return all
}

// score measures one line.
func (s *stage) score(ctx context.Context, d pipeline.SpeakerDetector, l named, scenes int) (Score, error) {
	out := Score{Scene: l.scene, Condition: l.name}
	var delays []float64
	for range scenes {
		sc := kinds[l.scene](s)
		s.under(sc, l.conditions)
		ends := []int{}
		for end := s.spec.Slots; end <= len(sc.heard); end += windowEvery {
			ends = append(ends, end)
		}
		given := map[int][]int{} // by a window's end
		for _, end := range ends {
			w := sc.window(s.spec, end)
			odds, err := d.Speaking(ctx, w.sound, w.faces)
			if err != nil {
				return out, err
			}
			given[end] = Give(pipeline.SpeakerPosterior(odds))
			out.add(w, odds, given[end])
		}
		for _, turn := range sc.turns {
			if d, ok := delay(sc, given, ends, turn, s.spec); ok {
				delays = append(delays, d)
			}
		}
	}
	n := float64(max(1, out.Windows))
	out.Right, out.Wrong, out.Nobody, out.Chosen = out.Right/n, out.Wrong/n, out.Nobody/n, out.Chosen/n
	if out.Turns = len(delays); out.Turns > 0 {
		slices.Sort(delays)
		out.Delay = delays[len(delays)/2]
		for _, d := range delays {
			if d <= turnWithin {
				out.Within += 1 / float64(len(delays))
			}
		}
	}
	return out, nil
}

// Give returns whose voice is heard in each slot by the posterior of SpeakerPosterior, -1 for nobody's.
func Give(posterior [][]float64) []int {
	out := make([]int, len(posterior[0]))
	for t := range out {
		out[t] = -1
		for i, p := range posterior {
			if p[t] >= pipeline.SpeakerCertain {
				out[t] = i
			}
		}
	}
	return out
}

// window returns the part of a scene that ends at a slot.
func (sc *scene) window(spec pipeline.MouthSpec, end int) *scene {
	from := end - spec.Slots
	n, p := slotSamples(spec), spec.Size*spec.Size
	w := &scene{sound: sc.sound[from*n : end*n], heard: sc.heard[from:end]}
	for _, f := range sc.faces {
		w.faces = append(w.faces, pipeline.Lips{Pixels: f.Pixels[from*p : end*p], There: f.There[from:end]})
	}
	return w
}

// add counts a window, unless it has too little of a voice.
func (out *Score) add(w *scene, odds [][]float64, given []int) {
	heard, right, wrong, nobody := 0, 0, 0, 0
	sums := make([]float64, len(odds))
	best := map[int]int{}
	for t, who := range w.heard {
		if who == heardNobody {
			continue
		}
		heard++
		best[who]++
		for i := range odds {
			sums[i] += odds[i][t]
		}
		switch {
		case given[t] < 0:
			nobody++
		case given[t] == who:
			right++
		default:
			wrong++
		}
	}
	if heard < leastVoice {
		return
	}
	out.Windows++
	switch {
	case 2*right > heard:
		out.Right++
	case 2*wrong > heard:
		out.Wrong++
	case 2*nobody > heard:
		out.Nobody++
	}
	most := math.Inf(-1)
	chosen := -1
	for i, v := range sums {
		if v > most {
			most, chosen = v, i
		}
	}
	if chosen >= 0 && 2*best[chosen] > heard {
		out.Chosen++
	}
}

// delay returns how long after a change of turn most of the voice since then is given to the new speaker, in a window
// that ends then. It is not known where the turn ends before.
func delay(sc *scene, given map[int][]int, ends []int, turn int, spec pipeline.MouthSpec) (float64, bool) {
	if turn < ends[0] {
		return 0, false
	}
	who := sc.heard[turn]
	next := len(sc.heard)
	for _, t := range sc.turns {
		if t > turn {
			next = min(next, t)
		}
	}
	for _, end := range ends {
		if end <= turn || end > next {
			continue
		}
		mine, heard := 0, 0
		for t := max(turn, end-spec.Slots); t < end; t++ {
			if sc.heard[t] == who {
				heard++
				if given[end][spec.Slots-(end-t)] == who {
					mine++
				}
			}
		}
		if 2*mine > heard {
			return seconds(spec, end-turn), true
		}
	}
	if ends[len(ends)-1] < next {
		return 0, false
	}
	return seconds(spec, next-turn), true // never
}
