package dataset

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/train/traintest"
)

const cremadPeopleCSV = `ActorID,Age,Sex,Race,Ethnicity
1001,51,Male,Caucasian,Not Hispanic
1018,25,Female,African American,Not Hispanic
1019,29,Female,Asian,Not Hispanic
`

const cremadTable = `"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"
"1","1001_DFA_ANG_XX","N",50,"A",60,"A",63.3
"2","1018_IEO_HAP_HI","H:N","50:40","H",60,"D",70
"3","1019_TIE_SAD_X","S",50,"N",60,"N:S","40:50"
"4","1091_WSI_SAD_XX","S",50,"N",60,"N",40
`

// cremad makes a tree of the release's layout.
func cremad(t *testing.T) string {
	t.Helper()
	root := traintest.Touch(t, "CREMA-D",
		"AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_ANG_XX.mp3", "VideoFlash/1001_DFA_ANG_XX.flv",
		"AudioWAV/1018_IEO_HAP_HI.wav", "AudioMP3/1018_IEO_HAP_HI.mp3", "VideoMP4/1019_TIE_SAD_X.mp4",
		"AudioMP3/1002_DFA_NEU_XX.mp3", "AudioWAV/1092_DFA_ANG_XX.wav", "AudioWAV/1001_XXX_ANG_XX.wav")
	traintest.WriteFile(t, filepath.Join(root, "VideoDemographics.csv"), cremadPeopleCSV)
	traintest.WriteFile(t, filepath.Join(root, "processedResults/summaryTable.csv"), cremadTable)
	return root
}

func TestCREMAD(t *testing.T) {
	root := cremad(t)
	labels := map[string][]string{
		"cremad":            {"neutral", "happy", "angry", "sad"},
		"cremad:vote":       {"-", "disgusted", "angry", "-"},
		"cremad:vote-voice": {"-", "-", "neutral", "sad"},
		"cremad:vote-face":  {"-", "happy", "angry", "neutral"},
	}
	for _, set := range slices.Sorted(maps.Keys(labels)) {
		clips, report, err := Load(set, root, DefaultLabels(), nil)
		if err != nil {
			t.Fatal(err)
		}
		l := labels[set]
		want := []string{
			"cremad/AudioMP3/1002_DFA_NEU_XX.mp3 " + set + " cremad1002 " + l[0] + " - train",
			"cremad/AudioWAV/1018_IEO_HAP_HI.wav " + set + " cremad1018 " + l[1] + " female val",
			"cremad/VideoFlash/1001_DFA_ANG_XX.flv " + set + " cremad1001 " + l[2] + " male train",
			"cremad/VideoMP4/1019_TIE_SAD_X.mp4 " + set + " cremad1019 " + l[3] + " female test",
		}
		var got []string
		for _, c := range clips {
			got = append(got, describe(c))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", set, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if c := clips[2]; c.Age != 51 || c.Race != "caucasian" || filepath.Base(c.Audio) != "1001_DFA_ANG_XX.wav" {
			t.Errorf("%s: age %d, race %q, sound %s", set, c.Age, c.Race, c.Audio)
		}
		if c := clips[0]; c.Age != -1 || c.Race != "" {
			t.Errorf("%s: an actor not listed is %d, %q", set, c.Age, c.Race)
		}
		// MP3 doubles of WAV files are taken up in their clip; two files are of no CREMA-D name.
		if report.Ignored != 2 || !slices.Equal(report.Missing, []string{"1091_WSI_SAD_XX"}) || len(report.Notes) != 1 {
			t.Errorf("%s: report %+v", set, report)
		}
		if intended := strings.Contains(report.Notes[0], "intended"); intended != (set == "cremad") {
			t.Errorf("%s: note %q", set, report.Notes[0])
		}
		if Licence(set) != aboutCREMAD.Terms {
			t.Errorf("licence of %s: %s", set, Licence(set))
		}
	}
}

func TestCREMADWithoutItsTables(t *testing.T) {
	root := traintest.Touch(t, "CREMA-D", "AudioWAV/1001_DFA_ANG_XX.wav")
	clips, report, err := Load("cremad", root, DefaultLabels(), nil)
	if err != nil || len(clips) != 1 || clips[0].Gender != -1 || clips[0].Emotion != 3 {
		t.Fatalf("%v, %+v", err, clips)
	}
	if len(report.Notes) != 2 || !strings.Contains(report.Notes[0], "VideoDemographics.csv") {
		t.Errorf("notes %q", report.Notes)
	}
	if _, _, err := Load("cremad:vote", root, DefaultLabels(), nil); !errors.Is(err, fs.ErrNotExist) ||
		!strings.Contains(err.Error(), "summaryTable.csv") {
		t.Errorf("votes without a table: %v", err)
	}
	// A folder of the release finds the tables beside it.
	traintest.WriteFile(t, filepath.Join(root, "VideoDemographics.csv"), cremadPeopleCSV)
	clips, _, err = Load("cremad", filepath.Join(root, "AudioWAV"), DefaultLabels(), nil)
	if err != nil || clips[0].Gender != 1 {
		t.Errorf("%v, %+v", err, clips)
	}
	for name, bad := range map[string]string{
		"age": "ActorID,Age,Sex,Race,Ethnicity\n1001,x,Male,,\n",
		"sex": "ActorID,Age,Sex,Race,Ethnicity\n1001,3,x,,\n", "column": "ActorID,Age\n1001,3\n",
	} {
		traintest.WriteFile(t, filepath.Join(root, "VideoDemographics.csv"), bad)
		if _, _, err := Load("cremad", root, DefaultLabels(), nil); err == nil ||
			!strings.Contains(err.Error(), "VideoDemographics.csv") {
			t.Errorf("bad %s: %v", name, err)
		}
	}
	traintest.WriteFile(t, filepath.Join(root, "VideoDemographics.csv"), cremadPeopleCSV)
	traintest.WriteFile(t, filepath.Join(root, "processedResults/summaryTable.csv"),
		"FileName,MultiModalVote\n1001_DFA_ANG_XX,Q\n")
	if _, _, err := Load("cremad:vote", root, DefaultLabels(), nil); err == nil ||
		!strings.Contains(err.Error(), `line 2: MultiModalVote "Q"`) {
		t.Errorf("bad vote: %v", err)
	}
}

func FuzzCREMADTables(f *testing.F) {
	f.Add(cremadPeopleCSV)
	f.Add(cremadTable)
	f.Add("FileName,MultiModalVote\n1001_DFA_ANG_XX,\n1001_DFA_ANG_XX,A:\n")
	f.Fuzz(func(t *testing.T, text string) {
		people, err := readCREMADPeople(strings.NewReader(text), "x.csv")
		if err != nil && !strings.Contains(err.Error(), "x.csv") {
			t.Errorf("error %q does not name the file", err)
		}
		for _, p := range people {
			if p.age < 0 || p.age > 130 {
				t.Errorf("age %d", p.age)
			}
		}
		votes, err := readCREMADVotes(strings.NewReader(text), "x.csv", "MultiModalVote")
		if err != nil {
			if !strings.Contains(err.Error(), "x.csv") {
				t.Errorf("error %q does not name the file", err)
			}
			return
		}
		l := &loader{labels: DefaultLabels(), report: LoadReport{Unlabelled: map[string]int{}}}
		for name, vote := range votes {
			if _, err := l.emotion(vote); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
