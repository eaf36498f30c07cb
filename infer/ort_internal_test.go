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

// find checks what FindRuntime finds.
func find(t *testing.T, want string) {
	t.Helper()
	if got, err := FindRuntime(); err != nil || got != want {
		t.Errorf("found %q, %v; want %q", got, err, want)
	}
}

func TestFindRuntime(t *testing.T) {
	name := runtimeNames()[0]
	library := write(t, filepath.Join(t.TempDir(), "lib", name))
	t.Setenv("LD_LIBRARY_PATH", "")
	t.Setenv("TANDEM_ORT", "")
	t.Setenv("PATH", "") // no ldconfig but the one in /sbin

	beside := write(t, filepath.Join(filepath.Dir(executable(t)), name))
	find(t, beside)
	t.Setenv("TANDEM_ORT", filepath.Dir(library))
	find(t, library)
	t.Setenv("TANDEM_ORT", library)
	find(t, library)
	t.Chdir(filepath.Dir(library))
	t.Setenv("TANDEM_ORT", name) // what is found must outlast a change of the folder
	find(t, library)
	t.Setenv("TANDEM_ORT", library+".not")
	_, err := FindRuntime()
	if !errors.Is(err, ErrNoRuntime) || !strings.Contains(err.Error(), "TANDEM_ORT="+library+".not") {
		t.Errorf("wrong TANDEM_ORT: %v", err)
	}

	t.Setenv("TANDEM_ORT", "")
	os.Remove(beside)
	t.Setenv("LD_LIBRARY_PATH", filepath.Dir(library))
	find(t, library)
}

// The library is foreign code that runs with the user's rights: what lies in or above the working directory, a planted
// project or a folder that LD_LIBRARY_PATH names by a relative path, is not loaded.
func TestPlantedRuntime(t *testing.T) {
	name, detector := runtimeNames()[0], "face_detection_front_128x128_barracuda.onnx"
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	deep := filepath.Dir(write(t, filepath.Join(root, "a", "b", "file")))
	write(t, filepath.Join(root, "go.mod"))
	for _, dir := range []string{root, filepath.Join(root, "assets", ".fetched"), deep, filepath.Join(deep, "lib")} {
		write(t, filepath.Join(dir, name))
		write(t, filepath.Join(dir, detector))
	}
	t.Setenv("TANDEM_ORT", "")
	t.Setenv("LD_LIBRARY_PATH", ":.:lib")
	t.Setenv("PATH", "")
	t.Chdir(deep)
	path, err := FindRuntime()
	switch {
	case err == nil && strings.HasPrefix(path, root):
		t.Errorf("found the planted %s", path)
	case err == nil:
		t.Logf("the system has %s", path)
	case !errors.Is(err, ErrNoRuntime) || !strings.Contains(err.Error(), "make assets"):
		t.Errorf("nothing to find: %v", err)
	}
	if path := findAsset(detector); path != "" {
		t.Errorf("found the planted %s", path)
	}
	// Beside the library that the user names is where the assets are.
	t.Setenv("TANDEM_ORT", filepath.Join(root, "assets", ".fetched"))
	if path := findAsset(detector); path != filepath.Join(root, "assets", ".fetched", detector) {
		t.Errorf("found %q beside the library", path)
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
	out := "2 libs found in cache\n\tlibonnx.so.1 (libc6,x86-64) => " + library + "\n\t" + runtimeNames()[0] +
		" (libc6,x86-64) => " + library + "\n"
	if got := parseLinkerCache(out); got != library {
		t.Errorf("got %q", got)
	}
	if got := parseLinkerCache(strings.ReplaceAll(out, library, library+".gone")); got != "" {
		t.Errorf("got %q, which does not exist", got)
	}
}
