package plot

import (
	"math"
	"testing"
)

func TestIntervals(t *testing.T) {
	svg, err := Intervals("Both senses less the better one", "difference of UAR", []Interval{
		{"ravdess-warp: emotion", 0.067, 0.021, 0.112},
		{"ravdess-warp: gender", -0.002, -0.013, 0.009},
		{"no interval", 0.05, math.NaN(), math.NaN()},
		{"nothing", math.NaN(), 0, 0},
	})
	mustSay(t, words(t, svg, err), "Both senses less the better one", "difference of UAR", "ravdess-warp: emotion",
		"0.067 [0.021, 0.112]",
		"-0.002 [-0.013, 0.009]", "0.050", "nothing", "–")
}

func TestIntervalsOfNothing(t *testing.T) {
	svg, err := Intervals("none", "x", nil)
	mustSay(t, words(t, svg, err), "none", "no data")
}
