package dataset

import (
	"fmt"
	"strings"
	"testing"
)

func foldClips() (clips []Clip) {
	for i := range 24 {
		clips = append(clips, Clip{
			ID: fmt.Sprint(i), Dataset: []string{"a", "b"}[i/12], Speaker: fmt.Sprint([]string{"a", "b"}[i/12], i%6),
			Gender: i % 2, Split: []string{SplitTrain, SplitVal, SplitTest}[i%3],
		})
	}
	return clips
}

// In every cross-validation each clip is test once, no speaker stands on two sides, and something is left to train on
// and to validate by.
func TestFoldsTestEachClipOnce(t *testing.T) {
	clips := foldClips()
	for how, want := range map[string]int{"3": 3, LeaveOneSpeakerOut: 12, LeaveOneSetOut: 2} {
		folds, err := Folds(clips, how)
		if err != nil || len(folds) != want {
			t.Fatalf("%s: %v, %v", how, folds, err)
		}
		tested := map[string]int{}
		for _, f := range folds {
			if err := CheckSplitBy(f.By); err != nil {
				t.Error(err)
			}
			divided, err := Divide(clips, f.By)
			if err != nil {
				t.Fatal(err)
			}
			n := map[string]int{}
			for _, c := range divided {
				n[c.Split]++
				if c.Split == SplitTest {
					tested[c.ID]++
				}
			}
			if n[SplitTrain] == 0 || n[SplitVal] == 0 || n[SplitTest] == 0 {
				t.Errorf("%s, fold %s: %v", how, f.Name, n)
			}
			if shared := SharedSpeakers(divided); len(shared) > 0 {
				t.Errorf("%s, fold %s: shared %v", how, f.Name, shared)
			}
		}
		for _, c := range clips {
			if tested[c.ID] != 1 {
				t.Errorf("%s: clip %s is test %d times", how, c.ID, tested[c.ID])
			}
		}
	}
}

func TestFoldsThatCannotBe(t *testing.T) {
	one := foldClips()[:12]
	for _, c := range []struct{ how, want string }{
		{"2", "want 3 to 1000 folds"},
		{"many", "leave-one-speaker-out or leave-one-set-out"},
		{"7", "6 speakers cannot be divided into 7 folds"},
		{LeaveOneSetOut, "there are not two"},
	} {
		if _, err := Folds(one, c.how); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.how, err, c.want)
		}
	}
	for by, want := range map[string]string{
		"set:c": "no such data set, but a, b", "speaker:eve": "no such speaker, but a0", "set:": "known are",
	} {
		if _, err := Divide(foldClips(), by); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", by, err, want)
		}
	}
	if _, err := Divide(one, "set:a"); err == nil || !strings.Contains(err.Error(), "the only data set") {
		t.Errorf("the only set: %v", err)
	}
}
