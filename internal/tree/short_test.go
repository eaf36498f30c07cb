package tree_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"testing"
)

// A test is long by its name, TestLong…, which make test leaves out and make test-long runs. None asks for -short, nor
// does a helper of tests: what it leaves out would run in neither. Benchmarks may, and functions that take a testing.B.
func TestOnlyNamesSayWhatIsLong(t *testing.T) {
	for _, files := range goFiles(t) {
		for _, file := range files {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && takesB(fn) {
					continue
				}
				ast.Inspect(d, func(n ast.Node) bool {
					if call, ok := n.(*ast.SelectorExpr); ok && call.Sel.Name == "Short" && name(call.X) == "testing" {
						t.Errorf("%s asks for -short: split the test, and name the long part TestLong…",
							fset.Position(n.Pos()))
					}
					return true
				})
			}
		}
	}
}

// takesB reports whether a function has a parameter of type *testing.B.
func takesB(fn *ast.FuncDecl) bool {
	for _, p := range fn.Type.Params.List {
		var b bytes.Buffer
		if err := printer.Fprint(&b, token.NewFileSet(), p.Type); err == nil && b.String() == "*testing.B" {
			return true
		}
	}
	return false
}

func name(e ast.Expr) string {
	id, _ := e.(*ast.Ident)
	if id == nil {
		return ""
	}
	return id.Name
}
