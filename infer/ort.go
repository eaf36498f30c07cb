package infer

import (
	"bytes"
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
	switch runtime.GOOS {
	case "darwin":
		return []string{"libonnxruntime.1.dylib", "libonnxruntime.dylib"}
	case "windows":
		return []string{"onnxruntime.dll"}
	}
	return []string{"libonnxruntime.so.1", "libonnxruntime.so"}
}

// FindRuntime returns the path of the ONNX Runtime library. It looks at $TANDEM_ORT (a file, or a folder that
// has it), beside the binary, in the project's fetched assets, and where the system keeps libraries. If
// $TANDEM_ORT is set but wrong that is an error and nothing else is tried.
func FindRuntime() (string, error) {
	if p := os.Getenv("TANDEM_ORT"); p != "" {
		if path := runtimeAt(p); path != "" {
			return path, nil
		}
		return "", fmt.Errorf("%w: TANDEM_ORT=%s names no such file; set it to %s, or unset it", ErrNoRuntime, p, runtimeNames()[0])
	}
	for _, dir := range assetDirs() {
		if path := runtimeAt(dir); path != "" {
			return path, nil
		}
	}
	if path := systemRuntime(); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("%w: no %s beside the binary, in assets/.fetched or among the system's libraries; run `make assets` in the project, "+
		"or `npm pack onnxruntime-node@%s` and set TANDEM_ORT to the library in that package's bin/ folder",
		ErrNoRuntime, runtimeNames()[0], onnxRuntimeVersion)
}

// runtimeAt returns the library's path if p is it, or is a folder that has it, else "".
func runtimeAt(p string) string {
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

// assetDirs are the folders that may hold tandem's own files, the best first: the binary's, then assets/.fetched
// of the project that the binary or the current folder lies in.
func assetDirs() []string {
	var dirs, starts []string
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		dirs = append(dirs, filepath.Dir(exe))
		starts = append(starts, filepath.Dir(exe))
	}
	if cwd, err := os.Getwd(); err == nil {
		starts = append(starts, cwd)
	}
	for _, start := range starts {
		if root := projectRoot(start); root != "" {
			dirs = append(dirs, filepath.Join(root, "assets", ".fetched"))
		}
	}
	return dirs
}

// projectRoot returns the folder at or above dir that has tandem's go.mod, else "". Asking for the module's
// name keeps code from being loaded out of just any folder that is called assets.
func projectRoot(dir string) string {
	for {
		if b, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && bytes.HasPrefix(b, []byte("module tandem\n")) {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// findAsset returns the path of one of tandem's own files, else "".
func findAsset(name string) string {
	for _, dir := range assetDirs() {
		if path := filepath.Join(dir, name); isFile(path) {
			return path
		}
	}
	return ""
}

// systemRuntime looks where the dynamic linker would: LD_LIBRARY_PATH, then its cache.
func systemRuntime() string {
	for _, dir := range filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")) {
		if dir == "" {
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
		return fmt.Errorf("%w: %s cannot be used (%w); version %s or newer is needed: run `make assets`, or set TANDEM_ORT", ErrNoRuntime, path, err, onnxRuntimeVersion)
	}
	return nil
})

// Init loads ONNX Runtime, once for the whole process; what it found at first holds. NewRecognizer and
// NewFaceFinder call it. The library stays loaded until the process ends, since others in the process, as
// GoMLX's backend, may use the same one.
func Init() error { return initRuntime() }

// readAsset reads one of tandem's own files.
func readAsset(name string, missing error) ([]byte, error) {
	path := findAsset(name)
	if path == "" {
		return nil, fmt.Errorf("%w: no %s beside the binary or in assets/.fetched; run `make assets` in the project and put it beside the binary", missing, name)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.Join(missing, err)
	}
	return b, nil
}
