package audit

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/train/dataset"
	"tandem/train/traintest"
)

func checkOf(t *testing.T, o Options, data ...string) *Report {
	t.Helper()
	o.Labels = dataset.DefaultLabels()
	d, err := Check(t.Context(), data, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// faultyData writes a manifest of nine clips with most faults that there are, and returns its path.
func faultyData(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	voice := traintest.Sine(220, 24000)
	traintest.WriteWAV(t, filepath.Join(dir, "a.wav"), voice)
	traintest.WriteWAV(t, filepath.Join(dir, "same.wav"), voice)
	traintest.WriteWAV(t, filepath.Join(dir, "again.wav"), voice)
	traintest.WriteWAV(t, filepath.Join(dir, "silent.wav"), make([]int16, 16000))
	traintest.WriteFile(t, filepath.Join(dir, "text.wav"), "I am a text.\n")
	traintest.WriteFile(t, filepath.Join(dir, "empty.wav"), "")
	whole, err := os.ReadFile(filepath.Join(dir, "a.wav"))
	if err != nil {
		t.Fatal(err)
	}
	traintest.WriteFile(t, filepath.Join(dir, "noise.jpg"), "\xff\xd8\xff\xe0"+string(whole[:3000]))
	traintest.WritePNG(t, filepath.Join(dir, "b.png"), 32)
	path := filepath.Join(dir, "m.csv")
	traintest.WriteFile(t, path, strings.Join(dataset.ManifestColumns, ",")+`
,a.wav,m,anna,f,happy,train
,same.wav,m,ben,m,sad,val
,again.wav,m,ben,m,sad,val
,silent.wav,m,anna,f,bored,test
,text.wav,m,cleo,f,,train
,empty.wav,m,cleo,f,,train
noise.jpg,,p,,,angry,train
b.png,,p,,,angry,train
b.png,a.wav,p,,,,train
`)
	return path
}

func TestCheckData(t *testing.T) {
	defer goleak.VerifyNone(t)
	path := faultyData(t)
	total, last := 0, 0
	progress := func(done, of int) { last, total = done, of }
	d := checkOf(t, Options{CacheDir: t.TempDir(), Workers: 2, Progress: progress}, "manifest="+path)
	s := d.Sets[0]
	// A file is read once, of however many clips it is.
	if s.Clips != 9 || s.Files != 8 || total != 8 || last != 8 || s.Pictures != 1 ||
		math.Abs(s.Sound-(3*1.5+1)) > 1e-6 {
		t.Errorf("%d clips, %d files, progress %d of %d, %d pictures, %g s",
			s.Clips, s.Files, last, total, s.Pictures, s.Sound)
	}
	names := func(faults []Fault) (names []string) {
		for _, f := range faults {
			names = append(names, filepath.Base(f.Path))
			if f.What == "" || strings.Contains(f.What, filepath.Dir(path)) {
				t.Errorf("%s: %q", f.Path, f.What)
			}
		}
		slices.Sort(names)
		return names
	}
	if got := names(s.Unreadable); !slices.Equal(got, []string{"empty.wav", "noise.jpg", "text.wav"}) {
		t.Errorf("unreadable %v", s.Unreadable)
	}
	if got := names(s.Damaged); !slices.Equal(got, []string{"silent.wav"}) ||
		!strings.Contains(s.Damaged[0].What, "-70 dBFS") {
		t.Errorf("damaged %v", s.Damaged)
	}
	if len(d.SharedSpeakers) != 1 || d.SharedSpeakers[0] != "anna (test, train)" || !d.Wrong() {
		t.Errorf("shared %v", d.SharedSpeakers)
	}
	if len(d.Leaks) != 1 || !slices.Equal(d.Leaks[0], Leak{"train a.wav", "val again.wav", "val same.wav"}) ||
		d.Duplicates != 1 {
		t.Errorf("leaks %v, %d duplicates", d.Leaks, d.Duplicates)
	}
	r := s.Rows[0]
	if len(s.Rows) != 4 || r.Set != "m" || r.Split != dataset.SplitTrain || r.Clips != 3 || r.Speakers != 2 ||
		r.Emotions["happy"] != 1 || r.Emotions[""] != 2 || r.Genders["female"] != 3 || r.Ages[""] != 3 {
		t.Errorf("rows %+v", s.Rows)
	}
	if s.Unlabelled["bored"] != 1 {
		t.Errorf("unlabelled %v", s.Unlabelled)
	}
}

func TestQuickCheck(t *testing.T) {
	quick := checkOf(t, Options{Quick: true}, "manifest="+faultyData(t))
	if q := quick.Sets[0]; q.Clips != 9 || q.Unreadable == nil || len(q.Unreadable) != 0 || !q.Quick ||
		len(quick.SharedSpeakers) != 1 || len(quick.Leaks) != 0 {
		t.Errorf("quick: %+v", quick)
	}
}

func TestCheckErrors(t *testing.T) {
	defer goleak.VerifyNone(t)
	path := faultyData(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	o := Options{Labels: dataset.DefaultLabels(), Progress: func(int, int) { cancel(stop) }}
	if _, err := Check(ctx, []string{"manifest=" + path}, o); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Check(t.Context(), []string{"manifest"}, Options{}); err == nil {
		t.Error("no path and no error")
	}
	other := []string{"ravdess=" + filepath.Dir(path)}
	if _, err := Check(t.Context(), other, Options{}); !errors.Is(err, dataset.ErrEmpty) {
		t.Errorf("no RAVDESS: %v", err)
	}
}

// TestCheckAcrossSets: a speaker and a content may stand in several splits of two sets of which each is right.
func TestCheckAcrossSets(t *testing.T) {
	var args []string
	for i, split := range []string{dataset.SplitTrain, dataset.SplitTest} {
		dir := t.TempDir()
		traintest.WriteWAV(t, filepath.Join(dir, "a.wav"), traintest.Sine(220, 16000))
		path := filepath.Join(dir, "m.csv")
		traintest.WriteFile(t, path, strings.Join(dataset.ManifestColumns, ",")+
			"\n,a.wav,set"+split+",anna,f,happy,"+split+"\n")
		args = append(args, "manifest="+path)
		if d := checkOf(t, Options{}, args[i]); d.Wrong() || len(d.Leaks) > 0 {
			t.Errorf("one set: %+v", d)
		}
	}
	if d := checkOf(t, Options{}, args...); !d.Wrong() || len(d.SharedSpeakers) != 1 || len(d.Leaks) != 1 ||
		len(d.Sets) != 2 {
		t.Errorf("both: %+v", d)
	}
}

// TestCheckOfCutOffFiles: a video whose end is gone, and an utterance behind the end of its dialog.
func TestCheckOfCutOffFiles(t *testing.T) {
	root := traintest.Touch(t, "IEMOCAP")
	dir := filepath.Join(root, "Session1/dialog")
	traintest.WriteFile(t, filepath.Join(dir, "EmoEvaluation/Ses01F_impro01.txt"),
		"[1.0 - 2.0]\tSes01F_impro01_F000\tneu\t[\n[5.0 - 9.5]\tSes01F_impro01_M000\tneu\t[\n")
	video, err := os.ReadFile(traintest.WriteDialog(t))
	if err != nil {
		t.Fatal(err)
	}
	traintest.WriteFile(t, filepath.Join(dir, "avi/DivX/Ses01F_impro01.avi"), string(video))
	d := checkOf(t, Options{}, "iemocap="+root)
	if f := d.Sets[0].Damaged; len(f) != 1 || !strings.Contains(f[0].What, "Ses01F_impro01_M000") ||
		d.Sets[0].Files != 1 {
		t.Errorf("damaged %v of %d files", f, d.Sets[0].Files)
	}
	traintest.WriteFile(t, filepath.Join(dir, "avi/DivX/Ses01F_impro01.avi"), string(video[:len(video)/2]))
	d = checkOf(t, Options{}, "iemocap="+root)
	if f := d.Sets[0].Damaged; len(f) != 2 || !strings.Contains(f[0].What, "cut off") {
		t.Errorf("damaged %v", f)
	}
}

func TestCheckOfFER2013Rows(t *testing.T) {
	row := func(first string) string {
		return first + strings.Repeat(" 7", dataset.FER2013Side*dataset.FER2013Side-1)
	}
	root := traintest.Touch(t, "fer")
	traintest.WriteFile(t, filepath.Join(root, "fer2013.csv"),
		"emotion,pixels,Usage\n3,"+row("255")+",Training\n6,"+row("255")+",PublicTest\n1,1 2,PrivateTest\n")
	d := checkOf(t, Options{CacheDir: t.TempDir()}, "fer2013="+root)
	s := d.Sets[0]
	if len(d.Leaks) != 1 || len(s.Unreadable) != 1 || !strings.Contains(s.Unreadable[0].Path, "fer2013.csv#4") ||
		s.Pictures != 3 {
		t.Errorf("leaks %v, unreadable %v, %d pictures", d.Leaks, s.Unreadable, s.Pictures)
	}
}

func TestCheckOfLFSPointers(t *testing.T) {
	root := traintest.Touch(t, "CREMA-D")
	traintest.WriteFile(t, filepath.Join(root, "AudioWAV/1001_DFA_ANG_XX.wav"),
		"version of git-lfs/spec/v1\noid sha256:0123\nsize 99\n")
	d := checkOf(t, Options{}, "cremad="+root)
	if f := d.Sets[0].Unreadable; len(f) != 1 || !strings.Contains(f[0].What, "git lfs pull") {
		t.Errorf("unreadable %v", f)
	}
}

func TestCheckRemembersHashes(t *testing.T) {
	dir, cache := traintest.Touch(t, "emodb"), t.TempDir()
	file := filepath.Join(dir, "03a01Fa.wav")
	traintest.WriteWAV(t, file, traintest.Sine(220, 16000))
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	checkOf(t, Options{CacheDir: cache}, "emodb="+dir)
	if b, err := os.ReadFile(filepath.Join(cache, "hashes.tsv")); err != nil || strings.Count(string(b), "\n") != 1 {
		t.Errorf("the file of hashes holds %q (%v), want one line", b, err)
	}
}

// TestFaultsDoNotRepeatThePath: a Fault has the path beside the reason, whatever kind of error it is.
func TestFaultsDoNotRepeatThePath(t *testing.T) {
	dir := traintest.Touch(t, "emodb")
	for name, make := range map[string]func(path string) error{
		"03a01Fa.wav": func(path string) error { return os.WriteFile(path, []byte("I am a text.\n"), 0o644) },
		"03a02Fa.wav": func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"03a04Fa.wav": func(path string) error { return os.Symlink("nowhere", path) },
		"03a05Fa.wav": func(path string) error { return os.Mkdir(path+"s", 0o755) },
	} {
		if err := make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("03a05Fa.wavs", filepath.Join(dir, "03a05Fa.wav")); err != nil { // a folder
		t.Fatal(err)
	}
	faults := checkOf(t, Options{}, "emodb="+dir).Sets[0].Unreadable
	if len(faults) != 4 {
		t.Errorf("%d of 4 files cannot be read: %v", len(faults), faults)
	}
	for _, f := range faults {
		if f.What == "" || strings.Contains(f.What, filepath.Base(f.Path)) || strings.Contains(f.What, dir) {
			t.Errorf("%s: %q", f.Path, f.What)
		}
	}
}
