package train

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/internal/atomicfile"
)

func smallStore(t testing.TB, x float32) *model.Store {
	t.Helper()
	store := model.NewStore()
	for _, e := range []struct {
		path      string
		value     *tensors.Tensor
		trainable bool
	}{
		{"/net/z/w", tensors.FromFlatDataAndDimensions([]float32{1, -2.5, x, 4, 5, 6}, 2, 3), true},
		{"/net/a/b", tensors.FromScalar(float64(1) / 3), true},
		{"/global_step", tensors.FromScalar(int64(42)), false},
		{"/rng", tensors.FromFlatDataAndDimensions([]uint64{1 << 63, 7}, 2), false},
	} {
		v, err := store.CreateVariable(e.path, e.value)
		if err != nil {
			t.Fatal(err)
		}
		v.SetTrainable(e.trainable)
	}
	return store
}

func smallCheckpoint(t testing.TB, step int) *checkpoint {
	t.Helper()
	c := &checkpoint{Network: "n", State: state{
		Step: step, Epoch: 1, Best: 1, BestScore: 1.0 / 3,
		Sums: epochSums{Steps: 2, Joint: 0.1 + 0.2},
	}}
	if err := c.capture(smallStore(t, 3)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheckpointKeepsEveryBit(t *testing.T) {
	c := smallCheckpoint(t, 7)
	b, err := c.marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseCheckpoint(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("read back %+v, want %+v", got, c)
	}
	store := model.NewStore()
	if err := got.restore(store); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for v := range store.IterVariables() {
		paths = append(paths, v.Path())
		if want := strings.HasPrefix(v.Path(), "/net"); v.Trainable != want {
			t.Errorf("%s is trainable: %v, want %v", v.Path(), v.Trainable, want)
		}
	}
	if want := "/net/z/w /net/a/b /global_step /rng"; strings.Join(paths, " ") != want {
		t.Errorf("variables in the order %v, want that of their making, %s", paths, want)
	}
	again := &checkpoint{Network: got.Network, State: got.State}
	if err := again.capture(store); err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("captured after a restore: %+v, %v, want %+v", again, err, c)
	}
}

func TestCheckpointRefusesWhatIsNotFinite(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		c := &checkpoint{}
		if err := c.capture(smallStore(t, float32(x))); !errors.Is(err, ErrDiverged) ||
			!strings.Contains(err.Error(), "/net/z/w") {
			t.Errorf("a variable of %v: %v, want errDiverged with its name", x, err)
		}
	}
}

func TestCheckpointsPassOverADamagedOne(t *testing.T) {
	k := checkpoints{dir: filepath.Join(t.TempDir(), "c"), write: atomicfile.WriteBytes}
	if c, err := k.last(func(error) {}); c != nil || err != nil {
		t.Fatalf("no folder: %v, %v, want nothing", c, err)
	}
	for _, step := range []int{5, 10, 15} {
		if err := k.save(smallCheckpoint(t, step)); err != nil {
			t.Fatal(err)
		}
	}
	if steps := k.steps(); !reflect.DeepEqual(steps, []int{10, 15}) {
		t.Errorf("checkpoints of steps %v are kept, want 10 and 15", steps)
	}
	b, err := os.ReadFile(k.path(15))
	if err != nil {
		t.Fatal(err)
	}
	whole := b[len(b)/2]
	b[len(b)/2] ^= 1
	for name, damaged := range map[string][]byte{"a flipped bit": b, "a half": b[:len(b)/2], "nothing": {}} {
		if err := os.WriteFile(k.path(15), damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		told := 0
		c, err := k.last(func(error) { told++ })
		if err != nil || c == nil || c.State.Step != 10 || told != 1 {
			t.Errorf("%s in the newest: %+v, %v, told of %d; want that of step 10, told of 1", name, c, err, told)
		}
	}
	b[len(b)/2] = whole
	if err := os.WriteFile(k.path(10), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := k.last(func(error) {}); !errors.Is(err, ErrCheckpoint) || !strings.Contains(err.Error(), k.path(10)) {
		t.Errorf("none is whole: %v, want ErrCheckpoint with the files", err)
	}
}

func TestFailedSaveKeepsTheLastGoodCheckpoint(t *testing.T) {
	k := checkpoints{dir: t.TempDir(), write: atomicfile.WriteBytes}
	for _, step := range []int{1, 2} {
		if err := k.save(smallCheckpoint(t, step)); err != nil {
			t.Fatal(err)
		}
	}
	k.write = func(string, []byte) error { return syscall.ENOSPC }
	if err := k.save(smallCheckpoint(t, 3)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	if c, err := k.last(func(err error) { t.Error(err) }); err != nil || c.State.Step != 2 {
		t.Errorf("after a failed save: %+v, %v; want the checkpoint of step 2", c, err)
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	b, err := smallCheckpoint(f, 7).marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCheckpoint(b)
		if err != nil {
			if !errors.Is(err, ErrCheckpoint) {
				t.Errorf("%v does not wrap ErrCheckpoint", err)
			}
			return
		}
		if err := c.restore(model.NewStore()); err != nil {
			t.Errorf("a checkpoint that reads cannot be restored: %v", err)
		}
		if _, err := c.marshal(); err != nil {
			t.Errorf("a checkpoint that reads cannot be written: %v", err)
		}
	})
}
