package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"tandem/capture"
	"tandem/capture/av"
)

// parquetRows returns the number of rows of each source.
func parquetRows(t *testing.T, b []byte) map[string]int {
	t.Helper()
	rows, err := parquet.Read[struct {
		Source string `parquet:"source"`
	}](bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("%d bytes: %v", len(b), err)
	}
	n := map[string]int{}
	for _, r := range rows {
		n[filepath.Base(r.Source)]++
	}
	return n
}

// A Parquet file is whole though inputs are cut off or fail, and holds what came before.
func TestAnalyzeParquet(t *testing.T) {
	model := testModel(t)
	in := newInputFiles(t)
	whole := in.pattern("whole.mkv", shortPattern, av.WriterOptions{})
	in.write("cut.mkv", whole[:len(whole)*2/3])
	in.write("random.mkv", []byte("no media"))
	code, out, stderr := runTandem(t, "analyze", "--model", model, "--format", "parquet",
		in.at("whole.mkv"), in.at("random.mkv"), in.at("cut.mkv"))
	n := parquetRows(t, []byte(out))
	if code != exitFailed || n["whole.mkv"] == 0 || n["cut.mkv"] == 0 || n["cut.mkv"] > n["whole.mkv"] || len(n) != 2 {
		t.Errorf("exit code %d, %v: %s", code, n, stderr)
	}
	dir := filepath.Join(in.dir, "out")
	if code, _, stderr := runTandem(t, "analyze", "--model", model, "--format", "parquet", "--out-dir", dir,
		in.at("whole.mkv")); code != 0 {
		t.Fatal(stderr)
	}
	b, err := os.ReadFile(outFile(dir, in.at("whole.mkv"), "parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if got := parquetRows(t, b); got["whole.mkv"] != n["whole.mkv"] {
		t.Errorf("a file of its own has %v, want %v", got, n)
	}
}

// A terminal is not given Parquet, unless the results go elsewhere.
func TestParquetIsNotForATerminal(t *testing.T) {
	for _, args := range [][]string{{"analyze", "pattern:1s"}, {"live", "--no-window"}} {
		var out, errs bytes.Buffer
		c := testConsole(&out, &errs)
		c.outTTY = true
		code := run(t.Context(), append(args, "--format", "parquet"), c)
		if code != exitUsage || !strings.Contains(errs.String(), "not for a terminal") || out.Len() > 0 {
			t.Errorf("%v: exit code %d, %d bytes, %s", args, code, out.Len(), errs.String())
		}
	}
}

// The file is whole after an interrupt too.
func TestInterruptedParquet(t *testing.T) {
	in := newInputFiles(t)
	in.pattern("first.mkv", capture.PatternOptions{Width: 160, Height: 120, Duration: time.Second}, av.WriterOptions{})
	cmd := process(t, nil, "analyze", "--model", testModel(t), "--format", "parquet", "--realtime",
		in.at("first.mkv"), "pattern:60s")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	messages, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(messages, make([]byte, 40)); err != nil { // the first input's summary
		t.Fatal(err)
	}
	cmd.Process.Signal(os.Interrupt)
	go io.Copy(io.Discard, messages)
	b, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	if n := parquetRows(t, b); n["first.mkv"] == 0 {
		t.Errorf("rows: %v", n)
	}
}
