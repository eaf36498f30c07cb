package metrics

import "math"

// tally has, for each unit of a bootstrap, what its items add to the sums that scores are made of. A resample is then a
// sum over units: with hundreds of items a speaker that is far less than a sum over items.
//
// Sums are a row of float64, with a block for each set of verdicts: the cells of the confusion matrix (row by row,
// classes² counts), for each calibration bin the confidences less the hits, and the NLL. A unit adds to few of them, so
// that its entries are kept as pairs of place and value.
type tally struct {
	classes, blocks int
	first           []int // of each unit's entries, and their end
	place           []int32
	value           []float64
}

// blockSize returns the length of a block of sums.
func blockSize(classes int) int { return classes*classes + CalibrationBins + 1 }

// tallyOf adds up the verdicts by unit. All sets of verdicts are of the items of c, in its order.
func tallyOf(c Clusters, classes int, sets ...[]Verdict) *tally {
	t := &tally{classes: classes, blocks: len(sets), first: make([]int, 1, c.n+1)}
	items, ends := c.byUnit()
	size := blockSize(classes)
	sums, used := make([]float64, len(sets)*size), make([]bool, len(sets)*size)
	var touched []int32
	add := func(place int, v float64) {
		if !used[place] {
			used[place] = true
			touched = append(touched, int32(place))
		}
		sums[place] += v
	}
	from := 0
	for _, to := range ends {
		for _, i := range items[from:to] {
			for b, verdicts := range sets {
				v := &verdicts[i]
				if v.truth < 0 {
					continue
				}
				hit := 0.0
				if v.truth == v.best {
					hit = 1
				}
				add(b*size+v.truth*classes+v.best, 1)
				add(b*size+classes*classes+v.bin, v.confidence-hit)
				add((b+1)*size-1, v.nll)
			}
		}
		for _, place := range touched {
			t.place, t.value = append(t.place, place), append(t.value, sums[place])
			sums[place], used[place] = 0, false
		}
		t.first, touched, from = append(t.first, len(t.place)), touched[:0], to
	}
	return t
}

// byUnit returns the items in the order of their units, and where those of each unit end.
func (c Clusters) byUnit() (items, ends []int) {
	ends = make([]int, c.n)
	for _, unit := range c.of {
		ends[unit]++
	}
	sum := 0
	for unit, n := range ends {
		ends[unit] = sum // where it begins, and what the loop below moves to its end
		sum += n
	}
	items = make([]int, len(c.of))
	for i, unit := range c.of {
		items[ends[unit]] = i
		ends[unit]++
	}
	return items, ends
}

// sums returns room for sums.
func (t *tally) sums() []float64 { return make([]float64, t.blocks*blockSize(t.classes)) }

// add makes sums those of a resample that has each unit as often as times says.
func (t *tally) add(sums []float64, times []int) {
	clear(sums)
	for unit, n := range times {
		if n == 0 {
			continue
		}
		k, to := float64(n), t.first[unit+1]
		for i := t.first[unit]; i < to; i++ {
			sums[t.place[i]] += k * t.value[i]
		}
	}
}

// sumScores are the scores of some items.
type sumScores struct{ accuracy, uar, f1, nll, ece float64 }

// scores returns those of a block of sums. whole are the sums of all items, or nil: F1 leaves out a class that occurs
// there and was not drawn, as UAR does.
func (t *tally) scores(sums, whole []float64, block int) (s sumScores) {
	size, k := blockSize(t.classes), t.classes
	sums = sums[block*size : (block+1)*size]
	if whole != nil {
		whole = whole[block*size : (block+1)*size]
	}
	n, occur, used := 0.0, 0, 0
	for c := range k {
		actual, predicted, among := 0.0, 0.0, 0.0
		for o := range k {
			actual += sums[c*k+o]
			predicted += sums[o*k+c]
			if whole != nil {
				among += whole[c*k+o]
			}
		}
		hit := sums[c*k+c]
		n += actual
		s.accuracy += hit
		if actual > 0 {
			occur++
			s.uar += hit / actual
		} else if among > 0 {
			continue
		}
		if actual+predicted > 0 {
			used++
			s.f1 += 2 * hit / (actual + predicted)
		}
	}
	s.uar /= float64(max(occur, 1))
	s.f1 /= float64(max(used, 1))
	if n == 0 {
		return s
	}
	for _, over := range sums[k*k : k*k+CalibrationBins] {
		s.ece += math.Abs(over)
	}
	s.accuracy /= n
	s.nll, s.ece = sums[size-1]/n, s.ece/n
	return s
}
