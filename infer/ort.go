package infer

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// onnxRuntimeVersion is the version that assets/ pins; the Go binding asks for an API that older ones lack.
const onnxRuntimeVersion = "1.27.0"

// runtimeNames are the file names of the library, the best first.
func runtimeNames() []string {
	if runtime.GOOS == "darwin" {
		return []string{"libonnxruntime.1.dylib", "libonnxruntime.dylib"}
	}
	return []string{"libonnxruntime.so.1", "libonnxruntime.so"}
}

// FindRuntime returns the absolute path of the ONNX Runtime library. It looks at $TANDEM_ORT (a file, or a folder that
// has it), beside the binary, and where the system keeps libraries, and nowhere else, since what it finds is run: the
// working directory and what lies above it may be anybody's. If $TANDEM_ORT is set but wrong that is an error and
// nothing else is tried.
func FindRuntime() (string, error) {
	if p := os.Getenv("TANDEM_ORT"); p != "" {
		if path := runtimeAt(p); path != "" {
			return path, nil
		}
		return "", fmt.Errorf("%w: TANDEM_ORT=%s names no such file; set it to %s or its folder, or unset it",
			ErrNoRuntime, p, runtimeNames()[0])
	}
	if dir := binaryDir(); dir != "" {
		if path := runtimeAt(dir); path != "" {
			return path, nil
		}
	}
	if path := systemRuntime(); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("%w: no %s beside the binary or among the system's libraries; "+
		"run `make assets` in the project and set TANDEM_ORT to its folder assets/.fetched, "+
		"or `npm pack onnxruntime-node@%s` and set TANDEM_ORT to the library in that package's bin/ folder",
		ErrNoRuntime, runtimeNames()[0], onnxRuntimeVersion)
}

// runtimeAt returns the library's absolute path if p is it, or is a folder that has it, else "".
func runtimeAt(p string) string {
	p, err := filepath.Abs(p)
	if err != nil {
		return ""
	}
	info, err := os.Stat(p)
	if err != nil {
		return ""
	}
	if !info.IsDir() {
		return p
	}
	for _, name := range runtimeNames() {
		if path := filepath.Join(p, name); isFile(path) {
			return path
		}
	}
	return ""
}

// binaryDir returns the folder that holds the program's file, else "".
func binaryDir() string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	return filepath.Dir(exe)
}

// findAsset returns the path of one of tandem's own files, else "". They lie beside the binary, or beside the library
// that TANDEM_ORT names.
func findAsset(name string) string {
	var dirs []string
	if p := os.Getenv("TANDEM_ORT"); p != "" {
		if library := runtimeAt(p); library != "" {
			dirs = append(dirs, filepath.Dir(library))
		}
	}
	if dir := binaryDir(); dir != "" {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		if path := filepath.Join(dir, name); isFile(path) {
			return path
		}
	}
	return ""
}

// systemRuntime looks where the dynamic linker would: LD_LIBRARY_PATH, then its cache. To the linker an empty or
// relative entry means the working directory, which is not trusted here.
func systemRuntime() string {
	for _, dir := range filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if path := runtimeAt(dir); path != "" {
			return path
		}
	}
	for _, ldconfig := range []string{"ldconfig", "/sbin/ldconfig"} {
		out, err := exec.Command(ldconfig, "-p").Output()
		if err != nil {
			continue
		}
		return parseLinkerCache(string(out))
	}
	return ""
}

// parseLinkerCache finds the library in what `ldconfig -p` prints: "\tNAME (ABI) => PATH" a line.
func parseLinkerCache(out string) string {
	for _, want := range runtimeNames() {
		for line := range strings.Lines(out) {
			name, path, ok := strings.Cut(strings.TrimSpace(line), " => ")
			if ok && strings.HasPrefix(name, want+" ") && isFile(path) {
				return path
			}
		}
	}
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

var initRuntime = sync.OnceValue(func() error {
	path, err := FindRuntime()
	if err != nil {
		return err
	}
	ort.SetSharedLibraryPath(path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return fmt.Errorf("%w: %s cannot be used (%w); version %s or newer is needed: "+
			"run `make assets`, or set TANDEM_ORT", ErrNoRuntime, path, err, onnxRuntimeVersion)
	}
	return nil
})

// Init loads ONNX Runtime, once for the whole process; what it found at first holds. NewRecognizer and
// NewBlazeFace call it. The library stays loaded until the process ends, since others in the process, as
// GoMLX's backend, may use the same one.
func Init() error { return initRuntime() }

// readAsset reads one of tandem's own files; the error wraps missing.
func readAsset(name string, missing error) ([]byte, error) {
	path := findAsset(name)
	if path == "" {
		return nil, fmt.Errorf("%w: no %s beside the binary or beside the library that TANDEM_ORT names; "+
			"run `make assets` in the project and set TANDEM_ORT to its folder assets/.fetched, "+
			"or put the file beside the binary", missing, name)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.Join(missing, err)
	}
	return b, nil
}
