package nn

// Ops is the small vocabulary in which the network is written. It has two readings: graphOps builds the GoMLX
// graph that is trained, onnxOps writes the ONNX nodes that are exported (native convolutions, weight
// standardization folded into the weights, a batch axis that is dynamic). The network itself stands once, in
// net.go; a parity test holds the two readings together.
//
// V is a tensor value. Images are [batch, height, width, channels] in the meaning of every method; a reading may
// keep them in another layout inside. Axis 0 is the batch and is never reduced, sliced or concatenated.
type Ops[V any] interface {
	// dims is the value's shape; the batch axis may be -1.
	dims(x V) []int

	// param is a trainable tensor, created by init where it is new.
	Param(name string, init initializer, dims ...int) V
	// constant is a tensor that is not trained; the data is in row-major order.
	Constant(data []float32, dims ...int) V

	// image turns [N, H, W, C] bytes into floats: 0 becomes lo, 255 becomes hi.
	image(x V, lo, hi float64) V
	// conv is a 3x3 convolution with stride 1 and zero padding 1, scaled weight standardization (Brock et al.
	// 2021, arXiv 2101.08692, eq. 1) times scale, a learned gain, and a bias.
	conv(x V, name string, out int, scale float64) V
	// merge is a 2x2 convolution with stride 2, standardized and scaled like conv: it halves the picture.
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

	Add(x, y V) V // x and y broadcast, same rank
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
	Sum(x V, axis int) V // keeps the axis, as 1
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

	// dropout zeroes a share of the values in training and is the identity otherwise.
	dropout(x V, name string) V
}

// initializer says how a new parameter starts.
type initializer struct {
	kind  string // "normal" with standard deviation value, "const" with value, "data" with data
	value float64
	data  []float32
}

func normalInit(sd float64) initializer   { return initializer{kind: "normal", value: sd} }
func ConstInit(v float64) initializer     { return initializer{kind: "const", value: v} }
func dataInit(data []float32) initializer { return initializer{kind: "data", data: data} }
