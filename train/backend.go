package train

import (
	"fmt"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	onnxbackend "github.com/gomlx/compute-onnx"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/go-xla/compute/xla"

	"tandem/infer"
)

// DefaultBackend is the backend that trains where none is named: ONNX Runtime.
const DefaultBackend = "onnx"

// CheckBackend returns an error if name is no backend that --backend takes; whether it can be had is another matter.
func CheckBackend(name string) error {
	switch kind, _, _ := strings.Cut(name, ":"); kind {
	case "onnx", "go":
		if kind == name {
			return nil
		}
	case "xla":
		return nil
	}
	return fmt.Errorf("%q: known are onnx (ONNX Runtime), go (pure Go, slow), "+
		"and xla or xla:PLUGIN (PJRT, for GPUs)", name)
}

// NewBackend opens what computes the steps of training: onnx, go, xla or xla:PLUGIN.
func NewBackend(name string) (compute.Backend, error) {
	if err := CheckBackend(name); err != nil {
		return nil, fmt.Errorf("backend %w", err)
	}
	kind, plugin, _ := strings.Cut(name, ":")
	switch kind {
	case "go":
		return gobackend.New("")
	case "xla":
		// Nothing is downloaded: go-xla's installer is a package that tandem does not link, and who asks for XLA has
		// installed a plugin.
		b, err := openXLA(plugin)
		if err != nil {
			return nil, fmt.Errorf("backend %s: %w; see docs/training.md for how to install a PJRT plugin", name, err)
		}
		return b, nil
	}
	return openBackend()
}

// xlaBackends are those that were opened, by plugin: one takes most of its device's memory, so that there is room for
// one in a process.
var xlaBackends = struct {
	sync.Mutex
	of map[string]compute.Backend
}{of: map[string]compute.Backend{}}

func openXLA(plugin string) (compute.Backend, error) {
	xlaBackends.Lock()
	defer xlaBackends.Unlock()
	if b := xlaBackends.of[plugin]; b != nil {
		return b, nil
	}
	b, err := xla.New(plugin)
	if err != nil {
		return nil, err
	}
	xlaBackends.of[plugin] = b
	return b, nil
}

// openBackend opens ONNX Runtime, the same that runs the models. compute-onnx would fetch a runtime of its own where it
// finds none; ours is pinned. It reads GOMLX_NO_AUTO_INSTALL once, as the process starts, so that setting the variable
// here would be too late: EnableAutoInstall is the switch, and a path in the configuration is never replaced.
var openBackend = sync.OnceValues(func() (compute.Backend, error) {
	lib, err := infer.FindRuntime()
	if err != nil {
		return nil, err
	}
	onnxbackend.EnableAutoInstall(false)
	return onnxbackend.New("cpu," + lib)
})
