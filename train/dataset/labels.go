package dataset

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"tandem/pipeline"
)

// CheckLabels refuses names that a model can't have.
func CheckLabels(task string, labels []string) error {
	if len(labels) < 2 || len(labels) > 64 {
		return fmt.Errorf("%ss %v: want 2 to 64 labels", task, labels)
	}
	for i, l := range labels {
		if l == "" || l != strings.ToLower(strings.TrimSpace(l)) || strings.Contains(l, ",") || slices.Contains(labels[:i], l) {
			return fmt.Errorf("%ss: label %q: want names in lower case without commas, each once", task, l)
		}
	}
	return nil
}

// ManifestLabels are the labels of the manifests among data (NAME=PATH), as they stand there, in alphabetical order; f and m
// are female and male.
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
		err = eachManifestRow(f, path, []string{"emotion", "gender"}, func(_ int, col map[string]string) error {
			emotions[strings.ToLower(col["emotion"])] = true
			g := strings.ToLower(col["gender"])
			switch g {
			case "f":
				g = "female"
			case "m":
				g = "male"
			}
			genders[g] = true
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
