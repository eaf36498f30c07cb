package tree_test

import (
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imports are the packages of tandem that each package may import, by their folders: the tree in README.md. Imports run
// down only. Test files may import more, as far as Go lets them.
var imports = map[string][]string{}

// libraries are those that only the packages named may import, by the beginning of their import path.
var libraries = map[string][]string{
	"gocv.io/x/gocv":                      {"capture", "overlay/window"},
	"github.com/gordonklaus/portaudio":    {"capture"},
	"github.com/yalue/onnxruntime_go":     {"infer"},
	"github.com/gomlx/":                   {"infer", "train", "train/nn", "train/optim", "train/weighting"},
	"github.com/pion/":                    {"webrtc"},
	"gonum.org/v1/plot":                   {"train/plot"},
	"github.com/spf13/pflag":              {"cli"},
	"github.com/prometheus/client_golang": {"webrtc"},
}

// within reports whether a package is one of those listed or, where such a one ends in /..., below it.
func within(pkg string, list []string) bool {
	return slices.ContainsFunc(list, func(l string) bool {
		below, all := strings.CutSuffix(l, "/...")
		return pkg == l || all && (pkg == below || strings.HasPrefix(pkg, below+"/"))
	})
}

func TestImportsRunDown(t *testing.T) {
	for dir, files := range goFiles(t) {
		used := map[string]bool{}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range f.Imports {
				name, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				for library, by := range libraries {
					if strings.HasPrefix(name, library) && !within(dir, by) {
						t.Errorf("%s imports %s, which only %v may", file, name, by)
					}
				}
				if local, ok := strings.CutPrefix(name, "tandem/"); ok {
					used[local] = true
				}
			}
		}
		for _, local := range slices.Sorted(maps.Keys(used)) {
			if !slices.Contains(imports[dir], local) {
				t.Errorf("%s imports %s, which the tree does not allow: it may import %v", dir, local, imports[dir])
			}
		}
		for _, local := range imports[dir] {
			if !used[local] {
				t.Errorf("%s no longer imports %s: take it out of the list", dir, local)
			}
		}
	}
}
