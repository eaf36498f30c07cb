package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/pipeline"
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
	return strings.Join([]string{c.ID, c.Dataset, c.Speaker, name(l.Emotions, c.Emotion), name(l.Genders, c.Gender), c.Split}, " ")
}

func TestLoadDataLayouts(t *testing.T) {
	for _, tc := range []struct {
		name, set  string
		files      []string
		want       []string
		ignored    int
		unlabelled map[string]int
	}{
		{
			name: "ravdess", set: "ravdess",
			files: []string{
				"Actor_02/03-01-02-01-01-01-02.flac", "Actor_17/03-01-07-02-01-01-17.wav", "Actor_24/01-01-08-02-01-01-24.mp4",
				"Actor_24/02-01-08-02-01-01-24.mp4", "Actor_02/03-02-03-01-01-01-02.wav", "Actor_02/noise.wav", "notes.txt",
			},
			want: []string{
				"set/Actor_02/03-01-02-01-01-01-02.flac ravdess ravdess02 neutral female train",
				"set/Actor_17/03-01-07-02-01-01-17.wav ravdess ravdess17 disgusted male val",
				"set/Actor_24/01-01-08-02-01-01-24.mp4 ravdess ravdess24 surprised female test",
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
				"set/wav/03a01Fa.wav emodb emodb03 happy male train",
				"set/wav/12b02La.flac emodb emodb12 - male val",
				"set/wav/16a04Wb.wav emodb emodb16 angry female test",
			},
			ignored: 2, unlabelled: map[string]int{"bored": 1},
		},
		{
			name: "fer2013 folders", set: "fer2013",
			files: []string{"train/disgust/3.jpg", "val/fear/1.png", "test/surprise/2.jpg", "extra/happy/1.jpg"},
			want: []string{
				"set/test/surprise/2.jpg fer2013  surprised - test",
				"set/train/disgust/3.jpg fer2013  disgusted - train",
				"set/val/fear/1.png fer2013  fearful - val",
			},
			ignored: 1,
		},
		{
			name: "utkface", set: "utkface",
			files: []string{"26_1_0_20170116184024662.jpg.chip.jpg", "61_1_20170109142408075.jpg", "30_0_3_20170119180417728.jpg"},
			want: []string{
				"set/26_1_0_20170116184024662.jpg.chip.jpg utkface  - female " + hashSplit("26_1_0_20170116184024662.jpg.chip.jpg"),
				"set/30_0_3_20170119180417728.jpg utkface  - male " + hashSplit("30_0_3_20170119180417728.jpg"),
			},
			ignored: 1,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := traintest.Touch(t, "set", tc.files...)
			if strings.HasPrefix(tc.files[0], "../") {
				root = filepath.Join(root, "../ravdess-warp")
			}
			clips, report, err := Load(tc.set, root, DefaultLabels())
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
			if report.Ignored != tc.ignored || report.Clips != len(clips) || (report.FirstIgnored != "") != (tc.ignored > 0) {
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

func TestUTKFaceNamesAgeAndRace(t *testing.T) {
	clips, _, err := Load("utkface", traintest.Touch(t, "utkface", "26_1_2_20170116184024662.jpg"), DefaultLabels())
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
	traintest.WriteFile(t, filepath.Join(filepath.Dir(root), "manifest.csv"), "video,split\nutkface/"+name+","+other+"\n")
	clips, _, err := Load("utkface", root, DefaultLabels())
	if err != nil {
		t.Fatal(err)
	}
	if clips[0].Split != other {
		t.Errorf("split %s, the manifest says %s", clips[0].Split, other)
	}
}

func TestLoadDataErrors(t *testing.T) {
	empty := traintest.Touch(t, "empty")
	pictures := traintest.Touch(t, "pictures", "a.jpg", "b.wav")
	file := filepath.Join(pictures, "a.jpg")
	manifest := func(text string) string {
		path := filepath.Join(t.TempDir(), "m.csv")
		traintest.WriteFile(t, filepath.Join(filepath.Dir(path), "a.jpg"), "")
		traintest.WriteFile(t, path, text)
		return path
	}
	const head = "video,audio,dataset,speaker,gender,emotion,split\n"
	for _, tc := range []struct {
		name, set, path string
		is              error
		says            []string
	}{
		{"unknown name", "cremadd", empty, ErrUnknownDataset, []string{`"cremadd"`, "cremad, emodb, fer2013, iemocap, manifest, ravdess, utkface"}},
		{"unknown option", "cremad:vote+x", empty, ErrUnknownOption, []string{`"x"`, "vote, vote-voice, vote-face"}},
		{"option of a set without", "emodb:x", empty, ErrUnknownOption, []string{`"x"`, "emodb has none"}},
		{"two words of one", "ravdess:audio+video", empty, ErrUnknownOption, []string{"audio+video", "one word"}},
		{"no such folder", "ravdess", filepath.Join(empty, "none"), os.ErrNotExist, []string{filepath.Join(empty, "none")}},
		{"empty ravdess", "ravdess", empty, ErrEmpty, []string{empty, "03-01-06"}},
		{"empty cremad", "cremad", empty, ErrEmpty, []string{empty, "1001_DFA_ANG_XX"}},
		{"empty iemocap", "iemocap", empty, ErrEmpty, []string{empty, "Session1/dialog/EmoEvaluation"}},
		{"empty emodb", "emodb", empty, ErrEmpty, []string{empty}},
		{"empty fer2013", "fer2013", empty, ErrEmpty, []string{empty, "train/angry"}},
		{"empty utkface", "utkface", empty, ErrEmpty, []string{empty}},
		{"wrong folder", "ravdess", pictures, ErrEmpty, []string{pictures}},
		{"file as folder", "emodb", file, nil, []string{file, "not a folder"}},
		{"folder as manifest", "manifest", empty, nil, []string{empty, "csv file"}},
		{"unknown folder label", "fer2013", traintest.Touch(t, "fer", "train/happpy/1.jpg"), ErrUnknownLabel, []string{"train/happpy", "angry", "surprised"}},
		{"wrong csv", "fer2013", manifest("a,b\n1,2\n"), ErrMissingColumn, []string{"m.csv", "emotion,pixels,Usage"}},
		{"csv label", "fer2013", manifest("emotion,pixels,Usage\n7,1 2,Training\n"), ErrUnknownLabel, []string{"row 2", `"7"`}},
		{"csv usage", "fer2013", manifest("emotion,pixels,Usage\n1,1 2,Training\n1,1,Foo\n"), nil, []string{"row 3", `"Foo"`}},
		{"empty manifest", "manifest", manifest(""), ErrMissingColumn, []string{"m.csv", "empty"}},
		{"manifest without rows", "manifest", manifest(head), ErrEmpty, []string{"m.csv"}},
		{"missing column", "manifest", manifest("video,audio,dataset,speaker,gender,split\n"), ErrMissingColumn, []string{"m.csv", `"emotion"`}},
		{"missing file", "manifest", manifest(head + "a.jpg,,x,,,,\nb.jpg,,x,,,,\n"), os.ErrNotExist, []string{"line 3", "b.jpg"}},
		{"folder as file", "manifest", manifest(head + ".,,x,,,,\n"), nil, []string{"line 2", "folder"}},
		{"unknown emotion", "manifest", manifest(head + "a.jpg,,x,,,hapy,\n"), ErrUnknownLabel, []string{"line 2", `"hapy"`, "calm", "happy"}},
		{"unknown gender", "manifest", manifest(head + "a.jpg,,x,,x,,\n"), ErrUnknownLabel, []string{"line 2", `"x"`, "female, male"}},
		{"unknown split", "manifest", manifest(head + "a.jpg,,x,,,,dev\n"), nil, []string{"line 2", `"dev"`, "train, val, test"}},
		{"no media", "manifest", manifest(head + ",,x,,,,\n"), nil, []string{"line 2", "neither video nor audio"}},
		{"row twice", "manifest", manifest(head + "a.jpg,,x,,,,\na.jpg,,x,,,,\n"), nil, []string{"line 3", "line 2"}},
		{"bad age", "manifest", manifest("video,audio,dataset,speaker,gender,emotion,split,age\na.jpg,,x,,,,,old\n"), nil, []string{"line 2", `age "old"`}},
		{"bad start", "manifest", manifest("video,audio,dataset,speaker,gender,emotion,split,start\na.jpg,,x,,,,,-1\n"), nil, []string{"line 2", `start "-1"`, "seconds"}},
		{"no length", "manifest", manifest("video,audio,dataset,speaker,gender,emotion,split,start,end\na.jpg,,x,,,,,2,2\n"), nil, []string{"line 2", "no length"}},
		{"part twice", "manifest", manifest("video,audio,dataset,speaker,gender,emotion,split,end\na.jpg,,x,,,,,2\na.jpg,,x,,,,,2\n"), nil, []string{"line 3", "line 2"}},
		{"too few fields", "manifest", manifest(head + "a.jpg,\n"), nil, []string{"m.csv", "line 2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clips, _, err := Load(tc.set, tc.path, DefaultLabels())
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

func TestManifest(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"a.mp4", "b.wav", "c.jpg"} {
		traintest.WriteFile(t, filepath.Join(dir, f), "")
	}
	path := filepath.Join(dir, "mine.csv")
	traintest.WriteFile(t, path, "\ufeffsplit,note,emotion,gender,speaker,dataset,audio,video\n"+
		"val,x, Calm ,F,anna,talk,,a.mp4\n"+
		",x,bored,male,ben,,b.wav,\n"+
		",\"x,y\",,,,pics,"+filepath.Join(dir, "b.wav")+",c.jpg\n")
	clips, report, err := Load("manifest", path, DefaultLabels())
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

func TestLabelsOfAModel(t *testing.T) {
	l := &loader{
		labels: pipeline.Labels{Emotions: []string{"bored", "calm", "neutral"}, Genders: []string{"male"}},
		report: LoadReport{Unlabelled: map[string]int{}},
	}
	for label, want := range map[string]int{"bored": 0, "boredom": 0, "calm": 1, "neutral": 2, "happy": -1, "fear": -1, "": -1} {
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

// TestLoadersAgreeWithManifest compares each loader with the manifest that came with the data.
func TestLoadersAgreeWithManifest(t *testing.T) {
	data := traintest.Data(t)
	all, _, err := Load("manifest", filepath.Join(data, "manifest.csv"), DefaultLabels())
	if err != nil {
		t.Fatal(err)
	}
	of := map[string][]Clip{}
	for _, c := range all {
		of[c.Dataset] = append(of[c.Dataset], c)
	}
	for folder, name := range map[string]string{
		"ravdess": "ravdess", "ravdess-warp": "ravdess", "emodb": "emodb", "fer2013": "fer2013", "utkface": "utkface",
	} {
		clips, _, err := Load(name, filepath.Join(data, folder), DefaultLabels())
		if err != nil {
			t.Error(err)
			continue
		}
		if len(clips) != len(of[folder]) || SplitHash(clips) != SplitHash(of[folder]) {
			t.Errorf("%s: %d clips, the manifest has %d; same split: %v", folder, len(clips), len(of[folder]), SplitHash(clips) == SplitHash(of[folder]))
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

func FuzzManifest(f *testing.F) {
	head := strings.Join(ManifestColumns, ",") + "\n"
	for _, s := range []string{
		"", head, head + "a.mp4,,x,s,female,happy,train\n", head + ",b.wav,,,m,calm,\n", head + "a\"b,,,,,,\n",
		"\ufeff" + head + "\"a\nb\",,,,,,test\n", strings.ToUpper(head), "video,video\n", head + "../a,/b,,,,bored,val\nc,,,,,x,\n",
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
				c.Start < 0 || c.End < 0 || c.End > 0 && c.End <= c.Start || c.Age < -1 || c.Emotion < -1 || c.Emotion >= len(l.labels.Emotions) || c.Gender < -1 || c.Gender >= len(l.labels.Genders) {
				t.Errorf("clip %+v", c)
			}
		}
	})
}

func FuzzFER2013CSV(f *testing.F) {
	for _, s := range []string{
		"", "emotion,pixels,Usage\n", "emotion,pixels,Usage\n3,1 2 3,Training\n", "emotion,pixels,Usage\r\n0,\"1 2\",PublicTest",
		"emotion,pixels,Usage\n9,,\n", "emotion,pixels,Usage\n-1,1,Training\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &loader{labels: DefaultLabels(), report: LoadReport{Unlabelled: map[string]int{}}}
		if err := scanFERCSV(l, strings.NewReader(string(data)), "fer2013.csv"); err != nil {
			return
		}
		for _, c := range l.clips {
			if end := c.Row.Offset + int64(c.Row.Length); c.Row.Offset < 0 || end > int64(len(data)) {
				t.Fatalf("pixels at %d to %d of %d bytes", c.Row.Offset, end, len(data))
			}
			if grey, err := parsePixels(data[c.Row.Offset:][:c.Row.Length]); err == nil && len(grey) != FER2013Side*FER2013Side {
				t.Errorf("%d pixels", len(grey))
			}
		}
	})
}

// FuzzNames: the names of files are outside bytes too.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"03-01-06-01-02-01-12.wav", "1001_DFA_ANG_XX.flv", "26_1_0_20170116184024662.jpg.chip.jpg", "03a01Fa.wav", "a/b.wav", "-1_1_9_x.jpg"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if code, ok := ravdessCode(stem(name)); ok && (code[2] < 1 || code[2] > len(ravdessEmotions) || code[6] < 1 || code[6] > 24) {
			t.Errorf("RAVDESS %q: %v", name, code)
		}
		if actor, emotion, ok := cremadCode(stem(name)); ok && (len(actor) != 4 || cremadEmotions[emotion] == "" || !IsSplit(cremadSplit(actor))) {
			t.Errorf("CREMA-D %q: %s %s", name, actor, emotion)
		}
		if age, gender, race, ok := utkName(name); ok && (age < 0 || gender == "" || race == "") {
			t.Errorf("UTKFace %q: %d %s %s", name, age, gender, race)
		}
	})
}

func TestFER2013CSV(t *testing.T) {
	pixels := func(first string) string { return first + strings.Repeat(" 7", FER2013Side*FER2013Side-1) }
	root := traintest.Touch(t, "fer")
	traintest.WriteFile(t, filepath.Join(root, "fer2013.csv"),
		"emotion,pixels,Usage\r\n3,"+pixels("255")+",Training\r\n6,"+pixels("9")+",PublicTest\n1,1 2,PrivateTest")
	clips, _, err := Load("fer2013", root, DefaultLabels())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"fer2013.csv#000002 fer2013  happy - train", "fer2013.csv#000003 fer2013  neutral - val",
		"fer2013.csv#000004 fer2013  disgusted - test",
	}
	for i, c := range clips {
		if describe(c) != want[i] {
			t.Errorf("%s, want %s", describe(c), want[i])
		}
	}
}

func TestManifestWithMoreColumns(t *testing.T) {
	dir := t.TempDir()
	traintest.WriteWAV(t, filepath.Join(dir, "talk.wav"), traintest.Sine(220, 48000))
	path := filepath.Join(dir, "mine.csv")
	traintest.WriteFile(t, path, "video,audio,dataset,speaker,gender,emotion,split,age,race,start,end\n"+
		",talk.wav,,,,happy,,31,Asian,0.5,1.25\n,talk.wav,,,,sad,,,,2,\n,talk.wav,,,,,,,,,\n")
	clips, _, err := Load("manifest", path, DefaultLabels())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		id         string
		start, end time.Duration
	}{{"talk.wav", 0, 0}, {"talk.wav#0.5-1.25", 500 * time.Millisecond, 1250 * time.Millisecond}, {"talk.wav#2-", 2 * time.Second, 0}} {
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
