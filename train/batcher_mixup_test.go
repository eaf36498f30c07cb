package train

import (
	"slices"
	"testing"

	"tandem/train/augment"
	"tandem/train/nn"
	"tandem/train/sample/sampletest"
	"tandem/train/traintest"
)

func TestMixupBlendsWithinASense(t *testing.T) {
	recipe := tinyRecipe()
	recipe.Augment = augment.Config{Face: augment.Face{Gamma: 1}}
	arch := recipe.Arch
	arch.Spec, arch.Emotions, arch.Genders = nn.DefaultSpec, 7, 2
	data := sampletest.Synthetic(nn.DefaultSpec, 20, 10, 4)
	make1 := func(share float64) *batch {
		recipe.MixupShare, recipe.MixupAlpha = share, 1
		b, err := newBatcher(recipe, arch, data)
		if err != nil {
			t.Fatal(err)
		}
		return b.batch(3)
	}
	plain, mixed := make1(0), make1(1)
	size := nn.DefaultSpec.CropSize * nn.DefaultSpec.CropSize
	for i := range recipe.Stills {
		own := target1(plain.emotion[i])
		if got := target1(mixed.emotion[i]); mixed.emotionWeight[i] > 0 && got != own {
			t.Errorf("still %d: its own label %d does not lead in %v", i, own, mixed.emotion[i])
		}
		traintest.Near(t, "sum of the blended label", sum32(mixed.emotion[i]), 1, 1e-5)
		// Each pixel lies between those of the two.
		a, x := plain.crops[i*size:(i+1)*size], mixed.crops[i*size:(i+1)*size]
		if slices.Equal(a, x) {
			t.Errorf("still %d is not blended", i)
		}
		found := false
		for j := range recipe.Stills {
			b := plain.crops[j*size : (j+1)*size]
			found = found || j != i && between(a, b, x)
		}
		if !found {
			t.Errorf("still %d is not a blend with any other still of its batch", i)
		}
	}
	// Talking faces keep both senses, and no pair is made of blended samples.
	first := recipe.Stills + recipe.Voices
	for i := first; i < first+recipe.Talking; i++ {
		if !slices.Equal(plain.emotion[i], mixed.emotion[i]) {
			t.Errorf("the talking face of row %d is blended", i)
		}
	}
	for i := first + recipe.Talking; i < len(mixed.cropIndex); i++ {
		if mixed.emotionWeight[i]+mixed.genderWeight[i] != 0 {
			t.Errorf("row %d is a pair of blended samples", i)
		}
	}
}

func between(a, b, x []byte) bool {
	for i := range x {
		if x[i] < min(a[i], b[i]) || x[i] > max(a[i], b[i]) {
			return false
		}
	}
	return true
}

func target1(t []float32) int {
	best := 0
	for i, v := range t {
		if v > t[best] {
			best = i
		}
	}
	return best
}

func sum32(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v)
	}
	return sum
}
