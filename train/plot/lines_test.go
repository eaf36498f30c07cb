package plot

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	var s []Series
	for k, name := range []string{"emotion", "gender", "sum of both"} {
		series := Series{Name: name}
		for i := range 40 {
			y := math.Exp(-float64(i)/12) + 0.3*float64(k)
			series.X, series.Y = append(series.X, float64(i)), append(series.Y, y)
			series.Lo, series.Hi = append(series.Lo, y-0.08), append(series.Hi, y+0.08)
		}
		s = append(s, series)
	}
	svg, err := Lines("Losses by epoch", "epoch", "loss (nats)", s)
	mustSay(t, words(t, svg, err), "Losses by epoch", "epoch", "loss (nats)", "emotion", "gender", "sum of both", "20",
		"1.0")
}

func TestLinesOfManySeries(t *testing.T) {
	var s []Series
	for k := range 20 {
		s = append(s, Series{
			Name: fmt.Sprint("series ", k), X: []float64{0, 1, 2}, Y: []float64{float64(k), float64(k + 1), float64(k)},
		})
	}
	svg, err := Lines("Many", "x", "y", s)
	mustSay(t, words(t, svg, err), "series 0", "series 19")
	if n := strings.Count(string(svg), "stroke-dasharray"); n < 13 {
		t.Errorf("%d dashed lines, but 20 series and 7 colours", n)
	}
}

// A gap in the data is one in the line, and a lone point is a point.
func TestLinesLeaveGaps(t *testing.T) {
	y := []float64{1, 2, math.NaN(), 3, 2, math.Inf(1), 5}
	x := []float64{0, 1, 2, 3, 4, 5, 6}
	if got := fmt.Sprint(segments(x, y)); got != "[[0 2] [3 5] [6 7]]" {
		t.Errorf("segments %s", got)
	}
	svg, err := Lines("", "x", "y", []Series{{X: x, Y: y}})
	words(t, svg, err)
	whole, err := Lines("", "x", "y", []Series{{X: x, Y: []float64{1, 2, 2, 3, 2, 4, 5}}})
	words(t, whole, err)
	paths := func(b []byte) int { return strings.Count(string(b), "<path") }
	if got, want := paths(svg), paths(whole)+2; got != want {
		t.Errorf("%d paths with two gaps, %d without", got, paths(whole))
	}
}

func TestLinesRefuse(t *testing.T) {
	for _, s := range []Series{
		{Name: "odd", X: []float64{1}},
		{Name: "odd", X: []float64{1}, Y: []float64{1}, Lo: []float64{1}},
		{Name: "odd", X: []float64{1}, Y: []float64{1}, Lo: []float64{1, 2}, Hi: []float64{1, 2}},
	} {
		if _, err := Lines("", "", "", []Series{s}); err == nil || !strings.Contains(err.Error(), `"odd"`) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
