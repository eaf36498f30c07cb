package dataset

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"tandem/pipeline"
)

// tasks are the two tasks: their names, the weighting that trains the other one alone, and a clip's label.
var tasks = []struct {
	name, alone string
	of          func(*Clip) int
}{
	{"emotion", "static:0,1", func(c *Clip) int { return c.Emotion }},
	{"gender", "static:1,0", func(c *Clip) int { return c.Gender }},
}

// Trainable returns an error if clips cannot teach a network with these labels, and warnings of labels that are
// missing. Each clip comes with whether it has a sense that is trained, and may come several times; out reports whether
// a task (0 emotion, 1 gender) is left out.
func Trainable(clips iter.Seq2[*Clip, bool], labels pipeline.Labels, out func(task int) bool) (warnings []string,
	err error,
) {
	inSplit := map[string]int{}
	names := [][]string{labels.Emotions, labels.Genders}
	count := []map[string][]int{{}, {}} // by task, split and label
	for c, trained := range clips {
		inSplit[c.Split]++
		for i, t := range tasks {
			if count[i][c.Split] == nil {
				count[i][c.Split] = make([]int, len(names[i]))
			}
			if k := t.of(c); trained && k >= 0 {
				count[i][c.Split][k]++
			}
		}
	}
	for _, split := range []struct{ name, whatFor string }{
		{SplitTrain, "there is nothing to learn from"},
		{SplitVal, "calibration and the choice of an epoch need some"},
	} {
		if inSplit[split.name] == 0 {
			return nil, fmt.Errorf("no clip is of the split %s, and %s: mark some in the manifest, or divide the data "+
				"by --split-by, such as 5/1", split.name, split.whatFor)
		}
	}
	for i, t := range tasks {
		if out(i) {
			continue
		}
		var missing []string
		for k, n := range count[i][SplitTrain] {
			if n == 0 {
				missing = append(missing, names[i][k])
			}
		}
		switch {
		case len(missing) == len(names[i]):
			return nil, fmt.Errorf("no clip of the training split has a known %s and a sense that is trained: label "+
				"some, or train the other task alone by --weighting %s", t.name, t.alone)
		case len(missing) == len(names[i])-1:
			return nil, fmt.Errorf("of %s the training split knows but one label; the others are not there: %s. Add "+
				"clips of them, or train the other task alone by --weighting %s", t.name, strings.Join(missing, ", "),
				t.alone)
		case len(missing) > 0:
			warnings = append(warnings, fmt.Sprintf("no clip of the training split is %s: the model will not learn "+
				"that", strings.Join(missing, " or ")))
		}
		if !slices.ContainsFunc(count[i][SplitVal], func(n int) bool { return n > 0 }) {
			warnings = append(warnings, fmt.Sprintf("no clip of the validation split has a known %s: it is neither "+
				"measured nor calibrated", t.name))
		}
	}
	return warnings, nil
}
