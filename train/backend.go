package train

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	onnxbackend "github.com/gomlx/compute-onnx"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/go-xla/compute/xla"

	"tandem/infer"
)

// DefaultBackend is what trains where nothing else is asked for.
const DefaultBackend = "onnx"

// CheckBackend refuses what --backend does not know.
func CheckBackend(name string) error {
	switch kind, _, _ := strings.Cut(name, ":"); kind {
	case "onnx", "go":
		if kind == name {
			return nil
		}
	case "xla":
		return nil
	}
	return fmt.Errorf("%q: known are onnx (ONNX Runtime), go (pure Go, slow), and xla or xla:PLUGIN (PJRT, for GPUs)",
		name)
}

// newBackend opens what computes the steps of training: onnx, go, xla or xla:PLUGIN.
func newBackend(name string) (compute.Backend, error) {
	if err := CheckBackend(name); err != nil {
		return nil, fmt.Errorf("backend %w", err)
	}
	kind, plugin, _ := strings.Cut(name, ":")
	switch kind {
	case "go":
		return gobackend.New("")
	case "xla":
		// Nothing is downloaded: who asks for XLA has installed a plugin.
		b, err := xla.New(plugin)
		if err != nil {
			return nil, fmt.Errorf("backend %s: %w; see docs/training.md for how to install a PJRT plugin", name, err)
		}
		return b, nil
	}
	return openBackend()
}

// openBackend opens ONNX Runtime, the same that runs the models.
var openBackend = sync.OnceValues(func() (compute.Backend, error) {
	lib, err := infer.FindRuntime()
	if err != nil {
		return nil, err
	}
	// compute-onnx would fetch a runtime of its own where it finds none; ours is pinned.
	onnxbackend.EnableAutoInstall(false)
	if os.Getenv("GOMLX_NO_AUTO_INSTALL") == "" {
		os.Setenv("GOMLX_NO_AUTO_INSTALL", "1")
	}
	return onnxbackend.New("cpu," + lib)
})
