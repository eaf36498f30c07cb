//go:build nocamera

package main

import "errors"

// window is none in a program that was built without OpenCV.
type window struct{}

func openWindow(string, int, int) (*window, error) {
	return nil, errors.New("built without window support")
}

func (*window) show(*canvas)      {}
func (*window) poll() (open bool) { return false }
func (*window) close()            {}
