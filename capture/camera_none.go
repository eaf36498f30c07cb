//go:build nocamera

package capture

import "fmt"

// OpenCamera always fails in a program that was built with -tags nocamera. A FIFO, a file or a URL opens with Open.
func OpenCamera(spec string) (Source, error) {
	return nil, fmt.Errorf("camera %s: %w", spec, ErrNoCamera)
}
