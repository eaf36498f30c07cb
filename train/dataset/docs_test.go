package dataset

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestDatasetsPage holds docs/datasets.md to the code.
func TestDatasetsPage(t *testing.T) {
	data, err := os.ReadFile("../../docs/datasets.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)

	if got := firstColumn(t, page, "| NAME |"); !sameStrings(got, Names()) {
		t.Errorf("the page lists the names %v, the code knows %v", got, Names())
	}
	if want := "columns `" + strings.Join(ManifestColumns, ",") + "`"; !strings.Contains(page, want) {
		t.Errorf("the page does not say %s", want)
	}
	if got := firstColumn(t, page, "| column |"); !sameStrings(got, ManifestColumns) {
		t.Errorf("the page explains the columns %v, a manifest has %v", got, ManifestColumns)
	}
	for _, c := range optionalColumns {
		if !strings.Contains(page, "`"+c+"`") {
			t.Errorf("the page does not explain the column %s", c)
		}
	}
	published := slices.DeleteFunc(Names(), func(n string) bool { return n == "manifest" })
	if got := firstColumn(t, page, "| set | terms |"); !sameStrings(got, append(published, "ravdess-warp")) {
		t.Errorf("the page has terms of %v, the code of %v", got, published)
	}
	for _, set := range append(published, "ravdess-warp") {
		if want := fmt.Sprintf("| `%s` | %s", set, Licence(set)); !strings.Contains(page, want) {
			t.Errorf("the page does not say %s", want)
		}
	}
	for name, set := range datasets {
		for _, o := range set.options {
			if !strings.Contains(page, "`"+name+":"+o+"`") || !strings.Contains(set.about.Options, name+":"+o) {
				t.Errorf("the page or tandem data does not explain %s:%s", name, o)
			}
		}
	}
	l := DefaultLabels()
	labels := slices.Concat(l.Emotions, l.Genders, otherEmotions, slices.Sorted(maps.Keys(emotionAliases)))
	for _, word := range labels {
		if !strings.Contains(page, "`"+word+"`") {
			t.Errorf("the page does not name the label %s", word)
		}
	}
}

// firstColumn is the words in backquotes in the first column of the table whose head begins so.
func firstColumn(t *testing.T, page, head string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n"+head)
	if !ok {
		t.Fatalf("no table %s", head)
	}
	var words []string
	for _, line := range strings.Split(rest, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		for i, part := range strings.Split(strings.Split(line, "|")[1], "`") {
			if i%2 == 1 {
				words = append(words, part)
			}
		}
	}
	return words
}

func sameStrings(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
