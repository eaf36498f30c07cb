package plot

import (
	"strings"
	"testing"
)

func TestConfusion(t *testing.T) {
	labels := []string{"neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"}
	counts := make([][]int, len(labels))
	for i := range counts {
		counts[i] = make([]int, len(labels))
		for j := range counts[i] {
			counts[i][j] = (i*3 + j*5) % 11
		}
		counts[i][i] = 40 + 1000*i
	}
	svg, err := Confusion("fer2013: emotion", labels, counts)
	mustSay(t, words(t, svg, err), append(labels, "fer2013: emotion", "predicted", "true", "6040", "40", "99 %")...)
}

func TestConfusionOfLongNames(t *testing.T) {
	svg, err := Confusion("two", []string{"a very long name", "b"}, [][]int{{3, 1}, {0, 0}})
	mustSay(t, words(t, svg, err), "a very long name", "75 %", "25 %", "0 %")
}

func TestConfusionOfNothing(t *testing.T) {
	svg, err := Confusion("none", nil, nil)
	mustSay(t, words(t, svg, err), "none", "no data")
}

func TestConfusionRefuses(t *testing.T) {
	for _, counts := range [][][]int{{{1, 2}}, {{1, 2}, {1}}} {
		if _, err := Confusion("", []string{"a", "b"}, counts); err == nil || !strings.Contains(err.Error(), "labels") {
			t.Errorf("%v: %v", counts, err)
		}
	}
}
