//go:build nocamera

package capture

import (
	"errors"
	"fmt"
)

// ErrNoCamera says that this program was built without OpenCV (-tags nocamera).
var ErrNoCamera = errors.New("built without camera support")

// OpenCamera always fails in a program that was built with -tags nocamera. A FIFO, a file or a URL opens with Open.
func OpenCamera(spec string) (Source, error) {
	return nil, fmt.Errorf("camera %s: %w", spec, ErrNoCamera)
}
