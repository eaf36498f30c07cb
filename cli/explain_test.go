package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	model := testModel(t)
	out := filepath.Join(t.TempDir(), "why.html")
	code, stdout, stderr := runTandem(t, "explain", "pattern:3s", "--model", model, "--out", out)
	page, err := os.ReadFile(out)
	if code != 0 || err != nil {
		t.Fatalf("exit code %d, %v, %s", code, err, stderr)
	}
	for _, want := range []string{"subject 0", "emotion: ", "gender: ", "by the face alone", "face: ", "sound: "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("not printed: %q in\n%s", want, stdout)
		}
	}
	if n := strings.Count(string(page), "data:image/png"); n != 6 {
		t.Errorf("the page has %d pictures, want the face and the spectrogram, each plain and by task", n)
	}
	code, stdout, _ = runTandem(t, "explain", "pattern:5s", "--model", model, "--out", out, "--at", "2")
	if code != 0 || !strings.Contains(stdout, "0.75 to 3.31 s") {
		t.Errorf("around 2 s: exit code %d\n%s", code, stdout)
	}
}

func TestExplainBadInput(t *testing.T) {
	model := testModel(t)
	grey := filepath.Join(t.TempDir(), "grey.ppm")
	pixels := strings.Repeat("\x80", 3*64*64)
	if err := os.WriteFile(grey, []byte("P6\n64 64\n255\n"+pixels), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "why.html")
	for want, args := range map[string][]string{
		"no window with a face or a voice": {grey},
		"nosuch.mp4":                       {"nosuch.mp4"},
		"would overwrite the input":        {grey, "--out", grey},
		"give seconds from the clip's":     {grey, "--at", "-1"},
		"a face or a voice at 99 s":        {"pattern:3s", "--at", "99"},
		"there is no folder":               {grey, "--out", filepath.Join(out, "no", "why.html")},
	} {
		args = append([]string{"explain", "--model", model, "--out", out}, args...)
		if code, _, stderr := runTandem(t, args...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a page of nothing was written")
	}
}
