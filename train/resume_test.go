package train

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"golang.org/x/sys/unix"

	"tandem/infer"
	"tandem/train/nn"
	"tandem/train/sample"
	"tandem/train/sample/sampletest"
)

// quickRun returns the options of a run of two epochs of six steps, and its data.
func quickRun(dir string) (Options, *sample.Prepared) {
	o := Options{
		Recipe: tinyRecipe(), Out: filepath.Join(dir, "m.onnx"), Run: filepath.Join(dir, "run"),
		Version: "test",
	}
	o.Recipe.StepsPerEpoch = 6
	o.Log, o.Progress = func(string) {}, func(Progress) {}
	return o, sampletest.Split(sampletest.Synthetic(nn.DefaultSpec, 24, 8, 4))
}

// dataOf is prepared samples as a run takes them.
func dataOf(t testing.TB, p *sample.Prepared) *Data {
	t.Helper()
	data, err := NewData(t.Context(), p, "")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// trainOn runs train on prepared samples.
func trainOn(ctx context.Context, train func(context.Context, *Data) (*Result, error), p *sample.Prepared) (*Result,
	error,
) {
	data, err := NewData(ctx, p, "")
	if err != nil {
		return nil, err
	}
	return train(ctx, data)
}

// outcome returns the products of a run: its model without the time it was made, its log without times, and its last
// checkpoint's variables.
func outcome(t *testing.T, o Options) (model []byte, log string, last *checkpoint) {
	t.Helper()
	b, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	c, err := infer.LoadModel(b)
	if err != nil {
		t.Fatal(err)
	}
	c.Created = time.Unix(0, 0)
	if model, err = nn.WithContract(b, c); err != nil {
		t.Fatal(err)
	}
	rows := readLog(t, filepath.Join(o.Run, "log.csv"))
	for _, row := range rows {
		for i := range row {
			if !slices.Contains([]string{"seconds", "waiting", "samples_per_second", "memory_mb"}, rows[0][i]) {
				log += row[i] + " "
			}
		}
		log += "\n"
	}
	last, err = checkpoints{dir: filepath.Join(o.Run, "checkpoints")}.last(func(err error) { t.Error(err) })
	if err != nil || last == nil {
		t.Fatalf("last checkpoint: %v, %v", last, err)
	}
	return model, log, last
}

func sameOutcome(t *testing.T, a, b Options) {
	t.Helper()
	modelA, logA, lastA := outcome(t, a)
	modelB, logB, lastB := outcome(t, b)
	if !bytes.Equal(modelA, modelB) {
		t.Error("the models differ")
	}
	if logA != logB {
		t.Errorf("the logs differ:\n%s\n%s", logA, logB)
	}
	if len(lastA.vars) != len(lastB.vars) {
		t.Fatalf("%d and %d variables", len(lastA.vars), len(lastB.vars))
	}
	for i, v := range lastA.vars {
		if w := lastB.vars[i]; v.path != w.path || !bytes.Equal(v.data, w.data) {
			t.Errorf("the variables %s and %s differ", v.path, w.path)
		}
	}
}

func TestRunsOfOneSeedAreEqual(t *testing.T) {
	needBackend(t)
	a, data := quickRun(t.TempDir())
	b, _ := quickRun(t.TempDir())
	for _, o := range []Options{a, b} {
		if _, err := trainOn(context.Background(), o.Train, data); err != nil {
			t.Fatal(err)
		}
	}
	sameOutcome(t, a, b)
	other, _ := quickRun(t.TempDir())
	other.Recipe.Seed++
	if _, err := trainOn(context.Background(), other.Train, data); err != nil {
		t.Fatal(err)
	}
	modelA, _, _ := outcome(t, a)
	if m, _, _ := outcome(t, other); bytes.Equal(m, modelA) {
		t.Error("another seed gives the same model")
	}
}

// runToKill is the environment's name for the folder of a run that the test binary is to make.
const runToKill = "TANDEM_TEST_RUN_TO_KILL"

// TestHelperRun is not a test: it is the process that TestResumesAfterKill kills.
func TestHelperRun(t *testing.T) {
	dir := os.Getenv(runToKill)
	if dir == "" {
		t.Skip("for TestResumesAfterKill only")
	}
	o, data := quickRun(dir)
	o.CheckpointSteps = 2
	_, o.Resume = os.LookupEnv("TANDEM_TEST_RESUME")
	o.Progress = func(p Progress) { fmt.Printf("step %d\n", p.Done) }
	if _, err := trainOn(t.Context(), o.Train, data); err != nil {
		t.Fatal(err)
	}
}

// A run is killed in the middle of its first epoch and again in the middle of its second, each time between two
// checkpoints, and goes on in another process; what comes out is, bit for bit, what an undisturbed run gives.
func TestResumesAfterKill(t *testing.T) {
	needBackend(t)
	whole, data := quickRun(t.TempDir())
	if _, err := trainOn(t.Context(), whole.Train, data); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	killed, _ := quickRun(dir)
	helper := func(killAt int, resume bool) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestHelperRun$", "-test.v")
		cmd.Env = append(os.Environ(), runToKill+"="+dir)
		if resume {
			cmd.Env = append(cmd.Env, "TANDEM_TEST_RESUME=1")
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if n, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "step ")); err == nil && n >= killAt &&
				killAt > 0 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
		err = cmd.Wait()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); killAt > 0 &&
			!(ok && status.Signaled() && status.Signal() == syscall.SIGKILL) {
			t.Fatalf("the run was to be killed at step %d, but ended with %v", killAt, err)
		}
		if killAt == 0 && err != nil {
			t.Fatal(err)
		}
	}
	helper(3, false)
	helper(9, true)
	helper(0, true)
	sameOutcome(t, whole, killed)
}

func TestInterruptedRunSavesWhereItIs(t *testing.T) {
	needBackend(t)
	whole, data := quickRun(t.TempDir())
	if _, err := trainOn(t.Context(), whole.Train, data); err != nil {
		t.Fatal(err)
	}
	o, _ := quickRun(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(p Progress) {
		if p.Done == 9 {
			cancel()
		}
	}
	if _, err := trainOn(ctx, o.Train, data); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted run ended with %v", err)
	}
	o.Progress = func(Progress) {}
	if _, err := trainOn(t.Context(), o.Train, data); !errors.Is(err, ErrRunExists) ||
		!strings.Contains(err.Error(), "--resume") {
		t.Fatalf("a second run in the folder: %v, want ErrRunExists that names --resume", err)
	}
	o.Resume = true
	log := ""
	o.Log = func(s string) { log += s + "\n" }
	r, err := trainOn(t.Context(), o.Train, data)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log, "after step 9 ") {
		t.Errorf("it did not go on from step 9:\n%s", log)
	}
	sameOutcome(t, whole, o)

	// A resume without a step left counts the same parameters.
	again, err := trainOn(t.Context(), o.Train, data)
	if err != nil || again.Parameters != r.Parameters || again.Parameters == 0 {
		t.Errorf("resumed without a step left: %v parameters, %v; want %d", again, err, r.Parameters)
	}

	// What the folder holds is defended.
	for name, c := range map[string]struct {
		change func(o *Options, data *sample.Prepared)
		want   error
		says   string
	}{
		"another recipe": {func(o *Options, _ *sample.Prepared) { o.Recipe.LearningRate *= 2 }, ErrRunOther, "recipe"},
		"another label": {
			func(_ *Options, p *sample.Prepared) { p.Clips[3].Emotion = (p.Clips[3].Emotion + 1) % 7 },
			ErrRunOther, "synthetic",
		},
		"a clip less": {
			func(_ *Options, p *sample.Prepared) { p.Samples = p.Samples[:len(p.Samples)-1] },
			ErrRunOther, "windows",
		},
	} {
		changed, p := quickRun(t.TempDir())
		changed.Run, changed.Resume = o.Run, true
		c.change(&changed, p)
		if _, err := trainOn(t.Context(), changed.Train, p); !errors.Is(err, c.want) ||
			!strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v that names %s", name, err, c.want, c.says)
		}
	}
	// A checkpoint of another network: the recipe says so, the checkpoint does not.
	other := o
	other.Recipe.Arch.FuseDim += 8
	if err := os.Remove(filepath.Join(o.Run, recipeFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := trainOn(t.Context(), other.Train, data); !errors.Is(err, ErrOtherNetwork) ||
		!strings.Contains(err.Error(), "--run") {
		t.Errorf("a checkpoint of another network: %v, want ErrOtherNetwork", err)
	}
}

func TestRunFolderIsLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	unlock, err := LockRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Recipe: tinyRecipe(), Run: dir, Data: []string{"ravdess=nosuch"}}
	if _, err := Run(t.Context(), o); !errors.Is(err, ErrRunInUse) ||
		!strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("a second run in the folder: %v, want ErrRunInUse with the process", err)
	}
	unlock()
	if unlock, err = LockRun(dir); err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	unlock()
	// The lock file of a process that is gone stands in nobody's way.
	if err := os.WriteFile(filepath.Join(dir, "lock"), []byte("999999\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if unlock, err = LockRun(dir); err != nil {
		t.Errorf("a lock file of a dead process: %v", err)
	} else {
		unlock()
	}
}

// A real disk that is full: a small file system in memory, where the test may mount one.
func TestRunSurvivesAFullDisk(t *testing.T) {
	needBackend(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	o, data := quickRun(dir)
	o.CheckpointSteps = 2
	filler := filepath.Join(dir, "filler")
	o.Progress = func(p Progress) {
		if p.Done == 3 {
			fill(t, filler)
		}
	}
	_, err := trainOn(t.Context(), o.Train, data)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "of step 2;") ||
		!strings.Contains(err.Error(), "--resume") {
		t.Fatalf("a full disk: %v, want that, the last good step, 2, and --resume", err)
	}
	t.Log(err)
	if left, _ := filepath.Glob(filepath.Join(o.Run, "checkpoints", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	o.Resume, o.Progress = true, func(Progress) {}
	if _, err := trainOn(t.Context(), o.Train, data); err != nil {
		t.Fatal(err)
	}
	whole, _ := quickRun(t.TempDir())
	if _, err := trainOn(t.Context(), whole.Train, data); err != nil {
		t.Fatal(err)
	}
	sameOutcome(t, whole, o)
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	f, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	for b := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(b)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
}

func TestDivergedRunKeepsItsCheckpoint(t *testing.T) {
	needBackend(t)
	o, data := quickRun(t.TempDir())
	o.CheckpointSteps = 2
	// A step of 1e30 times the usual size ends in numbers that are none.
	o.Recipe.LearningRate, o.Recipe.WarmupSteps = 1e30, 0
	_, err := trainOn(t.Context(), o.Train, data)
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "learning_rate") {
		t.Fatalf("got %v, want errDiverged that says what to do", err)
	}
	t.Log(err)
	for _, step := range (checkpoints{dir: filepath.Join(o.Run, "checkpoints")}).steps() {
		t.Errorf("a checkpoint of step %d was written from a network that is lost", step)
	}
}

// interrupt runs o up to a step and sets it to resume.
func interrupt(t *testing.T, o *Options, data *sample.Prepared, step int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(p Progress) {
		if p.Stage == "train" && p.Done == step {
			cancel()
		}
	}
	if _, err := trainOn(ctx, o.Train, data); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted run ended with %v", err)
	}
	o.Resume, o.Progress = true, func(Progress) {}
}

// What was learned before a run diverged is kept: the last good checkpoint can be resumed, and begun with.
func TestDivergedRunKeepsItsLastGoodCheckpoint(t *testing.T) {
	needBackend(t)
	o, data := quickRun(t.TempDir())
	o.CheckpointSteps = 2
	// The second epoch's steps are lost.
	o.Recipe.Schedule, o.Recipe.DecayEpochs, o.Recipe.DecayFactor = "step", 1, 1e30
	_, err := trainOn(t.Context(), o.Train, data)
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "epoch 2") {
		t.Fatalf("got %v, want errDiverged in epoch 2", err)
	}
	t.Log(err)
	last, err := checkpoints{dir: filepath.Join(o.Run, "checkpoints")}.last(func(err error) { t.Error(err) })
	if err != nil || last == nil || last.State.Step != 6 || last.State.Epoch != 1 {
		t.Fatalf("last checkpoint after it diverged: %v, want that of the first epoch's end", err)
	}
	for _, v := range last.vars {
		if v.shape.DType != dtypes.Float32 {
			continue
		}
		for _, x := range nn.Float32s(v.data) {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				t.Fatalf("%s has %v in the checkpoint", v.path, x)
			}
		}
	}
}

// An interruption while the network is judged costs neither the epoch nor its row in the log.
func TestInterruptedWhileJudging(t *testing.T) {
	needBackend(t)
	whole, data := quickRun(t.TempDir())
	if _, err := trainOn(t.Context(), whole.Train, data); err != nil {
		t.Fatal(err)
	}
	o, _ := quickRun(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(p Progress) {
		if p.Stage == "judge" {
			cancel()
		}
	}
	if _, err := trainOn(ctx, o.Train, data); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted run ended with %v", err)
	}
	o.Resume, o.Progress = true, func(Progress) {}
	if _, err := trainOn(t.Context(), o.Train, data); err != nil {
		t.Fatal(err)
	}
	sameOutcome(t, whole, o)
}

// With a learning rate too small to change anything the first epoch stays the best, and patience ends the run.
func TestEarlyStop(t *testing.T) {
	needBackend(t)
	o, data := quickRun(t.TempDir())
	o.Recipe.Epochs, o.Recipe.StepsPerEpoch, o.Recipe.Patience, o.Recipe.StopMetric = 9, 2, 2, "emotion_uar"
	o.Recipe.LearningRate, o.Recipe.WeightDecay = 1e-12, 0
	r, err := trainOn(t.Context(), o.Train, data)
	if err != nil {
		t.Fatal(err)
	}
	if rows := readLog(t, filepath.Join(o.Run, "log.csv")); len(rows) != 1+3 || r.Best != 1 {
		t.Errorf("%d epochs, the best is %d; want 3 of 9, the best the first", len(rows)-1, r.Best)
	}
}
