package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"tandem/cli"
)

// The test's own binary is tandem where this variable is "run". Where it is "thread" it prints the head of its main
// goroutine's stack trace, which says whether that is bound to the first thread.
const processVariable = "TANDEM_TEST_PROCESS"

func TestMain(m *testing.M) {
	switch os.Getenv(processVariable) {
	case "run":
		main()
	case "thread":
		trace := make([]byte, 200)
		os.Stdout.Write(trace[:runtime.Stack(trace, false)])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func process(t *testing.T, what string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TANDEM_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, processVariable+"="+what)
	return cmd
}

// Only a command that opens a window may keep the main goroutine on the first thread: elsewhere it costs a switch of
// threads whenever that goroutine waits.
func TestOnlyAWindowTakesTheFirstThread(t *testing.T) {
	for _, tt := range []struct {
		args  string
		env   string
		taken bool
	}{
		{"live", "", true},
		{"live --camera none", "", true},
		{"live", "TANDEM_NO_WINDOW=false", true},
		{"live", "TANDEM_NO_WINDOW=true", false},
		{"live --no-window", "", false},
		{"live --help", "", false},
		{"live --nosuch", "", false},
		{"analyze live", "", false},
		{"serve", "", false},
		{"help live", "", false},
		{"", "", false},
	} {
		cmd := process(t, "thread", strings.Fields(tt.args)...)
		cmd.Env = append(cmd.Env, tt.env)
		out, err := cmd.Output()
		if err != nil || !bytes.HasPrefix(out, []byte("goroutine 1 [")) {
			t.Fatalf("%s: %v: %s", tt.args, err, out)
		}
		head, _, _ := strings.Cut(string(out), "\n")
		if taken := strings.Contains(head, "locked to thread"); taken != tt.taken {
			t.Errorf("%s tandem %s: %s; want locked: %v", tt.env, tt.args, head, tt.taken)
		}
	}
}

func TestExitCode(t *testing.T) {
	for args, want := range map[string]int{"--version": 0, "nosuch": 2, "model nosuch.onnx": 1} {
		cmd := process(t, "run", strings.Fields(args)...)
		cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("tandem %s exits with %d, want %d", args, got, want)
		}
	}
}

// Built without OpenCV, tandem becomes tandem-live beside it for the one command that needs cameras and windows.
func TestLiveIsTheProgramWithOpenCV(t *testing.T) {
	dir := t.TempDir()
	tandem := filepath.Join(dir, "tandem")
	if out, err := exec.Command("go", "build", "-tags", "nocamera", "-o", tandem, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	linked, err := exec.Command("go", "list", "-deps", "-tags", "nocamera", ".").Output()
	if err != nil || strings.Contains(string(linked), "gocv.io") {
		t.Errorf("without a camera the program still has OpenCV (%v)", err)
	}
	live := func() string {
		out, _ := exec.Command(tandem, "live", "--camera", "7", "--mic", "none", "--no-window").CombinedOutput()
		return string(out)
	}
	if out := live(); !strings.Contains(out, "camera 7") || !strings.Contains(out, "no "+cli.LiveProgram) {
		t.Errorf("without %s it says %q", cli.LiveProgram, out)
	}
	script := "#!/bin/sh\necho \"$0 became $*\"\n"
	if err := os.WriteFile(filepath.Join(dir, cli.LiveProgram), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if out := live(); !strings.HasSuffix(out, cli.LiveProgram+" became live --camera 7 --mic none --no-window\n") {
		t.Errorf("with %s it says %q", cli.LiveProgram, out)
	}
	out, err := exec.Command(tandem, "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "tandem ") {
		t.Errorf("--version says %q (%v)", out, err)
	}
}
