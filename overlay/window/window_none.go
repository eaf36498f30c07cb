//go:build nocamera

package window

import (
	"errors"

	"tandem/overlay"
)

// window is none in a program that was built without OpenCV.
type window struct{}

func openWindow(string, int, int) (*window, error) {
	return nil, errors.New("built without window support")
}

func (*window) show(*overlay.Canvas) {}
func (*window) poll() (open bool)    { return false }
func (*window) close()               {}
