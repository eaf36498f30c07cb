// Package infer runs networks on ONNX Runtime: it loads a model by the contract that stands in its file, detects
// faces, and recognises windows, in one batch over all that are due.
package infer

import (
	_ "embed" // the default model
	"errors"

	"golang.org/x/sys/cpu"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNoRuntime is returned where no usable ONNX Runtime library was found; the text says how to get one.
	ErrNoRuntime = errors.New("ONNX Runtime not found")
	// ErrNoDetector is returned where a face detector's file was not found; the text says how to get it.
	ErrNoDetector = errors.New("face detector not found")
	// ErrNoVoiceDetector is the same for the voice detector's file.
	ErrNoVoiceDetector = errors.New("voice detector not found")
	// ErrContract is wrapped by every refusal of a model for its contents.
	ErrContract = errors.New("model breaks tandem's contract")
	// ErrClosed is returned by use after Close.
	ErrClosed = errors.New("closed")
)

// Options of a Recognizer.
type Options struct {
	// Threads is how many threads one inference may use; 0 or less means as many as Go may use (GOMAXPROCS).
	// A BlazeFace always runs on one, since its layers are too small to be worth splitting.
	Threads int
	// MaxBatch bounds the windows in one run; more are done in several runs. 0 or less means 32. A run has fewer where
	// they would take more than about 1 GB, see WindowMemory.
	MaxBatch int
	// Int8 computes a Recognizer's convolutions in 8 bits, for a model that knows its ranges (Contract.Int8Ranges).
	Int8 bool
	// Int8IfFaster is Int8 for a model that knows its ranges, on a processor that multiplies and adds 8-bit numbers in
	// one instruction (VNNI; Arm's dot product): elsewhere 8 bits were not measured.
	Int8IfFaster bool
}

// int8 reports whether a model is to run in 8 bits.
func (o Options) int8(c *Contract) bool {
	return o.Int8 || o.Int8IfFaster && c.Int8Ranges != nil && hasInt8Products
}

// hasInt8Products is Options.Int8IfFaster's question to the processor.
var hasInt8Products = cpu.X86.HasAVX512VNNI || cpu.X86.HasAVXVNNI || cpu.ARM64.HasASIMDDP

//go:embed models/default.onnx
var defaultModel []byte

// DefaultModelSHA256 is the SHA-256 of DefaultModel in hex. It is written down since hashing the model would take
// longer than loading the face detector.
const DefaultModelSHA256 = "ca01e14f932549baf951f4b7973ed5bd4cb964457aed6869926f8c6337bdfc1b"

// DefaultModel returns the embedded model, written by `tandem train`. It is shared: do not write to it.
func DefaultModel() []byte { return defaultModel }

//go:embed models/speaker.onnx
var defaultSpeakerModel []byte

// DefaultSpeakerModel returns the embedded speaker model, written by `tandem train --task speaker`. It is shared: do
// not write to it.
func DefaultSpeakerModel() []byte { return defaultSpeakerModel }

// isDefault reports whether a model is the embedded one, by where it lies.
func isDefault(model []byte) bool {
	return len(model) == len(defaultModel) && len(model) > 0 && &model[0] == &defaultModel[0]
}
