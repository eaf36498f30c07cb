package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/train/audit"
	"tandem/train/dataset"
)

// writeData writes files, by name, under a new folder.
func writeData(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDataCommand(t *testing.T) {
	ravdess := writeData(t, map[string]string{
		"Actor_02/03-01-03-01-01-01-02.wav": "not sound",
		"Actor_17/03-01-04-01-01-01-17.wav": "nor this",
	})
	manifest := filepath.Join(writeData(t, map[string]string{
		"a.wav": "x", "b.wav": "y",
		"m.csv": strings.Join(dataset.ManifestColumns, ",") +
			"\n,a.wav,m,anna,f,happy,train\n,b.wav,m,anna,f,sad,val\n",
	}), "m.csv")
	cache := t.TempDir()
	for _, tt := range []struct {
		args   []string
		code   int
		stdout []string // what they contain
		stderr string
	}{
		{nil, 0, []string{"cremad ", "iemocap ", "tandem data NAME=PATH", "0 files, 0.0 MB"}, ""},
		{[]string{"cremad:vote"}, 0, []string{"CREMA-D", "terms", "ODbL", "DOI", "PATH holds"}, ""},
		{[]string{"nosuch"}, 2, nil, `unknown data set "nosuch"`},
		{[]string{"ravdess="}, 2, nil, "want NAME or NAME=PATH"},
		{[]string{"emodb:x=y"}, 2, nil, "emodb has none"},
		{[]string{"ravdess", "emodb=" + ravdess}, 2, nil, "one or the other"},
		{[]string{"--clear-cache", "ravdess"}, 2, nil, "--clear-cache goes without"},
		// Where the files are not, it says what to get.
		{[]string{"emodb=" + ravdess}, 1, nil, "Technical University of Berlin"},
		{[]string{"emodb=" + ravdess + "/none"}, 1, nil, "Technical University of Berlin"},
		{[]string{"ravdess=" + ravdess}, 1, []string{
			"2 clips", "1440", "ravdess  train      1         1",
			"2 cannot be read:", "text file", "118 missing of the release",
		}, ""},
		{[]string{"--quick", "ravdess=" + ravdess}, 0, []string{"2 clips"}, ""},
		{[]string{"--quick", "manifest=" + manifest}, 1, []string{
			"1 speakers in several splits", "anna (train, val)",
			"training on this alone would be refused: of emotion the training split knows but one label",
		}, ""},
	} {
		code, stdout, stderr := runTandem(t, append([]string{"data", "--cache", cache}, tt.args...)...)
		if code != tt.code || !strings.Contains(stderr, tt.stderr) || tt.stderr == "" && stderr != "" {
			t.Errorf("%v: exit %d, want %d\n%s", tt.args, code, tt.code, stderr)
		}
		for _, s := range tt.stdout {
			if !strings.Contains(stdout, s) {
				t.Errorf("%v: no %q in\n%s", tt.args, s, stdout)
			}
		}
	}
}

func TestDataCommandJSON(t *testing.T) {
	dir := writeData(t, map[string]string{"03a01Fa.wav": "not sound"})
	code, stdout, stderr := runTandem(t, "data", "--json", "--cache", t.TempDir(), "emodb="+dir)
	var check audit.Report
	if err := json.Unmarshal([]byte(stdout), &check); err != nil || code != 1 || stderr != "" {
		t.Fatalf("exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if s := check.Sets[0]; s.Clips != 1 || len(s.Unreadable) != 1 || s.Rows[0].Emotions["happy"] != 1 ||
		s.About.Terms == "" {
		t.Errorf("%+v", s)
	}
	for _, args := range [][]string{{"--json"}, {"--json", "utkface"}} {
		code, stdout, _ = runTandem(t, append([]string{"data", "--cache", t.TempDir()}, args...)...)
		var out struct{ Known map[string]dataset.About }
		if err := json.Unmarshal([]byte(stdout), &out); err != nil || code != 0 ||
			out.Known["utkface"].Title != "UTKFace" {
			t.Errorf("%v: exit %d, %v\n%s", args, code, err, stdout)
		}
	}
}

func TestDataClearCache(t *testing.T) {
	cache := writeData(t, map[string]string{"cuts-1-2.pack": "x", "hashes.tsv": "y", "mine.txt": "z"})
	code, stdout, _ := runTandem(t, "data", "--cache", cache, "--clear-cache")
	left, _ := os.ReadDir(cache)
	if code != 0 || !strings.Contains(stdout, "removed 2 files") || len(left) != 1 {
		t.Errorf("exit %d, left %v\n%s", code, left, stdout)
	}
}

// Of several data sets only the one that is not there is described, whatever the names of folders say.
func TestDataDescribesWhatIsMissing(t *testing.T) {
	dir := writeData(t, map[string]string{"data set emodb: old/README": "x", "emodb/03a01Fa.wav": "not sound"})
	code, _, stderr := runTandem(t, "data", "--cache", t.TempDir(), "--quick",
		"emodb="+filepath.Join(dir, "emodb"), "ravdess="+filepath.Join(dir, "data set emodb: old"))
	if code != exitFailed || !strings.Contains(stderr, "Ryerson") || strings.Contains(stderr, "Berlin") {
		t.Errorf("exit code %d, want RAVDESS described and not EmoDB: %s", code, stderr)
	}
}

// A manifest's labels are read as people write them, renamed by --map, and those that look alike are named.
func TestDataLabels(t *testing.T) {
	dir := writeData(t, map[string]string{
		"a.wav": "a", "b.wav": "b", "c.wav": "c", "d.wav": "d",
		"m.csv": strings.Join(dataset.ManifestColumns, ",") +
			"\n,a.wav,m,anna,Woman,Happiness,Training\n,b.wav,m,anna,f,joy,training\n" +
			",c.wav,m,ben,MAN,2,train\n,d.wav,m,cleo,woman,hapy,dev\n",
	})
	manifest := "manifest=" + filepath.Join(dir, "m.csv")
	code, _, stderr := runTandem(t, "data", "--quick", "--emotions", "manifest", "--cache", t.TempDir(), manifest)
	if code != exitFailed || !strings.Contains(stderr, "line 4") || !strings.Contains(stderr, "--map emotion:2=") {
		t.Errorf("a number: exit %d, %s", code, stderr)
	}
	code, stdout, stderr := runTandem(t, "data", "--quick", "--json", "--emotions", "manifest", "--cache", t.TempDir(),
		"--map", "2=sad", manifest)
	var check audit.Report
	if err := json.Unmarshal([]byte(stdout), &check); err != nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, stdout, stderr)
	}
	train, val := check.Sets[0].Rows[0], check.Sets[0].Rows[1]
	if train.Split != "train" || train.Emotions["happy"] != 2 || train.Emotions["sad"] != 1 ||
		train.Genders["male"] != 1 ||
		val.Split != "val" || val.Emotions["hapy"] != 1 || strings.Join(check.LookAlike, "") != "happy, hapy" {
		t.Errorf("%+v\n%+v\n%q", train, val, check.LookAlike)
	}
	code, stdout, _ = runTandem(t, "data", "--quick", "--cache", t.TempDir(),
		"--map", "2=sad", "--map", "hapy=happy", manifest)
	if code != 0 || strings.Contains(stdout, "alike") {
		t.Errorf("all renamed: exit %d\n%s", code, stdout)
	}
	for _, command := range []string{"data", "train", "eval", "compare", "quantize"} {
		args := []string{command, "--map", "joy", manifest}
		if command != "data" {
			args = []string{command, "--map", "joy", "--data", manifest}
		}
		if code, _, stderr := runTandem(t, args...); code != exitUsage || !strings.Contains(stderr, "FROM=TO") {
			t.Errorf("%s: exit %d, %s", command, code, stderr)
		}
	}
}
