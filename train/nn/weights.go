package nn

import (
	"encoding/binary"
	"math"
)

// Weights are a network's parameters, and the running statistics of its batch normalizations, by name ("face/0/w").
// They are copies in Go's memory: nothing that trains or runs the network writes to them.
type Weights map[string]Weight

// Weight is one tensor of a network.
type Weight struct {
	Dims []int     // its shape
	Data []float32 // in row-major order, as many as the product of Dims
}

// Count returns how many numbers of the network are trained.
func (w Weights) Count() int {
	n := 0
	for name, p := range w {
		if !isStatistic(name) {
			n += len(p.Data)
		}
	}
	return n
}

// size returns the product of the shape, or -1 where it is no shape.
func (w Weight) size() int {
	n := 1
	for _, d := range w.Dims {
		if d < 1 || n > math.MaxInt32/d {
			return -1
		}
		n *= d
	}
	return n
}

// Float32s decodes little-endian 32-bit floats, as ONNX files have them; a rest of fewer than four bytes is ignored.
func Float32s(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

// float32Bytes is the inverse of Float32s.
func float32Bytes(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}
