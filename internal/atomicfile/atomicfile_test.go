package atomicfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tandem/internal/atomicfile"
)

func TestWriteReplacesWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := atomicfile.WriteBytes(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := atomicfile.Write(path, func(f *os.File) error {
		if _, err := f.WriteString("half"); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "first" {
		t.Errorf("after a failed write the file holds %q (%v), want what it held before", b, err)
	}
	if err := atomicfile.WriteBytes(path, []byte("second")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "second" {
		t.Errorf("the file holds %q (%v), want second", b, err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the file lie %v (%v), want nothing", left, err)
	}
	if err := atomicfile.WriteBytes(filepath.Join(path, "x", "y"), nil); err == nil {
		t.Error("no error for a folder that is not there")
	}
}
