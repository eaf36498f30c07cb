package tree_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// What keeps a file, a function and a line readable at a glance.
const (
	maxFileLines     = 500
	maxFunctionLines = 80
	maxParameters    = 6
	maxColumns       = 120 // a tab counts 4
)

// vague are phrases that say less than the verbs of Go's own documentation: returns, reports whether, writes, is.
var vague = regexp.MustCompile(`(?i)/` + `/.*\b(is what|are what|tells? of|tells? whether|sees? to)\b`)

func TestFilesFunctionsAndLinesAreShort(t *testing.T) {
	for _, files := range goFiles(t) {
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
			if len(lines) > maxFileLines {
				t.Errorf("%s has %d lines, more than %d", file, len(lines), maxFileLines)
			}
			for i, line := range lines {
				if n := utf8.RuneCountInString(line) + 3*strings.Count(line, "\t"); n > maxColumns {
					t.Errorf("%s:%d has %d columns, more than %d", file, i+1, n, maxColumns)
				}
				if vague.MatchString(line) {
					t.Errorf("%s:%d: say what it returns or does: %s", file, i+1, strings.TrimSpace(line))
				}
			}
			checkFunctions(t, file, b)
		}
	}
}

func checkFunctions(t *testing.T, file string, source []byte) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		first, last := fset.Position(fn.Pos()), fset.Position(fn.End())
		if n := last.Line - first.Line + 1; n > maxFunctionLines {
			t.Errorf("%s: %s has %d lines, more than %d", first, fn.Name.Name, n, maxFunctionLines)
		}
		if n := fn.Type.Params.NumFields(); n > maxParameters {
			t.Errorf("%s: %s has %d parameters, more than %d", first, fn.Name.Name, n, maxParameters)
		}
	}
}
