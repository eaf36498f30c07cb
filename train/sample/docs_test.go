package sample

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDatasetsPageHasTheFaces holds the table of canonical faces in docs/datasets.md to the code.
func TestDatasetsPageHasTheFaces(t *testing.T) {
	data, err := os.ReadFile("../../docs/datasets.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for set, f := range canonicalFaces {
		want := fmt.Sprintf("| `%s` | (%g, %g) (%g, %g) | (%g, %g) | (%g, %g) |", set, f.leftEye.X, f.leftEye.Y,
			f.rightEye.X, f.rightEye.Y, f.nose.X, f.nose.Y, f.mouth.X, f.mouth.Y)
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %s", want)
		}
	}
}
