package infer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gomlx/compute-onnx/support/protos"
	ort "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/proto"

	"tandem/capture"
	"tandem/pipeline"
)

// detector is one BlazeFace network.
type detector struct {
	file     string // names it in errors
	side     int
	canvases sync.Pool // of *canvas

	mu      sync.Mutex
	model   []byte   // until session is there
	session *session // nil until the first search
	closed  bool
}

// canvas is the memory of one search, kept for the next.
type canvas struct {
	scaler  *scaler
	pix     []float32    // side*side*3
	scores  [2][]float32 // of the 16x16x2 and of the 8x8x6 anchors
	regress [2][]float32
}

// detectorInput is the networks' input, and detectorOutputs are their outputs: scores then regressors, fine grid then
// coarse.
const detectorInput = "input:0"

var detectorOutputs = []string{"Identity:0", "Identity_1:0", "Identity_2:0", "Identity_3:0"}

func loadDetector(file string, side int) (*detector, error) {
	if err := Init(); err != nil {
		return nil, err
	}
	model, err := readAsset(file, ErrNoDetector)
	if err != nil {
		return nil, err
	}
	return newDetector(file, model, side)
}

// newDetector checks that a model has the inputs and outputs of a BlazeFace of that side; open loads its network.
func newDetector(file string, model []byte, side int) (*detector, error) {
	d := &detector{file: file, side: side, model: model}
	if err := checkDetector(model, side); err != nil {
		return nil, d.refused(err)
	}
	d.canvases.New = func() any {
		c := &canvas{pix: make([]float32, 3*side*side)}
		for i, g := range grids {
			c.scores[i] = make([]float32, g.anchors())
			c.regress[i] = make([]float32, g.anchors()*regressors)
		}
		return c
	}
	return d, nil
}

func (d *detector) refused(err error) error {
	return fmt.Errorf("%s is not the face detector that assets/ pins: %w; delete it and run `make assets`", d.file, err)
}

// checkDetector compares a model's inputs and outputs with those of a BlazeFace. It reads them off the file: to ask
// ONNX Runtime for them would load the network twice.
func checkDetector(model []byte, side int) error {
	var m protos.ModelProto
	if err := proto.Unmarshal(model, &m); err != nil {
		return err
	}
	s := int64(side)
	fine, coarse := int64(grids[0].anchors()), int64(grids[1].anchors())
	return errors.Join(
		sameValues(m.GetGraph().GetInput(), []string{detectorInput}, [][]int64{{1, s, s, 3}}),
		sameValues(m.GetGraph().GetOutput(), detectorOutputs,
			[][]int64{{1, fine, 1}, {1, coarse, 1}, {1, fine, regressors}, {1, coarse, regressors}}))
}

// sameValues compares the names and shapes of float tensors.
func sameValues(got []*protos.ValueInfoProto, names []string, shapes [][]int64) error {
	if len(got) != len(names) {
		return fmt.Errorf("%d tensors where %d are wanted", len(got), len(names))
	}
	for i, v := range got {
		var shape []int64
		for _, d := range v.GetType().GetTensorType().GetShape().GetDim() {
			shape = append(shape, d.GetDimValue())
		}
		if v.GetName() != names[i] || !slices.Equal(shape, shapes[i]) || elemType(v) != protos.TensorProto_FLOAT {
			return fmt.Errorf("tensor %d is %s %v %v where %s %v of floats is wanted",
				i, quote(v.GetName()), shape, elemType(v), names[i], shapes[i])
		}
	}
	return nil
}

// open returns the network, which it loads at the first call. After close the error is ErrClosed.
func (d *detector) open() (*session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, ErrClosed
	case d.session != nil:
		return d.session, nil
	}
	s, err := newSession(d.model, []string{detectorInput}, detectorOutputs, 1)
	if errors.Is(err, ErrNoRuntime) {
		return nil, err
	} else if err != nil {
		return nil, d.refused(err)
	}
	d.session, d.model = s, nil
	return s, nil
}

// close waits for the searches under way and frees the network.
func (d *detector) close() error {
	d.mu.Lock()
	d.closed = true
	s := d.session
	d.mu.Unlock()
	return s.close()
}

// look looks once at a picture drawn by a view, and returns the detections whose logit is at least least, as faces,
// best first.
func (d *detector) look(ctx context.Context, frame *capture.Frame, v view, least float32) ([]pipeline.Face, error) {
	network, err := d.open()
	if err != nil {
		return nil, err
	}
	c := d.canvases.Get().(*canvas)
	defer d.canvases.Put(c)
	if s := c.scaler; s == nil || s.width != frame.Width || s.height != frame.Height || s.view != v {
		c.scaler = newScaler(frame.Width, frame.Height, d.side, v)
	}
	c.scaler.draw(c.pix, frame.Pix)
	if v.mirrored {
		mirrorRows(c.pix, d.side)
	}

	var ts tensors
	defer ts.free()
	var errs [5]error
	var in [1]ort.Value
	var out [4]ort.Value
	in[0], errs[4] = tensor(&ts, c.pix, 1, int64(d.side), int64(d.side), 3)
	for i, g := range grids {
		n := int64(g.anchors())
		out[i], errs[i] = tensor(&ts, c.scores[i], 1, n, 1)
		out[2+i], errs[2+i] = tensor(&ts, c.regress[i], 1, n, regressors)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if err := network.run(ctx, in[:], out[:]); err != nil {
		return nil, err
	}
	var found []detection
	for i, g := range grids {
		found = decode(found, g, float64(d.side), least, anchorValues{c.scores[i], c.regress[i]})
	}
	return merge(found, v, float64(d.side)), nil
}

// whole is look at the whole picture, its longer side taking the share fill of the canvas, for what is a face by
// the network alone.
func (d *detector) whole(ctx context.Context, frame *capture.Frame, fill float64) ([]pipeline.Face, error) {
	return d.look(ctx, frame, fit(frame.Width, frame.Height, d.side, fill), minFaceLogit)
}

// mirrorRows swaps left and right of a canvas.
func mirrorRows(pix []float32, side int) {
	for row := range slices.Chunk(pix, 3*side) {
		for i, j := 0, 3*(side-1); i < j; i, j = i+3, j-3 {
			for c := range 3 {
				row[i+c], row[j+c] = row[j+c], row[i+c]
			}
		}
	}
}
