package dataset

import (
	"path/filepath"
	"slices"
	"testing"

	"tandem/train/traintest"
)

var voiceLayouts = []layout{
	{
		name: "java-sed", set: "java-sed",
		files: []string{
			"video/dataset-resize/01-02-03_01.mp4", "sound/dataset/01-02-03_01.wav", "sound/dataset/01-02-03_04.wav",
			"sound/dataset/04-01-06_02.flac", "sound/dataset/08-04-04_07.opus", "sound/dataset/06-01-02_01.wav",
			"sound/dataset/11-01-01_01.wav", "sound/dataset/01-01-07_01.wav", "sound/dataset/01-01-0x_01.wav",
			"video/code/output/01-01-02_01_output.mp4", "sound/dataset/How-To-Read-The-Dataset.txt",
		},
		want: []string{
			"java-sed/sound/dataset/01-02-03_04.wav java-sed java-sed01 happy female train",
			"java-sed/sound/dataset/04-01-06_02.flac java-sed java-sed04 angry female val",
			"java-sed/sound/dataset/06-01-02_01.wav java-sed java-sed06 sad male train",
			"java-sed/sound/dataset/08-04-04_07.opus java-sed java-sed08 surprised - test",
			"java-sed/video/dataset-resize/01-02-03_01.mp4 java-sed java-sed01 happy female train",
		},
		ignored: 5,
	},
	{
		name: "java-sed, the video first", set: "java-sed",
		files: []string{"video/10-04-05_01.mp4", "voice/10-04-05_01.wav", "voice/10-04-05_02.opus"},
		want: []string{
			"java-sed/video/10-04-05_01.mp4 java-sed java-sed10 fearful male train",
			"java-sed/voice/10-04-05_02.opus java-sed java-sed10 fearful male train",
		},
		ignored: 1,
	},
	{
		name: "ased", set: "ased",
		files: []string{
			"01Neutral/n1-01-01-02-14.wav", "02Fearful/f2-07-02-01-01.flac", "03Happy/h3-04-01-02-02.opus",
			"04Sad/S4-04-02-01-01.wav", "05Angry/a5-03-01-02-01.wav", // a speaker's one other gender
			"05Angry/a5-03-01-03-01.wav", "05Angry/x5-03-01-02-01.wav", "05Angry/a5-03-01-02-66.wav",
			"05Angry/a5-03-01-02.wav", "05Angry/a1-03-01-02-50.wav", "README.md",
		},
		want: []string{
			"ased/01Neutral/n1-01-01-02-14.wav ased ased14 neutral male val",
			"ased/02Fearful/f2-07-02-01-01.flac ased ased01 fearful female train",
			"ased/03Happy/h3-04-01-02-02.opus ased ased02 happy male test",
			"ased/04Sad/S4-04-02-01-01.wav ased ased01 sad female train",
			"ased/05Angry/a5-03-01-02-01.wav ased ased01 angry female train",
		},
		ignored: 5,
	},
	{
		name: "nemo", set: "nemo",
		files: []string{
			"samples/WR0_sadness_1.wav", "samples/IC0_surprised_90.flac", "samples/EB0_anger_7.opus",
			"samples/XY0_anger_7.wav", "samples/EB0_disgust_7.wav", "samples/EB0_anger_.wav", "data.tsv",
		},
		want: []string{
			"nemo/samples/EB0_anger_7.opus nemo nemoEB0 angry female train",
			"nemo/samples/IC0_surprised_90.flac nemo nemoIC0 surprised female val",
			"nemo/samples/WR0_sadness_1.wav nemo nemoWR0 sad male test",
		},
		ignored: 3,
	},
	{
		name: "urdu", set: "urdu",
		files: []string{
			"Angry/SM1_F1_A01.wav", "Happy/SF7_F4_H042.opus", "Neutral/SM3_F8_N028.flac", "Sad/SM6/SM6_F4_S0100.wav",
			"Sad/SM6_F4_X0100.wav", "Sad/SX6_F4_S0100.wav", "Sad/SM6_S0100.wav", "Sad/SM_F4_S01.wav",
		},
		want: []string{
			"urdu/Angry/SM1_F1_A01.wav urdu urduSM1 angry male val",
			"urdu/Happy/SF7_F4_H042.opus urdu urduSF7 happy female train",
			"urdu/Neutral/SM3_F8_N028.flac urdu urduSM3 neutral male test",
			"urdu/Sad/SM6/SM6_F4_S0100.wav urdu urduSM6 sad male val",
		},
		ignored: 4,
	},
	{
		name: "tess", set: "tess",
		files: []string{
			"OAF_Pleasant_surprise/OAF_back_ps.wav", "OAF_neutral/OA_bite_neutral.wav", "YAF_fear/YAF_germ_fear.flac",
			"YAF_disgust/YAF_germ_disgust.opus", "again/YAF_fear/YAF_germ_fear.flac", // doubles, as in one conversion
			"YAF_fear/YAF_germ_calm.wav", "YAF_fear/XAF_germ_fear.wav", "YAF_fear/YAF_fear.wav",
		},
		want: []string{
			"tess/OAF_Pleasant_surprise/OAF_back_ps.wav tess tessOAF surprised female train",
			"tess/OAF_neutral/OA_bite_neutral.wav tess tessOAF neutral female train",
			"tess/YAF_disgust/YAF_germ_disgust.opus tess tessYAF disgusted female train",
			"tess/YAF_fear/YAF_germ_fear.flac tess tessYAF fearful female train",
		},
		ignored: 4,
	},
	{
		name: "cremad by voice", set: "cremad",
		files: []string{
			"1001_DFA_ANG_XX.opus", "1018_IEO_HAP_HI.flac", "1019_TIE_SAD_X.wav", "1019_TIE_SAD_X.opus",
			"1019_TIE_XXX_HI.opus", "1092_TIE_SAD_HI.opus",
		},
		want: []string{
			"cremad/1001_DFA_ANG_XX.opus cremad cremad1001 angry - train",
			"cremad/1018_IEO_HAP_HI.flac cremad cremad1018 happy - val",
			"cremad/1019_TIE_SAD_X.wav cremad cremad1019 sad - test",
		},
		ignored: 2,
	},
}

// TestSpeakerAges: a folder and a manifest of its files know the same ages.
func TestSpeakerAges(t *testing.T) {
	for speaker, want := range map[string]int{
		"tessOAF": 64, "tessYAF": 26, "nemoMP0": 24, "nemo": -1, "nemoOAF": -1, "OAF": -1, "": -1,
	} {
		if got := speakerAge(speaker); got != want {
			t.Errorf("%q is %d years old, want %d", speaker, got, want)
		}
	}
	clips, _, err := Load("tess", traintest.Touch(t, "TESS", "OAF_back_ps.wav"), DefaultLabels(), nil)
	if err != nil || clips[0].Age != 64 {
		t.Errorf("%v, %+v", err, clips)
	}
}

// TestASEDGenderOfMost: names that contradict most of their speaker's are counted, and a tie keeps what they say.
func TestASEDGenderOfMost(t *testing.T) {
	root := traintest.Touch(t, "ASED",
		"n1-01-01-02-05.wav", "n1-02-01-01-05.wav", "n1-03-01-01-05.wav", "n1-01-01-01-09.wav", "n1-02-01-02-09.wav")
	clips, report, err := Load("ased", root, DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	genders := map[string][]int{}
	for _, c := range clips {
		genders[c.Speaker] = append(genders[c.Speaker], c.Gender)
	}
	if !slices.Equal(genders["ased05"], []int{0, 0, 0}) || !slices.Equal(genders["ased09"], []int{0, 1}) {
		t.Errorf("genders %v", genders)
	}
	if len(report.Notes) != 1 {
		t.Errorf("notes %q", report.Notes)
	}
}

// TestCREMADBesideItsManifest: a manifest decides the split and, without VideoDemographics.csv, the gender.
func TestCREMADBesideItsManifest(t *testing.T) {
	for name, tt := range map[string]struct{ manifest, want string }{
		"listed": {
			"video,audio,split,gender\n,cremad/1084_DFA_ANG_XX.opus,val,female\n",
			"cremad/1084_DFA_ANG_XX.opus cremad cremad1084 angry female val",
		},
		"not listed": {
			"video,audio,split,gender\n,cremad/1001_DFA_ANG_XX.opus,val,female\n",
			"cremad/1084_DFA_ANG_XX.opus cremad cremad1084 angry - train",
		},
		"unknown split": {
			"video,audio,split,gender\n,cremad/1084_DFA_ANG_XX.opus,held out,female\n",
			"cremad/1084_DFA_ANG_XX.opus cremad cremad1084 angry - train",
		},
		"no gender": {
			"video,audio,split\n,cremad/1084_DFA_ANG_XX.opus,val\n",
			"cremad/1084_DFA_ANG_XX.opus cremad cremad1084 angry - val",
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := traintest.Touch(t, "cremad", "1084_DFA_ANG_XX.opus")
			traintest.WriteFile(t, filepath.Join(root, "../manifest.csv"), tt.manifest)
			clips, _, err := Load("cremad", root, DefaultLabels(), nil)
			if err != nil || len(clips) != 1 || describe(clips[0]) != tt.want {
				t.Errorf("%v, %+v, want %s", err, clips, tt.want)
			}
		})
	}
	root := traintest.Touch(t, "cremad", "1084_DFA_ANG_XX.opus")
	traintest.WriteFile(t, filepath.Join(root, "../manifest.csv"),
		"video,audio,split,gender\n,cremad/1084_DFA_ANG_XX.opus,val,both\n")
	checkLoadErrors(t, []loadError{
		{"unknown gender", "cremad", root, ErrUnknownLabel, []string{"manifest.csv", "1084_DFA_ANG_XX", `"both"`}},
	})
}
