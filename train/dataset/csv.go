package dataset

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// eachCSVRow calls visit with the trimmed values of each row, by column, and its line. Each of columns must be there;
// "video|audio" is one of several. Errors name path and line; the map is used again for the next row.
//
// Tables are read as they come out of spreadsheets: values are separated by commas, semicolons or tabs, whichever the
// first line has most of, or as a line "sep=;" before it says; the text is UTF-8 or UTF-16, with or without a byte
// order mark; columns are named in any case, and rows without any value do not count.
func eachCSVRow(
	r io.Reader, path string, columns []string, visit func(line int, col map[string]string) error,
) error {
	in, before, err := openCSV(r)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	header, err := in.Read()
	want := strings.ReplaceAll(strings.Join(columns, ","), "|", " or ")
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w: the file is empty; its first line must name %s", path, ErrMissingColumn, want)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	at := map[string]int{}
	for i, h := range slices.Backward(header) { // the first of a name counts
		at[strings.TrimSpace(h)], at[clean(h)] = i, i
	}
	for _, c := range columns {
		found := false
		for name := range strings.SplitSeq(c, "|") {
			if i, ok := at[clean(name)]; ok {
				at[name], found = i, true
			}
		}
		if !found {
			return fmt.Errorf("%s: %w %q: the first line, %.200q, must name %s", path, ErrMissingColumn,
				strings.ReplaceAll(c, "|", " or "), strings.Join(header, string(in.Comma)), want)
		}
	}
	col := map[string]string{}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if !slices.ContainsFunc(record, func(v string) bool { return strings.TrimSpace(v) != "" }) {
			continue
		}
		for c, i := range at {
			col[c] = strings.TrimSpace(record[i])
		}
		line, _ := in.FieldPos(0)
		if err := visit(line+before, col); err != nil {
			return err
		}
	}
}

// openCSV returns a reader of a table, which knows how it is written, and the number of lines before its header.
func openCSV(r io.Reader) (in *csv.Reader, before int, err error) {
	text, err := utf8Text(r)
	if err != nil {
		return nil, 0, err
	}
	const most = 1 << 16 // that a header may have
	head, err := text.Peek(most)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	separator := separatorOf(line)
	if sep := strings.TrimRight(string(line), "\r"); len(sep) == 5 && strings.EqualFold(sep[:4], "sep=") {
		separator = rune(sep[4])
		if _, err := text.Discard(min(len(line)+1, len(head))); err != nil {
			return nil, 0, err
		}
		before = 1
	}
	if !strings.ContainsRune(",;\t|", separator) {
		return nil, 0, fmt.Errorf("separator %q: want a comma, a semicolon, a tab or a bar", separator)
	}
	in = csv.NewReader(text)
	in.Comma = separator
	return in, before, nil
}

// separatorOf returns which of comma, semicolon and tab a header has most of outside of quotes.
func separatorOf(header []byte) rune {
	best, most, quoted := ',', 0, false
	count := map[rune]int{}
	for _, c := range string(header) {
		if c == '"' {
			quoted = !quoted
		}
		if !quoted {
			count[c]++
		}
	}
	for _, c := range ",;\t" {
		if count[c] > most {
			best, most = c, count[c]
		}
	}
	return best
}

// utf8Text returns text as UTF-8 without a byte order mark. UTF-16 is known by its mark, or by the zeros that it has
// where a name begins with two letters of English.
func utf8Text(r io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	head, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var order binary.ByteOrder
	skip := 0
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		skip = 3
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		order, skip = binary.LittleEndian, 2
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		order, skip = binary.BigEndian, 2
	case len(head) == 4 && head[1] == 0 && head[3] == 0:
		order = binary.LittleEndian
	case len(head) == 4 && head[0] == 0 && head[2] == 0:
		order = binary.BigEndian
	}
	if _, err := b.Discard(skip); err != nil {
		return nil, err
	}
	if order == nil {
		return b, nil
	}
	return bufio.NewReaderSize(&utf16Reader{in: b, order: order}, 1<<16), nil
}

// utf16Reader reads UTF-16 as UTF-8; what is half a character becomes U+FFFD.
type utf16Reader struct {
	in    *bufio.Reader
	order binary.ByteOrder
	out   []byte // not read yet
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		unit, err := u.unit()
		if err != nil {
			return 0, err
		}
		r := rune(unit)
		if utf16.IsSurrogate(r) {
			next, err := u.in.Peek(2)
			if r = utf8.RuneError; err == nil {
				if pair := utf16.DecodeRune(rune(unit), rune(u.order.Uint16(next))); pair != utf8.RuneError {
					r = pair
					_, _ = u.in.Discard(2) // it was just seen
				}
			}
		}
		u.out = utf8.AppendRune(u.out[:0], r)
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

func (u *utf16Reader) unit() (uint16, error) {
	var b [2]byte
	_, err := io.ReadFull(u.in, b[:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, errors.New("an odd number of bytes is no UTF-16: save it as UTF-8")
	}
	return u.order.Uint16(b[:]), err
}
