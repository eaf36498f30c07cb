// Package atomicfile writes files whole or not at all: to a temporary file beside the target, which then takes its
// name.
package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write replaces the file at path by what write puts into f, whole or not at all, with mode 0644. After an error the
// former file is as it was, and no temporary file stays. The content and the name outlive a power cut once Write has
// returned nil. An error names the path.
func Write(path string, write func(f *os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	if err := errors.Join(write(f), f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	// The rename itself must outlive a power cut too.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// WriteBytes is Write with b as the whole content.
func WriteBytes(path string, b []byte) error {
	return Write(path, func(f *os.File) error { _, err := f.Write(b); return err })
}
