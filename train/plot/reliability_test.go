package plot

import (
	"math"
	"strings"
	"testing"
)

func TestReliability(t *testing.T) {
	var bins []Bin
	for i := range 15 {
		c := (float64(i) + 0.5) / 15
		bins = append(bins, Bin{Confidence: c, Accuracy: math.Max(0, c-0.1*c), N: i * i})
	}
	svg, err := Reliability("fer2013: emotion", bins)
	mustSay(t, words(t, svg, err), "fer2013: emotion", "confidence", "accuracy", "n = 1015", "0.2", "1.0")
}

func TestReliabilityLeavesEmptyBinsOut(t *testing.T) {
	one := []Bin{{0.5, 0.5, 3}}
	svg, err := Reliability("", one)
	words(t, svg, err)
	same, err := Reliability("", append([]Bin{{0.1, 0.1, 0}, {math.NaN(), 0.2, 4}, {0.3, math.Inf(1), 4}}, one...))
	words(t, same, err)
	if string(svg) != string(same) {
		t.Error("a bin without items, or without numbers, is drawn")
	}
	svg, err = Reliability("", nil)
	if !strings.Contains(string(svg), "no data") || err != nil {
		t.Errorf("%v: %s", err, svg)
	}
}
