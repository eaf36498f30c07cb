package speaker

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"tandem/pipeline"
)

// calibrationSlots is how many slots an example of the calibration has: about a second.
const calibrationSlots = 16

// Calibrate returns the gain and the bias a slot by which a detector's sums over a second become log-odds: a logistic
// regression (Platt 1999) by parts of a split's tracks with their own voice, and with that of another speaker of the
// set or with their own shifted, as many of the one as of the other. The detector's own gain and bias must be 1 and 0.
// The error is ErrNoClips where the split has no two speakers of one set.
func Calibrate(
	ctx context.Context, d pipeline.SpeakerDetector, tracks []*Track, split string,
) (gain, bias float64, err error) {
	spec := d.Mouths()
	by := map[string][]*Track{}
	for _, t := range tracks {
		if t.Split == split && count(t.Voiced) >= 12 {
			by[t.Set] = append(by[t.Set], t)
		}
	}
	var xs, ys []float64
	rng := rand.New(rand.NewPCG(1, 2))
	for _, set := range sortedKeys(by) {
		if len(speakersOf(by[set])) < 2 {
			continue
		}
		s := &stage{spec: spec, tracks: by[set], rng: rng}
		for range 150 { // sets count alike
			sc := s.talk(2, true)
			end := spec.Slots + rng.IntN(len(sc.heard)-spec.Slots+1)
			w := sc.window(spec, end)
			odds, err := d.Speaking(ctx, w.sound, w.faces)
			if err != nil {
				return 0, 0, err
			}
			for from := 0; from+calibrationSlots <= spec.Slots; from += calibrationSlots {
				heard := 0
				sums := make([]float64, len(odds))
				for t := from; t < from+calibrationSlots; t++ {
					if w.heard[t] == 0 {
						heard++
					}
					for i := range odds {
						sums[i] += odds[i][t]
					}
				}
				if heard >= calibrationSlots/2 {
					xs, ys = append(xs, sums[0], sums[1]), append(ys, 1, 0)
				}
			}
		}
	}
	if len(xs) == 0 {
		return 0, 0, fmt.Errorf("%w: a calibration needs two speakers of one set in split %s", ErrNoClips, split)
	}
	a, b := logistic(xs, ys)
	return max(a, 0.01), b / calibrationSlots, nil
}

// logistic fits p(y = 1) = 1/(1 + exp(-(a x + b))) by Newton's method, with a little of a prior that keeps it finite.
func logistic(xs, ys []float64) (a, b float64) {
	const prior = 1e-3
	n := float64(len(xs))
	for range 50 {
		ga, gb, haa, hab, hbb := prior*(a-1), prior*b, prior, 0.0, prior
		for i, x := range xs {
			p := 1 / (1 + math.Exp(-min(max(a*x+b, -30), 30)))
			w := p * (1 - p) / n
			ga, gb = ga+(p-ys[i])*x/n, gb+(p-ys[i])/n
			haa, hab, hbb = haa+w*x*x, hab+w*x, hbb+w
		}
		det := haa*hbb - hab*hab
		da, db := (hbb*ga-hab*gb)/det, (haa*gb-hab*ga)/det
		a, b = a-da, b-db
		if math.Abs(da)+math.Abs(db) < 1e-9 {
			break
		}
	}
	return a, b
}
