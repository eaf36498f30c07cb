package augment

import (
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Mixup blends samples of a batch and their labels alike (Zhang et al. 2018, arXiv 1710.09412): x = s x1 + (1-s) x2,
// with s drawn from Beta(Alpha, Alpha).
type Mixup struct {
	Share float64 // of the samples that are blended, 0 to 1
	Alpha float64 // above 0
}

// Targets are the labels of one task for the rows of a batch.
type Targets struct {
	P      [][]float32 // [rows][classes], each a distribution
	Weight []float32   // [rows], of the row's loss; 0 where the label is unknown
	// Space is the label space of each row's data set, [rows][classes]: 1 for the classes that it has, else 0.
	Space [][]float32
}

// MixupItems are the samples of one modality in a batch.
type MixupItems[T any] struct {
	Rows   []int // the batch's rows that have this modality
	At     []int // where in Values each of these begins
	Values []T
	Size   int                       // values a sample
	Blend  func(a, b T, s float32) T // s a + (1-s) b
}

// Blend blends a share of the items with others of them, in place, and the targets of their rows. It returns the rows
// that are blended, each with the row that it is blended with. The larger share stays with the row's own sample.
func Blend[T any](rng *rand.Rand, m Mixup, items MixupItems[T], tasks ...Targets) map[int]int {
	mixed := map[int]int{}
	if m.Share == 0 || len(items.Rows) < 2 {
		return mixed
	}
	whole := append([]T(nil), items.Values...)
	own := make([]Targets, len(tasks))
	for k, t := range tasks {
		own[k] = Targets{P: slices.Clone(t.P), Weight: slices.Clone(t.Weight), Space: slices.Clone(t.Space)}
	}
	beta := distuv.Beta{Alpha: m.Alpha, Beta: m.Alpha, Src: rng}
	for i, row := range items.Rows {
		if rng.Float64() >= m.Share {
			continue
		}
		j := (i + 1 + rng.IntN(len(items.Rows)-1)) % len(items.Rows)
		other := items.Rows[j]
		s := float32(beta.Rand())
		s = max(s, 1-s)
		for k := range items.Size {
			items.Values[items.At[i]+k] = items.Blend(whole[items.At[i]+k], whole[items.At[j]+k], s)
		}
		for k, t := range own {
			tasks[k].P[row], tasks[k].Weight[row] = blendLabels(t.P[row], t.P[other], t.Weight[row], t.Weight[other], s)
			tasks[k].Space[row] = blendSpaces(t, row, other)
		}
		mixed[row] = other
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

// blendSpaces returns the label space of a blend of two rows: the classes of either's, of those whose label is known.
func blendSpaces(t Targets, a, b int) []float32 {
	switch {
	case t.Weight[b] == 0:
		return t.Space[a]
	case t.Weight[a] == 0:
		return t.Space[b]
	}
	both := slices.Clone(t.Space[a])
	for k, v := range t.Space[b] {
		both[k] = max(both[k], v)
	}
	return both
}

// BlendPixels returns s a + (1-s) b, rounded.
func BlendPixels(a, b byte, s float32) byte { return byte(s*float32(a) + (1-s)*float32(b) + 0.5) }

// BlendSamples returns s a + (1-s) b.
func BlendSamples(a, b, s float32) float32 { return s*a + (1-s)*b }
