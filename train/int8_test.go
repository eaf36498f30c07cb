package train

import (
	"strings"
	"testing"

	"tandem/infer"
	"tandem/train/dataset"
	"tandem/train/dataset/datasettest"
	"tandem/train/sample"
	"tandem/train/traintest"
)

func TestQuantize(t *testing.T) {
	needBackend(t)
	clips := datasettest.Clips(t)
	how := sample.Options{Finder: traintest.NewFinder().Make, Workers: 1}
	model, err := Quantize(t.Context(), infer.DefaultModel(), clips, how)
	if err != nil {
		t.Fatal(err)
	}
	before, err := infer.LoadModel(infer.DefaultModel())
	if err != nil {
		t.Fatal(err)
	}
	after, err := infer.LoadModel(model)
	if err != nil {
		t.Fatal(err)
	}
	if len(after.Int8Ranges) < 10 || after.EmotionTemperature != before.EmotionTemperature ||
		string(after.Metrics) != string(before.Metrics) {
		t.Errorf("%d ranges; %+v", len(after.Int8Ranges), after)
	}
	rec, err := infer.NewRecognizer(model, infer.Options{Int8: true})
	if err != nil {
		t.Fatal(err)
	}
	rec.Close()
	for i := range clips {
		clips[i].Split = dataset.SplitVal
	}
	if _, err := Quantize(t.Context(), model, clips, how); err == nil ||
		!strings.Contains(err.Error(), "of the split train") {
		t.Errorf("without clips to train on: %v", err)
	}
}
