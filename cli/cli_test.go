package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/infer"
	"tandem/infer/infertest"
	"tandem/pipeline"
)

// The test's own binary is tandem where this variable is set, for tests that need a process.
const processVariable = "TANDEM_TEST_PROCESS"

// As in main.go.
func init() {
	if os.Getenv(processVariable) != "" && OpensWindow(os.Args[1:]) {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(standInVariable) != "" {
		if err := answerPython(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv(processVariable) != "" {
		os.Unsetenv(processVariable)
		os.Exit(Run(WithSignals(context.Background()), os.Args[1:], os.Stdout, os.Stderr))
	}
	// Nor is the tests' TANDEM_DATA, a folder, the program's, which is in the form of --data.
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "TANDEM_") && name != "TANDEM_ORT" {
			os.Unsetenv(name)
		}
	}
	goleak.VerifyTestMain(m)
}

// needTraining skips a test that trains a network where that takes too long or can't be done, and returns where ONNX
// Runtime is.
func needTraining(t *testing.T, programs ...string) (library string) {
	t.Helper()
	library, err := infer.FindRuntime()
	if err != nil {
		t.Skip("skipped: ", err)
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("skipped: ", err)
		}
	}
	return library
}

// manifestHeader is the first line of a manifest.
const manifestHeader = "video,audio,dataset,speaker,gender,emotion,split\n"

// ffmpeg runs the program, which a test needs.
func ffmpeg(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ffmpeg", append([]string{"-v", "error"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v %s", err, out)
	}
}

// testModel writes a small model that keeps the contract. Tests that need to run it are skipped without ONNX Runtime.
func testModel(t *testing.T) string {
	t.Helper()
	if err := infer.Init(); err != nil {
		t.Skipf("skipped: %v", err)
	}
	if f, err := infer.NewBlazeFace(); err != nil {
		t.Skipf("skipped: %v", err)
	} else {
		f.Close()
	}
	path := filepath.Join(t.TempDir(), "test.onnx")
	c := infertest.Contract()
	c.EmotionTemperature, c.GenderTemperature = 100, 100 // so that no probability is as good as 0 or 1
	if err := os.WriteFile(path, infertest.Model(c), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// runTandem runs a command line in this process.
func runTandem(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	// What should end and serves instead would keep all tests waiting.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	return runTandemContext(ctx, args...)
}

func runTandemContext(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, testConsole(&out, &errs))
	return code, out.String(), errs.String()
}

// testConsole is no terminal, but has a size.
func testConsole(out, errs io.Writer) *console {
	c := &console{out: out, err: errs, width: func() int { return 80 }, height: func() int { return 30 }}
	c.setLog(slog.LevelInfo)
	return c
}

// process starts tandem as a process of its own.
func process(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(append(os.Environ(), processVariable+"=1"), env...)
	t.Cleanup(func() {
		if cmd.Process != nil && cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	return cmd
}

// commandLines are command lines and how they end. TEXT stands for a file that is no model, and DIR for its folder.
var commandLines = []struct {
	args   string
	code   int
	stdout string // what they contain
	stderr string
}{
	{"", 2, "", "Usage: tandem COMMAND"},
	{"--help", 0, "analyze", ""},
	{"help", 0, "Exit codes", ""},
	{"help live", 0, "Usage: tandem live", ""},
	{"help nosuch", 2, "", `no command "nosuch"`},
	{"--version", 0, "tandem ", ""},
	{"nosuch", 2, "", `there is no command "nosuch"; see tandem --help`},
	{"analyze --help", 0, "--annotate FILE", ""},
	{"analyze", 2, "", "INPUT... is missing; see tandem analyze --help"},
	{"analyze --nosuch x", 2, "", "unknown flag: --nosuch"},
	{"analyze --format xml x", 2, "", `--format "xml": known are table, jsonl, csv, parquet, textgrid, eaf and rttm`},
	{"analyze --faces 0 x", 2, "", "--faces 0"},
	{"analyze --faces many x", 2, "", "many"},
	{"analyze --smooth -1 x", 2, "", "--smooth -1"},
	{"analyze --smooth NaN x", 2, "", "--smooth NaN"},
	{"analyze --silence 3 x", 2, "", "--silence 3"},
	{"analyze --threads -1 x", 2, "", "--threads -1"},
	{"analyze --timeout 0 x", 2, "", "--timeout 0"},
	{"analyze --log-level loud x", 2, "", `--log-level "loud"`},
	{"analyze --annotate a.mp4 x y", 2, "", "one INPUT"},
	{"analyze --annotate TEXT TEXT", 2, "", "overwrite"},
	{"analyze --annotate a.nosuch x", 1, "", "a.nosuch: cannot write"},
	{"analyze --annotate nosuch/a.mp4 x", 1, "", "nosuch/a.mp4: cannot write: no such file"},
	{"analyze --model nosuch.onnx x", 1, "", "nosuch.onnx: no such file or directory"},
	{"analyze --model TEXT x", 1, "", "TEXT: model breaks tandem's contract"},
	{"live extra", 2, "", `"extra" is one argument too many`},
	{"live --camera none --mic none", 2, "", "nothing to capture"},
	{"model nosuch.onnx", 1, "", "nosuch.onnx: no such file or directory"},
	{"model TEXT", 1, "", "TEXT: model breaks"},
	{"model a b", 2, "", `"b" is one argument too many`},
	{"train", 2, "", "--data NAME=PATH is missing"},
	{"train --data ravdess", 2, "", `--data "ravdess": want NAME=PATH`},
	{"train --data nosuch=x", 2, "", `unknown data set "nosuch"`},
	{"train --data manifest=x --split-by 2/1", 2, "", "--split-by \"2/1\": known are speaker, clip, authors"},
	{"eval --data cremad:votes=x", 2, "", `unknown option "votes" of cremad: known are vote, vote-voice, vote-face`},
	{"train --data ravdess=x --weighting nosuch", 2, "", "nosuch"},
	{
		"train --data ravdess=x --weighting softmax --weight-floor 0.7", 2, "",
		"--weight-floor, --weight-temperature, --weight-entropy: weight_floor 0.7: want",
	},
	{"train --data ravdess=x --weighting uw --weight-entropy 1", 2, "", "softmax alone"},
	{"train --data ravdess=x --modal nosuch", 2, "", "nosuch"},
	{"train --data ravdess=x --epochs -1", 2, "", "--epochs -1"},
	{"train --data ravdess=x --freeze nose --out DIR/f.onnx", 1, "", "freeze \"nose\": want some of face, sound"},
	{"train --data ravdess=x --init nosuch.onnx", 1, "", "nosuch.onnx: no such file"},
	{"train --data ravdess=x --init DIR", 1, "", "holds no checkpoint"},
	{"train --data ravdess=x --init cli_test.go", 1, "", "not a network to begin with"},
	{"train --data ravdess=x --emotions manifest", 1, "", "there is no manifest=FILE among the data"},
	{"train --data ravdess=x --emotions happy --out DIR/f.onnx", 1, "", "want 2 to 64 labels"},
	{"train --data ravdess=x --backend cuda", 2, "", "--backend \"cuda\": known are"},
	{"train --data ravdess=x --checkpoint-steps -1", 2, "", "--checkpoint-steps -1"},
	{"train --data ravdess=x --checkpoint-minutes -1", 2, "", "--checkpoint-minutes -1"},
	{"train --data ravdess=x --recipe nosuch.json", 1, "", "nosuch.json: no such file"},
	{"train --data ravdess=nosuch --out DIR/m.onnx --cache DIR", 1, "", "nosuch: no such file"},
	{"eval", 2, "", "--data NAME=PATH is missing"},
	{"eval --data ravdess=x --split best", 2, "", `--split "best"`},
	{"eval --data ravdess=x --senses taste", 2, "", `--senses "taste"`},
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.onnx")
	os.WriteFile(text, []byte("not a model"), 0o644)
	names := strings.NewReplacer("TEXT", text, "DIR", dir)
	for _, tt := range commandLines {
		t.Run(tt.args, func(t *testing.T) {
			code, stdout, stderr := runTandem(t, strings.Fields(names.Replace(tt.args))...)
			want := names.Replace(tt.stderr)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, want) {
				t.Errorf("exit code %d, want %d\nstdout, want %q: %s\nstderr, want %q: %s",
					code, tt.code, tt.stdout, stdout, want, stderr)
			}
			if code != 0 && stdout != "" {
				t.Errorf("standard output has %q", stdout)
			}
		})
	}
}

// machine matches the numbers of a network that may differ from machine to machine.
var machine = regexp.MustCompile(`"[xywh]":[\d.]+|\d+\.\d{3,}|[0-9a-f]{64}`)

var updateGolden = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *updateGolden {
		os.MkdirAll("testdata", 0o755)
		os.WriteFile(path, []byte(got), 0o644)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s", name, got)
	}
}

// boxColumns are the face in a CSV.
var boxColumns = regexp.MustCompile(`(?m)(true,true)(?:,[\d.]+){5},`)

func TestAnalyzeFormats(t *testing.T) {
	model := testModel(t)
	for _, tt := range []struct{ name, args string }{
		{"pattern.jsonl", "--format jsonl pattern:3s"},
		{"pattern-raw-no-gender.jsonl", "--format jsonl --raw --no-gender pattern:3s"},
		{"pattern.csv", "--format csv pattern:3s pattern:3s"},
		{"pattern.txt", "--format table pattern:3s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := runTandem(t,
				append([]string{"analyze", "--model", model}, strings.Fields(tt.args)...)...)
			if code != 0 || !strings.Contains(stderr, "real time") {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			golden(t, tt.name, machine.ReplaceAllString(boxColumns.ReplaceAllString(stdout, "$1,#,#,#,#,#,"), "#"))
		})
	}
}

func TestAnalyzeGoesOnAfterAnInputThatFails(t *testing.T) {
	model := testModel(t)
	code, stdout, stderr := runTandem(t, "analyze", "--model", model, "nosuch.mp4", "pattern:3s")
	if code != exitFailed || !strings.Contains(stderr, "nosuch.mp4: no such file") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	events, err := pipeline.ReadAll(strings.NewReader(stdout))
	if err != nil || len(events) < 3 || events[0].Start.Source != "pattern:" || events[len(events)-1].End == nil {
		t.Errorf("%v; events %s", err, stdout)
	}
}
