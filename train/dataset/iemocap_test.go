package dataset

import (
	"cmp"
	"fmt"
	"image"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/train/traintest"
)

// iemocap makes a tree of the release's layout: each session has one dialog with one utterance of each label by each
// speaker.
func iemocap(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "IEMOCAP_full_release")
	for session := 1; session <= 5; session++ {
		dialog := fmt.Sprintf("Ses%02dF_impro01", session)
		dir := filepath.Join(root, fmt.Sprintf("Session%d", session))
		var labels strings.Builder
		labels.WriteString("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n")
		at := 6.2901
		for i, emotion := range slices.Sorted(maps.Keys(iemocapEmotions)) {
			for _, letter := range []string{"F", "M"} {
				name := fmt.Sprintf("%s_%s%03d", dialog, letter, i)
				length := 2.5
				if letter == "M" && emotion == "ang" {
					length = 8.01
				}
				fmt.Fprintf(&labels, "[%.4f - %.4f]\t%s\t%s\t[2.5000, 2.5000, 2.5000]\n", at, at+length, name, emotion)
				labels.WriteString("C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n")
				at += length + 1
				traintest.WriteFile(t, filepath.Join(dir, "sentences/wav", dialog, name+".wav"), "")
			}
		}
		traintest.WriteFile(t, filepath.Join(dir, "dialog/EmoEvaluation", dialog+".txt"), labels.String())
		traintest.WriteFile(t, filepath.Join(dir, "dialog/EmoEvaluation", "._"+dialog+".txt"), "not text")
		traintest.WriteFile(t, filepath.Join(dir, "dialog/EmoEvaluation/Categorical", dialog+"_e1_cat.txt"),
			"of one rater")
		if session != 3 {
			traintest.WriteFile(t, filepath.Join(dir, "dialog/avi/DivX", dialog+".avi"), "")
		}
	}
	return root
}

func TestIEMOCAP(t *testing.T) {
	root := iemocap(t)
	count := func(clips []Clip, of func(Clip) bool) (n int) {
		for _, c := range clips {
			if of(c) {
				n++
			}
		}
		return n
	}
	happy := slices.Index(DefaultLabels().Emotions, "happy")
	for _, tc := range []struct {
		set               string
		clips, happy      int
		unlabelled, noted string
	}{
		{"iemocap", 110, 10, "map[excited:10 frustrated:10 other:10 unknown:10]", "not happiness"},
		{"iemocap:exc", 110, 20, "map[frustrated:10 other:10 unknown:10]", "counts as happiness"},
		{"iemocap:paper", 35, 10, "map[]", "at most 8s"},
		{"iemocap:paper+exc", 45, 20, "map[]", "at most 8s"},
	} {
		clips, report, err := Load(tc.set, root, DefaultLabels(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if n := count(clips, func(c Clip) bool { return c.Emotion == happy }); len(clips) != tc.clips || n != tc.happy {
			t.Errorf("%s: %d clips, %d happy; want %d, %d", tc.set, len(clips), n, tc.clips, tc.happy)
		}
		if got := fmt.Sprint(report.Unlabelled); got != tc.unlabelled {
			t.Errorf("%s: unlabelled %s", tc.set, got)
		}
		if !strings.Contains(strings.Join(report.Notes, "\n"), tc.noted) {
			t.Errorf("%s: notes %q", tc.set, report.Notes)
		}
		if !slices.Equal(report.Missing, []string{"Session3/dialog/avi/DivX/Ses03F_impro01.avi"}) {
			t.Errorf("%s: missing %v", tc.set, report.Missing)
		}
		renamed := map[string]string{"iemocap:paper+exc": "iemocap:exc+paper"}[tc.set]
		if clips[0].Dataset != cmp.Or(renamed, tc.set) {
			t.Errorf("%s: the set is called %s", tc.set, clips[0].Dataset)
		}
		speakers, splits := map[string]string{}, map[string]int{}
		for _, c := range clips {
			if s, ok := speakers[c.Speaker]; ok && s != c.Split {
				t.Errorf("%s: %s is in %s and %s", tc.set, c.Speaker, s, c.Split)
			}
			speakers[c.Speaker] = c.Split
			splits[c.Split]++
		}
		if len(speakers) != 10 || splits[SplitTrain] != tc.clips*3/5 || splits[SplitVal] != tc.clips/5 ||
			splits[SplitTest] != tc.clips/5 {
			t.Errorf("%s: %d speakers, splits %v", tc.set, len(speakers), splits)
		}
	}
}

func TestIEMOCAPUtterances(t *testing.T) {
	clips, _, err := Load("iemocap", iemocap(t), DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(clips, func(c Clip) bool { return strings.HasSuffix(c.ID, "/Ses01F_impro01_M000") })
	c := clips[i]
	if got := describe(c); got != "iemocap/Ses01F_impro01_M000 iemocap iemocap01M angry male train" {
		t.Error(got)
	}
	// It is the second utterance: the first begins at 6.2901 s, lasts 2.5 s, and a second of silence follows.
	if c.Start != 9790100*time.Microsecond || c.End != c.Start+8010*time.Millisecond ||
		c.Crop != image.Rect(438, 128, 662, 352) {
		t.Errorf("from %v to %v, crop %v", c.Start, c.End, c.Crop)
	}
	if filepath.Base(c.Video) != "Ses01F_impro01.avi" || filepath.Base(c.Audio) != "Ses01F_impro01_M000.wav" {
		t.Errorf("video %s, audio %s", c.Video, c.Audio)
	}
	if c := clips[i-11]; !strings.HasSuffix(c.ID, "_F000") || c.Crop.Min != image.Pt(87, 128) {
		t.Errorf("%s: crop %v", c.ID, c.Crop)
	}
	i = slices.IndexFunc(clips, func(c Clip) bool { return strings.Contains(c.ID, "Ses03F") })
	if c := clips[i]; c.Video != "" || c.Audio == "" || c.End != 0 {
		t.Errorf("without the dialog's video: %+v", c)
	}
}

func TestIEMOCAPErrors(t *testing.T) {
	const head = "[1.0000 - 2.0000]\tSes01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]\n"
	for name, tc := range map[string]struct{ text, says string }{
		"only labels": {head, "none of them sound"},
		"label":       {strings.Replace(head, "neu", "foo", 1), `line 1: unknown label: emotion "foo"`},
		"name":        {strings.Replace(head, "_F000", "", 1), "line 1"},
		"backwards":   {strings.Replace(head, "2.0000", "0.5", 1), "line 1: time 1.0000 to 0.5"},
		"no number":   {strings.Replace(head, "2.0000", "2.0.0", 1), "line 1: time"},
	} {
		root := filepath.Join(t.TempDir(), "iemocap")
		traintest.WriteFile(t, filepath.Join(root, "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"),
			"%\n"[:0]+tc.text)
		if _, _, err := Load("iemocap", root, DefaultLabels(), nil); err == nil ||
			!strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzEmoEvaluation(f *testing.F) {
	f.Add("% head\n[1.0000 - 2.0000]\tSes01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]\nC-E2:\tNeutral;\t()\n")
	f.Add("[1 - 2]\tSes05M_script01_1_M000\txxx\t[")
	f.Add("[9999999999999999999 - 1]\tSes01F_impro01_F000\tneu\t[")
	f.Fuzz(func(t *testing.T, text string) {
		turns, err := readEmoEvaluation(strings.NewReader(text), "x.txt")
		if err != nil {
			if !strings.Contains(err.Error(), "x.txt") {
				t.Errorf("error %q does not name the file", err)
			}
			return
		}
		for _, turn := range turns {
			if turn.end <= turn.start || turn.start < 0 || iemocapEmotions[turn.emotion] == "" ||
				strings.ContainsAny(turn.name, "/.") {
				t.Errorf("%+v", turn)
			}
		}
	})
}
