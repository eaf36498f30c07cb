package infer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("module tandem\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindRuntime(t *testing.T) {
	name := runtimeNames()[0]
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "go.mod"))
	fetched := write(t, filepath.Join(root, "assets", ".fetched", name))
	deep := filepath.Dir(write(t, filepath.Join(root, "a", "b", "file")))
	library := write(t, filepath.Join(t.TempDir(), "lib", name))
	t.Setenv("LD_LIBRARY_PATH", "")
	t.Setenv("TANDEM_ORT", "")
	t.Setenv("PATH", "") // no ldconfig but the one in /sbin

	find := func(want string) {
		t.Helper()
		got, err := FindRuntime()
		if err != nil || got != want {
			t.Errorf("found %q, %v; want %q", got, err, want)
		}
	}
	t.Chdir(deep)
	find(fetched)
	beside := write(t, filepath.Join(filepath.Dir(executable(t)), name))
	find(beside)
	t.Setenv("TANDEM_ORT", filepath.Dir(library))
	find(library)
	t.Setenv("TANDEM_ORT", library)
	find(library)
	t.Setenv("TANDEM_ORT", library+".not")
	if _, err := FindRuntime(); !errors.Is(err, ErrNoRuntime) || !strings.Contains(err.Error(), "TANDEM_ORT="+library+".not") {
		t.Errorf("wrong TANDEM_ORT: %v", err)
	}

	// Without a project around, the system's is next; a folder of another project is not ours to load from.
	t.Setenv("TANDEM_ORT", "")
	os.Remove(beside)
	os.WriteFile(filepath.Join(root, "go.mod"), []byte("module another\n"), 0o644)
	t.Setenv("LD_LIBRARY_PATH", filepath.Dir(library))
	find(library)
	t.Setenv("LD_LIBRARY_PATH", "")
	if path, err := FindRuntime(); err == nil {
		t.Skipf("the system has %s", path)
	} else if !errors.Is(err, ErrNoRuntime) || !strings.Contains(err.Error(), "make assets") {
		t.Errorf("nothing to find: %v", err)
	}
}

func executable(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		t.Fatal(err)
	}
	return exe
}

func TestParseLinkerCache(t *testing.T) {
	library := write(t, filepath.Join(t.TempDir(), runtimeNames()[0]))
	out := "2 libs found in cache\n\tlibonnx.so.1 (libc6,x86-64) => " + library + "\n\t" + runtimeNames()[0] + " (libc6,x86-64) => " + library + "\n"
	if got := parseLinkerCache(out); got != library {
		t.Errorf("got %q", got)
	}
	if got := parseLinkerCache(strings.ReplaceAll(out, library, library+".gone")); got != "" {
		t.Errorf("got %q, which does not exist", got)
	}
}
