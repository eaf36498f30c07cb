package nn

import "math/rand/v2"

// ops is the small vocabulary in which the networks are written. It has two readings: *GraphOps builds the GoMLX graph
// that is trained, *onnxOps writes the ONNX nodes that are exported (native convolutions, weight standardization folded
// into the weights, a batch axis that is dynamic). Each network itself stands once, in net.go and paper.go; a parity
// test in package train (TestExportAgreesWithTheTrainedGraph) holds the two readings together. To add a layer, name it
// here and give both readings a method; *layout inherits onnxOps' unless the layer has parameters.
//
// V is a tensor value. Images are [batch, height, width, channels] in the meaning of every method; a reading may
// keep them in another layout inside. Axis 0 is the batch and is never reduced, sliced or concatenated.
type ops[V any] interface {
	// dims is the value's shape; the batch axis may be -1.
	dims(x V) []int

	// Param is a trainable tensor, created by init where it is new.
	Param(name string, init Initializer, dims ...int) V
	// Constant is a tensor that is not trained; the data is in row-major order.
	Constant(data []float32, dims ...int) V

	// image turns [N, H, W, C] bytes into floats: 0 becomes lo, 255 becomes hi.
	image(x V, lo, hi float64) V
	// conv is a 3x3 convolution with stride 1 and zero padding 1, scaled weight standardization (Brock et al.
	// 2021, arXiv 2101.08692, eq. 1) times scale, a learned gain, and a bias.
	conv(x V, name string, out int, scale float64) V
	// merge is a 2x2 convolution with stride 2, standardized and scaled like conv: it halves the image.
	merge(x V, name string, out int, scale float64) V
	// fold moves each 2x2 block of pixels into channels, in the order (row, column, channel).
	fold(x V) V
	// toImage reads [N, ...] as an image; flat reads an image as [N, H*W*C].
	toImage(x V, h, w, c int) V
	flat(x V, perRow bool) V

	reshape(x V, dims ...int) V // the first of dims may be -1
	slice(x V, axis, from, to int) V
	concat(axis int, xs ...V) V
	matmul(x, y V) V // [N, K] x [K, M]

	add(x, y V) V // x and y broadcast, same rank
	sub(x, y V) V
	mul(x, y V) V
	div(x, y V) V
	addScalar(x V, c float64) V
	mulScalar(x V, c float64) V
	relu(x V) V
	log(x V) V
	sqrt(x V) V
	abs(x V) V
	exp(x V) V
	sum(x V, axis int) V // keeps the axis, as 1
	max(x V, axis int) V // keeps the axis, as 1

	maximum(x, y V) V                    // of two, value by value
	transpose(x V, perm ...int) V        // the batch may move; the methods above want it first
	batchMatmul(x, y V) V                // [M, I, J] x [M, J, K]
	lstm(x V, name string, hidden int) V // [N, T, D] to the outputs of all steps, [N, T, hidden]; begins at zero

	// convNorm is a convolution of side x side (odd), stride 1 or 2, zero padding side/2, and batch normalization. In
	// training that is batch renormalization by the crops that are there; the exported file has the running statistics.
	convNorm(x V, name string, side, stride, out int) V
	// pool is a 3x3 max-pool with stride 2 and padding 1 of an image that is nowhere negative.
	pool(x V) V
	// average is the mean over an image, [N, C].
	average(x V) V

	// named gives a value the name that runners of the file know it by; it says nothing to the graph that is trained.
	named(x V, name string) V

	// dropout zeroes a share of the values in training and is the identity otherwise.
	dropout(x V, name string) V
}

// Initializer is how a new parameter starts.
type Initializer struct {
	kind  string // "normal" with standard deviation value, "const" with value, "data" with data
	value float64
	data  []float32
}

// NormalInit draws values from a normal distribution around 0 with a standard deviation.
func NormalInit(sd float64) Initializer { return Initializer{kind: "normal", value: sd} }

// ConstInit sets each value to v.
func ConstInit(v float64) Initializer { return Initializer{kind: "const", value: v} }

func dataInit(data []float32) Initializer { return Initializer{kind: "data", data: data} }

// values returns the first values of a parameter: they depend on its name and the seed only, so that runs repeat.
func (i Initializer) values(name string, seed uint64, dims []int) []float32 {
	if i.kind == "data" {
		return i.data
	}
	n := 1
	for _, d := range dims {
		n *= d
	}
	v := make([]float32, n)
	h := uint64(14695981039346656037)
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	rng := rand.New(rand.NewPCG(seed, h))
	for k := range v {
		v[k] = float32(i.value)
		if i.kind == "normal" {
			v[k] *= float32(rng.NormFloat64())
		}
	}
	return v
}
