package nn

import (
	"math"
)

// Parameter is one parameter of an architecture's network.
type Parameter struct {
	Name string // such as "face/0/w"
	Dims []int
	init Initializer
}

// Initial returns the values that the parameter has before training; the caller owns them. They depend on the seed and
// the parameter's name alone, so that runs repeat.
func (p Parameter) Initial(seed uint64) []float32 { return p.init.values(p.Name, seed, p.Dims) }

// Parameters returns the parameters of an architecture of KindTandem, in the order in which training makes them.
func Parameters(a Arch) []Parameter { return layoutOf(a).params }

// layout is a reading of the network that notes its parameters, in order, and the scales of its convolutions.
type layout struct {
	*onnxOps
	params []Parameter
	scales map[string]float64 // of each convolution's weights, by its name
}

func layoutOf(a Arch) *layout {
	l := &layout{onnxOps: newOnnxOps(nil), scales: map[string]float64{}}
	s := a.Spec
	in := func(dims ...int) onnxValue { return onnxValue{dims: append([]int{-1}, dims...)} }
	crops, audio := in(s.CropSize, s.CropSize, s.Channels), in(s.AudioSamples())
	faces := l.reshape(tandemFaces[onnxValue](l, a, crops), -1, s.VideoFrames, a.FaceFeatures())
	tandemFuse[onnxValue](l, a, faces, in(s.VideoFrames), tandemAudio[onnxValue](l, a, audio, in(1)), in(1))
	return l
}

func (l *layout) note(name string, init Initializer, dims ...int) {
	l.params = append(l.params, Parameter{Name: name, Dims: dims, init: init})
}

func (l *layout) Param(name string, init Initializer, dims ...int) onnxValue {
	l.note(name, init, dims...)
	return onnxValue{dims: dims}
}

func (l *layout) filter(x onnxValue, name string, side, stride, out int, scale float64) onnxValue {
	d := x.dims
	fan := side * side * d[3]
	l.scales[name] = scale
	l.note(name+"/w", NormalInit(1/math.Sqrt(float64(fan))), fan, out)
	l.note(name+"/gain", ConstInit(1), 1, out)
	l.note(name+"/b", ConstInit(0), 1, out)
	return onnxValue{dims: []int{d[0], d[1] / stride, d[2] / stride, out}, image: true}
}

func (l *layout) conv(x onnxValue, name string, out int, scale float64) onnxValue {
	return l.filter(x, name, 3, 1, out, scale)
}

func (l *layout) merge(x onnxValue, name string, out int, scale float64) onnxValue {
	return l.filter(x, name, 2, 2, out, scale)
}
