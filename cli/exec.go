package cli

import (
	"os"
	"path/filepath"
	"syscall"

	"tandem/capture"
)

// LiveProgram is the name of the program, of the same code, that has OpenCV: it stands beside the one without. OpenCV
// brings 260 shared libraries, whose loading costs more than all else that a short command does, and only tandem live
// needs them.
const LiveProgram = "tandem-live"

// ExecLive becomes LiveProgram, with the same arguments, if this program has no OpenCV, args (with the program's name)
// is a command line of tandem live, and LiveProgram is there. Else it returns, and live says what is missing.
func ExecLive(args []string) {
	if capture.HasCamera || len(args) < 2 || args[1] != liveCommand.name {
		return
	}
	here, err := os.Executable()
	if err != nil {
		return
	}
	if here, err = filepath.EvalSymlinks(here); err != nil {
		return
	}
	_ = syscall.Exec(filepath.Join(filepath.Dir(here), LiveProgram), args, os.Environ()) // returns only if it fails
}
