package train

import (
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// mixup blends, within each sense, a share of a batch's samples with others of it, and their labels alike (Zhang et al. 2018,
// arXiv 1710.09412): x = s x1 + (1-s) x2, s from Beta(alpha, alpha). items are the rows that show something and where in values
// each one's begins; it returns which rows are blended. The larger share stays with the row's own sample.
func mixup[T any](rng *rand.Rand, r Recipe, out *batch, rows, at []int, values []T, size int, blend func(a, b T, s float32) T) map[int]bool {
	mixed := map[int]bool{}
	if r.MixupShare == 0 || len(rows) < 2 {
		return mixed
	}
	whole := append([]T(nil), values...)
	emotion, gender := append([][]float32(nil), out.emotion...), append([][]float32(nil), out.gender...)
	ew, gw := append([]float32(nil), out.emotionWeight...), append([]float32(nil), out.genderWeight...)
	beta := distuv.Beta{Alpha: r.MixupAlpha, Beta: r.MixupAlpha, Src: rng}
	for i, row := range rows {
		if rng.Float64() >= r.MixupShare {
			continue
		}
		j := (i + 1 + rng.IntN(len(rows)-1)) % len(rows)
		s := float32(beta.Rand())
		s = max(s, 1-s)
		for k := range size {
			values[at[i]+k] = blend(whole[at[i]+k], whole[at[j]+k], s)
		}
		out.emotion[row], out.emotionWeight[row] = blendLabels(emotion[row], emotion[rows[j]], ew[row], ew[rows[j]], s)
		out.gender[row], out.genderWeight[row] = blendLabels(gender[row], gender[rows[j]], gw[row], gw[rows[j]], s)
		mixed[row] = true
	}
	return mixed
}

// blendLabels blends two targets with their weights; where one label is not known, the other counts by its share alone.
func blendLabels(a, b []float32, wa, wb, s float32) ([]float32, float32) {
	wa, wb = s*wa, (1-s)*wb
	if wa+wb == 0 {
		return a, 0
	}
	t := make([]float32, len(a))
	for i := range t {
		t[i] = (wa*a[i] + wb*b[i]) / (wa + wb)
	}
	return t, wa + wb
}

func blendPixels(a, b byte, s float32) byte { return byte(s*float32(a) + (1-s)*float32(b) + 0.5) }

func blendSamples(a, b, s float32) float32 { return s*a + (1-s)*b }
