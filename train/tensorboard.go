package train

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// tensorBoardDir is the folder of TensorBoard's event files in a run's.
const tensorBoardDir = "tensorboard"

// eventFile is a file of events as TensorBoard reads them: records of TensorFlow (TFRecord), each an Event message
// (tensorflow/core/util/event.proto), of which scalars need a few fields only. The run's goroutine owns it; a nil one
// takes events and drops them.
type eventFile struct {
	file    *os.File
	w       *bufio.Writer
	flushed time.Time
}

// openEvents begins a new file of events in dir, for steps after step. Events of those steps in former files, which a
// run that goes on makes again, are void from here on.
func openEvents(dir string, step int) (*eventFile, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	// TensorBoard reads the files of a folder in the order of their names, which begin with the time.
	now := time.Now()
	f, err := os.CreateTemp(dir, fmt.Sprintf("events.out.tfevents.%010d.%09d.*.tandem", now.Unix(), now.Nanosecond()))
	if err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	e := &eventFile{file: f, w: bufio.NewWriter(f)}
	err = e.event(0, func(b []byte) []byte { // file_version
		return protowire.AppendString(protowire.AppendTag(b, 3, protowire.BytesType), "brain.Event:2")
	})
	if err == nil && step > 0 {
		err = e.event(step+1, func(b []byte) []byte { // session_log, whose status is START: what is not older is void
			start := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
			return protowire.AppendBytes(protowire.AppendTag(b, 7, protowire.BytesType), start)
		})
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return e, nil
}

// scalars adds the values of a step. Those that are not finite are left out.
func (e *eventFile) scalars(step int, cols []column) error {
	if e == nil {
		return nil
	}
	return e.event(step, func(b []byte) []byte {
		var summary []byte
		for _, c := range cols {
			if math.IsNaN(c.value) || math.IsInf(c.value, 0) {
				continue
			}
			value := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), c.name)
			value = protowire.AppendFixed32(protowire.AppendTag(value, 2, protowire.Fixed32Type),
				math.Float32bits(float32(c.value)))
			summary = protowire.AppendBytes(protowire.AppendTag(summary, 1, protowire.BytesType), value)
		}
		return protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), summary)
	})
}

// event writes an Event of a step, to which what adds its own field. What is written reaches the disk within about
// a second, so that one may watch.
func (e *eventFile) event(step int, what func([]byte) []byte) error {
	now := time.Now()
	b := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type),
		math.Float64bits(float64(now.UnixMicro())/1e6))
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), uint64(step))
	b = what(b)
	// A record: its length u64, that length's masked CRC-32C, the data, the data's masked CRC-32C; little-endian.
	record := binary.LittleEndian.AppendUint64(nil, uint64(len(b)))
	record = binary.LittleEndian.AppendUint32(record, maskedSum(record))
	record = binary.LittleEndian.AppendUint32(append(record, b...), maskedSum(b))
	_, err := e.w.Write(record)
	if err == nil && now.Sub(e.flushed) >= time.Second {
		e.flushed, err = now, e.w.Flush()
	}
	if err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedSum returns the CRC-32C as TensorFlow masks it (tensorflow/core/lib/hash/crc32c.h), so that a sum over data
// that holds sums is as good.
func maskedSum(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// close writes what is held back.
func (e *eventFile) close() error {
	if e == nil {
		return nil
	}
	return cmp.Or(e.w.Flush(), e.file.Close())
}

// openEvents begins the run's event file, if it is to have one.
func (r *run) openEvents() (err error) {
	if r.TensorBoard {
		r.events, err = openEvents(filepath.Join(r.Run, tensorBoardDir), r.st.Step)
	}
	return err
}

// stepScalars names the values of a step as TensorBoard groups them.
func stepScalars(row []float64) []column {
	var cols []column
	for i, name := range stepColumns[1:] {
		cols = append(cols, column{"step/" + name, row[i+1]})
	}
	return cols
}

// epochScalars names the values of an epoch.
func epochScalars(row []column) []column {
	var cols []column
	for _, c := range row {
		if c.name != "step" {
			cols = append(cols, column{"epoch/" + c.name, c.value})
		}
	}
	return cols
}
