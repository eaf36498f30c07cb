package webrtctest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var building sync.Mutex

// Program builds the main package of a public module, such as example.org/server/v2@v2.1.0, through the module proxy,
// and returns its path. It is kept in the user's cache, since a build takes minutes. The test is skipped if it can't be
// built.
func Program(t testing.TB, pkg string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	file, err := program(pkg)
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: %s can't be built here: %v", pkg, err)
	}
	return file
}

func program(pkg string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "tandem-test", strings.ReplaceAll(pkg, "/", "-"))
	if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) == 1 {
		return found[0], nil
	}
	build := exec.Command("go", "install", pkg)
	build.Dir = os.TempDir()
	build.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("go install made %v: %w", found, err)
	}
	return found[0], nil
}
