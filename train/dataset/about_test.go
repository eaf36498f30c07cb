package dataset

import (
	"errors"
	"strings"
	"testing"
)

func TestAboutEverySet(t *testing.T) {
	for _, name := range Names() {
		a, err := AboutOf(name)
		if err != nil {
			t.Fatal(err)
		}
		text := a.String()
		for _, part := range []string{a.Title, a.What, a.Publisher, a.Terms, a.Layout} {
			if part == "" || !strings.Contains(text, part) {
				t.Errorf("%s lacks %q:\n%s", name, part, text)
			}
		}
		if name != "manifest" && (a.Clips == 0 || a.Paper == "" || a.Download == "") {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if _, err := AboutOf("nosuch"); !errors.Is(err, ErrUnknownDataset) {
		t.Error(err)
	}
}
