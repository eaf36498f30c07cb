package dataset

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/train/traintest"
)

const (
	fairFaceTrain = "file,age,gender,race,service_test\n" +
		"train/1.jpg,50-59,Male,East Asian,True\ntrain/2.jpg,more than 70,Female,Latino_Hispanic,False\n"
	fairFaceVal = "file,age,gender,race,service_test\n" +
		"val/1.jpg,0-2,Female,Middle Eastern,False\nval/2.jpg,3-9,Male,Black,True\n"
)

// describeFace is a picture in one line.
func describeFace(c Clip) string {
	ages := map[int]string{1: "0-2", 15: "10-19", 55: "50-59", 75: "70-up"}
	return describe(c) + " " + ages[c.Age] + " " + c.Race
}

// fairFaceTree makes a tree of the release's layout, of which val/2.jpg is missing and train/3.jpg is in no list.
func fairFaceTree(t *testing.T) string {
	t.Helper()
	root := traintest.Touch(t, "fairface", "train/1.jpg", "train/2.jpg", "train/3.jpg", "val/1.jpg")
	traintest.WriteFile(t, filepath.Join(root, "fairface_label_train.csv"), fairFaceTrain)
	traintest.WriteFile(t, filepath.Join(root, "fairface_label_val.csv"), fairFaceVal)
	return root
}

func TestFairFaceLists(t *testing.T) {
	root := fairFaceTree(t)
	for path, want := range map[string][]string{
		root: {
			"fairface/train/1.jpg fairface  - male train 50-59 east_asian",
			"fairface/train/2.jpg fairface  - female train 70-up latino_hispanic",
			"fairface/val/1.jpg fairface  - female val 0-2 middle_eastern",
		},
		filepath.Join(root, "val"): {"fairface/1.jpg fairface  - female val 0-2 middle_eastern"},
	} {
		clips, report, err := Load("fairface", path, DefaultLabels(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range clips {
			got = append(got, describeFace(c))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(report.Missing) != 1 || filepath.Base(report.Missing[0]) != "2.jpg" {
			t.Errorf("missing %q", report.Missing)
		}
		if listless := path == root; report.Ignored > 0 != listless ||
			listless && filepath.Base(report.FirstIgnored) != "3.jpg" {
			t.Errorf("report %+v", report)
		}
	}
}

// The archives of the pictures are unpacked into folders of their names, with the lists beside these.
func TestFairFaceListsBesideThePictures(t *testing.T) {
	pictures := traintest.Touch(t, "fairface-img-margin025-trainval", "train/1.jpg", "val/1.jpg", "val/2.jpg",
		"../fairface-img-margin125-trainval/val/1.jpg")
	root := filepath.Dir(pictures)
	traintest.WriteFile(t, filepath.Join(root, "fairface_label_train.csv"), fairFaceTrain)
	traintest.WriteFile(t, filepath.Join(root, "fairface_label_val.csv"), fairFaceVal)
	for path, ignored := range map[string]int{pictures: 0, root: 1} { // 1: the same picture with more padding
		clips, report, err := Load("fairface", path, DefaultLabels(), nil)
		if err != nil || len(clips) != 3 || clips[0].Split != SplitTrain || clips[0].Age != 55 ||
			clips[2].Split != SplitVal || clips[2].Race != "black" {
			t.Fatalf("%s: %v, %+v", path, err, clips)
		}
		if report.Ignored != ignored || !slices.Equal(report.Missing, []string{"train/2.jpg"}) {
			t.Errorf("%s: report %+v", path, report)
		}
	}
}

func TestFairFaceNames(t *testing.T) {
	root := traintest.Touch(t, "fairface",
		"train/25617_10-19_female_Latino_Hispanic.jpg", "val/9606_70-up_male_White.jpg",
		"test/9606_70-up_male_White.jpg", "train/9606_71-up_male_White.jpg", "train/9606_70-up_man_White.jpg",
		"train/9606_70-up_male_Green.jpg", "train/x_70-up_male_White.jpg", "train/1.jpg")
	clips, report, err := Load("fairface", root, DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"fairface/train/25617_10-19_female_Latino_Hispanic.jpg fairface  - female train 10-19 latino_hispanic",
		"fairface/val/9606_70-up_male_White.jpg fairface  - male val 70-up white",
	}
	var got []string
	for _, c := range clips {
		got = append(got, describeFace(c))
	}
	if !slices.Equal(got, want) || report.Ignored != 6 || len(report.Missing) != 0 {
		t.Errorf("got\n%s\nreport %+v", strings.Join(got, "\n"), report)
	}
}

func TestFairFaceBadLists(t *testing.T) {
	head := "file,age,gender,race,service_test\n"
	for _, tt := range []struct {
		name, list string
		is         error
		says       []string
	}{
		{"other columns", "file,age,sex\ntrain/1.jpg,0-2,Male\n", ErrMissingColumn, []string{`"gender"`, "file,age"}},
		{"empty", "", ErrMissingColumn, []string{"the file is empty"}},
		{"age", head + "train/1.jpg,12,Male,White,True\n", ErrUnknownLabel, []string{"line 2", `age "12"`}},
		{"gender", head + "train/1.jpg,0-2,M,White,True\n", ErrUnknownLabel, []string{`gender "M"`, "Female, Male"}},
		{"race", head + "train/1.jpg,0-2,Male,Green,True\n", ErrUnknownLabel, []string{`race "Green"`, "east_asian"}},
		{"no file", head + ",0-2,Male,White,True\n", nil, []string{"line 2: no file"}},
		{"short row", head + "train/1.jpg,0-2\n", nil, []string{"line 2"}},
	} {
		root := traintest.Touch(t, "fairface", "train/1.jpg")
		traintest.WriteFile(t, filepath.Join(root, "fairface_label_train.csv"), tt.list)
		checkLoadErrors(t, []loadError{
			{tt.name, "fairface", root, tt.is, append(tt.says, "fairface_label_train.csv")},
		})
	}
}

// TestFairFaceLacksAList: pictures whose list is not there are ignored, and the list is named.
func TestFairFaceLacksAList(t *testing.T) {
	root := traintest.Touch(t, "fairface", "train/1.jpg", "train/2.jpg", "val/1.jpg")
	traintest.WriteFile(t, filepath.Join(root, "fairface_label_train.csv"), fairFaceTrain)
	clips, report, err := Load("fairface", root, DefaultLabels(), nil)
	if err != nil || len(clips) != 2 || report.Ignored != 1 ||
		!slices.Equal(report.Missing, []string{"fairface_label_val.csv"}) {
		t.Errorf("%v, %d clips, report %+v", err, len(clips), report)
	}
}

func FuzzFairFaceCSV(f *testing.F) {
	f.Add(fairFaceTrain)
	f.Add(fairFaceVal)
	f.Add("\ufefffile,age,gender,race\n../x.jpg,70-up,male,east_asian\n\n")
	f.Add("file,age,gender,race\n\"a\nb.jpg\",0-2,MALE,White\n")
	f.Fuzz(func(t *testing.T, text string) {
		faces := map[string]fairFace{}
		if err := readFairFace(strings.NewReader(text), "x.csv", SplitVal, faces); err != nil {
			if !strings.Contains(err.Error(), "x.csv") {
				t.Errorf("error %q does not name the file", err)
			}
			return
		}
		l := &loader{labels: DefaultLabels(), report: LoadReport{Unlabelled: map[string]int{}}}
		for path, face := range faces {
			if k, err := l.gender(face.gender); err != nil || k < 0 || face.split != SplitVal ||
				AgeBand(face.age) == "" || !slices.Contains(fairFaceRaces, face.race) || path == "" {
				t.Errorf("%q: %+v, %v", path, face, err)
			}
		}
	})
}
