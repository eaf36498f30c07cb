package dataset

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/train/traintest"
)

// rows writes a manifest of stills with the columns emotion, gender and emotions, and loads it.
func rows(t *testing.T, lines ...string) ([]Clip, LoadReport, error) {
	t.Helper()
	dir := t.TempDir()
	text := "video,audio,dataset,speaker,split,emotion,gender,emotions\n"
	for i, l := range lines {
		name := string(rune('a'+i)) + ".png"
		traintest.WriteFile(t, filepath.Join(dir, name), "x")
		text += name + ",,mine,,train," + l + "\n"
	}
	path := filepath.Join(dir, "m.csv")
	traintest.WriteFile(t, path, text)
	return Load("manifest", path, DefaultLabels(), nil)
}

func TestSoftLabels(t *testing.T) {
	if _, _, err := rows(t, "happy=7;neutral=3,f,", "joyless=0;sad=1,,"); !errors.Is(err, ErrUnknownLabel) ||
		!strings.Contains(err.Error(), "line 3") {
		t.Fatalf("an unknown name: %v", err)
	}
	clips, report, err := rows(t,
		"happy=7;neutral=3,f,", "happiness=1; happy=1 ;sadness=2;,,", "happy,female=3;male=1,",
		"contempt=3;happy=2,,", "contempt=3;happy=2,m,", "contempt=1;happy=1,,")
	if err != nil {
		t.Fatal(err)
	}
	type want struct {
		emotion, gender int
		e, g            []float32
	}
	for i, w := range []want{
		{1, 0, []float32{.3, .7, 0, 0, 0, 0, 0}, nil},
		{1, -1, []float32{0, .5, .5, 0, 0, 0, 0}, nil}, // of several the first
		{1, 0, nil, []float32{.75, .25}},
		{-1, 1, nil, nil},                            // its votes are lost, its gender is not
		{1, -1, []float32{0, 1, 0, 0, 0, 0, 0}, nil}, // half of them are
	} {
		c := clips[i]
		var soft SoftLabels
		if c.Soft != nil {
			soft = *c.Soft
		}
		if c.Emotion != w.emotion || c.Gender != w.gender || !slices.Equal(soft.Emotion, w.e) ||
			!slices.Equal(soft.Gender, w.g) {
			t.Errorf("%s: %d %d %+v, want %+v", c.ID, c.Emotion, c.Gender, soft, w)
		}
	}
	if len(clips) != 5 || report.LostVotes != 1 {
		t.Errorf("%d clips, %d left out, want 5 and 1", len(clips), report.LostVotes)
	}
	space := Spaces(clips, DefaultLabels())["mine"]
	if !slices.Equal(space.Emotions, []bool{true, true, true, false, false, false, false}) {
		t.Errorf("the inferred space is %v", space.Emotions)
	}
}

func TestBadVotes(t *testing.T) {
	for _, bad := range []string{
		"happy=-1", "happy=x", "happy=NaN", "happy=Inf", "happy=0;sad=0", "happy=1;sad", "=1", ";=",
		"happy=1e308;sad=1e308", "happy==2",
	} {
		if _, _, err := rows(t, bad+",,"); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v, want an error that names the line", bad, err)
		}
	}
}

func TestDeclaredSpaces(t *testing.T) {
	clips, _, err := rows(t, "happy,f,happy;sad;anger;bored", "sad,m,", "happy,,happy;sad;anger;bored")
	if err != nil {
		t.Fatal(err)
	}
	space := Spaces(clips, DefaultLabels())["mine"]
	if !slices.Equal(space.Emotions, []bool{false, true, true, true, false, false, false}) ||
		!slices.Equal(space.Genders, []bool{true, true}) {
		t.Errorf("%+v", space)
	}
	for _, bad := range [][]string{
		{"happy,,;"},
		{"happy,,bored"},
		{"happy,,sad"},
		{"happy,,happy", "sad,,"},
		{"happy,,happy;sad", "sad,,happy;angry"},
		{"happy,,happy;nonsense"},
	} {
		if _, _, err := rows(t, bad...); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%q: %v, want an error that names the line", bad, err)
		}
	}
}

const ferPlusHead = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"

func TestFER2013Plus(t *testing.T) {
	pixels := strings.Repeat(" 7", FER2013Side*FER2013Side)[1:]
	dir := traintest.Touch(t, "fer")
	write := func(name, text string) { traintest.WriteFile(t, filepath.Join(dir, name), text) }
	write(
		"fer2013.csv",
		"emotion,pixels,Usage\n3,"+pixels+",Training\n3,"+pixels+",PublicTest\n3,"+pixels+",Training\n",
	)
	if _, _, err := Load("fer2013:plus", dir, DefaultLabels(), nil); err == nil ||
		!strings.Contains(err.Error(), "fer2013new.csv") {
		t.Errorf("without the votes: %v", err)
	}
	votes := ferPlusHead + "Training,fer0000000.png,4,0,0,6,0,0,0,0,0,0\n" +
		"PublicTest,fer0000001.png,0,0,0,0,0,0,0,2,8,0\n" +
		"Training,,0,0,0,0,0,0,0,0,0,10\n"
	write("fer2013new.csv", votes)
	check := func(path string) {
		t.Helper()
		clips, report, err := Load("fer2013:plus", path, DefaultLabels(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(clips) != 1 || clips[0].Dataset != "fer2013:plus" || clips[0].Emotion != 2 ||
			!slices.Equal(
				clips[0].Soft.Emotion,
				[]float32{.4, 0, .6, 0, 0, 0, 0},
			) || report.LostVotes+report.Ignored < 1 {
			t.Errorf("%s: %d clips, %+v", path, len(clips), report)
		}
	}
	check(dir)
	check(filepath.Join(dir, "fer2013.csv"))
	// Pictures by the names of FER+, or by a column of paths.
	pictures := traintest.Touch(
		t,
		"pictures",
		"train/happy/fer0000000.png",
		"val/happy/fer0000001.png",
		"train/sad/9.png",
	)
	traintest.WriteFile(t, filepath.Join(pictures, "fer2013new.csv"), votes)
	check(pictures)
	pictures = traintest.Touch(t, "pictures", "train/happy/0.jpg", "val/happy/1.jpg")
	traintest.WriteFile(t, filepath.Join(filepath.Dir(pictures), "fer2013plus.csv"),
		strings.Replace(ferPlusHead, "Usage,Image name", "video,usage", 1)+
			"pictures/train/happy/0.jpg,x,4,0,0,6,0,0,0,0,0,0\npictures/val/happy/1.jpg,x,0,0,0,0,0,0,0,2,8,0\n")
	check(pictures)
	write("fer2013new.csv", votes+"Training,fer0000003.png,4,0,0,6,0,0,0,0,0,0\n")
	if _, _, err := Load("fer2013:plus", dir, DefaultLabels(), nil); err == nil ||
		!strings.Contains(err.Error(), "one release") {
		t.Errorf("other rows: %v", err)
	}
	write("fer2013new.csv", strings.Replace(votes, ",4,", ",-4,", 1))
	if _, _, err := Load("fer2013:plus", dir, DefaultLabels(), nil); !errors.Is(err, ErrVotes) {
		t.Errorf("a negative count: %v", err)
	}
}

func FuzzVotes(f *testing.F) {
	for _, s := range []string{"happy=7;neutral=3", "a=1e-300;b=1e300", ";;", "x=", "=", "a=0x1p-2;a=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		names, weights, err := parseVotes(text)
		if err != nil {
			return
		}
		label, shares, lost, err := vote(
			names,
			weights,
			3,
			func(name string) (int, error) { return len(name)%4 - 1, nil },
		)
		if err != nil || lost {
			return
		}
		sum := 0.0
		for k, p := range shares {
			if !(p >= 0 && p <= 1) || p > shares[label] && float64(p-shares[label]) > 1e-6 {
				t.Errorf("%q: share %d is %g, that of the label %d %g", text, k, p, label, shares[label])
			}
			sum += float64(p)
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("%q: the shares sum to %g", text, sum)
		}
	})
}

func FuzzFERPlus(f *testing.F) {
	f.Add([]byte(ferPlusHead + "Training,fer0000000.png,4,0,0,6,0,0,0,0,0,0\n"))
	f.Add([]byte("video," + ferPlusHead + "a/b.jpg,x,,1,2,3,4,5,6,7,8,9,1e9\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := readFERPlus(strings.NewReader(string(data)), "votes.csv")
		if err != nil {
			return
		}
		for _, text := range v.rows {
			if text == "" {
				continue
			}
			if _, _, err := parseVotes(text); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
