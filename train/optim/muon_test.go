package optim

import (
	"math"
	"testing"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// All singular values of an update are near 1, whatever those of the gradient are.
func TestOrthogonal(t *testing.T) {
	backend, err := gobackend.New("")
	if err != nil {
		t.Fatal(err)
	}
	exec, err := graph.NewExec(backend, func(x *graph.Node) *graph.Node { return orthogonal(x) })
	if err != nil {
		t.Fatal(err)
	}
	// Columns at right angles, of lengths 10, 1 and 0.1: singular values.
	x := []float32{10, 0, 0, 0, 1, 0, 0, 0, 0.1, 0, 0, 0}
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(x, 4, 3))
	if err != nil {
		t.Fatal(err)
	}
	y := tensors.MustCopyFlatData[float32](out[0])
	for i, v := range y {
		if i%4 == 0 && i < 9 {
			if v < 0.3 || v > 1.3 {
				t.Errorf("singular value %d is %g", i/4, v)
			}
		} else if math.Abs(float64(v)) > 1e-5 {
			t.Errorf("entry %d is %g, want 0", i, v)
		}
	}
}
