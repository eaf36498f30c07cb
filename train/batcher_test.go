package train

import (
	"math/rand/v2"
	"testing"
)

func TestChooserBalancesClasses(t *testing.T) {
	// Class 0 has 90 items, class 1 has 10.
	classes := make([]int, 100)
	for i := 90; i < 100; i++ {
		classes[i] = 1
	}
	for balance, want := range map[string]float64{"none": 0.1, "sqrt": 0.25, "full": 0.5} {
		c := newChooser(classes, balance)
		rng := rand.New(rand.NewPCG(1, 1))
		rare, drawn := 0, map[int]bool{}
		const n = 20000
		for range n {
			i := c.draw(rng)
			drawn[i] = true
			rare += classes[i]
		}
		near64(t, balance+": share of the rare class", float64(rare)/n, want, 0.015)
		if len(drawn) != 100 {
			t.Errorf("%s: %d of 100 items are ever drawn", balance, len(drawn))
		}
	}
}

func TestStillsAreBalancedOrDealt(t *testing.T) {
	// Thirty stills of one emotion and two of another; none has a gender label or sound.
	data := synthetic(DefaultSpec, 32, 0, 0)
	for i := range data.Clips {
		data.Clips[i].Emotion = 0
		if i >= 30 {
			data.Clips[i].Emotion = 1
		}
	}
	for balance, want := range map[string]float64{"none": 2.0 / 32, "full": 0.5} {
		recipe := tinyRecipe()
		recipe.StillBalance, recipe.Stills = balance, 16
		arch := recipe.Arch
		arch.Spec, arch.Emotions, arch.Genders = DefaultSpec, 7, 2
		b, err := newBatcher(recipe, arch, data)
		if err != nil {
			t.Fatal(err)
		}
		rare, all := 0, 0
		for step := range 40 {
			for _, target := range b.batch(step).emotion[:16] {
				all++
				if target[1] > target[0] {
					rare++
				}
			}
		}
		near64(t, balance+": share of the rare emotion", float64(rare)/float64(all), want, 0.06)
	}
}
