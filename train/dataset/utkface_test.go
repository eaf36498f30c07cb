package dataset

import (
	"path/filepath"
	"testing"

	"tandem/train/traintest"
)

func TestUTKFaceNamesAgeAndRace(t *testing.T) {
	clips, _, err := Load("utkface", traintest.Touch(t, "utkface", "26_1_2_20170116184024662.jpg"),
		DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if clips[0].Age != 26 || clips[0].Race != "asian" {
		t.Errorf("age %d, race %q", clips[0].Age, clips[0].Race)
	}
}

func TestUTKFaceSplitBesideIsKept(t *testing.T) {
	name := "26_1_2_20170116184024662.jpg"
	other := map[string]string{SplitTrain: SplitTest, SplitVal: SplitTest, SplitTest: SplitTrain}[hashSplit(name)]
	root := traintest.Touch(t, "utkface", name)
	traintest.WriteFile(t, filepath.Join(filepath.Dir(root), "manifest.csv"),
		"video,split\nutkface/"+name+","+other+"\n")
	clips, _, err := Load("utkface", root, DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if clips[0].Split != other {
		t.Errorf("split %s, the manifest says %s", clips[0].Split, other)
	}
}
