package dataset

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// The splits of a data set.
const (
	SplitTrain = "train"
	SplitVal   = "val"
	SplitTest  = "test"
)

// IsSplit reports whether s is SplitTrain, SplitVal or SplitTest.
func IsSplit(s string) bool { return slices.Contains([]string{SplitTrain, SplitVal, SplitTest}, s) }

// SplitToReport returns the split that a model is judged by where nothing else is said: SplitTest if clips have one,
// since by SplitVal epochs and recipes are chosen and temperatures fitted; else SplitVal.
func SplitToReport(clips []Clip) string {
	if slices.ContainsFunc(clips, func(c Clip) bool { return c.Split == SplitTest }) {
		return SplitTest
	}
	return SplitVal
}

// splitAliases are other words for splits, in lower case.
var splitAliases = map[string]string{
	"training": SplitTrain, "validation": SplitVal, "valid": SplitVal, "dev": SplitVal, "development": SplitVal,
	"testing": SplitTest,
}

// parseSplit returns the split that a word in any case means; ok is false for one that means none.
func parseSplit(word string) (split string, ok bool) {
	word = clean(word)
	word = cmp.Or(splitAliases[word], word)
	return word, IsSplit(word)
}

// The ways to divide data, by the names of --split-by; besides them K/k is the k-th of K folds by speaker, and set:NAME
// and speaker:NAME leave out a data set or a speaker.
const (
	BySpeaker = "speaker" // as the set or the manifest says: by speaker where speakers are known
	ByClip    = "clip"    // at random by clip, 60/20/20
	// ByAuthors divides as the code of Chae et al. 2018 (arXiv 1809.00758) does: each split is taken from another
	// shuffle of all clips, 60/20/20, so that three fifths of the test clips are in training too, and one clip may
	// stand in several splits.
	ByAuthors = "authors"
)

// ErrSharedSpeakers is the error for data whose splits share a speaker.
var ErrSharedSpeakers = errors.New("the splits share speakers")

// CheckSplitBy returns an error if Divide knows no such way.
func CheckSplitBy(by string) error {
	if _, _, ok := leftOut(by); ok {
		return nil
	}
	_, _, err := splitFold(by)
	return err
}

// splitFold parses K/k as folds and fold; folds is 0 for the other ways to divide.
func splitFold(by string) (folds, fold int, err error) {
	if by == "" || by == BySpeaker || by == ByClip || by == ByAuthors {
		return 0, 0, nil
	}
	a, b, slash := strings.Cut(by, "/")
	folds, errFolds := strconv.Atoi(a)
	fold, errFold := strconv.Atoi(b)
	if !slash || errors.Join(errFolds, errFold) != nil || folds < 3 || folds > 1000 || fold < 1 || fold > folds {
		return 0, 0, fmt.Errorf("%q: known are %s, %s, %s, set:NAME, speaker:NAME, and K/k, the k-th of K folds by "+
			"speaker, such as 5/1, of 3 folds at least", by, BySpeaker, ByClip, ByAuthors)
	}
	return folds, fold, nil
}

// Divide returns the clips divided anew, by one of the ways above or K/k. It does not write to clips, and always
// divides the same clips alike. By is "" for BySpeaker, which leaves the splits as they are.
func Divide(clips []Clip, by string) ([]Clip, error) {
	switch kind, name, _ := leftOut(by); kind {
	case withoutSet:
		return divideWithoutSet(clips, name)
	case withoutSpeaker:
		return divideWithoutSpeaker(clips, name)
	}
	folds, fold, err := splitFold(by)
	if err != nil {
		return nil, err
	}
	switch {
	case folds > 0:
		return divideByFold(clips, folds, fold)
	case by == ByClip:
		out := slices.Clone(clips)
		for i := range out {
			switch u := unitHash("clip " + out[i].PortableID()); {
			case u < 0.6:
				out[i].Split = SplitTrain
			case u < 0.8:
				out[i].Split = SplitVal
			default:
				out[i].Split = SplitTest
			}
		}
		return out, nil
	case by == ByAuthors:
		var out []Clip
		for _, c := range clips {
			for _, split := range []string{SplitTrain, SplitVal, SplitTest} {
				share := 0.2
				if split == SplitTrain {
					share = 0.6
				}
				if unitHash(split+" "+c.PortableID()) < share {
					c.Split = split
					out = append(out, c)
				}
			}
		}
		return out, nil
	}
	return clips, nil
}

// SharedSpeakers returns the speakers who stand in more than one split, sorted, each with these: "anna (train, val)".
func SharedSpeakers(clips []Clip) []string {
	splits := map[string][]string{}
	for i := range clips {
		if c := &clips[i]; c.Speaker != "" && !slices.Contains(splits[c.Speaker], c.Split) {
			splits[c.Speaker] = append(splits[c.Speaker], c.Split)
		}
	}
	var shared []string
	for speaker, in := range splits {
		if len(in) > 1 {
			slices.Sort(in)
			shared = append(shared, fmt.Sprintf("%s (%s)", speaker, strings.Join(in, ", ")))
		}
	}
	slices.Sort(shared)
	return shared
}

// sharedError returns the error for splits that share speakers.
func sharedError(shared []string) error {
	return fmt.Errorf(
		"%w: %s; what is measured on a speaker who was trained on says little of others: correct the splits, "+
			"or go on with --allow-speaker-overlap, which the model and its reports will tell",
		ErrSharedSpeakers,
		someOf(shared, 5),
	)
}

// someOf lists the first of words, most of them, and how many more there are.
func someOf(words []string, most int) string {
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}

// SplitHash returns a name for the division of clips into splits: SHA-256 over the sorted lines "split PortableID" of
// the clips, in hex. Two models of equal hashes were trained and judged on the same division of the same clips,
// wherever those lay and however their paths were written.
func SplitHash(clips []Clip) string {
	lines := make([]string, len(clips))
	for i := range clips {
		lines[i] = clips[i].Split + " " + clips[i].PortableID() + "\n"
	}
	sort.Strings(lines)
	h := sha256.New()
	for _, s := range lines {
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// hashSplit returns a split by a hash of key, a speaker or an image: eight tenths train, one val, one test. The same
// key always falls to the same side, whatever else is in the data.
func hashSplit(key string) string {
	switch hash64(key) % 10 {
	case 8:
		return SplitVal
	case 9:
		return SplitTest
	}
	return SplitTrain
}

// unitHash returns a number in [0, 1) that only key decides.
func unitHash(key string) float64 { return float64(hash64(key)>>11) / (1 << 53) }

func hash64(key string) uint64 {
	sum := sha256.Sum256([]byte(key))
	return binary.BigEndian.Uint64(sum[:8])
}

// AgeBands are the bands in which ages are counted, in years.
var AgeBands = []string{"0-17", "18-29", "30-44", "45-59", "60+"}

// AgeBand returns the one of AgeBands that an age in years falls into, "" for a negative one.
func AgeBand(age int) string {
	for i, most := range []int{17, 29, 44, 59, math.MaxInt} {
		if age >= 0 && age <= most {
			return AgeBands[i]
		}
	}
	return ""
}

// GroupByDataset returns the indices of clips by data set, in the order in which the sets first appear.
func GroupByDataset(clips []Clip) [][]int {
	var groups [][]int
	at := map[string]int{}
	for i := range clips {
		g, ok := at[clips[i].Dataset]
		if !ok {
			g = len(groups)
			at[clips[i].Dataset] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}
