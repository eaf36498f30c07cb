package tree_test

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// maxReadmeLines keeps the README one that is read.
const maxReadmeLines = 200

func TestReadmeIsShort(t *testing.T) {
	if n := strings.Count(readPage(t, "README.md"), "\n"); n > maxReadmeLines {
		t.Errorf("README.md has %d lines, more than %d", n, maxReadmeLines)
	}
}

// readmeTree returns the folders of the tree in README.md by their paths, each with the words behind its arrow.
func readmeTree(t *testing.T) map[string][]string {
	t.Helper()
	_, text, found := strings.Cut(readPage(t, "README.md"), "\n```\nmain.go ")
	if !found {
		t.Fatal("README.md has no tree that begins with main.go")
	}
	text, _, _ = strings.Cut("main.go "+text, "\n```")
	tree := map[string][]string{}
	parent := ""
	for _, line := range strings.Split(text, "\n") {
		what, arrow, _ := strings.Cut(line, "→")
		name, _, _ := strings.Cut(strings.TrimSpace(what), " ")
		dir := strings.TrimSuffix(name, "/")
		switch {
		case name == "main.go":
			dir = "."
		case strings.HasPrefix(line, "  "):
			dir = path.Join(parent, dir)
		default:
			parent = dir
		}
		if _, twice := tree[dir]; twice {
			t.Errorf("README's tree has %s twice", dir)
		}
		tree[dir] = nil
		for word := range strings.SplitSeq(arrow, ",") {
			if word = strings.TrimSpace(word); word != "" {
				tree[dir] = append(tree[dir], word)
			}
		}
	}
	return tree
}

// README's tree has every package but helpers of tests and examples, and behind its arrow what it may import: by the
// last part of the name, "its own" for packages below it, "all below" for whatever. internal/atomicfile is left out.
func TestReadmeHasTheTree(t *testing.T) {
	tree := readmeTree(t)
	packages := goFiles(t)
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		helper := strings.HasSuffix(dir, "test") || strings.HasPrefix(dir, "examples/") || dir == "internal/tree"
		if _, ok := tree[dir]; !ok && !helper {
			t.Errorf("README's tree lacks %s", dir)
		}
	}
	for dir := range imports {
		if _, ok := packages[dir]; !ok {
			t.Errorf("%s may import packages, and is none", dir)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(tree)) {
		_, isPackage := packages[dir]
		if arrow := tree[dir]; isPackage && !slices.Contains(arrow, "all below") {
			checkArrow(t, dir, arrow)
		}
	}
}

func checkArrow(t *testing.T, dir string, arrow []string) {
	t.Helper()
	own := slices.ContainsFunc(arrow, func(w string) bool { return strings.HasPrefix(w, "its own") })
	var may []string
	for _, i := range imports[dir] {
		name := path.Base(i)
		below := strings.HasPrefix(i, dir+"/")
		if i == "internal/atomicfile" {
			continue
		}
		may = append(may, name)
		if !slices.Contains(arrow, name) && !(own && below) {
			t.Errorf("README's tree does not say that %s may import %s", dir, i)
		}
	}
	for _, word := range arrow {
		if _, but, ok := strings.Cut(word, "its own but "); ok {
			for name := range strings.SplitSeq(but, " and ") {
				if slices.Contains(may, name) {
					t.Errorf("README's tree says that %s does not import %s", dir, name)
				}
			}
		} else if word != "its own" && !slices.Contains(may, word) {
			t.Errorf("README's tree says that %s may import %s", dir, word)
		}
	}
}
