package pipeline

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// readParquet returns a file's rows as the CSV's cells, under its header, and the row groups that it has.
func readParquet(t *testing.T, b []byte) (table [][]string, groups int, file *parquet.File) {
	t.Helper()
	file, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var header []string
	for _, f := range file.Schema().Fields() {
		header = append(header, f.Name())
	}
	table = append(table, header)
	for _, group := range file.RowGroups() {
		rows := group.Rows()
		buffer := make([]parquet.Row, 100)
		for {
			n, err := rows.ReadRows(buffer)
			for _, row := range buffer[:n] {
				var cells []string
				for i, v := range row {
					cells = append(cells, cell(goValue(t, v), header[i] == "voice"))
				}
				table = append(table, cells)
			}
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		rows.Close()
	}
	return table, len(file.RowGroups()), file
}

func goValue(t *testing.T, v parquet.Value) any {
	if v.IsNull() {
		return nil
	}
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean()
	case parquet.Int64:
		return v.Int64()
	case parquet.Double:
		return v.Double()
	case parquet.ByteArray:
		return string(v.ByteArray())
	}
	t.Fatalf("a value is a %v", v.Kind())
	return nil
}

// A Parquet file has what the CSV has, in the same columns.
func TestParquet(t *testing.T) {
	for _, raw := range []bool{false, true} {
		var b, text bytes.Buffer
		w, c := NewParquetWriter(&b, raw), NewCSVWriter(&text, raw)
		for _, e := range full() {
			if err := errors.Join(w.Write(e), c.Write(e)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Write(Event{Start: &StartEvent{Emotions: []string{"calm"}}}); err == nil {
			t.Error("a run with other labels passed")
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		want, err := csv.NewReader(&text).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		got, _, file := readParquet(t, b.Bytes())
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("raw %t: got\n%q\nwant\n%q", raw, got, want)
		}
		start := full()[0].Start
		if model, _ := file.Lookup("tandem.model"); model != start.Model {
			t.Errorf("the metadata names the model %q", model)
		}
		if hop, _ := file.Lookup("tandem.hop"); hop != "0.25" {
			t.Errorf("the metadata has a hop of %q", hop)
		}
	}
	w := NewParquetWriter(io.Discard, false)
	if err := w.Write(full()[1]); err == nil {
		t.Error("a window without a start passed")
	}
	if err := w.Close(); err != nil {
		t.Errorf("a file without a run: %v", err)
	}
}

// A long run is written in row groups, labels may be any words, and a name that is no UTF-8 is made so.
func TestParquetOfALongRun(t *testing.T) {
	var b bytes.Buffer
	w := NewParquetWriter(&b, false)
	labels := []string{`at "ease", mostly`, "gai·té"}
	start := &StartEvent{Source: "caf\xe9.mp4", Emotions: labels}
	if err := w.Write(Event{Start: start}); err != nil {
		t.Fatal(err)
	}
	windows := rowsAGroup + 10
	for i := range windows {
		scores := &Scores{Label: labels[1], P: Classes{{labels[0], 0.25}, {labels[1], 0.75}}}
		if err := w.Write(Event{Window: &WindowEvent{T: ms(i), Subject: i, Emotion: scores}}); err != nil {
			t.Fatal(err)
		}
		if i == rowsAGroup && b.Len() < 1000 {
			t.Errorf("%d bytes are written of %d rows", b.Len(), i)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	table, groups, _ := readParquet(t, b.Bytes())
	if groups != 2 || len(table) != 1+windows {
		t.Fatalf("%d rows in %d groups", len(table)-1, groups)
	}
	if got := strings.Join(table[0][5:8], "|"); got != `emotion|emotion_at "ease", mostly|emotion_gai·té` {
		t.Errorf("columns %s", got)
	}
	if got := strings.Join(table[windows][:8], "|"); got != "caf\ufffd.mp4|32.777|0|0|32777|gai·té|0.25|0.75" {
		t.Errorf("the last row is %s", got)
	}
}
