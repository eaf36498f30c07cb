package train

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"tandem/train/weighting"
)

// recipeFields are the fields of a recipe by their paths in its JSON, with their values.
func recipeFields(v reflect.Value, prefix string, fields map[string]any) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		switch f := v.Field(i); {
		case name == "-":
		case f.Kind() == reflect.Struct:
			recipeFields(f, prefix+name+".", fields)
		default:
			fields[prefix+name] = f.Interface()
		}
	}
}

// docs/recipe.md has a row for each field, with the default's value, and none for what is no field.
func TestDocsHoldToTheRecipe(t *testing.T) {
	page, err := os.ReadFile("../docs/recipe.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| `([^`]*)` \\| .+ \\|$")
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		if rows[m[1]] != "" {
			t.Errorf("the page has two rows of %s", m[1])
		}
		rows[m[1]] = m[2]
	}
	fields := map[string]any{}
	recipeFields(reflect.ValueOf(DefaultRecipe()), "", fields)
	for name, value := range fields {
		want, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		switch got, ok := rows[name]; {
		case !ok:
			t.Errorf("the page has no row of %s (default %s)", name, want)
		case strings.ReplaceAll(got, ", ", ",") != string(want):
			t.Errorf("the page says that %s is %s by default, but it is %s", name, got, want)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("the page has a row of %s, which no recipe has", name)
	}
	for metric := range stopMetrics {
		if !strings.Contains(string(page), "`"+metric+"`") {
			t.Errorf("the page does not name the metric %s", metric)
		}
	}
}

func TestParseRecipe(t *testing.T) {
	r, err := ParseRecipe([]byte(
		`{"epochs": 3, "augment": {"face": {"flip": 0}}, "arch": {"face_widths": [8, 8, 8, 8]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultRecipe()
	want.Epochs, want.Augment.Face.Flip, want.Arch.FaceWidths = 3, 0, []int{8, 8, 8, 8}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("what a recipe leaves out is not the default's: %+v", r)
	}
	for in, says := range map[string]string{
		`{"epoch": 3}`:            "epoch",
		`{"epochs": 3} {}`:        "behind",
		`[]`:                      "array",
		``:                        "EOF",
		`{"epochs": 0}`:           "epochs 0",
		`{"modal": "smell"}`:      "multi",
		`{"weighting": "nosuch"}`: "nosuch",
		`{"optimizer": "sgd"}`:    "adamw",
		`{"schedule": "linear"}`:  "cosine",
		`{"schedule": "step", "decay_epochs": 0}`:      "decay_epochs 0",
		`{"stop_metric": "emotion_nlll"}`:              "emotion_nll",
		`{"voice_balance": "half"}`:                    "sqrt",
		`{"mixup_share": 0.5, "mixup_alpha": 0}`:       "mixup_alpha 0",
		`{"accumulate": 0}`:                            "accumulate 0",
		`{"ema": 1}`:                                   "ema 1",
		`{"clip": -1}`:                                 "clip -1",
		`{"learning_rate": 0}`:                         "learning_rate 0: want more than 0, at most 10",
		`{"learning_rate": -1}`:                        "learning_rate -1: want more than 0, at most 10",
		`{"dropout": 1}`:                               "dropout 1: want 0 or more, less than 1",
		`{"sense_dropout": 1.5}`:                       "sense_dropout 1.5: want 0 or more, at most 1",
		`{"voices": -3}`:                               "voices -3: want 0 or more",
		`{"stills": 0, "voices": 1, "talking": 0}`:     "at least two samples",
		`{"schedule": "step", "decay_factor": 2}`:      "decay_factor 2",
		`{"augment": {"sound": {"snr": [9, 3]}}}`:      "snr [9 3]",
		`{"augment": {"sound": {"speed": 0.9}}}`:       "speed 0.9",
		`{"augment": {"sound": {"reverb": 9}}}`:        "reverb 9",
		`{"augment": {"sound": {"chance": 2}}}`:        "chance 2",
		`{"augment": {"sound": {"pitch": 13}}}`:        "pitch 13",
		`{"augment": {"face": {"erase": 1.5}}}`:        "erase 1.5",
		`{"augment": {"face": {"move": 0.9}}}`:         "move 0.9",
		`{"augment": {"face": {"gamma": 0.5}}}`:        "gamma 0.5",
		`{"augment": {"face": {"blur": 0.9}}}`:         "blur 0.9",
		`{"augment": {"face": {"erase_side": [1,0]}}}`: "erase_side",
	} {
		if _, err := ParseRecipe([]byte(in)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("recipe %s: %v, want an error that names %q", in, err, says)
		}
	}
}

func FuzzParseRecipe(f *testing.F) {
	f.Add(defaultRecipe)
	f.Add([]byte(`{"augment": {"sound": {"snr": [1, 2, 3]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecipe(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("a recipe that reads cannot be written: %v", err)
		}
		back, err := ParseRecipe(again)
		if err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("written and read again, %+v is %+v, %v", r, back, err)
		}
	})
}

func TestWeightOptions(t *testing.T) {
	for in, want := range map[string]string{
		`{"weighting":"softmax","weight_floor":0.1,"weight_temperature":2,"weight_entropy":0.5}`: "",
		`{"weighting":"softmax","weight_floor":0.5}`:                                             "weight_floor",
		`{"weighting":"softmax","weight_temperature":0}`:                                         "weight_temperature",
		`{"weighting":"softmax","weight_entropy":-1}`:                                            "weight_entropy",
		`{"weighting":"uw","weight_floor":0.1}`:                                                  "softmax alone",
	} {
		r, err := ParseRecipe([]byte(in))
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want an error about %s", in, err, want)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		options := weighting.Softmax{Floor: 0.1, Temperature: 2, Entropy: 0.5, Rate: 1}
		if w, err := r.weighting(); err != nil || w != options ||
			w.Name() != "softmax floor=0.1 temperature=2 entropy=0.5" {
			t.Errorf("%s: %v, %v", in, w, err)
		}
	}
}

func TestRecipeSet(t *testing.T) {
	r := DefaultRecipe()
	for _, s := range []string{
		"learning_rate=0.0005", "votes=majority", "arch.gated=true", "arch.face_widths=[8, 8, 16, 16]",
		"augment.sound.reverb=0.2", "epochs=7", "freeze=[\"face\"]",
	} {
		if err := r.Set(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	if r.LearningRate != 0.0005 || r.Votes != "majority" || !r.Arch.Gated || r.Arch.FaceWidths[0] != 8 ||
		r.Augment.Audio.Reverb != 0.2 || r.Epochs != 7 || r.Freeze[0] != "face" {
		t.Errorf("%+v", r)
	}
	was := r
	for s, want := range map[string]string{
		"learning_rate":             "want FIELD=VALUE",
		"learning_rat=1":            `there is no field "learning_rat"; there are accumulate, arch,`,
		"augment.sond.reverb=1":     `there is no field "sond"; there are face, sound`,
		"learning_rate.peak=1":      `there is no field "learning_rate"`,
		"learning_rate=fast":        `learning_rate: "fast" is not a number`,
		"learning_rate=-1":          "learning_rate -1: want more than 0",
		"epochs=2.5":                `epochs: "2.5" does not fit: it takes a whole number`,
		"arch=1":                    "is not a group of fields",
		"votes=some":                `votes "some": known are`,
		"arch.gated=yes":            "is not true or false",
		"arch.face_widths=8":        "is not a list",
		"arch.face_widths=[\"8\"]":  "does not fit",
		"augment.sound.snr=[1,2,3]": "does not fit",
	} {
		if err := r.Set(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", s, err, want)
		}
	}
	if !reflect.DeepEqual(r, was) {
		t.Error("a mistaken field has changed the recipe")
	}
}
