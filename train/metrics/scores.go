// Package metrics has the scores by which classifiers are judged (accuracy, UAR, F1, NLL, ECE), intervals of
// them by speaker, and temperature scaling. It imports nothing of tandem.
package metrics

import (
	"math"
)

// Scores judges the predictions of one task.
type Scores struct {
	N int `json:"n"` // items with a known label
	// Accuracy is the part of the items whose most probable class is the true one.
	Accuracy float64 `json:"accuracy"`
	// UAR, the unweighted average recall, is the mean over the classes that occur of the recall of each.
	UAR float64 `json:"uar"`
	// F1 is the mean, over the classes that occur or are predicted, of the harmonic mean of precision and recall.
	F1 float64 `json:"f1"`
	// NLL is the mean negative logarithm (natural) of the true class's probability.
	NLL float64 `json:"nll"`
	// ECE, the expected calibration error (Naeini et al. 2015), is the mean distance between confidence and
	// accuracy over CalibrationBins bins of confidence of equal width, weighted by their items.
	ECE float64 `json:"ece"`
	// ECEByChance is the ECE to be expected of a model whose confidences are the truth, from as many items with the
	// same confidences. An ECE near it shows no error in calibration: these items are too few to tell.
	ECEByChance float64 `json:"ece_by_chance"`
	// NLLBefore and ECEBefore are NLL and ECE before temperature scaling, nil where they are not known.
	NLLBefore *float64 `json:"nll_before,omitempty"`
	ECEBefore *float64 `json:"ece_before,omitempty"`
	// VoteNLL is the mean cross-entropy of the probabilities against the shares of the votes, in nats, over the items
	// that several people labelled; nil where there is none. Truth is then the label with most votes.
	VoteNLL *float64 `json:"vote_nll,omitempty"`
	// Drawn says what the intervals are made of, or that there are too few units; nil where none were asked for.
	Drawn *Drawn `json:"drawn,omitempty"`
	// Intervals of the above, nil where none were asked for or there are fewer than three units.
	Intervals *Intervals       `json:"intervals,omitempty"`
	Confusion [][]int          `json:"confusion,omitempty"` // [true class][predicted class]
	Classes   []ClassScores    `json:"classes,omitempty"`   // of each class against all others (ByClass)
	Bins      []CalibrationBin `json:"calibration,omitempty"`
	// BinsBefore are Bins before temperature scaling, nil where they are not known.
	BinsBefore []CalibrationBin `json:"calibration_before,omitempty"`
}

// CalibrationBin is one bar of a calibration plot: the items whose confidence lies in (i/15, (i+1)/15].
type CalibrationBin struct {
	N          int     `json:"n"`
	Confidence float64 `json:"confidence"` // mean probability of the predicted class
	Accuracy   float64 `json:"accuracy"`
}

// CalibrationBins is the number of bins of ECE.
const CalibrationBins = 15

// leastProbability replaces a smaller probability in NLL, so that one confident error stays finite.
const leastProbability = 1e-7

// Score judges probabilities p, [item][class], against the true classes; items whose truth is negative do not count.
func Score(p [][]float64, truth []int, classes int) Scores {
	s := newScores(classes)
	s.count(Verdicts(p, truth, nil))
	return s
}

// Verdict is the part of one item's prediction that Scores need.
type Verdict struct {
	truth, best, bin int // truth is negative where it is not known
	confidence, nll  float64
	voted            bool
	voteNLL          float64 // where several people labelled the item
}

// Verdicts compares probabilities p, [item][class], with the true classes, negative where not known, and with the
// shares of votes, [item][class]; votes, or those of an item, may be nil.
func Verdicts(p [][]float64, truth []int, votes [][]float32) []Verdict {
	out := make([]Verdict, len(truth))
	for i, t := range truth {
		out[i].truth = t
		if t < 0 {
			continue
		}
		best := argmax(p[i])
		out[i] = Verdict{
			truth: t, best: best, confidence: p[i][best], nll: -math.Log(max(p[i][t], leastProbability)),
			bin: min(max(int(math.Ceil(p[i][best]*CalibrationBins))-1, 0), CalibrationBins-1),
		}
		if votes != nil && votes[i] != nil {
			out[i].voted = true
			for k, share := range votes[i] {
				out[i].voteNLL -= float64(share) * math.Log(max(p[i][k], leastProbability))
			}
		}
	}
	return out
}

func newScores(classes int) Scores {
	s := Scores{Confusion: make([][]int, classes), Bins: make([]CalibrationBin, CalibrationBins)}
	for i := range s.Confusion {
		s.Confusion[i] = make([]int, classes)
	}
	return s
}

// count makes new scores those of the verdicts.
func (s *Scores) count(out []Verdict) {
	s.add(out)
	sum, n := 0.0, 0
	for _, o := range out {
		if o.voted {
			sum += o.voteNLL
			n++
		}
	}
	if n > 0 {
		mean := sum / float64(n)
		s.VoteNLL = &mean
	}
	for _, b := range s.Bins {
		if b.N > 0 {
			s.ECEByChance += binomialDeviation(b.N, min(b.Confidence, 1)) / float64(s.N)
		}
	}
}

// binomialDeviation is E|X - np| of X from n trials of probability p: 2v C(n, v) p^v (1-p)^(n-v+1), where v = floor(np)
// + 1 (de Moivre; Diaconis and Zabell 1991, Closed form summation for classical distributions).
func binomialDeviation(n int, p float64) float64 {
	v := math.Floor(float64(n)*p) + 1
	if p <= 0 || v > float64(n) { // p is 1: X is n
		return 0
	}
	logGamma := func(x float64) float64 { y, _ := math.Lgamma(x); return y }
	m := float64(n)
	return 2 * v * math.Exp(logGamma(m+1)-logGamma(v+1)-logGamma(m-v+1)+v*math.Log(p)+(m-v+1)*math.Log1p(-p))
}

// add adds the verdicts up: all scores but those of votes and chance.
func (s *Scores) add(out []Verdict) {
	for i := range out {
		o := &out[i]
		if o.truth < 0 {
			continue
		}
		s.N++
		s.Confusion[o.truth][o.best]++
		s.NLL += o.nll
		b := &s.Bins[o.bin]
		b.N++
		b.Confidence += o.confidence
		if o.best == o.truth {
			b.Accuracy++
			s.Accuracy++
		}
	}
	s.UAR, s.F1 = averages(s.Confusion)
	if s.N == 0 {
		return
	}
	n := float64(s.N)
	s.Accuracy /= n
	s.NLL /= n
	for i := range s.Bins {
		b := &s.Bins[i]
		if b.N == 0 {
			continue
		}
		b.Confidence /= float64(b.N)
		b.Accuracy /= float64(b.N)
		s.ECE += float64(b.N) / n * math.Abs(b.Confidence-b.Accuracy)
	}
}

// averages is the unweighted average recall and the macro F1 of a confusion matrix.
func averages(confusion [][]int) (uar, f1 float64) {
	occur, used := 0, 0
	for c := range confusion {
		actual, predicted := 0, 0
		for o := range confusion {
			actual += confusion[c][o]
			predicted += confusion[o][c]
		}
		hit := float64(confusion[c][c])
		if actual > 0 {
			occur++
			uar += hit / float64(actual)
		}
		if actual+predicted > 0 {
			used++
			f1 += 2 * hit / float64(actual+predicted)
		}
	}
	return uar / float64(max(occur, 1)), f1 / float64(max(used, 1))
}

func argmax(p []float64) int {
	best := 0
	for i, v := range p {
		if v > p[best] {
			best = i
		}
	}
	return best
}
