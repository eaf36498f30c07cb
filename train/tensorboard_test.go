package train

import (
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"tandem/train/traintest"
)

// eventOf has the fields of an Event that a test reads.
type eventOf struct {
	time    float64
	step    int
	version string
	start   bool
	values  map[string]float64
}

// fieldsOf calls visit for each field of a message.
func fieldsOf(t *testing.T, b []byte, visit func(n protowire.Number, value uint64, bytes []byte)) {
	t.Helper()
	for len(b) > 0 {
		n, typ, k := protowire.ConsumeTag(b)
		if k < 0 {
			t.Fatalf("no field: %v", protowire.ParseError(k))
		}
		b = b[k:]
		var v uint64
		var inner []byte
		switch typ {
		case protowire.VarintType:
			v, k = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v, k = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var w uint32
			w, k = protowire.ConsumeFixed32(b)
			v = uint64(w)
		case protowire.BytesType:
			inner, k = protowire.ConsumeBytes(b)
		}
		if k < 0 {
			t.Fatalf("field %d: %v", n, protowire.ParseError(k))
		}
		visit(n, v, inner)
		b = b[k:]
	}
}

// readEvents reads all event files of a folder, in the order of their names, with their sums checked.
func readEvents(t *testing.T, dir string) (all []eventOf) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for le := binary.LittleEndian; len(b) > 0; {
			n := int(le.Uint64(b))
			if le.Uint32(b[8:]) != maskedSum(b[:8]) || le.Uint32(b[12+n:]) != maskedSum(b[12:12+n]) {
				t.Fatalf("%s: a sum is wrong", path)
			}
			e := eventOf{values: map[string]float64{}}
			fieldsOf(t, b[12:12+n], func(n protowire.Number, v uint64, inner []byte) {
				switch n {
				case 1:
					e.time = math.Float64frombits(v)
				case 2:
					e.step = int(v)
				case 3:
					e.version = string(inner)
				case 5:
					fieldsOf(t, inner, func(_ protowire.Number, _ uint64, value []byte) {
						tag, number := "", 0.0
						fieldsOf(t, value, func(n protowire.Number, v uint64, text []byte) {
							if n == 1 {
								tag = string(text)
							} else {
								number = float64(math.Float32frombits(uint32(v)))
							}
						})
						e.values[tag] = number
					})
				case 7:
					e.start = true
				}
			})
			all = append(all, e)
			b = b[16+n:]
		}
	}
	return all
}

// The sum of "123456789" is Castagnoli's check value e3069283, masked as TensorFlow does.
func TestMaskedSum(t *testing.T) {
	sum := uint32(0xe3069283)
	if got, want := maskedSum([]byte("123456789")), (sum>>15|sum<<17)+0xa282ead8; got != want {
		t.Errorf("%08x, want %08x", got, want)
	}
}

// A run's event files have the rows of its logs, and one that goes on makes void what it makes again.
func TestTensorBoardHasTheLogs(t *testing.T) {
	needBackend(t)
	o, data := quickRun(t.TempDir())
	o.TensorBoard = true
	o.Recipe.Epochs, o.Recipe.StepsPerEpoch = 2, 3
	interrupt(t, &o, data, 4)
	if _, err := trainOn(t.Context(), o.Train, data); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(o.Run, tensorBoardDir)
	events := readEvents(t, dir)
	steps, epochs, starts := map[int]float64{}, map[int]float64{}, 0
	for _, e := range events {
		if e.start {
			starts++
			for step := range steps {
				if step >= e.step {
					delete(steps, step)
				}
			}
		}
		if v, ok := e.values["step/joint"]; ok {
			steps[e.step] = v
		}
		if v, ok := e.values["epoch/val_score"]; ok {
			epochs[e.step] = v
		}
	}
	if events[0].version != "brain.Event:2" || events[0].time < 1.6e9 || starts != 1 {
		t.Errorf("first event %+v, %d starts", events[0], starts)
	}
	rows, err := ReadSteps(filepath.Join(o.Run, StepsFile), 100)
	if err != nil || len(rows) != 6 || len(steps) != 6 {
		t.Fatalf("%d rows, %d events of steps, %v", len(rows), len(steps), err)
	}
	for _, row := range rows {
		traintest.Near(t, "joint", steps[int(row[0])], row[2], 1e-5)
	}
	log := readLog(t, filepath.Join(o.Run, logFile))
	traintest.Near(t, "score", epochs[6], number(t, log, 2, "val_score"), 1e-5)
	for _, name := range []string{"plain_emotion", "held_out_emotion", "samples_per_second", "memory_mb"} {
		if v := number(t, log, 2, name); !(v > 0) {
			t.Errorf("%s is %g", name, v)
		}
	}
	tensorBoardOpens(t, dir)
}

// tensorBoardOpens has TensorBoard itself read the files, where Python has it.
func tensorBoardOpens(t *testing.T, dir string) {
	t.Helper()
	const script = `import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1]); a.Reload()
print(len(a.Scalars("step/joint")))`
	python, err := exec.LookPath("python3")
	if err == nil {
		err = exec.CommandContext(t.Context(), python, "-c", "import tensorboard").Run()
	}
	if err != nil {
		t.Log("SKIPPED: no TensorBoard here to read the files: ", err)
		return
	}
	out, err := exec.CommandContext(t.Context(), python, "-c", script, dir).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "6" {
		t.Errorf("TensorBoard reads %s, %v", out, err)
	}
}
