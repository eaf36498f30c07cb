package train

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A run that has ended goes on for more epochs: what it did stays, and it says that a new stage begins.
func TestResumeForMoreEpochs(t *testing.T) {
	needBackend(t)
	o, data := quickRun(t.TempDir())
	o.Recipe.StepsPerEpoch = 2
	if _, err := trainOn(t.Context(), o.Train, data); err != nil {
		t.Fatal(err)
	}
	before := readLog(t, filepath.Join(o.Run, "log.csv"))
	var said []string
	o.Resume, o.Log = true, func(line string) { said = append(said, line) }

	o.Recipe.Epochs = 1
	if _, err := trainOn(t.Context(), o.Train, data); !errors.Is(err, ErrRunOther) ||
		!strings.Contains(err.Error(), "2 epochs are done") {
		t.Errorf("fewer epochs than are done: %v", err)
	}
	if r, err := ReadRecipe(RecipeOf(o.Run)); err != nil || r.Epochs != 2 {
		t.Errorf("what was refused has changed the recipe: %d epochs, %v", r.Epochs, err)
	}

	o.Recipe.Epochs = 4
	if err := o.CheckFolder(); err != nil {
		t.Fatal(err)
	}
	if _, err := trainOn(t.Context(), o.Train, data); err != nil {
		t.Fatal(err)
	}
	after := readLog(t, filepath.Join(o.Run, "log.csv"))
	if len(before) != 3 || len(after) != 5 {
		t.Fatalf("%d rows, then %d", len(before), len(after))
	}
	for i := range before {
		if !slices.Equal(before[i], after[i]) {
			t.Errorf("row %d was %v and is %v", i, before[i], after[i])
		}
	}
	// The schedule is that of four epochs from here on: half a cosine is at its middle after two of them.
	if was, is := number(t, after, 2, "learning_rate"), number(t, after, 3, "learning_rate"); is <= was {
		t.Errorf("learning rate %g, then %g: not of a new schedule", was, is)
	}
	if !slices.ContainsFunc(said, func(l string) bool {
		return strings.Contains(l, "4 epochs instead of 2: from step 4 on a new stage")
	}) {
		t.Errorf("it says %q", said)
	}
	a, err := o.readAbout()
	if err != nil || len(a.Resumed) != 1 || a.Resumed[0].Epochs != 4 || a.Resumed[0].EpochsBefore != 2 {
		t.Errorf("run.json: %+v, %v", a.Resumed, err)
	}
	if r, err := ReadRecipe(RecipeOf(o.Run)); err != nil || r.Epochs != 4 {
		t.Errorf("recipe: %d epochs, %v", r.Epochs, err)
	}
}

// A weighting that looks two epochs back has no effect in two epochs.
func TestRemarks(t *testing.T) {
	for _, c := range []struct {
		weighting string
		epochs    int
		want      string
	}{
		{"dwa", 2, "uniform in its first 2 epochs, and there are 2"},
		{"dwa:3", 1, "dwa:3"},
		{"dwa", 3, ""},
		{"uw", 1, ""},
	} {
		r := tinyRecipe()
		r.Weighting, r.Epochs = c.weighting, c.epochs
		got := strings.Join(r.Remarks(), "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s, %d epochs: %q", c.weighting, c.epochs, got)
		}
	}
}
