//go:build nocamera

package capture

import "fmt"

// HasCamera is whether this program was built with OpenCV, which opens cameras and windows.
const HasCamera = false

// OpenCamera always fails in a program that was built with -tags nocamera. A FIFO, a file or a URL opens with Open.
func OpenCamera(spec string) (Source, error) {
	return nil, fmt.Errorf("camera %s: %w", spec, ErrNoCamera)
}
