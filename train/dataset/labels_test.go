package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
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
	got, err := ManifestLabels([]string{a, "ravdess=x", b}, nil)
	want := pipeline.Labels{Emotions: []string{"beeping", "hissing", "humming"}, Genders: []string{"female", "male"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("labels %v, %v, want %v", got, err, want)
	}
	for name, data := range map[string][]string{
		"no manifest": {"ravdess=x"}, "no file": {"manifest=" + dir + "/nosuch.csv"},
		"no column":            {write("c.csv", "feeling\nhappy\n")},
		"a number":             {write("d.csv", "emotion,gender\n3,f\n")},
		"a number among votes": {write("e.csv", "emotion,gender\nhappy=2;3=1,f\n")},
		"a number of genders":  {write("f.csv", "emotion,gender\nhappy,1\n")},
	} {
		if _, err := ManifestLabels(data, nil); err == nil {
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

// One class has one name, however the manifests spell it.
func TestManifestLabelsAreOneSpelling(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.csv")
	text := "emotion,gender\nhappy,f\nHappiness,Woman\nJOY,man\n" +
		"fear=2;fearful=1,male\nsurprise,M\nelation,\n3,1\ncalm,\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	names, err := ParseLabelMap([]string{"Elation=happy", "3=anger", "gender:1=female"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ManifestLabels([]string{"manifest=" + path}, names)
	want := pipeline.Labels{
		Emotions: []string{"angry", "calm", "fearful", "happy", "surprised"}, Genders: []string{"female", "male"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("labels %v, %v, want %v", got, err, want)
	}
}

func TestLabelMap(t *testing.T) {
	names, err := ParseLabelMap([]string{
		"0=angry", "1 = Happy", "0=woman", "emotion:female=sad", "gender:x=low", "other=happy", "0=angry",
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &loader{
		labels: pipeline.Labels{Emotions: []string{"angry", "happiness", "sad"}, Genders: []string{"female", "low"}},
		names:  names, report: LoadReport{Unlabelled: map[string]int{}},
	}
	for label, want := range map[string]int{
		"0": 0, "1": 1, "Joy": 1, "female": 2, "OTHER": 1, "anger": 0, "neutral": -1,
	} {
		if got, err := l.emotion(label); err != nil || got != want {
			t.Errorf("emotion %q: %d, %v; want %d", label, got, err, want)
		}
	}
	for label, want := range map[string]int{"0": 0, "X": 1, "Woman": 0, "man": -1} {
		if got, err := l.gender(label); err != nil || got != want {
			t.Errorf("gender %q: %d, %v; want %d", label, got, err, want)
		}
	}
	for _, number := range []string{"2", "-1", "0.5"} {
		_, err := l.emotion(number)
		if _, ofGender := l.gender(number); !errors.Is(err, ErrUnknownLabel) || !errors.Is(ofGender, ErrUnknownLabel) ||
			!strings.Contains(err.Error(), "--map emotion:"+number) ||
			!strings.Contains(ofGender.Error(), "--map gender:"+number) {
			t.Errorf("%s: %v, %v", number, err, ofGender)
		}
	}
	for _, bad := range [][]string{{"joy"}, {"=happy"}, {"joy="}, {"a=b;c"}, {"0=happy", "0=sad"}, {"gender:=male"}} {
		if _, err := ParseLabelMap(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestLookAlike(t *testing.T) {
	for _, tt := range []struct {
		labels, want []string
	}{
		{DefaultLabels().Emotions, nil},
		{DefaultLabels().Genders, nil},
		{[]string{"humming", "beeping", "hissing", "not humming"}, nil},
		{[]string{"happy", "sad", "hapy"}, []string{"happy, hapy"}},
		{[]string{"happiness", "joy", "calm", "neutral"}, []string{"happiness, joy"}},
		{[]string{"very sad", "very-sad", "amused", "amusement"}, []string{"very sad, very-sad", "amused, amusement"}},
		{[]string{"mad", "sad", "man", "male"}, []string{"man, male"}},
	} {
		if got := LookAlike(tt.labels); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.labels, got, tt.want)
		}
	}
}

func TestParseSplit(t *testing.T) {
	for word, want := range map[string]string{
		"Train": SplitTrain, "TRAINING": SplitTrain, "validation": SplitVal, " dev ": SplitVal, "valid": SplitVal,
		"Test": SplitTest, "testing": SplitTest, "held out": "", "": "",
	} {
		if got, ok := parseSplit(word); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v; want %q", word, got, ok, want)
		}
	}
}
