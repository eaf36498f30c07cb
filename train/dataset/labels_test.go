package dataset

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"tandem/pipeline"
)

func TestManifestLabels(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return "manifest=" + path
	}
	a := write("a.csv", "video,audio,dataset,speaker,gender,emotion,split\n"+
		",a.wav,,,f,Humming,train\n,b.wav,,,m,beeping,\n,c.wav,,,,,\n")
	b := write("b.csv", "emotion,gender\nhissing,female\nbeeping,\n")
	got, err := ManifestLabels([]string{a, "ravdess=x", b})
	want := pipeline.Labels{Emotions: []string{"beeping", "hissing", "humming"}, Genders: []string{"female", "male"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("labels %v, %v, want %v", got, err, want)
	}
	for name, data := range map[string][]string{
		"no manifest": {"ravdess=x"}, "no file": {"manifest=" + dir + "/nosuch.csv"},
		"no column": {write("c.csv", "emotion\nhappy\n")},
	} {
		if _, err := ManifestLabels(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCheckLabels(t *testing.T) {
	for _, bad := range [][]string{nil, {"one"}, {"a", "a"}, {"a", ""}, {"a", "b,c"}, {"a", "B"}, {"a", " b"}} {
		if err := CheckLabels("emotion", bad); err == nil {
			t.Errorf("labels %q are taken", bad)
		}
	}
	if err := CheckLabels("emotion", []string{"humming", "not humming"}); err != nil {
		t.Error(err)
	}
}

func TestLabelsOfAModel(t *testing.T) {
	l := &loader{
		labels: pipeline.Labels{Emotions: []string{"bored", "calm", "neutral"}, Genders: []string{"male"}},
		report: LoadReport{Unlabelled: map[string]int{}},
	}
	for label, want := range map[string]int{
		"bored": 0, "boredom": 0, "calm": 1, "neutral": 2, "happy": -1, "fear": -1, "": -1,
	} {
		if got, err := l.emotion(label); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", label, got, err, want)
		}
	}
	if got, err := l.gender("female"); err != nil || got != -1 {
		t.Errorf("female: %d, %v", got, err)
	}
	if l.report.Unlabelled["happy"] != 1 || l.report.Unlabelled["female"] != 1 || l.report.Unlabelled[""] != 0 {
		t.Errorf("unlabelled %v", l.report.Unlabelled)
	}
}
