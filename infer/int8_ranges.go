package infer

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute-onnx/support/protos"
	ort "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/proto"

	"tandem/pipeline"
)

// Int8Ranges are the least and the greatest value of the tensors that a model computes in 8 bits, by their names.
type Int8Ranges map[string][2]float32

// ErrNoRanges is returned where a model is to run in 8 bits that does not know its ranges.
var ErrNoRanges = errors.New("the model does not know the ranges of its tensors: " +
	"run `tandem quantize` on it, or use --precision fp32")

// FindInt8Ranges runs a model on windows and returns the ranges that its tensors take.
func FindInt8Ranges(ctx context.Context, model []byte, windows []*pipeline.Window) (Int8Ranges, error) {
	if len(windows) == 0 {
		return nil, errors.New("ranges of tensors: no windows to find them by")
	}
	c, _, err := loadModel(model, Options{})
	if err != nil {
		return nil, err
	}
	var m protos.ModelProto
	if err := proto.Unmarshal(model, &m); err != nil {
		return nil, err
	}
	q, err := newQuantizer(&m)
	if err != nil {
		return nil, err
	}
	m.Graph.Output = nil
	for _, x := range q.tensors {
		m.Graph.Output = append(m.Graph.Output,
			&protos.ValueInfoProto{Name: x, Type: &protos.TypeProto{Value: &protos.TypeProto_TensorType{
				TensorType: &protos.TypeProto_Tensor{ElemType: int32(protos.TensorProto_FLOAT)},
			}}})
	}
	b, err := proto.Marshal(&m)
	if err != nil {
		return nil, err
	}
	r := &Recognizer{contract: c, maxBatch: boundedBatch(c.Spec(), defaultMaxBatch)}
	r.fillScale()
	if r.session, err = newSession(b, c.inputs(), q.tensors, 0); err != nil {
		return nil, err
	}
	defer r.session.close()
	ranges := Int8Ranges{}
	for from := 0; from < len(windows); from += r.maxBatch {
		ws := windows[from:min(from+r.maxBatch, len(windows))]
		for _, w := range ws {
			if err := r.check(w); err != nil {
				return nil, err
			}
		}
		if err := r.updateRanges(ctx, ws, q.tensors, ranges); err != nil {
			return nil, err
		}
	}
	return ranges, nil
}

// updateRanges makes the ranges hold what one batch makes of the tensors.
func (r *Recognizer) updateRanges(ctx context.Context, ws []*pipeline.Window, names []string, ranges Int8Ranges) error {
	c := &r.contract
	var b batch
	b.fill(c, ws)
	for _, w := range ws {
		b.addPixels(r, w.Video)
	}
	var ts tensors
	defer ts.free()
	video, err := b.pixels(&ts, r, len(ws), c.VideoFrames)
	if err != nil {
		return err
	}
	sound, err := b.sound(&ts, r, ws)
	if err != nil {
		return err
	}
	in, err := b.inputs(&ts, c, len(ws), sound, video)
	if err != nil {
		return err
	}
	out := make([]ort.Value, len(names))
	if err := r.session.run(ctx, in, out); err != nil {
		return err
	}
	ts = append(ts, out...)
	for i, name := range names {
		t, ok := out[i].(*ort.Tensor[float32])
		if !ok {
			return fmt.Errorf("ranges of tensors: %s is not float32", quote(name))
		}
		known, ok := ranges[name]
		if !ok {
			known = [2]float32{math.MaxFloat32, -math.MaxFloat32}
		}
		for _, v := range t.GetData() {
			known[0], known[1] = min(known[0], v), max(known[1], v)
		}
		if math.IsNaN(float64(known[0])) || math.IsInf(float64(known[1]-known[0]), 0) {
			return fmt.Errorf("ranges of tensors: %s is not finite", quote(name))
		}
		ranges[name] = known
	}
	return nil
}
