package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/train/traintest"
)

func TestManifest(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"a.mp4", "b.wav", "c.jpg"} {
		traintest.WriteFile(t, filepath.Join(dir, f), "")
	}
	path := filepath.Join(dir, "mine.csv")
	traintest.WriteFile(t, path, "\ufeffsplit,note,emotion,gender,speaker,dataset,audio,video\n"+
		"Validation,x, Calm ,Woman,anna,talk,,a.mp4\n"+
		",x,bored,male,ben,,b.wav,\n"+
		",\"x,y\",,,,pics,"+filepath.Join(dir, "b.wav")+",c.jpg\n")
	clips, report, err := Load("manifest", path, DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"a.mp4 talk anna neutral female val",
		"b.wav mine ben - male " + hashSplit("ben"),
		"c.jpg|" + dir + "/b.wav pics  - - " + hashSplit("c.jpg|"+dir+"/b.wav"),
	}
	for i, c := range clips {
		if describe(c) != want[i] {
			t.Errorf("%s, want %s", describe(c), want[i])
		}
	}
	if c := clips[2]; c.Video != filepath.Join(dir, "c.jpg") || c.Audio != filepath.Join(dir, "b.wav") {
		t.Errorf("paths %q %q", c.Video, c.Audio)
	}
	if report.Unlabelled["bored"] != 1 {
		t.Errorf("unlabelled %v", report.Unlabelled)
	}
}

func TestManifestWithMoreColumns(t *testing.T) {
	dir := t.TempDir()
	traintest.WriteWAV(t, filepath.Join(dir, "talk.wav"), traintest.Sine(220, 48000))
	path := filepath.Join(dir, "mine.csv")
	traintest.WriteFile(t, path, "video,audio,dataset,speaker,gender,emotion,split,age,race,start,end\n"+
		",talk.wav,,,,happy,,31,Asian,0.5,1.25\n,talk.wav,,,,sad,,,,2,\n,talk.wav,,,,,,,,,\n")
	clips, _, err := Load("manifest", path, DefaultLabels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		id         string
		start, end time.Duration
	}{
		{"talk.wav", 0, 0},
		{"talk.wav#0.5-1.25", 500 * time.Millisecond, 1250 * time.Millisecond},
		{"talk.wav#2-", 2 * time.Second, 0},
	} {
		c := clips[i]
		// Parts of one file whose speaker is not known fall to one side.
		if c.ID != want.id || c.Start != want.start || c.End != want.end || c.Split != hashSplit("talk.wav") {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	if c := clips[1]; c.Age != 31 || c.Race != "asian" || clips[0].Age != -1 {
		t.Errorf("age %d, race %q", c.Age, c.Race)
	}
}

func FuzzManifest(f *testing.F) {
	head := strings.Join(ManifestColumns, ",") + "\n"
	for _, s := range []string{
		"", head, head + "a.mp4,,x,s,female,happy,train\n", head + ",b.wav,,,m,calm,\n", head + "a\"b,,,,,,\n",
		"\ufeff" + head + "\"a\nb\",,,,,,test\n", strings.ToUpper(head), "video,video\n",
		head + "../a,/b,,,,bored,val\nc,,,,,x,\n",
		strings.TrimSpace(head) + ",age,race,start,end\na,,,,,,,3,x,1,2.5\na,,,,,,,,,1e9,NaN\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &loader{labels: DefaultLabels(), report: LoadReport{Unlabelled: map[string]int{}}}
		exists := func(path string) error {
			if !filepath.IsAbs(path) {
				t.Errorf("path %q is not resolved", path)
			}
			return nil
		}
		if err := l.readManifest(strings.NewReader(string(data)), "/set/m.csv", exists); err != nil {
			if !strings.Contains(err.Error(), "/set/m.csv") {
				t.Errorf("error %q does not name the file", err)
			}
			return
		}
		if len(l.clips) == 0 {
			t.Error("no clips and no error")
		}
		for _, c := range l.clips {
			if c.Path() == "" || c.ID == "" || c.Dataset == "" || !IsSplit(c.Split) ||
				c.Start < 0 || c.End < 0 || c.End > 0 && c.End <= c.Start || c.Age < -1 || c.Emotion < -1 ||
				c.Emotion >= len(l.labels.Emotions) || c.Gender < -1 || c.Gender >= len(l.labels.Genders) {
				t.Errorf("clip %+v", c)
			}
		}
	})
}

func TestCSVErrors(t *testing.T) {
	const head = "video,audio,dataset,speaker,gender,emotion,split"
	var cases []loadError
	for _, tc := range []struct {
		name, set, text string
		is              error
		says            []string
	}{
		{"wrong csv", "fer2013", "a,b\n1,2\n", ErrMissingColumn, []string{"m.csv", "emotion,pixels,Usage"}},
		{"csv label", "fer2013", "emotion,pixels,Usage\n7,1 2,Training\n", ErrUnknownLabel, []string{"row 2", `"7"`}},
		{"csv usage", "fer2013", "emotion,pixels,Usage\n1,1 2,Training\n1,1,Foo\n", nil, []string{"row 3", `"Foo"`}},
		{"empty manifest", "manifest", "", ErrMissingColumn, []string{"m.csv", "empty"}},
		{"manifest without rows", "manifest", head + "\n", ErrEmpty, []string{"m.csv"}},
		{"missing column", "manifest", "video,audio,dataset,speaker,gender,split\n", ErrMissingColumn, []string{
			"m.csv", `"emotion"`,
		}},
		{
			"missing file", "manifest", head + "\na.jpg,,x,,,,\nb.jpg,,x,,,,\n", os.ErrNotExist,
			[]string{"line 3", "b.jpg"},
		},
		{"folder as file", "manifest", head + "\n.,,x,,,,\n", nil, []string{"line 2", "folder"}},
		{"unknown emotion", "manifest", head + "\na.jpg,,x,,,hapy,\n", ErrUnknownLabel, []string{
			"line 2", `"hapy"`, "calm", "happy", "--map hapy=",
		}},
		{"unknown gender", "manifest", head + "\na.jpg,,x,,x,,\n", ErrUnknownLabel, []string{
			"line 2", `"x"`, "female, male", "woman", "--map gender:x=",
		}},
		{
			"unknown split", "manifest", head + "\na.jpg,,x,,,,held out\n", nil,
			[]string{"line 2", `"held out"`, "train, val, test"},
		},
		{"number", "manifest", head + "\na.jpg,,x,,,3,\n", ErrUnknownLabel, []string{"line 2", "--map emotion:3="}},
		{"no media", "manifest", head + "\n,,x,,,,\n", nil, []string{"line 2", "neither video nor audio"}},
		{"row twice", "manifest", head + "\na.jpg,,x,,,,\na.jpg,,x,,,,\n", nil, []string{"line 3", "line 2"}},
		{"bad age", "manifest", head + ",age\na.jpg,,x,,,,,old\n", nil, []string{"line 2", `age "old"`}},
		{"bad start", "manifest", head + ",start\na.jpg,,x,,,,,-1\n", nil, []string{"line 2", `start "-1"`, "seconds"}},
		{"no length", "manifest", head + ",start,end\na.jpg,,x,,,,,2,2\n", nil, []string{"line 2", "no length"}},
		{"part twice", "manifest", head + ",end\na.jpg,,x,,,,,2\na.jpg,,x,,,,,2\n", nil, []string{"line 3", "line 2"}},
		{"too few fields", "manifest", head + "\na.jpg,\n", nil, []string{"m.csv", "line 2"}},
	} {
		path := filepath.Join(t.TempDir(), "m.csv")
		traintest.WriteFile(t, filepath.Join(filepath.Dir(path), "a.jpg"), "")
		traintest.WriteFile(t, path, tc.text)
		cases = append(cases, loadError{tc.name, tc.set, path, tc.is, tc.says})
	}
	checkLoadErrors(t, cases)
}
