// Package infer runs networks on ONNX Runtime: it loads a model by the contract that stands in its file, detects
// faces, and recognises windows, in one batch over all that are due.
package infer

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNoRuntime is returned where no usable ONNX Runtime library was found; the text says how to get one.
	ErrNoRuntime = errors.New("ONNX Runtime not found")
	// ErrNoDetector is returned where a face detector's file was not found; the text says how to get it.
	ErrNoDetector = errors.New("face detector not found")
	// ErrNoDefaultModel is returned by DefaultModel in a build without one.
	ErrNoDefaultModel = errors.New("no model is embedded in this build")
	// ErrContract is what every refusal of a model for its contents wraps.
	ErrContract = errors.New("model breaks tandem's contract")
	// ErrClosed is returned by use after Close.
	ErrClosed = errors.New("closed")
)

// Options are what Recognizer and BlazeFace let a user choose.
type Options struct {
	// Threads is how many threads one inference may use; 0 or less means as many as Go may use (GOMAXPROCS).
	// The face detector always runs on one, since its layers are too small to be worth splitting.
	Threads int
	// MaxBatch bounds the windows in one run and with that the memory; more are done in several runs. 0 or
	// less means 32.
	MaxBatch int
}

//go:embed models
var models embed.FS

// DefaultModel returns the embedded model, written by `tandem train`. The error is ErrNoDefaultModel where the
// binary was built without one.
func DefaultModel() ([]byte, error) {
	b, err := models.ReadFile("models/default.onnx")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: give one with --model FILE, or write infer/models/default.onnx with `tandem train` and build again", ErrNoDefaultModel)
	}
	return b, err
}
