package tree_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// home is the folder of this package.
var home = func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return dir
}()

// inRoot makes the test run in the module's root, so that files have the names by which people know them. It is for
// each test to do: what is opened relative to a folder that TestMain went to, go test looks for in another when it
// asks whether an earlier result still holds.
func inRoot(t *testing.T) {
	t.Helper()
	t.Chdir(filepath.Join(home, "../.."))
}

// goFiles returns the module's Go files by folder, "." for the root, to which it changes the working directory.
func goFiles(t *testing.T) map[string][]string {
	t.Helper()
	inRoot(t)
	files := map[string][]string{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (file != "." && strings.HasPrefix(name, ".") || name == "testdata" || name == "build"):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, ".go"):
			files[path.Dir(file)] = append(files[path.Dir(file)], file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
