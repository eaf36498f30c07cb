package dataset

import (
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

// ManifestLabels returns the labels of the manifests among data (NAME=PATH), as they stand there, in alphabetical
// order; f and m are female and male.
func ManifestLabels(data []string) (l pipeline.Labels, err error) {
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
		err = eachCSVRow(f, path, []string{"emotion", "gender"}, func(_ int, col map[string]string) error {
			for _, e := range labelNames(col["emotion"]) {
				emotions[e] = true
			}
			for _, g := range labelNames(col["gender"]) {
				switch g {
				case "f":
					g = "female"
				case "m":
					g = "male"
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

// labelNames returns the names in a label column, in lower case: of one label, or of those that have votes.
func labelNames(text string) (names []string) {
	for entry := range strings.SplitSeq(text, ";") {
		name, _, _ := strings.Cut(entry, "=")
		names = append(names, strings.ToLower(strings.TrimSpace(name)))
	}
	return names
}

// emotionAliases maps published spellings to the canonical label.
var emotionAliases = map[string]string{
	"calm": "neutral", "happiness": "happy", "sadness": "sad", "anger": "angry", "fear": "fearful",
	"disgust":  "disgusted",
	"surprise": "surprised", "boredom": "bored", "frustration": "frustrated", "excitement": "excited",
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
	if label = strings.ToLower(strings.TrimSpace(label)); err == nil && k < 0 && label != "" {
		l.report.Unlabelled[label]++
	}
	return k, err
}

// emotionIndex returns the index of a published label: of the label itself, else of the one that it is an alias of. It
// is -1 for none and for a published label that the model does not have; others are ErrUnknownLabel.
func (l *loader) emotionIndex(label string) (int, error) {
	label = strings.ToLower(strings.TrimSpace(label))
	if label == "" {
		return -1, nil
	}
	if i := slices.Index(l.labels.Emotions, label); i >= 0 {
		return i, nil
	}
	canonical, alias := emotionAliases[label]
	if !alias {
		canonical = label
	}
	if i := slices.Index(l.labels.Emotions, canonical); i >= 0 {
		return i, nil
	}
	if alias || slices.Contains(otherEmotions, label) || slices.Contains(DefaultLabels().Emotions, label) {
		return -1, nil
	}
	return -1, fmt.Errorf("%w: emotion %q; allowed are %s; --emotions manifest trains on a manifest's own",
		ErrUnknownLabel, label, strings.Join(allowedEmotions(l.labels), ", "))
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

// genderIndex returns the index of a published gender, -1 if it is empty or one that the model does not have; others
// are ErrUnknownLabel.
func (l *loader) genderIndex(label string) (int, error) {
	label = strings.ToLower(strings.TrimSpace(label))
	switch label {
	case "":
		return -1, nil
	case "f":
		label = "female"
	case "m":
		label = "male"
	}
	if i := slices.Index(l.labels.Genders, label); i >= 0 {
		return i, nil
	}
	if slices.Contains(DefaultLabels().Genders, label) {
		return -1, nil
	}
	return -1, fmt.Errorf("%w: gender %q; allowed are %s", ErrUnknownLabel, label,
		strings.Join(append(slices.Clone(l.labels.Genders), "f", "m"), ", "))
}
