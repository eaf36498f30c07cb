package pipeline

import (
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// rowsAGroup bounds the rows of a row group, which is kept in memory until it is full: 3 hours of one subject, 6 MB.
const rowsAGroup = 1 << 15

// ParquetWriter writes windows as rows of a Parquet file. It has the columns of the CSV, typed; what is an empty cell
// there is null. A row group is written when it is full. The file's metadata names the model (tandem.model, SHA-256 in
// hexadecimal) and the seconds of a window and a hop (tandem.window, tandem.hop).
type ParquetWriter struct {
	w    io.Writer
	rows rows
	file *parquet.GenericWriter[any] // nil before the first start event
}

// NewParquetWriter returns a writer of a file; raw adds the columns for Options.Raw. Events of further runs may follow
// if their labels are the same. Without Close the file cannot be read.
func NewParquetWriter(w io.Writer, raw bool) *ParquetWriter {
	return &ParquetWriter{w: w, rows: rows{format: "parquet", raw: raw}}
}

// Write takes the next event.
func (p *ParquetWriter) Write(e Event) error {
	window, err := p.rows.add(e)
	if err != nil {
		return err
	}
	if p.file == nil && e.Start != nil {
		number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
		p.file = parquet.NewGenericWriter[any](p.w, parquet.NewSchema("windows", rootOf(p.rows.columns)),
			parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowsAGroup),
			parquet.CreatedBy("tandem", "", ""),
			parquet.KeyValueMetadata("tandem.model", e.Start.Model),
			parquet.KeyValueMetadata("tandem.window", number(seconds(e.Start.Window).float())),
			parquet.KeyValueMetadata("tandem.hop", number(seconds(e.Start.Hop).float())))
	}
	if window == nil {
		return nil
	}
	row := make(parquet.Row, len(window))
	for i, v := range window {
		defined := 0
		if p.rows.columns[i].optional && v != nil {
			defined = 1
		}
		if s, ok := v.(string); ok {
			v = strings.ToValidUTF8(s, "\ufffd") // as in the JSONL: Parquet's strings are UTF-8
		}
		row[i] = parquet.ValueOf(v).Level(0, defined, i)
	}
	_, err = p.file.WriteRows([]parquet.Row{row})
	return err
}

// Close writes what is left and the footer, without which the file cannot be read. It does not close the underlying
// writer, and writes nothing where no run began.
func (p *ParquetWriter) Close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// root is a schema's root. A parquet.Group alone would have the columns sorted by name.
type root struct {
	parquet.Group
	fields []parquet.Field
}

func (r root) Fields() []parquet.Field { return r.fields }

// field is a column of the schema.
type field struct {
	parquet.Node
	name string
}

func (f field) Name() string { return f.name }

// Value is for rows that are made of structs, which these are not.
func (f field) Value(reflect.Value) reflect.Value { return reflect.Value{} }

func rootOf(columns []column) root {
	nodes := map[kind]parquet.Node{
		textKind:    parquet.Encoded(parquet.String(), &parquet.RLEDictionary),
		integerKind: parquet.Int(64),
		numberKind:  parquet.Leaf(parquet.DoubleType),
		boolKind:    parquet.Leaf(parquet.BooleanType),
	}
	var r root
	for _, c := range columns {
		node := nodes[c.kind]
		if c.optional {
			node = parquet.Optional(node)
		}
		r.fields = append(r.fields, field{node, c.name})
	}
	return r
}
