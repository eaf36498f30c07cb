package train

import (
	"encoding/hex"
	"testing"

	"tandem/infer"
	"tandem/train/dataset"
	"tandem/train/dataset/datasettest"
	"tandem/train/nn"
	"tandem/train/sample"
	"tandem/train/traintest"
)

// A model knows its training and validation clips and its training speakers, and those of the network it began with.
func TestContractKnowsItsData(t *testing.T) {
	clips := datasettest.Clips(t)[:3]
	for i, split := range []string{dataset.SplitTrain, dataset.SplitVal, dataset.SplitTest} {
		clips[i].Split, clips[i].Speaker = split, "speaker "+split
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
	o := Options{Recipe: tinyRecipe(), Version: "test"}
	w, err := o.Recipe.weighting()
	if err != nil {
		t.Fatal(err)
	}
	known := o.contract(dataOf(t, p), o.Recipe.Labels(), w).Trained
	for i, want := range [][2]bool{{true, false}, {false, true}, {false, false}} {
		if got := [2]bool{known.Clips.Has(key(i)), known.Chosen.Has(key(i))}; got != want {
			t.Errorf("%s: trained and chosen by %v, want %v", clips[i].Split, got, want)
		}
		if got := known.Speakers.Has(infer.SpeakerKey(clips[i].Speaker)); got != want[0] {
			t.Errorf("%s is known: %v", clips[i].Speaker, got)
		}
	}
	if known.Incomplete {
		t.Error("a new network is said to have begun with another")
	}
	before := &infer.Trained{Speakers: infer.NewKeys([]infer.Key{infer.SpeakerKey("before")})}
	o.Init = &nn.Pretrained{Trained: before}
	known = o.contract(dataOf(t, p), o.Recipe.Labels(), w).Trained
	if !known.Speakers.Has(infer.SpeakerKey("before")) || !known.Clips.Has(key(0)) || known.Incomplete {
		t.Errorf("begun with another network: %+v", known)
	}
	o.Init = &nn.Pretrained{}
	if known = o.contract(dataOf(t, p), o.Recipe.Labels(), w).Trained; !known.Incomplete {
		t.Error("begun with a network that does not tell, it does not say so")
	}
}
