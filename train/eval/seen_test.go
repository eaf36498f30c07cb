package eval

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/infer"
	"tandem/train/dataset"
	"tandem/train/dataset/datasettest"
	"tandem/train/sample"
	"tandem/train/traintest"
)

// A clip that the model has learned from is known by its content, and a speaker by name, wherever and under whatever
// name the file lies and however the data is divided now.
func TestSeenClipsAndSpeakers(t *testing.T) {
	clips := datasettest.Clips(t)[:3]
	for i, who := range []string{"anna", "ben", ""} {
		clips[i].Speaker, clips[i].Emotion, clips[i].Gender = who, 0, 0
	}
	p, err := sample.Prepare(t.Context(), clips,
		sample.Options{Spec: traintest.Spec, Finder: traintest.NewFinder().Make})
	if err != nil {
		t.Fatal(err)
	}
	key := func(i int) infer.Key {
		content, ok := p.Content(i)
		if !ok {
			t.Fatalf("the content of %s is not known", clips[i].ID)
		}
		return infer.KeyOf("clip", hex.EncodeToString(content[:]))
	}
	// All three lie elsewhere now, under other names, all of them in the split test.
	dir := t.TempDir()
	moved := make([]dataset.Clip, len(clips))
	for i, c := range clips {
		for _, file := range []*string{&c.Video, &c.Audio} {
			if *file == "" {
				continue
			}
			b, err := os.ReadFile(*file)
			if err != nil {
				t.Fatal(err)
			}
			*file = filepath.Join(dir, "copy"+string(rune('a'+i))+filepath.Ext(*file))
			if err := os.WriteFile(*file, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c.ID, c.Split = filepath.Base(c.Path()), dataset.SplitTest
		moved[i] = c
	}
	keys := func(k ...infer.Key) infer.Keys { return infer.NewKeys(k) }
	for name, c := range map[string]struct {
		known   *infer.Trained
		says    string // the first caution, or the standing
		caution bool
	}{
		"clips": {&infer.Trained{Clips: keys(key(0), key(2))}, "has learned from 2 of the 3 clips", true},
		"speaker": {
			&infer.Trained{Speakers: keys(infer.SpeakerKey("ben"))}, "1 of the speakers that it is judged by (ben",
			true,
		},
		"chosen": {
			&infer.Trained{Chosen: keys(key(1))},
			"the model's epoch was chosen and its temperatures were fitted by 1 of the 3 clips", true,
		},
		"others":  {&infer.Trained{Clips: keys(1, 2), Speakers: keys(infer.SpeakerKey("cleo"))}, "held out", false},
		"begun":   {&infer.Trained{Incomplete: true}, "began with another network", true},
		"no word": {nil, "", false},
	} {
		r, err := Evaluate(t.Context(), levelRecognizer{traintest.Spec}, traintest.NewFinder().Make, moved,
			Options{Split: dataset.SplitTest, Plain: true, Trained: c.known})
		if err != nil {
			t.Fatal(err)
		}
		got := r.Standing()
		if cautions := r.Cautions(); len(cautions) > 0 {
			got = cautions[0]
		}
		if !strings.Contains(got, c.says) || c.says == "" && got != "" || (len(r.Cautions()) > 0) != c.caution {
			t.Errorf("%s: %q, %q; want %q", name, r.Cautions(), r.Standing(), c.says)
		}
		page, err := r.HTML()
		if err != nil || c.caution && !strings.Contains(string(page), `<p class="warn">`) {
			t.Errorf("%s: the page is not marked, %v", name, err)
		}
	}
	// Without a word of the model, its training split is suspect, and so are its sets in another division.
	r, err := Evaluate(t.Context(), levelRecognizer{traintest.Spec}, traintest.NewFinder().Make, moved,
		Options{Split: SplitAll, Plain: true})
	if err != nil || len(r.Cautions()) != 1 || !strings.Contains(r.Cautions()[0], "what models are trained on") {
		t.Errorf("all splits: %v, %v", r.Cautions(), err)
	}
}

func TestCautionsOfTheOtherModel(t *testing.T) {
	r := &Report{Clips: 3, Against: &Against{Seen: &Seen{Trained: 2}}}
	if got := r.Cautions(); len(got) != 1 || !strings.HasPrefix(got[0], "the model of --against has learned from 2") {
		t.Errorf("the other model: %q", got)
	}
}

func TestDividedOtherwise(t *testing.T) {
	clips := []dataset.Clip{
		{ID: "a.wav", Dataset: "mine", Split: dataset.SplitTrain},
		{ID: "/else/b.wav", Dataset: "mine", Split: dataset.SplitVal},
	}
	c := infer.Contract{Data: []infer.DataSet{
		{Name: "mine", Split: dataset.SplitHash(clips)}, {Name: "other", Split: "1"},
	}}
	if got := DividedOtherwise(c, clips); got != nil {
		t.Errorf("the same division: %v", got)
	}
	clips[1].ID = "/moved/b.wav" // by the same name
	if got := DividedOtherwise(c, clips); got != nil {
		t.Errorf("the same division elsewhere: %v", got)
	}
	clips[0].Split = dataset.SplitTest
	if got := DividedOtherwise(c, clips); len(got) != 1 || got[0] != "mine" {
		t.Errorf("another division: %v", got)
	}
}
