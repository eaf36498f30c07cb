package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	onnx "github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"google.golang.org/protobuf/proto"
)

// A checkpoint is everything a run needs to go on bit for bit: the variables of network, optimizer and weighting, and
// where the run is. It is an ONNX file without nodes, whose initializers are the variables in the order in which they
// were made (sums over them depend on it), and which any ONNX viewer opens. GoMLX's own checkpoints are not used: they
// are two files written in place, so that a full disk or a kill at the wrong moment leaves a broken pair as the newest.
type checkpoint struct {
	Network string // what the variables belong to, see describeNetwork
	State   state
	vars    []variable
}

// variable is one variable of a checkpoint.
type variable struct {
	path      string
	shape     shapes.Shape
	trainable bool
	data      []byte // little-endian
}

// Errors of checkpoints; errors.Is finds them.
var (
	ErrCheckpoint   = errors.New("not a whole checkpoint")
	ErrOtherNetwork = errors.New("a checkpoint of another network")
)

// elementTypes are the types of variables that there are.
var elementTypes = map[dtypes.DType]onnx.TensorProto_DataType{
	dtypes.Float32: onnx.TensorProto_FLOAT, dtypes.Float64: onnx.TensorProto_DOUBLE,
	dtypes.Int32: onnx.TensorProto_INT32,
	dtypes.Int64: onnx.TensorProto_INT64, dtypes.Uint64: onnx.TensorProto_UINT64,
}

// capture copies the variables of a store.
func (c *checkpoint) capture(store *model.Store) error {
	for v := range store.IterVariables() {
		value, err := v.Value()
		if err != nil {
			return fmt.Errorf("variable %s: %w", v.Path(), err)
		}
		e := variable{path: v.Path(), shape: value.Shape(), trainable: v.Trainable}
		if err := value.ConstBytes(func(b []byte) { e.data = slices.Clone(b) }); err != nil {
			return fmt.Errorf("variable %s: %w", v.Path(), err)
		}
		// What is not finite must not replace the last good checkpoint.
		if !finite(e.shape.DType, e.data) {
			return fmt.Errorf("%w: it reached the variable %s", ErrDiverged, v.Path())
		}
		c.vars = append(c.vars, e)
	}
	return nil
}

// finite reports whether all of a variable's values are numbers.
func finite(t dtypes.DType, b []byte) bool {
	switch t {
	case dtypes.Float32:
		for i := 0; i+4 <= len(b); i += 4 {
			// The exponent of infinities and of what is no number.
			if binary.LittleEndian.Uint32(b[i:])>>23&0xff == 0xff {
				return false
			}
		}
	case dtypes.Float64:
		for i := 0; i+8 <= len(b); i += 8 {
			if binary.LittleEndian.Uint64(b[i:])>>52&0x7ff == 0x7ff {
				return false
			}
		}
	}
	return true
}

// restore makes the variables in a store that has none yet.
func (c *checkpoint) restore(store *model.Store) error {
	for _, e := range c.vars {
		t := tensors.FromShape(e.shape)
		if err := t.MutableBytes(func(b []byte) { copy(b, e.data) }); err != nil {
			return fmt.Errorf("variable %s: %w", e.path, err)
		}
		v, err := store.CreateVariable(e.path, t)
		if err != nil {
			return err
		}
		v.SetTrainable(e.trainable)
	}
	return nil
}

const checkpointKey = "tandem.checkpoint."

// marshal returns the bytes of the file.
func (c *checkpoint) marshal() ([]byte, error) {
	m := &onnx.ModelProto{IrVersion: 8, ProducerName: "tandem", Graph: &onnx.GraphProto{Name: "checkpoint"}}
	sum := sha256.New()
	for _, e := range c.vars {
		t, ok := elementTypes[e.shape.DType]
		if !ok {
			return nil, fmt.Errorf("variable %s: no checkpoint of type %s", e.path, e.shape.DType)
		}
		p := &onnx.TensorProto{Name: e.path, DataType: int32(t), RawData: e.data}
		for _, d := range e.shape.Dimensions {
			p.Dims = append(p.Dims, int64(d))
		}
		if e.trainable {
			p.DocString = "trainable"
		}
		sum.Write(e.data)
		m.Graph.Initializer = append(m.Graph.Initializer, p)
	}
	st, err := json.Marshal(c.State)
	if err != nil {
		return nil, err
	}
	for _, p := range [][2]string{
		{"network", c.Network},
		{"state", string(st)},
		{"sha256", hex.EncodeToString(sum.Sum(nil))},
	} {
		m.MetadataProps = append(m.MetadataProps, &onnx.StringStringEntryProto{Key: checkpointKey + p[0], Value: p[1]})
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// parseCheckpoint reads a checkpoint; what is wrong with it wraps ErrCheckpoint.
func parseCheckpoint(b []byte) (*checkpoint, error) {
	var m onnx.ModelProto
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	meta := map[string]string{}
	for _, p := range m.MetadataProps {
		meta[p.Key] = p.Value
	}
	c := &checkpoint{Network: meta[checkpointKey+"network"]}
	if err := json.Unmarshal([]byte(meta[checkpointKey+"state"]), &c.State); err != nil {
		return nil, fmt.Errorf("%w: its state: %w", ErrCheckpoint, err)
	}
	if err := c.State.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	sum := sha256.New()
	seen := map[string]bool{}
	for _, p := range m.GetGraph().GetInitializer() {
		e := variable{path: p.Name, trainable: p.DocString == "trainable", data: p.RawData}
		bytes := 0
		for t, o := range elementTypes {
			if int32(o) == p.DataType {
				e.shape.DType, bytes = t, t.Size()
			}
		}
		for _, d := range p.Dims {
			if d < 1 || d > math.MaxInt32 || bytes > math.MaxInt32/int(d) {
				bytes = 0
				break
			}
			e.shape.Dimensions = append(e.shape.Dimensions, int(d))
			bytes *= int(d)
		}
		if bytes == 0 || bytes != len(e.data) || e.path == "" || seen[e.path] {
			return nil, fmt.Errorf("%w: variable %q of shape %v has %d bytes of data", ErrCheckpoint, p.Name, p.Dims,
				len(p.RawData))
		}
		seen[e.path] = true
		sum.Write(e.data)
		c.vars = append(c.vars, e)
	}
	if meta[checkpointKey+"sha256"] != hex.EncodeToString(sum.Sum(nil)) {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrCheckpoint)
	}
	return c, nil
}

// checkpoints are those of a run, in a folder: the last two, since a failing disk that has eaten one must not end the
// run.
type checkpoints struct {
	dir   string
	write func(path string, b []byte) error // atomicfile.WriteBytes but in tests
}

const (
	checkpointsDir  = "checkpoints" // in the run's folder
	keepCheckpoints = 2
)

func (k checkpoints) path(step int) string {
	return filepath.Join(k.dir, fmt.Sprintf("step-%08d.ckpt", step))
}

// save writes a checkpoint, and then removes those that are too old. When it fails, the older ones are as they were.
func (k checkpoints) save(c *checkpoint) error {
	b, err := c.marshal()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(k.dir, 0o755); err != nil {
		return err
	}
	if err := k.write(k.path(c.State.Step), b); err != nil {
		return err
	}
	steps := k.steps()
	for i := 0; i < len(steps)-keepCheckpoints; i++ {
		if err := os.Remove(k.path(steps[i])); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what a process left half written when it was killed.
func (k checkpoints) sweep() {
	halves, _ := filepath.Glob(filepath.Join(k.dir, ".step-*"))
	for _, f := range halves {
		_ = os.Remove(f) // it only wastes room
	}
}

// steps returns the steps of the checkpoints that there are, in order.
func (k checkpoints) steps() []int {
	files, _ := filepath.Glob(filepath.Join(k.dir, "step-*.ckpt"))
	var steps []int
	for _, f := range files {
		if n, err := strconv.Atoi(filepath.Base(f)[len("step-") : len(filepath.Base(f))-len(".ckpt")]); err == nil &&
			f == k.path(n) {
			steps = append(steps, n)
		}
	}
	slices.Sort(steps)
	return steps
}

// last returns the newest checkpoint that is whole, nil if there is none; damaged is called for those that are not.
// That there are checkpoints and none of them is whole is an error.
func (k checkpoints) last(damaged func(error)) (*checkpoint, error) {
	steps := k.steps()
	var broken error
	for _, step := range slices.Backward(steps) {
		c, err := readCheckpoint(k.path(step))
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, ErrCheckpoint) {
			return nil, err
		}
		broken = errors.Join(broken, err)
		damaged(err)
	}
	return nil, broken
}

// LastCheckpoint returns the path of the newest whole checkpoint of the run in a folder; a folder without one is an
// error.
func LastCheckpoint(run string) (string, error) {
	k := checkpoints{dir: filepath.Join(run, checkpointsDir)}
	c, err := k.last(func(error) {})
	switch {
	case err != nil:
		return "", fmt.Errorf("run folder %s: %w", run, err)
	case c == nil:
		return "", fmt.Errorf("run folder %s: it holds no checkpoint", run)
	}
	return k.path(c.State.Step), nil
}

// readCheckpoint reads a file; what is wrong with its contents wraps ErrCheckpoint.
func readCheckpoint(path string) (*checkpoint, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parseCheckpoint(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}
