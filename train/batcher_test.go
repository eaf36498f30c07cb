package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"tandem/train/nn"
	"tandem/train/sample"
	"tandem/train/sample/sampletest"
	"tandem/train/traintest"
)

func TestChooserBalancesClasses(t *testing.T) {
	// Class 0 has 90 items, class 1 has 10.
	classes := make([]choice, 100)
	for i := 90; i < 100; i++ {
		classes[i].class = 1
	}
	for balance, want := range map[string]float64{"none": 0.1, "sqrt": 0.25, "full": 0.5} {
		c := newChooser(classes, balance, 1)
		rng := rand.New(rand.NewPCG(1, 1))
		rare, drawn := 0, map[int]bool{}
		const n = 20000
		for range n {
			i := c.draw(rng)
			drawn[i] = true
			rare += classes[i].class
		}
		traintest.Near(t, balance+": share of the rare class", float64(rare)/n, want, 0.015)
		if len(drawn) != 100 {
			t.Errorf("%s: %d of 100 items are ever drawn", balance, len(drawn))
		}
	}
}

// A set of 16 clips and one of 1000: by temperature n^(1/T), classes within each.
func TestChooserBalancesSets(t *testing.T) {
	var items []choice
	for i := range 1016 {
		c := choice{"large", i % 2}
		if i < 16 {
			c = choice{"small", min(i, 1)} // one of class 0
		}
		items = append(items, c)
	}
	for temperature, want := range map[float64]float64{
		1: 16. / 1016, 2: 4 / (4 + math.Sqrt(1000)), 1000: 0.5,
	} {
		c := newChooser(items, "full", temperature)
		rng := rand.New(rand.NewPCG(1, 1))
		small, first := 0, 0
		const n = 40000
		for range n {
			if i := c.draw(rng); i < 16 {
				small++
				if i == 0 {
					first++
				}
			}
		}
		if temperature > 1 {
			traintest.Near(t, "share of the small set", float64(small)/n, want, 0.01)
			traintest.Near(t, "share of its rare class", float64(first)/float64(small), 0.5, 0.03)
		} else if small == 0 {
			t.Error("the small set is never drawn")
		}
	}
}

func TestStillsAreBalancedOrDealt(t *testing.T) {
	// Thirty stills of one emotion and two of another; none has a gender label or sound.
	data := sampletest.Synthetic(nn.DefaultSpec, 32, 0, 0)
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
		arch.Spec, arch.Emotions, arch.Genders = nn.DefaultSpec, 7, 2
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
		traintest.Near(t, balance+": share of the rare emotion", float64(rare)/float64(all), want, 0.06)
	}
}

// A blanked face keeps its place and its label, and its sound; all its crops show one grey level.
func TestBlankFaces(t *testing.T) {
	recipe := tinyRecipe()
	recipe.Stills, recipe.Voices, recipe.Talking, recipe.Pairs = 2, 0, 6, 0
	recipe.SenseDropout, recipe.FrameDropout, recipe.FaceBlank = 0, 0, 0.5
	arch := recipe.testArch(nn.DefaultSpec)
	b, err := newBatcher(recipe, arch, sampletest.Synthetic(nn.DefaultSpec, 4, 0, 12))
	if err != nil {
		t.Fatal(err)
	}
	blank, all := 0, 0
	size := sample.CropBytes(nn.DefaultSpec)
	for step := range 60 {
		in := b.batch(step)
		for r := 2; r < len(in.cropIndex); r++ {
			if in.audioIndex[r] < 0 || in.emotionWeight[r] == 0 {
				t.Fatalf("row %d has lost its sound or its label", r)
			}
			all++
			levels := map[byte]bool{}
			for _, p := range in.cropIndex[r] {
				if p < 0 {
					t.Fatalf("row %d has lost a crop", r)
				}
				for _, v := range in.crops[p*size : (p+1)*size] {
					levels[v] = true
				}
			}
			if len(levels) == 1 {
				blank++
			}
		}
		for _, p := range in.cropIndex[0] {
			if p >= 0 && in.crops[p*size] == in.crops[p*size+1] && in.crops[p*size] == in.crops[(p+1)*size-1] &&
				in.crops[p*size+size/2] == in.crops[p*size] && in.crops[p*size+size/3] == in.crops[p*size] {
				t.Fatal("a still is blank, too")
			}
		}
	}
	traintest.Near(t, "share of blank faces", float64(blank)/float64(all), 0.5, 0.1)
}
