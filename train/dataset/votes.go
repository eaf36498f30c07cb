package dataset

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"tandem/pipeline"
)

// SoftLabels are a clip's labels where several people gave them: the share of the votes that each of the model's labels
// has, summing to 1; nil for a task that has one label or none. Clip's Emotion and Gender are then the label with most
// votes, of several the first.
type SoftLabels struct{ Emotion, Gender []float32 }

// ErrVotes is the error of a label that is no distribution; errors.Is finds it.
var ErrVotes = errors.New("not a distribution of labels")

// maxVotes bounds the entries of one distribution.
const maxVotes = 1000

// parseVotes parses NAME=WEIGHT;NAME=WEIGHT;… into names and weights, finite and not negative, of which one is above 0.
func parseVotes(text string) (names []string, weights []float64, err error) {
	sum := 0.0
	for entry := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(entry) == "" { // behind the last ;
			continue
		}
		name, weight, ok := strings.Cut(entry, "=")
		if !ok {
			return nil, nil, fmt.Errorf("%w: %q: want NAME=WEIGHT;NAME=WEIGHT", ErrVotes, text)
		}
		w, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
		if err != nil || !(w >= 0) || math.IsInf(w, 0) {
			return nil, nil, fmt.Errorf("%w: %q: the weight %q is not a number from 0 on", ErrVotes, text,
				strings.TrimSpace(weight))
		}
		names, weights = append(names, strings.TrimSpace(name)), append(weights, w)
		sum += w
		if len(names) > maxVotes {
			return nil, nil, fmt.Errorf("%w: more than %d entries", ErrVotes, maxVotes)
		}
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		return nil, nil, fmt.Errorf("%w: %q: the weights sum to %g", ErrVotes, text, sum)
	}
	return names, weights, nil
}

// vote returns the label with most votes and all shares, normalised over the labels that the model has. index gives a
// name's label, -1 if the model does not have it; names may repeat. Where more than half of the weight is of such
// names the clip's label is not known: the label is -1, and lost is true.
func vote(names []string, weights []float64, labels int, index func(name string) (int, error)) (
	label int, shares []float32, lost bool, err error,
) {
	kept, all := make([]float64, labels), 0.0
	sum := 0.0
	for i, name := range names {
		k, err := index(name)
		if err != nil {
			return -1, nil, false, err
		}
		all += weights[i]
		if k >= 0 {
			kept[k] += weights[i]
			sum += weights[i]
		}
	}
	if !(sum >= all/2) || sum == 0 {
		return -1, nil, true, nil
	}
	shares = make([]float32, labels)
	for k, w := range kept {
		shares[k] = float32(w / sum)
	}
	return slices.Index(kept, slices.Max(kept)), shares, false, nil
}

// setLabels gives a clip its labels as a manifest or a set's lists have them: a name, a distribution (see parseVotes),
// or "". It returns false for a clip that is to be left out: its votes are lost, and it has no other label.
func (l *loader) setLabels(c *Clip, emotion, gender string) (keep bool, err error) {
	c.Emotion, c.Gender = -1, -1
	var soft SoftLabels
	lost := false
	for _, task := range []struct {
		text   string
		labels []string
		one    func(string) (int, error)
		index  func(string) (int, error)
		label  *int
		shares *[]float32
	}{
		{emotion, l.labels.Emotions, l.emotion, l.emotionIndex, &c.Emotion, &soft.Emotion},
		{gender, l.labels.Genders, l.gender, l.genderIndex, &c.Gender, &soft.Gender},
	} {
		if !strings.Contains(task.text, "=") {
			if *task.label, err = task.one(task.text); err != nil {
				return false, err
			}
			continue
		}
		names, weights, err := parseVotes(task.text)
		if err != nil {
			return false, err
		}
		var gone bool
		*task.label, *task.shares, gone, err = vote(names, weights, len(task.labels), func(name string) (int, error) {
			if name == "" {
				return -1, fmt.Errorf("%w: %q: a weight without a name", ErrVotes, task.text)
			}
			return task.index(name)
		})
		if err != nil {
			return false, err
		}
		lost = lost || gone
	}
	if soft.Emotion != nil || soft.Gender != nil {
		c.Soft = &soft
	}
	if lost && c.Emotion < 0 && c.Gender < 0 {
		l.report.LostVotes++
		return false, nil
	}
	return true, nil
}

// Space is the part of the model's labels that a data set has; it says nothing of the others. true: it has the label.
type Space struct{ Emotions, Genders []bool }

// parseSpace parses the labels of a set's space, NAME;NAME;… Labels that the model does not have are left out.
func parseSpace(text string, labels int, index func(string) (int, error)) ([]bool, error) {
	has := make([]bool, labels)
	for name := range strings.SplitSeq(text, ";") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		k, err := index(name)
		if err != nil {
			return nil, err
		}
		if k >= 0 {
			has[k] = true
		}
	}
	if !slices.Contains(has, true) {
		return nil, fmt.Errorf("the label space %q is empty: it names none of the model's labels", text)
	}
	return has, nil
}

// Spaces returns the label space of each data set: what its clips declare (Clip.Space), else all labels that a clip of
// it has, or a vote for. A task of which a set has no label has no space (nil).
func Spaces(clips []Clip, labels pipeline.Labels) map[string]Space {
	spaces := map[string]Space{}
	for _, group := range GroupByDataset(clips) {
		var s Space
		declared := Space{}
		for _, i := range group {
			c := &clips[i]
			var soft SoftLabels
			if c.Soft != nil {
				soft = *c.Soft
			}
			s.Emotions = addLabel(s.Emotions, len(labels.Emotions), c.Emotion, soft.Emotion)
			s.Genders = addLabel(s.Genders, len(labels.Genders), c.Gender, soft.Gender)
			if c.Space != nil {
				declared = *c.Space
			}
		}
		if declared.Emotions != nil {
			s.Emotions = declared.Emotions
		}
		if declared.Genders != nil {
			s.Genders = declared.Genders
		}
		spaces[clips[group[0]].Dataset] = s
	}
	return spaces
}

func addLabel(has []bool, labels, label int, shares []float32) []bool {
	if label < 0 {
		return has
	}
	if has == nil {
		has = make([]bool, labels)
	}
	has[label] = true
	for k, p := range shares {
		has[k] = has[k] || p > 0
	}
	return has
}
