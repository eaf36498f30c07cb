package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/train/traintest"
)

// describe is a clip in one line, by the names of its labels.
func describe(c Clip) string {
	name := func(of []string, i int) string {
		if i < 0 {
			return "-"
		}
		return of[i]
	}
	l := DefaultLabels()
	return strings.Join([]string{
		c.ID, c.Dataset, c.Speaker, name(l.Emotions, c.Emotion), name(l.Genders, c.Gender), c.Split,
	}, " ")
}

// layout is files as a set's publishers name them, and the clips, as describe has them, that they are loaded as.
type layout struct {
	name, set  string
	files      []string
	want       []string
	ignored    int
	unlabelled map[string]int
}

var layouts = []layout{
	{
		name: "ravdess", set: "ravdess",
		files: []string{
			"Actor_02/03-01-02-01-01-01-02.flac", "Actor_17/03-01-07-02-01-01-17.wav",
			"Actor_24/01-01-08-02-01-01-24.mp4", "Actor_24/02-01-08-02-01-01-24.mp4",
			"Actor_02/03-02-03-01-01-01-02.wav", "Actor_02/noise.wav", "notes.txt",
		},
		want: []string{
			"ravdess/Actor_02/03-01-02-01-01-01-02.flac ravdess ravdess02 neutral female train",
			"ravdess/Actor_17/03-01-07-02-01-01-17.wav ravdess ravdess17 disgusted male val",
			"ravdess/Actor_24/01-01-08-02-01-01-24.mp4 ravdess ravdess24 surprised female test",
		},
		ignored: 3,
	},
	{
		name: "ravdess warped", set: "ravdess",
		files: []string{"../ravdess-warp/Actor_03/01-01-06-01-01-01-03.mp4"},
		want:  []string{"ravdess-warp/Actor_03/01-01-06-01-01-01-03.mp4 ravdess-warp ravdess03 fearful male train"},
	},
	{
		name: "emodb", set: "emodb",
		files: []string{"wav/03a01Fa.wav", "wav/12b02La.flac", "wav/16a04Wb.wav", "wav/99a01Fa.wav", "wav/03a01Xa.wav"},
		want: []string{
			"emodb/wav/03a01Fa.wav emodb emodb03 happy male train",
			"emodb/wav/12b02La.flac emodb emodb12 - male val",
			"emodb/wav/16a04Wb.wav emodb emodb16 angry female test",
		},
		ignored: 2, unlabelled: map[string]int{"bored": 1},
	},
	{
		name: "fer2013 folders", set: "fer2013",
		files: []string{"train/disgust/3.jpg", "val/fear/1.png", "test/surprise/2.jpg", "extra/happy/1.jpg"},
		want: []string{
			"fer2013/test/surprise/2.jpg fer2013  surprised - test",
			"fer2013/train/disgust/3.jpg fer2013  disgusted - train",
			"fer2013/val/fear/1.png fer2013  fearful - val",
		},
		ignored: 1,
	},
	{
		name: "utkface", set: "utkface",
		files: []string{
			"26_1_0_20170116184024662.jpg.chip.jpg",
			"61_1_20170109142408075.jpg",
			"30_0_3_20170119180417728.jpg",
		},
		want: []string{
			"utkface/26_1_0_20170116184024662.jpg.chip.jpg utkface  - female " +
				hashSplit("26_1_0_20170116184024662.jpg.chip.jpg"),
			"utkface/30_0_3_20170119180417728.jpg utkface  - male " + hashSplit("30_0_3_20170119180417728.jpg"),
		},
		ignored: 1,
	},
}

func TestLoadLayouts(t *testing.T) {
	for _, tc := range slices.Concat(layouts, voiceLayouts) {
		t.Run(tc.name, func(t *testing.T) {
			root := traintest.Touch(t, "set", tc.files...)
			if strings.HasPrefix(tc.files[0], "../") {
				root = filepath.Join(root, "../ravdess-warp")
			}
			clips, report, err := Load(tc.set, root, DefaultLabels(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range clips {
				got = append(got, describe(c))
				if err := fileExists(c.Path()); err != nil {
					t.Errorf("path of %s: %v", c.ID, err)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
			if report.Ignored != tc.ignored || report.Clips != len(clips) ||
				(report.FirstIgnored != "") != (tc.ignored > 0) {
				t.Errorf("report %+v, want %d ignored", report, tc.ignored)
			}
			for k, n := range tc.unlabelled {
				if report.Unlabelled[k] != n {
					t.Errorf("unlabelled %v, want %v", report.Unlabelled, tc.unlabelled)
				}
			}
		})
	}
}

// loadError is a data set that Load refuses: by an error that is is, unless that is nil, and says all of says.
type loadError struct {
	name, set, path string
	is              error
	says            []string
}

func checkLoadErrors(t *testing.T, cases []loadError) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			clips, _, err := Load(tc.set, tc.path, DefaultLabels(), nil)
			if err == nil {
				t.Fatalf("no error, %d clips", len(clips))
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%v is not %v", err, tc.is)
			}
			for _, s := range tc.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	empty := traintest.Touch(t, "empty")
	none := filepath.Join(empty, "none")
	pictures := traintest.Touch(t, "pictures", "a.jpg", "b.wav")
	file := filepath.Join(pictures, "a.jpg")
	misspelt := traintest.Touch(t, "fer", "train/happpy/1.jpg")
	voices := traintest.Touch(t, "tess", "OAF_angry/OAF_back_angry.wav")
	checkLoadErrors(t, []loadError{
		{"unknown name", "cremadd", empty, ErrUnknownDataset, []string{
			`"cremadd"`,
			"ased, cremad, emodb, fairface, fer2013, iemocap, java-sed, manifest, nemo, ravdess, tess, urdu, utkface",
		}},
		{"unknown option", "cremad:vote+x", empty, ErrUnknownOption, []string{`"x"`, "vote, vote-voice, vote-face"}},
		{"option of a set without", "emodb:x", empty, ErrUnknownOption, []string{`"x"`, "emodb has none"}},
		{"two words of one", "ravdess:audio+video", empty, ErrUnknownOption, []string{"audio+video", "one word"}},
		{"no such folder", "ravdess", none, os.ErrNotExist, []string{none}},
		{"empty ravdess", "ravdess", empty, ErrEmpty, []string{empty, "03-01-06"}},
		{"empty cremad", "cremad", empty, ErrEmpty, []string{empty, "1001_DFA_ANG_XX"}},
		{"empty iemocap", "iemocap", empty, ErrEmpty, []string{empty, "Session1/dialog/EmoEvaluation"}},
		{"empty emodb", "emodb", empty, ErrEmpty, []string{empty}},
		{"empty fer2013", "fer2013", empty, ErrEmpty, []string{empty, "train/angry"}},
		{"empty utkface", "utkface", empty, ErrEmpty, []string{empty}},
		{"empty fairface", "fairface", empty, ErrEmpty, []string{empty, "fairface_label_train.csv", "train/1_50-59"}},
		{"empty java-sed", "java-sed", empty, ErrEmpty, []string{empty, "01-02-03_04.wav"}},
		{"empty ased", "ased", empty, ErrEmpty, []string{empty, "05Angry/a5-03-01-02-50.wav"}},
		{"empty nemo", "nemo", empty, ErrEmpty, []string{empty, "samples/WR0_sadness_1.wav"}},
		{"empty urdu", "urdu", empty, ErrEmpty, []string{empty, "Angry/SM1_F1_A01.wav"}},
		{"empty tess", "tess", empty, ErrEmpty, []string{empty, "OAF_angry/OAF_back_angry.wav"}},
		{"other set's pictures", "fairface", misspelt, ErrEmpty, []string{misspelt}},
		{"other set's voices", "nemo", voices, ErrEmpty, []string{voices, "recordings of nemo"}},
		{"wrong folder", "ravdess", pictures, ErrEmpty, []string{pictures}},
		{"file as folder", "emodb", file, nil, []string{file, "not a folder"}},
		{"folder as manifest", "manifest", empty, nil, []string{empty, "csv file"}},
		{"unknown folder label", "fer2013", misspelt, ErrUnknownLabel, []string{"train/happpy", "angry", "surprised"}},
	})
}

// TestLoadersAgreeWithManifest compares each loader with the manifest that came with the data.
func TestLoadersAgreeWithManifest(t *testing.T) {
	data := traintest.Data(t)
	all, _, err := Load("manifest", filepath.Join(data, "manifest.csv"), DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string][]Clip{}
	for _, c := range all {
		of[c.Dataset] = append(of[c.Dataset], c)
	}
	for folder, name := range map[string]string{
		"ravdess": "ravdess", "ravdess-warp": "ravdess", "emodb": "emodb", "fer2013": "fer2013", "utkface": "utkface",
		"java-sed": "java-sed", "ased": "ased", "nemo": "nemo", "urdu": "urdu", "cremad": "cremad", "tess": "tess",
		"fairface": "fairface",
	} {
		clips, _, err := Load(name, filepath.Join(data, folder), DefaultLabels(), nil)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(clips) != len(of[folder]) || SplitHash(clips) != SplitHash(of[folder]) {
			t.Errorf("%s: %d clips, the manifest has %d; same split: %v", folder, len(clips), len(of[folder]),
				SplitHash(clips) == SplitHash(of[folder]))
			continue
		}
		for i := range clips {
			if clips[i] != of[folder][i] {
				t.Errorf("%s: %+v, the manifest has %+v", folder, clips[i], of[folder][i])
				break
			}
		}
	}
}

// FuzzNames: the names of files are outside bytes too.
func FuzzNames(f *testing.F) {
	for _, name := range []string{
		"03-01-06-01-02-01-12.wav", "1001_DFA_ANG_XX.flv",
		"26_1_0_20170116184024662.jpg.chip.jpg", "03a01Fa.wav", "a/b.wav", "-1_1_9_x.jpg",
		"01-02-03_04.wav", "a5-03-01-02-50.wav", "WR0_sadness_1.wav", "SM1_F1_A01.wav", "OA_bite_neutral.wav",
		"train/1_70-up_male_East_Asian.jpg",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if code, ok := ravdessCode(stem(name)); ok &&
			(code[2] < 1 || code[2] > len(ravdessEmotions) || code[6] < 1 || code[6] > 24) {
			t.Errorf("RAVDESS %q: %v", name, code)
		}
		if actor, emotion, ok := cremadCode(stem(name)); ok &&
			(len(actor) != 4 || cremadEmotions[emotion] == "" || !IsSplit(cremadSplit(actor))) {
			t.Errorf("CREMA-D %q: %s %s", name, actor, emotion)
		}
		if age, gender, race, ok := utkName(name); ok && (age < 0 || gender == "" || race == "") {
			t.Errorf("UTKFace %q: %d %s %s", name, age, gender, race)
		}
		if face, ok := fairFaceName(name); ok && (face.gender == "" || face.race == "" || !IsSplit(face.split)) {
			t.Errorf("FairFace %q: %+v", name, face)
		}
		for set, parse := range map[string]func(string) (voice, bool){
			"java-sed": javaSEDName, "ased": asedName, "nemo": nemoName, "urdu": urduName, "tess": tessName,
		} {
			v, ok := parse(stem(name))
			unknown := set == "java-sed" && (v.speaker == "03" || v.speaker == "08")
			if ok && (v.speaker == "" || v.emotion == "" || (v.gender == "") != unknown || !IsSplit(v.split)) {
				t.Errorf("%s %q: %+v", set, name, v)
			}
		}
	})
}

func TestPortableID(t *testing.T) {
	for id, want := range map[string]string{
		"ravdess/Actor_01/a.mp4":               "ravdess/Actor_01/a.mp4",
		"/mine/a b.mp4":                        "a b.mp4",
		"a.mp4|/mine/b.wav#0.5-1.25":           "a.mp4|b.wav#0.5-1.25",
		"/mine/a.mp4|/mine/b.wav":              "a.mp4|b.wav",
		"fer2013.csv#000002":                   "fer2013.csv#000002",
		"IEMOCAP_full_release/Ses01F_impro01_": "IEMOCAP_full_release/Ses01F_impro01_",
	} {
		if got := (&Clip{ID: id}).PortableID(); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

// TestErrorNamesTheSet: whoever loads several sets learns which of them failed without reading the message.
func TestErrorNamesTheSet(t *testing.T) {
	_, _, err := Load("ravdess:audio", traintest.Touch(t, "empty"), DefaultLabels(), nil)
	if e, ok := errors.AsType[*Error](err); !ok || e.Name != "ravdess:audio" || !errors.Is(e.Err, ErrEmpty) {
		t.Errorf("%#v", err)
	}
}
