package train

import (
	"maps"
	"math"
	"slices"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func round4(x float64) float64 { return math.Round(x*1e4) / 1e4 }
