package capture_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The environment belongs to the program: a library that changes it changes what others in the process read, and C code
// may be reading it at the same time.
func TestLibrariesLeaveTheEnvironmentAlone(t *testing.T) {
	changes := regexp.MustCompile(`\bos\.(Setenv|Unsetenv|Clearenv)\b`)
	for _, dir := range []string{"../capture", "../pipeline", "../infer"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			if at := changes.FindString(string(b)); at != "" {
				t.Errorf("%s calls %s", path, at)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
