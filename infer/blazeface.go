package infer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gomlx/compute-onnx/support/protos"
	ort "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/proto"

	"tandem/capture"
	"tandem/pipeline"
)

const (
	// minFaceLogit is the least answer for a detection: a score of 0.5 after the sigmoid.
	minFaceLogit = 0
	// sameFace is the overlap (intersection over union) from which on two detections are one face.
	sameFace = 0.3
	// closeUp is the size of a face, as a share of the picture's longer side, from which on the networks see it
	// too small and its points too close together, since they were trained on faces inside a picture.
	closeUp = 0.75
	// farFill is the share of the canvas that a picture takes when it is looked at once more from farFill.
	farFill = 0.5
	// smallFrame is the longer side in pixels below which a picture may be a cut-out face.
	smallFrame = 256

	regressors   = 16 // box centre and size, then six points
	pointsInFace = 4  // of the six; the ears are left out
)

// BlazeFace finds faces with MediaPipe's two BlazeFace networks (Bazarevsky et al. 2019, arXiv 1907.05047). The
// front one looks at 128 x 128 pixels and is nearly always enough. A face that fills the picture, or none, makes
// it look again from afar, at the picture drawn at half size: so cut-out faces are found, as those of face data
// sets. If there is still none, the back network looks at 256 x 256 pixels, for faces half as large, and in a
// picture of less than 256 pixels also from afar. So a picture without a face costs four to five times one with
// a face, and a small one ten times.
//
// Any number of goroutines may use one.
type BlazeFace struct {
	front, back *detector
}

// NewBlazeFace loads the front network, and checks the back one, which is loaded when it is first needed: most media
// never are without a face. The files lie beside the binary or beside the ONNX Runtime library that TANDEM_ORT names;
// where one is missing the error is ErrNoDetector, or ErrNoRuntime for the library. Close frees the networks.
func NewBlazeFace() (*BlazeFace, error) {
	front, err := loadDetector("face_detection_front_128x128_barracuda.onnx", 128)
	if err != nil {
		return nil, err
	}
	back, err := loadDetector("face_detection_back_256x256_barracuda.onnx", 256)
	if err != nil {
		return nil, err
	}
	if _, err := front.open(); err != nil {
		return nil, err
	}
	return &BlazeFace{front: front, back: back}, nil
}

// Close waits for the searches under way and frees the networks. Later ones return ErrClosed.
func (f *BlazeFace) Close() error {
	return errors.Join(f.front.close(), f.back.close())
}

// FindFaces returns the faces in a picture, best score first, at most limit (all if it is 0 or less).
func (f *BlazeFace) FindFaces(ctx context.Context, frame *capture.Frame, limit int) ([]pipeline.Face, error) {
	if frame.Width <= 0 || frame.Height <= 0 || len(frame.Pix) != 3*frame.Width*frame.Height {
		return nil, fmt.Errorf("picture of %dx%d with %d bytes, must be packed RGB", frame.Width, frame.Height,
			len(frame.Pix))
	}
	small := max(frame.Width, frame.Height) < smallFrame
	faces, err := f.front.search(ctx, frame, true)
	if err == nil && len(faces) == 0 {
		faces, err = f.back.search(ctx, frame, small)
	}
	if err != nil {
		return nil, fmt.Errorf("face detection: %w", err)
	}
	if limit > 0 && len(faces) > limit {
		faces = faces[:limit]
	}
	return faces, nil
}

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

// search finds the faces in a picture, and looks once more from afar if one fills it, or if there are none and ifNone.
func (d *detector) search(ctx context.Context, frame *capture.Frame, ifNone bool) ([]pipeline.Face, error) {
	faces, err := d.detect(ctx, frame, 1)
	if err != nil {
		return nil, err
	}
	again := ifNone
	if len(faces) > 0 {
		again = max(faces[0].W, faces[0].H) > closeUp*float64(max(frame.Width, frame.Height))
	}
	if !again {
		return faces, nil
	}
	far, err := d.detect(ctx, frame, farFill)
	if len(far) == 0 {
		return faces, err
	}
	return far, nil
}

// detect looks once, with the picture's longer side taking the share fill of the canvas.
func (d *detector) detect(ctx context.Context, frame *capture.Frame, fill float64) ([]pipeline.Face, error) {
	network, err := d.open()
	if err != nil {
		return nil, err
	}
	c := d.canvases.Get().(*canvas)
	defer d.canvases.Put(c)
	if s := c.scaler; s == nil || s.width != frame.Width || s.height != frame.Height || s.fill != fill {
		c.scaler = newScaler(frame.Width, frame.Height, d.side, fill)
	}
	c.scaler.draw(c.pix, frame.Pix)

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
		found = decode(found, g, float64(d.side), c.scores[i], c.regress[i])
	}
	return merge(found, c.scaler.view, float64(d.side)), nil
}

// grid is one of the two sets of anchors: perCell on each of side x side cells. An anchor is a cell's centre; all
// have the same size.
type grid struct{ side, perCell int }

// grids are the fine and the coarse one, 896 anchors in all.
var grids = [2]grid{{16, 2}, {8, 6}}

func (g grid) anchors() int { return g.side * g.side * g.perCell }

// detection is one face on the canvas, in shares of its side: centre and size of the box, then x and y of the
// left eye as the viewer sees it, the right eye, the nose and the mouth.
type detection struct {
	score float64
	place [4 + 2*pointsInFace]float64
}

// decode appends the detections of one grid that score enough. Regressors are offsets from the anchor in pixels
// of the canvas, but for the size of the box.
func decode(found []detection, g grid, side float64, scores, regress []float32) []detection {
	for a, logit := range scores {
		if !(logit >= minFaceLogit) {
			continue
		}
		cell := a / g.perCell
		anchor := [2]float64{
			(float64(cell%g.side) + 0.5) / float64(g.side),
			(float64(cell/g.side) + 0.5) / float64(g.side),
		}
		d := detection{score: 1 / (1 + math.Exp(-float64(logit)))}
		for i := range d.place {
			d.place[i] = float64(regress[a*regressors+i]) / side
			if i != 2 && i != 3 {
				d.place[i] += anchor[i%2]
			}
		}
		found = append(found, d)
	}
	return found
}

// merge joins detections of the same face, best first: their mean, weighted by score, under the best score. (The
// BlazeFace paper's blending, which it found to jitter less than taking the best alone.)
func merge(found []detection, v view, side float64) []pipeline.Face {
	slices.SortFunc(found, func(a, b detection) int { return cmp.Compare(b.score, a.score) })
	var faces []pipeline.Face
	for len(found) > 0 {
		best := found[0]
		mean := detection{score: best.score}
		var weight float64
		found = slices.DeleteFunc(found, func(d detection) bool {
			if d.place != best.place && overlap(d, best) < sameFace {
				return false
			}
			for i, p := range d.place {
				mean.place[i] += p * d.score
			}
			weight += d.score
			return true
		})
		for i := range mean.place {
			mean.place[i] /= weight
		}
		if f, ok := mean.face(v, side); ok {
			faces = append(faces, f)
		}
	}
	return faces
}

// overlap is the intersection of two boxes over their union.
func overlap(a, b detection) float64 {
	side := func(i int) float64 {
		lo := max(a.place[i]-a.place[i+2]/2, b.place[i]-b.place[i+2]/2)
		hi := min(a.place[i]+a.place[i+2]/2, b.place[i]+b.place[i+2]/2)
		return max(hi-lo, 0)
	}
	both := side(0) * side(1)
	return both / (a.place[2]*a.place[3] + b.place[2]*b.place[3] - both)
}

// face moves a detection from the canvas to the picture. It is not ok if the network gave no sensible box.
func (d detection) face(v view, side float64) (pipeline.Face, bool) {
	x := func(i int) float64 { return (d.place[i]*side - v.dx) / v.scale }
	y := func(i int) float64 { return (d.place[i]*side - v.dy) / v.scale }
	f := pipeline.Face{
		Score:    d.score,
		W:        d.place[2] * side / v.scale,
		H:        d.place[3] * side / v.scale,
		LeftEye:  pipeline.Point{X: x(4), Y: y(5)},
		RightEye: pipeline.Point{X: x(6), Y: y(7)},
		Nose:     pipeline.Point{X: x(8), Y: y(9)},
		Mouth:    pipeline.Point{X: x(10), Y: y(11)},
	}
	f.X, f.Y = x(0)-f.W/2, y(1)-f.H/2
	if f.LeftEye.X > f.RightEye.X { // an upside-down face
		f.LeftEye, f.RightEye = f.RightEye, f.LeftEye
	}
	return f, f.W > 0 && f.H > 0 && !math.IsInf(f.X+f.Y+f.W+f.H, 0)
}
