package cli

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tandem/pipeline"
)

// smallDisk is a file whose disk has room for some bytes.
type smallDisk struct {
	*os.File
	left int
}

func (d *smallDisk) Write(b []byte) (int, error) {
	if len(b) <= d.left {
		d.left -= len(b)
		return d.File.Write(b)
	}
	n, err := d.File.Write(b[:d.left])
	d.left = 0
	return n, errors.Join(err, syscall.ENOSPC)
}

// A disk that gets full in the midst of an event leaves a record that ends with the event before.
func TestRecordOnAFullDisk(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const written = 3
	disk := &smallDisk{f, 1 << 20}
	record := pipeline.NewJSONLWriter(&wholeWriter{file: disk})
	event := pipeline.Event{Start: &pipeline.StartEvent{Source: "s", Emotions: []string{"a", "b"}}}
	for range written {
		if err := record.Write(event); err != nil {
			t.Fatal(err)
		}
	}
	disk.left = 10
	if err := record.Write(event); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v, want ENOSPC", err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	if events, err := pipeline.ReadAll(f); err != nil || len(events) != written {
		t.Errorf("%d events of %d: %v", len(events), written, err)
	}
}
