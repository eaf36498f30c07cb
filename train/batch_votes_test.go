package train

import (
	"math"
	"slices"
	"testing"

	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/sample/sampletest"
	"tandem/train/traintest"
)

// stillsWith returns a batcher of stills of one emotion each, changed by change.
func stillsWith(t *testing.T, recipe Recipe, change func(clips []dataset.Clip)) *batcher {
	t.Helper()
	data := sampletest.Synthetic(nn.DefaultSpec, 20, 0, 0)
	for i := range data.Clips {
		data.Clips[i].Emotion = i % 3
	}
	change(data.Clips)
	arch := recipe.Arch
	arch.Spec, arch.Emotions, arch.Genders = nn.DefaultSpec, len(recipe.Emotions), len(recipe.Genders)
	b, err := newBatcher(recipe, arch, data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Votes become targets by the recipe's choice: the label with most of them, their shares, or one of them each time.
func TestVotesBecomeTargets(t *testing.T) {
	shares := []float32{0.6, 0, 0.4, 0, 0, 0, 0}
	for votes, want := range map[string][]float64{
		"majority": {1, 0, 0}, "distribution": {0.6, 0, 0.4}, "drawn": {0.6, 0, 0.4},
	} {
		recipe := tinyRecipe()
		recipe.Votes, recipe.LabelSmoothing, recipe.MixupShare = votes, 0, 0
		b := stillsWith(t, recipe, func(clips []dataset.Clip) {
			for i := range clips {
				clips[i].Emotion, clips[i].Soft = 0, &dataset.SoftLabels{Emotion: shares}
			}
		})
		mean, kinds, rows := make([]float64, 7), map[int]bool{}, 0.0
		for k := range 200 {
			for _, target := range b.batch(k).emotion[:recipe.Stills] {
				rows++
				for i, p := range target {
					mean[i] += float64(p)
				}
				kinds[slices.Index(target, 1)] = true
			}
		}
		for i, p := range want {
			traintest.Near(t, votes, mean[i]/rows, p, 0.03)
		}
		if drawn := kinds[0] && kinds[2]; drawn != (votes == "drawn") {
			t.Errorf("%s: labels %v are taught alone", votes, kinds)
		}
	}
}

// A set that lacks a class says nothing about it, neither by its targets nor by its loss; with label_space "all" it
// does.
func TestSetsTeachOnlyTheirLabels(t *testing.T) {
	for space, want := range map[string]float32{"set": 0, "all": 1} {
		recipe := tinyRecipe()
		recipe.LabelSpace, recipe.LabelSmoothing, recipe.MixupShare = space, 0.3, 0
		b := stillsWith(t, recipe, func(clips []dataset.Clip) {
			for i := range clips {
				if clips[i].Dataset = "three"; i < 5 {
					clips[i].Dataset, clips[i].Emotion = "all", i%7
				}
			}
			clips[5].Dataset, clips[5].Emotion = "all", 5
			clips[6].Dataset, clips[6].Emotion = "all", 6
		})
		batch := b.batch(0)
		for r, set := range batch.sets[:recipe.Stills] {
			sum := 0.0
			for k, p := range batch.emotion[r] {
				sum += float64(p)
				if has := batch.emotionSpace[r][k]; set == "three" && k > 2 && (has != want || (p > 0) != (want > 0)) ||
					set == "all" && has != 1 {
					t.Errorf("%s, set %s, class %d: space %g, target %g", space, set, k, has, p)
				}
			}
			traintest.Near(t, "sum of the target", sum, 1, 1e-6)
		}
	}
}

// A blend of two sets is over the labels of both.
func TestBlendsAreOverTheLabelsOfBoth(t *testing.T) {
	recipe := tinyRecipe()
	recipe.MixupShare, recipe.MixupAlpha = 1, 1
	b := stillsWith(t, recipe, func(clips []dataset.Clip) {
		for i := range clips {
			clips[i].Dataset, clips[i].Emotion = "low", i/2%2
			if i%2 == 1 {
				clips[i].Dataset, clips[i].Emotion = "high", 5+i/2%2
			}
		}
	})
	wide := 0
	for k := range 5 {
		batch := b.batch(k)
		for r := range recipe.Stills {
			n := 0
			for i, has := range batch.emotionSpace[r] {
				n += int(has)
				if has == 0 && batch.emotion[r][i] > 0 {
					t.Errorf(
						"row %d has a target %v outside of its space %v",
						r,
						batch.emotion[r],
						batch.emotionSpace[r],
					)
				}
			}
			if n == 4 {
				wide++
			}
		}
	}
	if wide == 0 {
		t.Error("no row is a blend of both sets")
	}
	for _, has := range b.spaces["low"][0] {
		if math.IsNaN(float64(has)) || has > 1 {
			t.Error("the sets' own spaces have changed")
		}
	}
	if !slices.Equal(b.spaces["low"][0], []float32{1, 1, 0, 0, 0, 0, 0}) {
		t.Errorf("the space of the set low has become %v", b.spaces["low"][0])
	}
}

func TestLossesBySet(t *testing.T) {
	b := &batch{
		sets: []string{"a", "b", "a"}, emotionWeight: []float32{1, 2, 0.5}, genderWeight: []float32{0, 1, 0},
	}
	got := b.setLosses([]float32{1, 2, 3}, []float32{4, 5, 6})
	if got["a"] != (setLoss{Sum: [2]float64{4, 0}, Rows: [2]int{2, 0}}) ||
		got["b"] != (setLoss{Sum: [2]float64{2, 5}, Rows: [2]int{1, 1}}) {
		t.Errorf("%+v", got)
	}
}
