package infer

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// session is one network in ONNX Runtime. Any number of goroutines may run it at once.
type session struct {
	mu  sync.RWMutex // held for reading by runs, for writing by close
	ort *ort.DynamicAdvancedSession
}

func newSession(model []byte, inputs, outputs []string, threads int) (*session, error) {
	if err := Init(); err != nil {
		return nil, err
	}
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer o.Destroy()
	for _, set := range []func() error{
		func() error { return o.SetIntraOpNumThreads(threads) },
		func() error { return o.SetInterOpNumThreads(1) },
		func() error { return o.SetLogSeverityLevel(ort.LoggingLevelError) },
		// Windows are due a few times a second: threads that spin in between would burn whole cores.
		func() error { return o.AddSessionConfigEntry("session.intra_op.allow_spinning", "0") },
	} {
		if err := set(); err != nil {
			return nil, fmt.Errorf("ONNX Runtime's options: %w", err)
		}
	}
	s, err := ort.NewDynamicAdvancedSessionWithONNXData(model, inputs, outputs, o)
	if err != nil {
		return nil, err
	}
	return &session{ort: s}, nil
}

// run fills outputs from inputs. When ctx ends the network stops at its next node and run returns ctx's cause.
func (s *session) run(ctx context.Context, inputs, outputs []ort.Value) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ort == nil {
		return ErrClosed
	}
	ro, err := ort.NewRunOptions()
	if err != nil {
		return err
	}
	defer ro.Destroy()
	terminated := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		ro.Terminate()
		close(terminated)
	})
	err = s.ort.RunWithOptions(inputs, outputs, ro)
	if !stop() {
		<-terminated // ro must outlive Terminate
		if err != nil {
			return context.Cause(ctx)
		}
	}
	return err
}

// row runs the session on one thing, and returns its one output: a row of numbers, how many is not known yet.
func (s *session) row(inputs []ort.Value, output, thing string) ([]float32, error) {
	out := []ort.Value{nil}
	if err := s.run(context.Background(), inputs, out); err != nil {
		return nil, err
	}
	defer out[0].Destroy()
	t, ok := out[0].(*ort.Tensor[float32])
	if !ok || len(t.GetShape()) != 2 {
		return nil, fmt.Errorf("%q is no float32 matrix", output)
	}
	if t.GetShape()[0] != 1 {
		return nil, fmt.Errorf("%q has not a row for each %s that depends on it alone", output, thing)
	}
	return slices.Clone(t.GetData()), nil
}

// close waits for the runs under way. A nil session is closed.
func (s *session) close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ort == nil {
		return nil
	}
	err := s.ort.Destroy()
	s.ort = nil
	return err
}

// tensors makes ONNX Runtime values over Go slices and remembers to free them.
type tensors []ort.Value

func (ts *tensors) free() {
	for _, t := range *ts {
		t.Destroy()
	}
	*ts = nil
}

// tensor wraps data without copying; the value belongs to ts.
func tensor[T ort.TensorData](ts *tensors, data []T, shape ...int64) (ort.Value, error) {
	t, err := ort.NewTensor(ort.NewShape(shape...), data)
	if err != nil {
		return nil, err
	}
	*ts = append(*ts, t)
	return t, nil
}
