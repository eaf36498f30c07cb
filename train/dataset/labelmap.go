package dataset

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// LabelMap renames published labels before anything else is made of them, as --map does.
type LabelMap []renaming

// renaming is FROM=TO of one task, in lower case.
type renaming struct {
	gender   bool
	from, to string
}

// ParseLabelMap parses FROM=TO, each in any case. Genders are renamed where TO is female or male in one of its
// spellings, emotions otherwise; "gender:" or "emotion:" before FROM says so where TO does not. No label may have two
// names of one task.
func ParseLabelMap(pairs []string) (LabelMap, error) {
	var m LabelMap
	for _, p := range pairs {
		from, to, ok := strings.Cut(p, "=")
		from, to = clean(from), clean(to)
		r := renaming{to: to, gender: isGender(to)}
		if task, name, named := strings.Cut(from, ":"); named && (task == "gender" || task == "emotion") {
			r.gender, from = task == "gender", clean(name)
		}
		r.from = from
		if !ok || from == "" || to == "" || strings.ContainsAny(to, "=;,") {
			return nil, fmt.Errorf("%q: want FROM=TO, such as joy=happy or gender:0=female", p)
		}
		for _, o := range m {
			if o.gender == r.gender && o.from == r.from && o.to != r.to {
				return nil, fmt.Errorf("%q: %q is %q already", p, from, o.to)
			}
		}
		m = append(m, r)
	}
	return m, nil
}

// emotion returns the name that a published emotion has by the map, in lower case.
func (m LabelMap) emotion(label string) string { return m.rename(label, false) }

// gender is emotion for a published gender.
func (m LabelMap) gender(label string) string { return m.rename(label, true) }

func (m LabelMap) rename(label string, gender bool) string {
	label = clean(label)
	for _, r := range m {
		if r.gender == gender && r.from == label {
			return r.to
		}
	}
	return label
}

// clean returns a label without what people write differently: its case and the space around it.
func clean(label string) string { return strings.ToLower(strings.TrimSpace(label)) }

// isNumber reports whether a label is a number, which means another thing in each data set.
func isNumber(label string) bool {
	_, err := strconv.ParseFloat(label, 64)
	return err == nil && strings.ContainsAny(label, "0123456789") // "nan" is a word
}

// numberError is the error of a label that is a number and that no map names.
func numberError(task, label string) error {
	to := "happy"
	if task == "gender" {
		to = "female"
	}
	return fmt.Errorf("%w: %s %q is a number, which each data set gives a meaning of its own: say it by "+
		"--map %s:%s=%s or the like, for each", ErrUnknownLabel, task, label, task, label, to)
}

// LookAlike returns the pairs of labels of one task that may be two spellings of one: of which one is an alias of the
// other, or which differ by their endings or by a slip of the pen, "happy, hapy" each.
func LookAlike(labels []string) []string {
	var pairs []string
	for i, a := range labels {
		for _, b := range labels[i+1:] {
			if spelling(a) == spelling(b) || genderSpelling(a) == genderSpelling(b) || similar(a, b) {
				pairs = append(pairs, a+", "+b)
			}
		}
	}
	return pairs
}

// similar reports whether two words share a beginning of four letters that is most of the shorter, or are one edit
// apart (two, of eight letters on) once all that is not a letter or a number is dropped.
func similar(a, b string) bool {
	x, y := letters(a), letters(b)
	if slices.Equal(x, y) {
		return true
	}
	least, most := min(len(x), len(y)), max(len(x), len(y))
	if least < 4 {
		return false
	}
	same := 0
	for same < least && x[same] == y[same] {
		same++
	}
	if same >= 4 && 5*same >= 4*least && 2*same >= most {
		return true
	}
	return edits(x, y) <= 1+least/8
}

// letters returns the letters and numbers of a label.
func letters(label string) []rune {
	return []rune(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" _-.'/", r) {
			return -1
		}
		return r
	}, label))
}

// edits is Levenshtein's distance: the fewest letters put in, left out or changed that make one word the other.
func edits(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		before := row[0] // of the row above, one to the left
		row[0] = i + 1
		for j := range b {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}
