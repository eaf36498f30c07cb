package dataset

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

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
		"c.jpg|b.wav pics  - - " + hashSplit("c.jpg|b.wav"),
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

// One table, as it comes out of several programs.
func TestManifestsAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	traintest.WriteFile(t, filepath.Join(dir, "Aufnahmen", "Zoë 1.wav"), "")
	const rows = "audio,emotion,gender,speaker,split\nAufnahmen/Zoë 1.wav,happy,f,zoë,val\n"
	wide := func(order binary.AppendByteOrder, text string) string {
		var b []byte
		for _, unit := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, unit)
		}
		return string(b)
	}
	with := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(rows) }
	absolute := with("Aufnahmen", filepath.Join(dir, "Aufnahmen"))
	for name, text := range map[string]string{
		"commas": rows, "semicolons": with(",", ";"), "tabs": with(",", "\t"),
		"a line that says it": "sep=|\r\n" + with(",", "|", "\n", "\r\n"),
		"Excel's mark":        "\ufeff" + with(",", ";", "\n", "\r\n"),
		"UTF-16":              wide(binary.LittleEndian, "\ufeff"+with(",", "\t")),
		"UTF-16, big-endian":  wide(binary.BigEndian, "\ufeff"+rows),
		"UTF-16, no mark":     wide(binary.LittleEndian, rows), "the other": wide(binary.BigEndian, rows),
		"header in any case": with("audio", " Audio ", "emotion", "EMOTION", "split", "Split"),
		"Windows' paths":     with("/", `\`), "in a folder, from it": with("Aufnahmen", "./Aufnahmen/../Aufnahmen"),
		"absolute paths": absolute, "empty rows": rows + ",,,,\n  ,,,,\n", "quotes": with("audio", `"audio"`),
	} {
		path := filepath.Join(dir, "m.csv")
		traintest.WriteFile(t, path, text)
		clips, report, err := Load("manifest", path, DefaultLabels(), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := describe(clips[0]); len(clips) != 1 || got != "Aufnahmen/Zoë 1.wav m zoë happy female val" {
			t.Errorf("%s: %d clips, %s", name, len(clips), got)
		}
		if len(report.Notes) > 0 {
			t.Errorf("%s: %v", name, report.Notes)
		}
	}
	// A name may have the character that parts folders elsewhere.
	traintest.WriteFile(t, filepath.Join(dir, `a\b.wav`), "")
	traintest.WriteFile(t, filepath.Join(dir, "m.csv"), "audio,emotion,speaker\na\\b.wav,sad,x\n")
	clips, _, err := Load("manifest", filepath.Join(dir, "m.csv"), DefaultLabels(), nil)
	if err != nil || clips[0].Audio != filepath.Join(dir, `a\b.wav`) {
		t.Errorf("%v, %v", clips, err)
	}
}

// The lines that errors name are the file's, whatever stands before the header and between the rows.
func TestManifestLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.csv")
	traintest.WriteFile(t, path, "sep=;\naudio;emotion\n;\n\nb.wav;happy\n")
	_, _, err := Load("manifest", path, DefaultLabels(), nil)
	if err == nil || !strings.Contains(err.Error(), "line 5: b.wav") {
		t.Errorf("error %v", err)
	}
}

// What a manifest leaves open is said: with nobody named, nobody knows whether one person is on two sides.
func TestManifestWithoutSpeakersOrSplits(t *testing.T) {
	dir := t.TempDir()
	traintest.WriteFile(t, filepath.Join(dir, "a.wav"), "")
	traintest.WriteFile(t, filepath.Join(dir, "b.wav"), "")
	for _, c := range []struct{ rows, want string }{
		{"a.wav,happy,,\nb.wav,sad,,\n", "no row names its speaker, 2 of them no split either"},
		{"a.wav,happy,,train\nb.wav,sad,,val\n", "no row names its speaker: one person may be on two sides"},
		{"a.wav,happy,anna,\nb.wav,sad,,val\n", "1 of 2 rows name no speaker: "},
		{"a.wav,happy,anna,\nb.wav,sad,ben,\n", ""},
	} {
		traintest.WriteFile(t, filepath.Join(dir, "m.csv"), "audio,emotion,speaker,split\n"+c.rows)
		_, report, err := Load("manifest", filepath.Join(dir, "m.csv"), DefaultLabels(), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(report.Notes, "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) ||
			c.want != "" && !strings.Contains(got, "intervals are by clip") {
			t.Errorf("%q: notes %q, want %q", c.rows, got, c.want)
		}
	}
}

func FuzzManifest(f *testing.F) {
	head := strings.Join(ManifestColumns, ",") + "\n"
	for _, s := range []string{
		"", head, head + "a.mp4,,x,s,female,happy,train\n", head + ",b.wav,,,m,calm,\n", head + "a\"b,,,,,,\n",
		"\ufeff" + head + "\"a\nb\",,,,,,test\n", strings.ToUpper(head), "video,video\n",
		head + "../a,/b,,,,bored,val\nc,,,,,x,\n",
		"\xff\xfev\x00i\x00d\x00e\x00o\x00,\x00g\x00e\x00n\x00d\x00e\x00r\x00\n\x00a\x00,\x00m\x00",
		"sep=;\nVideo;Emotion\na\\b;calm\n;\n", "audio\temotoin\tgender\na\t\tx\n",
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
		{"no labels", "manifest", "video,audio,speaker,split\n", ErrMissingColumn, []string{
			"m.csv", `"emotion or gender"`, "video,audio,speaker,split",
		}},
		{"no files", "manifest", "file,emotion\n", ErrMissingColumn, []string{"m.csv", `"video or audio"`}},
		{"misspelt column", "manifest", "video,gender,emotoin\na.jpg,,\n", ErrMissingColumn, []string{
			`"emotion"`, `"emotoin"`,
		}},
		{"separator", "manifest", "sep=x\n" + head + "\n", nil, []string{"m.csv", "separator 'x'"}},
		{"odd UTF-16", "manifest", "\xff\xfev\x00i\x00d", nil, []string{"m.csv", "odd"}},
		{
			"missing files", "manifest", head + "\na.jpg,,x,,,,\nb.jpg,,x,,,,\nA.JPG,D\\c.wav,x,,,,\n", os.ErrNotExist,
			[]string{"3 files of 3 rows", "line 3: b.jpg\n", "line 4: A.JPG (there is a.jpg)\n", `line 4: D\c.wav`},
		},
		{
			"many missing files", "manifest", head + "\n" + strings.Join(strings.Split("bcdefghijklmnopqrstuvwxyz", ""),
				",,x,,,,\n") + ",,x,,,,\n", os.ErrNotExist, []string{"25 files", "line 21: u\n  … and 5 more"},
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
