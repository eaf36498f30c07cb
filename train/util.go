package train

import "math"

func round4(x float64) float64 { return math.Round(x*1e4) / 1e4 }
