package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
)

// Shares of a list are disjoint and whole, about alike, and the same everywhere.
func TestShards(t *testing.T) {
	var names []string
	for i := range 4000 {
		names = append(names, fmt.Sprintf("clips/%04d.mp4", i))
	}
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte(strings.Join(names, "\r\n")+"\n\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var all []string
	for part := range uint64(4) {
		a := archiveFlags{filesFrom: list, part: part, parts: 4}
		mine, err := a.inputs(nil)
		if err != nil || len(mine) < 900 || len(mine) > 1100 {
			t.Errorf("part %d: %d of 4000, %v", part, len(mine), err)
		}
		all = append(all, mine...)
	}
	slices.Sort(all)
	if !slices.Equal(all, names) {
		t.Errorf("%d names in all shares together", len(all))
	}
	if got := shardOf("clips/0001.mp4", 1000); got != 447 { // FNV-1a, see docs/analyze.md
		t.Errorf("a name is in share %d of 1000", got)
	}
	zero := filepath.Join(t.TempDir(), "zero")
	if err := os.WriteFile(zero, []byte("a\nb\x00c\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := readNames(zero, true); err != nil || !slices.Equal(got, []string{"a\nb", "c"}) {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzReadNames(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n"), false)
	f.Add([]byte("a\x00\x00b"), true)
	f.Fuzz(func(t *testing.T, b []byte, null bool) {
		path := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		names, err := readNames(path, null)
		for _, n := range names {
			if n == "" || err == nil && !strings.Contains(string(b), n) {
				t.Fatalf("%q of %q", n, b)
			}
		}
	})
}

func TestOutFilesStayBelowTheFolder(t *testing.T) {
	for input, want := range map[string]string{
		"a.mp4": "out/a.mp4.jsonl", "x/a.mp4": "out/x/a.mp4.jsonl", "/x/a.mp4": "out/x/a.mp4.jsonl",
		"../../etc/a": "out/%2E%2E/%2E%2E/etc/a.jsonl", "./b//c": "out/b/c.jsonl", "-": "out/stdin.jsonl",
		"http://h/a/b?c": "out/http:%2F%2Fh%2Fa%2Fb%3Fc.jsonl",
	} {
		if got := outFile("out", input, "jsonl"); got != want {
			t.Errorf("%s: %s, want %s", input, got, want)
		}
	}
}

// An archive is analysed into a file an input; what fails is listed, and what is done is left out the next time.
func TestArchive(t *testing.T) {
	model := testModel(t)
	dir := t.TempDir()
	var list []string
	for _, name := range []string{"a.wav", "b.wav"} {
		path := filepath.Join(dir, name)
		capturetest.WritePattern(t, path, capture.PatternOptions{NoVideo: true, Duration: 3e9}, av.WriterOptions{})
		list = append(list, path)
	}
	broken := filepath.Join(dir, "broken.wav")
	if err := os.WriteFile(broken, []byte("RIFF"), 0o644); err != nil {
		t.Fatal(err)
	}
	names := filepath.Join(dir, "names")
	if err := os.WriteFile(names, []byte(strings.Join(append(list, broken), "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	run := func(more ...string) (int, string) {
		code, stdout, stderr := runTandem(t, append([]string{
			"analyze", "--model", model, "--files-from", names, "--out-dir", out,
		}, more...)...)
		if stdout != "" {
			t.Errorf("on standard output: %s", stdout)
		}
		return code, stderr
	}
	if code, stderr := run(); code != 1 || !strings.Contains(stderr, "3 inputs, 0 done before, 1 failed") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	for _, input := range list {
		b, err := os.ReadFile(outFile(out, input, "jsonl"))
		if err != nil || !strings.Contains(string(b), `"type":"end"`) {
			t.Errorf("%s: %v\n%s", input, err, b)
		}
	}
	if _, err := os.Stat(outFile(out, broken, "jsonl")); err == nil {
		t.Error("an input that failed has results")
	}
	b, err := os.ReadFile(filepath.Join(out, "failures.tsv"))
	name, why, _ := strings.Cut(string(b), "\t")
	if err != nil || name != broken || !strings.Contains(why, "broken.wav") {
		t.Errorf("%v: %q", err, b)
	}
	code, stderr := run("--skip-done", "--continue-on-error")
	if code != 0 || !strings.Contains(stderr, "3 inputs, 2 done before, 1 failed") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(list[0], broken); err != nil {
		t.Fatal(err)
	}
	if code, stderr = run("--skip-done"); code != 0 || !strings.Contains(stderr, "0 failed") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(out, "failures.tsv")); err == nil {
		t.Error("the list of failures outlives them")
	}
	for want, args := range map[string][]string{
		"--shard": {"--shard", "4/4"}, "are of --out-dir": {"--skip-done"}, "--null is of": {"-0"},
		"--out-dir writes files": {"--out-dir", out, "--format", "table"},
		"would have one file":    {"--out-dir", out, "/" + list[1]},
	} {
		args = append([]string{"analyze", "--model", model, list[1]}, args...)
		if code, _, stderr := runTandem(t, args...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
}
