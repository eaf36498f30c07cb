package dataset

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The ways that leave someone out: behind them follows a name.
const (
	withoutSet     = "set:"
	withoutSpeaker = "speaker:"
)

// leftOut parses set:NAME and speaker:NAME; ok is false for the other ways to divide.
func leftOut(by string) (kind, name string, ok bool) {
	for _, kind := range []string{withoutSet, withoutSpeaker} {
		if name, ok := strings.CutPrefix(by, kind); ok && name != "" {
			return kind, name, true
		}
	}
	return "", "", false
}

// divideWithoutSet makes all clips of a data set test. Of the others what was test is train.
func divideWithoutSet(clips []Clip, name string) ([]Clip, error) {
	out := slices.Clone(clips)
	sets := map[string]bool{}
	for i := range out {
		c := &out[i]
		sets[c.Dataset] = true
		switch {
		case c.Dataset == name:
			c.Split = SplitTest
		case c.Split == SplitTest:
			c.Split = SplitTrain
		}
	}
	switch {
	case !sets[name]:
		return nil, fmt.Errorf("%s%s: there is no such data set, but %s", withoutSet, name,
			someOf(slices.Sorted(maps.Keys(sets)), 20))
	case len(sets) == 1:
		return nil, fmt.Errorf("%s%s: it is the only data set, so that none is left to train on", withoutSet, name)
	}
	return out, nil
}

// divideWithoutSpeaker makes all clips of a speaker test, those of about a fifth of the others val, and the rest train.
func divideWithoutSpeaker(clips []Clip, name string) ([]Clip, error) {
	var others []int
	out := slices.Clone(clips)
	speakers := map[string]bool{}
	for i := range out {
		if out[i].Speaker == name {
			out[i].Split = SplitTest
			continue
		}
		others = append(others, i)
		if who := out[i].Speaker; who != "" {
			speakers[who] = true
		}
	}
	switch {
	case len(others) == len(out):
		return nil, fmt.Errorf("%s%s: there is no such speaker, but %s", withoutSpeaker, name,
			someOf(slices.Sorted(maps.Keys(speakers)), 20))
	case len(speakers) < 2:
		return nil, fmt.Errorf("%s%s: %d other speakers are too few to train on and to validate by", withoutSpeaker,
			name, len(speakers))
	}
	folds := min(5, len(speakers))
	of := foldsOf(out, others, folds)
	val := int(unitHash("val "+name) * float64(folds))
	for _, i := range others {
		out[i].Split = SplitTrain
		if of(&out[i]) == val {
			out[i].Split = SplitVal
		}
	}
	return out, nil
}

// divideByFold divides by folds: the k-th is test, the next one val.
func divideByFold(clips []Clip, folds, fold int) ([]Clip, error) {
	seen := map[string]bool{}
	all := make([]int, len(clips))
	for i := range clips {
		all[i] = i
		if who := clips[i].Speaker; who != "" {
			seen[who] = true
		}
	}
	if n := len(seen); n > 0 && n < folds {
		return nil, fmt.Errorf("%d speakers cannot be divided into %d folds", n, folds)
	}
	out := slices.Clone(clips)
	of := foldsOf(out, all, folds)
	for i := range out {
		switch (of(&out[i]) - (fold - 1) + folds) % folds {
		case 0:
			out[i].Split = SplitTest
		case 1:
			out[i].Split = SplitVal
		default:
			out[i].Split = SplitTrain
		}
	}
	return out, nil
}

// foldsOf deals the speakers of some clips, by set, women and men apart, to folds, and returns what tells a clip's,
// from 0. Clips whose speaker is not known are dealt by a hash.
func foldsOf(clips []Clip, some []int, folds int) func(*Clip) int {
	people := map[string][]string{} // speakers by set and gender
	seen := map[string]bool{}
	for _, i := range some {
		c := &clips[i]
		if c.Speaker != "" && !seen[c.Speaker] {
			seen[c.Speaker] = true
			group := fmt.Sprintf("%s %d", c.Dataset, c.Gender)
			people[group] = append(people[group], c.Speaker)
		}
	}
	in := map[string]int{}
	next := 0
	for _, group := range slices.Sorted(maps.Keys(people)) {
		slices.Sort(people[group])
		for _, speaker := range people[group] {
			in[speaker] = next % folds
			next++
		}
	}
	return func(c *Clip) int {
		if of, known := in[c.Speaker]; known {
			return of
		}
		return int(unitHash("fold "+c.PortableID()) * float64(folds))
	}
}

// Fold is one of several ways to divide the same clips.
type Fold struct {
	Name string // what is tested on: the fold's number, the speaker or the data set
	By   string // as Divide takes it
}

// The values of --folds beside a number.
const (
	LeaveOneSpeakerOut = "leave-one-speaker-out"
	LeaveOneSetOut     = "leave-one-set-out"
)

// ParseFolds returns the number of folds that --folds names, 0 for the ways that leave someone out.
func ParseFolds(how string) (int, error) {
	if how == LeaveOneSpeakerOut || how == LeaveOneSetOut {
		return 0, nil
	}
	n, err := strconv.Atoi(how)
	if err != nil || n < 3 || n > 1000 {
		return 0, fmt.Errorf("%q: want 3 to 1000 folds by speaker, %s or %s", how, LeaveOneSpeakerOut, LeaveOneSetOut)
	}
	return n, nil
}

// Folds returns the divisions of a cross-validation, in each of which others are test: K folds by speaker, or each
// speaker, or each data set, left out once. The error is ParseFolds' or says that there are too few.
func Folds(clips []Clip, how string) (folds []Fold, err error) {
	n, err := ParseFolds(how)
	if err != nil {
		return nil, err
	}
	for k := range n {
		folds = append(folds, Fold{strconv.Itoa(k + 1), fmt.Sprintf("%d/%d", n, k+1)})
	}
	names, by := map[string]bool{}, withoutSpeaker
	if how == LeaveOneSetOut {
		by = withoutSet
	}
	for i := range clips {
		name := clips[i].Speaker
		if how == LeaveOneSetOut {
			name = clips[i].Dataset
		}
		if n == 0 && name != "" {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		folds = append(folds, Fold{name, by + name})
	}
	if len(folds) < 2 {
		return nil, fmt.Errorf("%s: there are not two that are known", how)
	}
	_, err = Divide(clips, folds[0].By)
	return folds, err
}
