package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sort"
	"strings"

	"tandem/pipeline"
)

// DefaultLabels returns the labels of the default model.
func DefaultLabels() pipeline.Labels {
	return pipeline.Labels{
		Emotions: []string{"neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"},
		Genders:  []string{"female", "male"},
	}
}

// CheckLabels returns an error if labels cannot be those of a model's task ("emotion"): there must be 2 to 64,
// distinct, in lower case and without commas.
func CheckLabels(task string, labels []string) error {
	if len(labels) < 2 || len(labels) > 64 {
		return fmt.Errorf("%ss %v: want 2 to 64 labels", task, labels)
	}
	for i, l := range labels {
		if l == "" || l != strings.ToLower(strings.TrimSpace(l)) || strings.Contains(l, ",") ||
			slices.Contains(labels[:i], l) {
			return fmt.Errorf("%ss: label %q: want names in lower case without commas, each once", task, l)
		}
	}
	return nil
}

// ManifestLabels returns the labels of the manifests among data (NAME=PATH) in alphabetical order, in lower case, each
// under one spelling: names are renamed by the map, then aliases are replaced (happiness: happy; f: female). Calm is a
// label of its own here. A number that the map does not name is ErrUnknownLabel.
func ManifestLabels(data []string, names LabelMap) (l pipeline.Labels, err error) {
	emotions, genders := map[string]bool{}, map[string]bool{}
	manifests := 0
	for _, d := range data {
		name, path, _ := strings.Cut(d, "=")
		if name != "manifest" {
			continue
		}
		manifests++
		f, err := os.Open(path)
		if err != nil {
			return l, err
		}
		err = eachCSVRow(f, path, []string{"emotion|gender"}, func(line int, col map[string]string) error {
			for _, e := range labelNames(col["emotion"]) {
				if e = spelling(names.emotion(e)); isNumber(e) {
					return fmt.Errorf("%s: line %d: %w", path, line, numberError("emotion", e))
				}
				emotions[e] = true
			}
			for _, g := range labelNames(col["gender"]) {
				if g = genderSpelling(names.gender(g)); isNumber(g) {
					return fmt.Errorf("%s: line %d: %w", path, line, numberError("gender", g))
				}
				genders[g] = true
			}
			return nil
		})
		if err := errors.Join(err, f.Close()); err != nil {
			return l, err
		}
	}
	if manifests == 0 {
		return l, errors.New("there is no manifest=FILE among the data to take labels from")
	}
	delete(emotions, "")
	delete(genders, "")
	l.Emotions, l.Genders = slices.Sorted(maps.Keys(emotions)), slices.Sorted(maps.Keys(genders))
	return l, nil
}

// labelNames returns the names in a label column: of one label, or of those that have votes.
func labelNames(text string) (names []string) {
	for entry := range strings.SplitSeq(text, ";") {
		name, _, _ := strings.Cut(entry, "=")
		names = append(names, name)
	}
	return names
}

// emotionAliases maps published spellings to the canonical label.
var emotionAliases = map[string]string{
	"calm": "neutral", "happiness": "happy", "joy": "happy", "sadness": "sad", "anger": "angry", "fear": "fearful",
	"disgust":  "disgusted",
	"surprise": "surprised", "boredom": "bored", "frustration": "frustrated", "excitement": "excited",
}

// genderAliases does the same for genders.
var genderAliases = map[string]string{"f": "female", "m": "male", "woman": "female", "man": "male"}

// spelling returns the one name of a label in lower case that may have several. Calm and neutral are not one: models
// that have calm tell them apart.
func spelling(label string) string {
	if canonical, alias := emotionAliases[label]; alias && label != "calm" {
		return canonical
	}
	return label
}

// genderSpelling is spelling for a gender.
func genderSpelling(label string) string { return cmp.Or(genderAliases[label], label) }

// isGender reports whether a name in lower case is a gender in one of its spellings.
func isGender(label string) bool {
	return slices.Contains(DefaultLabels().Genders, genderSpelling(label))
}

// otherEmotions are labels of published data sets that a model need not have; others are taken for misspelt.
var otherEmotions = []string{"bored", "frustrated", "excited", "contempt", "other", "unknown", "nf"}

// emotion returns the index of a published label, -1 where there is none. A label that the model does not have is -1
// too, and counted; others are ErrUnknownLabel.
func (l *loader) emotion(label string) (int, error) {
	k, err := l.emotionIndex(label)
	return l.counted(label, k, err)
}

// gender is emotion for a published gender.
func (l *loader) gender(label string) (int, error) {
	k, err := l.genderIndex(label)
	return l.counted(label, k, err)
}

func (l *loader) counted(label string, k int, err error) (int, error) {
	if label = clean(label); err == nil && k < 0 && label != "" {
		l.report.Unlabelled[label]++
	}
	return k, err
}

// emotionIndex returns the index of a published label, renamed by the map: of the label itself, else of the one that it
// is another spelling of. It is -1 for none and for a published label that the model does not have; others are
// ErrUnknownLabel.
func (l *loader) emotionIndex(label string) (int, error) {
	label = l.names.emotion(label)
	if label == "" {
		return -1, nil
	}
	canonical, alias := emotionAliases[label]
	if !alias {
		canonical = label
	}
	for _, name := range []string{label, canonical} {
		if i := slices.Index(l.labels.Emotions, name); i >= 0 {
			return i, nil
		}
	}
	same := func(name string) bool { return spelling(name) == canonical } // a model may have happiness
	if i := slices.IndexFunc(l.labels.Emotions, same); i >= 0 {
		return i, nil
	}
	switch {
	case alias || slices.Contains(otherEmotions, label) || slices.Contains(DefaultLabels().Emotions, label):
		return -1, nil
	case isNumber(label):
		return -1, numberError("emotion", label)
	}
	return -1, fmt.Errorf("%w: emotion %q; allowed are %s; --map %s=happy or the like says which it is, "+
		"--emotions manifest trains on a manifest's own",
		ErrUnknownLabel, label, strings.Join(allowedEmotions(l.labels), ", "), label)
}

// allowedEmotions returns all spellings that emotion takes, sorted.
func allowedEmotions(labels pipeline.Labels) []string {
	all := slices.Concat(labels.Emotions, DefaultLabels().Emotions, otherEmotions)
	for a := range emotionAliases {
		all = append(all, a)
	}
	sort.Strings(all)
	return slices.Compact(all)
}

// genderIndex returns the index of a published gender, renamed by the map, -1 if it is empty or one that the model does
// not have; others are ErrUnknownLabel.
func (l *loader) genderIndex(label string) (int, error) {
	label = l.names.gender(label)
	if label == "" {
		return -1, nil
	}
	if i := slices.Index(l.labels.Genders, label); i >= 0 {
		return i, nil
	}
	same := func(name string) bool { return genderSpelling(name) == genderSpelling(label) }
	if i := slices.IndexFunc(l.labels.Genders, same); i >= 0 {
		return i, nil
	}
	switch {
	case isGender(label):
		return -1, nil
	case isNumber(label):
		return -1, numberError("gender", label)
	}
	allowed := slices.Concat(l.labels.Genders, slices.Sorted(maps.Keys(genderAliases)))
	return -1, fmt.Errorf("%w: gender %q; allowed are %s; --map gender:%s=female or the like says which it is",
		ErrUnknownLabel, label, strings.Join(allowed, ", "), label)
}
