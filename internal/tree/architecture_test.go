package tree_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const architecture = "docs/architecture.md"

var (
	// goName is a Go file as pages name it, alone or with something that it declares: pipeline/run.go:engine.read.
	goName = regexp.MustCompile(`(?:^|[^\w./-])((?:[\w-]+/)*[\w-]+\.go\b(?::[A-Za-z_]\w*(?:\.\w+)?)?)`)
	// testName is a function that go test runs.
	testName = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w*`)
	// codeSpan is code in a line of Markdown.
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	// packageName is a package as the go command takes it: ./train/dataset, ./cli/...
	packageName = regexp.MustCompile(`(?:^|\s)\./([a-z][\w/]*)`)
	// makeTarget is a target of make, in code.
	makeTarget = regexp.MustCompile("(?:^\\s*|`|\\$ )make ([a-z][a-z-]*)")
	// placeholder is a part of a name for which the reader puts another.
	placeholder = regexp.MustCompile(`\b(NAME|PACKAGE)\b`)
)

// declarations returns what a Go file declares: F, T, T.Method, T.Field, and names of constants and variables.
func declarations(t *testing.T, file string) map[string]bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			names[name] = true
		case *ast.GenDecl:
			for _, s := range d.Specs {
				addSpec(names, s)
			}
		}
	}
	return names
}

// receiver returns the name of a receiver's type, without a star and type parameters.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// addSpec adds the names of a constant, a variable or a type, with its fields or methods.
func addSpec(names map[string]bool, s ast.Spec) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			names[n.Name] = true
		}
	case *ast.TypeSpec:
		names[s.Name.Name] = true
		var fields *ast.FieldList
		switch x := s.Type.(type) {
		case *ast.StructType:
			fields = x.Fields
		case *ast.InterfaceType:
			fields = x.Methods
		default:
			return
		}
		for _, f := range fields.List {
			for _, n := range f.Names {
				names[s.Name.Name+"."+n.Name] = true
			}
		}
	}
}

// names checks what pages name against the code.
type names struct {
	files    map[string]bool            // by path
	bases    map[string]bool            // the same, without folders
	declared map[string]map[string]bool // by file, as far as asked for
	tests    map[string]bool            // functions of test files, by name alone
}

func readNames(t *testing.T) *names {
	t.Helper()
	n := &names{
		files: map[string]bool{}, bases: map[string]bool{}, declared: map[string]map[string]bool{},
		tests: map[string]bool{},
	}
	for _, files := range goFiles(t) {
		for _, file := range files {
			n.files[file], n.bases[path.Base(file)] = true, true
			if strings.HasSuffix(file, "_test.go") {
				n.declared[file] = declarations(t, file)
				for name := range n.declared[file] {
					n.tests[name] = true
				}
			}
		}
	}
	return n
}

// check returns what is wrong with a goName, "" if nothing. A file without a folder may lie in any.
func (n *names) check(t *testing.T, name string) string {
	t.Helper()
	file, decl, _ := strings.Cut(name, ":")
	if !n.files[file] {
		if !strings.Contains(file, "/") && decl == "" && n.bases[file] {
			return ""
		}
		return "there is no such file"
	}
	if n.declared[file] == nil {
		n.declared[file] = declarations(t, file)
	}
	if decl != "" && !n.declared[file][decl] {
		return "the file does not declare it"
	}
	return ""
}

// readPage returns a file by its path from the root.
func readPage(t *testing.T, file string) string {
	t.Helper()
	inRoot(t)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pages returns the pages for readers, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	inRoot(t)
	files, err := filepath.Glob("docs/*.md")
	if err != nil || len(files) < 10 {
		t.Fatalf("docs has %d pages: %v", len(files), err)
	}
	all := map[string]string{}
	for _, f := range append(files, "README.md", "CONTRIBUTING.md") {
		all[filepath.ToSlash(f)] = readPage(t, f)
	}
	return all
}

// Every Go file, declaration, test, package and target of make that a page names exists.
func TestPagesNameTheCode(t *testing.T) {
	n := readNames(t)
	makefile := readPage(t, "Makefile")
	for page, text := range pages(t) {
		for i, line := range strings.Split(text, "\n") {
			line = placeholder.ReplaceAllString(line, "")
			for _, m := range goName.FindAllStringSubmatch(line, -1) {
				if wrong := n.check(t, m[1]); wrong != "" {
					t.Errorf("%s:%d: %s: %s", page, i+1, m[1], wrong)
				}
			}
			for _, name := range testName.FindAllString(line, -1) {
				if !n.tests[name] && name != "TestLong" { // the beginning of names
					t.Errorf("%s:%d: there is no %s", page, i+1, name)
				}
			}
			for _, m := range makeTarget.FindAllStringSubmatch(line, -1) {
				if !strings.Contains(makefile, "\n"+m[1]+":") {
					t.Errorf("%s:%d: there is no make %s", page, i+1, m[1])
				}
			}
			for _, m := range packageName.FindAllStringSubmatch(line, -1) {
				if info, err := os.Stat(strings.TrimSuffix(m[1], "/")); err != nil || !info.IsDir() {
					t.Errorf("%s:%d: there is no package ./%s", page, i+1, m[1])
				}
			}
		}
	}
}

// docs/architecture.md names functions with their files only, so that the test above finds each of them.
func TestArchitectureNamesFunctionsWithFiles(t *testing.T) {
	whole := regexp.MustCompile(`^(?:[\w/-]+\.go(?::[\w.]+)?|tandem [a-z]+|make [a-z-]+|[A-Z]+ /[\w/{}]+)$`)
	count := 0
	for i, line := range strings.Split(readPage(t, architecture), "\n") {
		for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
			if !whole.MatchString(m[1]) {
				t.Errorf("%s:%d: %q is neither FILE.go:NAME nor a command nor a request", architecture, i+1, m[1])
			}
			count++
		}
	}
	if count < 100 {
		t.Errorf("%s names %d things", architecture, count)
	}
}

// What CONTRIBUTING.md names in the steps to add something is declared somewhere: `walkMedia`, `l.emotion`, `*loader`.
func TestContributingNamesTheCode(t *testing.T) {
	declared := map[string]bool{}
	for _, files := range goFiles(t) {
		for _, file := range files {
			for name := range declarations(t, file) {
				declared[name[strings.LastIndex(name, ".")+1:]] = true
			}
		}
	}
	_, steps, found := strings.Cut(readPage(t, "CONTRIBUTING.md"), "\n## Add a data set\n")
	if !found {
		t.Fatal("CONTRIBUTING.md does not say how to add a data set")
	}
	identifier := regexp.MustCompile(`^(?:[a-z]\.)?([A-Z]?[a-z]\w+)(?:\([a-z]*\))?$`)
	pointer := regexp.MustCompile(`\*([a-z]\w+)`)
	count := 0
	for _, span := range codeSpan.FindAllStringSubmatch(steps, -1) {
		names := pointer.FindAllStringSubmatch(span[1], -1)
		if m := identifier.FindStringSubmatch(span[1]); m != nil {
			names = append(names, m)
		}
		for _, m := range names {
			if count++; !declared[m[1]] {
				t.Errorf("CONTRIBUTING.md: nothing declares %s", m[1])
			}
		}
	}
	if count < 30 {
		t.Errorf("CONTRIBUTING.md names %d things of the code", count)
	}
}
