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
var imports = map[string][]string{
	".": {"cli"},
	"cli": {
		"capture", "capture/av", "infer", "infer/explain", "internal/atomicfile", "overlay", "overlay/window",
		"pipeline", "train", "train/audit", "train/card", "train/compare", "train/dataset", "train/eval", "train/folds",
		"train/metrics", "train/nn", "train/sample", "train/speaker", "train/sweep", "train/weighting", "webrtc",
		"webrtc/access", "webrtc/agent", "webrtc/peer", "webrtc/signal", "webrtc/tracing", "webrtc/webhook",
	},
	"overlay":        {"capture", "capture/av", "pipeline"},
	"overlay/window": {"capture", "overlay"},
	"webrtc": {
		"capture", "capture/av", "infer", "pipeline", "webrtc/access", "webrtc/cputime", "webrtc/events",
		"webrtc/middleware", "webrtc/page", "webrtc/peer", "webrtc/problem", "webrtc/receive", "webrtc/signal",
		"webrtc/tracing", "webrtc/webhook", "webrtc/whip",
	},
	"webrtc/agent": {"pipeline", "webrtc", "webrtc/events", "webrtc/webhook"},
	"webrtc/benchserve": {
		"capture", "capture/av", "cli", "infer", "pipeline", "train/plot", "webrtc", "webrtc/client", "webrtc/peer",
	},
	"webrtc/client":     {"capture/av", "pipeline", "webrtc/events", "webrtc/problem", "webrtc/signal"},
	"webrtc/events":     {"pipeline", "webrtc/problem"},
	"webrtc/middleware": {"webrtc/access", "webrtc/problem"},
	"webrtc/page":       {"webrtc/problem"},
	"webrtc/peer":       {"webrtc/signal"},
	"webrtc/receive":    {"capture", "capture/av", "webrtc/cputime"},
	"webrtc/signal":     {"webrtc/problem"},
	"webrtc/tracing":    {"pipeline", "webrtc/middleware"},
	"webrtc/webrtctest": {"pipeline"},
	"webrtc/whip":       {"webrtc/middleware", "webrtc/problem", "webrtc/signal"},
	"train": {
		"capture", "infer", "internal/atomicfile", "pipeline", "train/augment", "train/dataset", "train/eval",
		"train/metrics", "train/nn", "train/optim", "train/plot", "train/sample", "train/weighting",
	},
	"train/audit":   {"capture", "pipeline", "train/dataset", "train/sample"},
	"train/augment": {"capture"},
	"train/card":    {"infer", "train/eval", "train/metrics"},
	"train/compare": {
		"infer", "internal/atomicfile", "train", "train/dataset", "train/eval", "train/metrics", "train/plot",
		"train/sample", "train/weighting",
	},
	"train/dataset":             {"pipeline"},
	"train/dataset/datasettest": {"train/dataset", "train/traintest"},
	"train/eval": {
		"infer", "internal/atomicfile", "pipeline", "train/augment", "train/dataset", "train/metrics", "train/plot",
		"train/sample",
	},
	"train/folds": {
		"infer", "internal/atomicfile", "train", "train/dataset", "train/eval", "train/metrics",
	},
	"train/nn":                {"capture", "infer", "pipeline"},
	"train/sample":            {"capture", "internal/atomicfile", "pipeline", "train/dataset"},
	"train/sample/sampletest": {"pipeline", "train/dataset", "train/sample"},
	"train/speaker": {
		"capture", "infer", "internal/atomicfile", "pipeline", "train", "train/augment", "train/dataset", "train/nn",
		"train/optim", "train/sample",
	},
	"train/sweep": {
		"internal/atomicfile", "pipeline", "train", "train/dataset", "train/eval", "train/plot", "train/sample",
	},
	"train/traintest": {"capture", "capture/av", "capture/capturetest", "pipeline"},
	"train/weighting": {"train/nn", "train/optim"},
	"infer":           {"capture", "pipeline"},
	"infer/explain":   {"capture", "pipeline"},
	"pipeline":        {"capture", "pipeline/appearance"},
	"pipeline/appearance/fit": {
		"capture", "infer", "internal/atomicfile", "pipeline", "pipeline/appearance", "train/dataset",
	},
	"capture":             {"capture/av"},
	"capture/capturetest": {"capture", "capture/av"},
	"examples/publish":    {"webrtc/client"},
	"infer/infertest":     {"infer", "pipeline"},
}

// libraries are those that only the packages named may import, by the beginning of their import path; of several the
// longest counts.
var libraries = map[string][]string{
	"gocv.io/x/gocv":                   {"capture", "overlay/window"},
	"github.com/gordonklaus/portaudio": {"capture"},
	"github.com/yalue/onnxruntime_go":  {"infer"},
	// The networks: GoMLX trains them, its description of ONNX files serves reading them too.
	"github.com/gomlx/": {
		"train", "train/nn", "train/optim", "train/speaker", "train/traintest", "train/weighting",
	},
	"github.com/gomlx/compute-onnx/support/protos": {"infer/...", "train", "train/nn"},
	"github.com/pion/": {
		"webrtc", "webrtc/agent", "webrtc/benchserve", "webrtc/client", "webrtc/peer", "webrtc/receive",
		"webrtc/signal",
	},
	"github.com/livekit/":                 {"webrtc/agent"},
	"github.com/nats-io/":                 {"webrtc/agent"},
	"gonum.org/v1/plot":                   {"train/plot"},
	"github.com/spf13/":                   {"cli"},
	"github.com/golang-jwt/":              {"webrtc/access"},
	"github.com/MicahParks/":              {"webrtc/access"},
	"github.com/prometheus/client_golang": {"webrtc"},
	"go.opentelemetry.io/":                {"webrtc/tracing", "webrtc/webrtctest"},
	"github.com/parquet-go/parquet-go":    {"pipeline"},
}

// libraryOf returns the longest name in libraries that an import path begins with, "" if there is none.
func libraryOf(path string) (library string) {
	for l := range libraries {
		if strings.HasPrefix(path, l) && len(l) > len(library) {
			library = l
		}
	}
	return library
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
				if l := libraryOf(name); l != "" && !within(dir, libraries[l]) {
					t.Errorf("%s imports %s, which only %v may", file, name, libraries[l])
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
