package packaging_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"golang.org/x/sys/unix"
)

// The test's own binary is the one that makes the root where this variable names the folder for it.
const rootVariable = "TANDEM_TEST_ROOT"

// The package that make dist makes is installed into a clean root of this release by the Dockerfile's own steps, is
// used there as a user and as a container, and leaves nothing when it is purged. The root is in memory, and it and all
// that runs in it belong to namespaces of a second process: they are gone when that ends, however it ends.
func TestLongPackage(t *testing.T) {
	if dir := os.Getenv(rootVariable); dir != "" {
		testInRoot(t, dir)
		return
	}
	for _, program := range []string{"apt-get", "debootstrap", "dpkg-shlibdeps"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("skipped: `make setup-test` installs it on Debian and Ubuntu: ", err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can make a root to install into")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	made := exec.CommandContext(ctx, "make", "--no-print-directory", "-C", "..", "dist")
	made.WaitDelay = 10 * time.Second
	if out, err := made.CombinedOutput(); err != nil {
		t.Fatalf("make dist: %v\n%s", err, out)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, exe, "-test.run=^TestLongPackage$", "-test.v")
	cmd.Env = append(os.Environ(), rootVariable+"="+t.TempDir())
	// Pdeathsig is sent when the thread that forked ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Skip("skipped: no namespaces for a root: ", err)
	}
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skip("skipped, as said above")
	}
}

// A root is a folder with a system of its own.
type root struct {
	t   *testing.T
	dir string
}

// command returns one that runs within the root, in an image's environment.
func (r root) command(ctx context.Context, user syscall.Credential, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/usr/bin/env", args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.dir, Credential: &user, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// run returns what a command within the root prints to standard output. The test ends if it fails.
func (r root) run(user syscall.Credential, args ...string) string {
	r.t.Helper()
	began := time.Now()
	cmd := r.command(r.t.Context(), user, args...)
	var out, messages strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("%q: %v\n%s%s", args, err, &out, &messages)
	}
	r.t.Logf("%.1f s: %.100q", time.Since(began).Seconds(), args)
	return out.String()
}

func testInRoot(t *testing.T, dir string) {
	// In memory: on a disk dpkg waits for it after each file.
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
		t.Skip("skipped: cannot mount a root: ", err)
	}
	r := root{t, dir}
	r.make()
	if err := syscall.Mount("proc", filepath.Join(dir, "proc"), "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	image := r.build()
	files := r.installed()
	if version := r.run(image.user, "tandem", "--version"); !strings.HasPrefix(version, "tandem ") {
		t.Errorf("tandem --version: %s", version)
	}
	// As docker run --read-only.
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	r.analyze(image)
	t.Run("serve", func(t *testing.T) { root{t, dir}.serve(image) })
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	r.units()
	r.purge(files)
}

// make fills the root with the least of this release, from where this machine's apt gets it.
func (r root) make() {
	osRelease, err := os.ReadFile("/etc/os-release")
	if err != nil {
		r.t.Skip("skipped: ", err)
	}
	about := map[string]string{}
	for line := range strings.Lines(string(osRelease)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		about[key] = strings.Trim(value, `"`)
	}
	codename := about["VERSION_CODENAME"]
	targets, err := exec.Command("apt-get", "indextargets", "--format",
		"$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)", "Created-By: Packages").Output()
	if err != nil {
		r.t.Skip("skipped: apt-get indextargets: ", err)
	}
	var mirror, sources string
	var components []string
	for line := range strings.Lines(string(targets)) {
		of := strings.Fields(line)
		// Before apt-get update apt has no name of an origin to put there.
		if len(of) < 4 || !strings.EqualFold(of[3], about["ID"]) && of[3] != "$(ORIGIN)" {
			continue
		}
		if suite, _, _ := strings.Cut(of[1], "-"); suite != codename {
			continue
		}
		if of[1] == codename {
			mirror, components = of[0], append(components, of[2])
		}
		sources += "deb " + strings.Join(of[:3], " ") + "\n"
	}
	if mirror == "" {
		r.t.Skipf("skipped: apt has no source of %s %q:\n%s", about["ID"], codename, targets)
	}
	began := time.Now()
	out, err := exec.Command("debootstrap", "--variant=minbase",
		"--components="+strings.Join(slices.Compact(components), ","), codename, r.dir, mirror).CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		r.t.Skipf("skipped: debootstrap: %v: %s", err, strings.Join(lines[max(0, len(lines)-5):], "\n"))
	}
	r.t.Logf("%.1f s: debootstrap", time.Since(began).Seconds())
	// How this machine reaches its sources: a proxy, or an archive whose signatures are old.
	config, err := exec.Command("apt-config", "dump").Output()
	if err != nil {
		r.t.Fatal(err)
	}
	var acquire string
	for line := range strings.Lines(string(config)) {
		if strings.HasPrefix(line, "Acquire::") {
			acquire += line
		}
	}
	r.write("etc/apt/apt.conf.d/50acquire", acquire)
	r.write("etc/apt/sources.list", sources)
}

func (r root) write(path, content string) {
	if err := os.WriteFile(filepath.Join(r.dir, path), []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// image is how a container of the Dockerfile's last stage is run.
type image struct {
	user                     syscall.Credential
	entrypoint, cmd, healthy []string
}

// build does the steps of the Dockerfile's last stage.
func (r root) build() (i image) {
	all := stages(r.t)
	for _, command := range all[len(all)-1].Commands {
		switch c := command.(type) {
		case *instructions.CopyCommand:
			r.copy(c)
		case *instructions.RunCommand:
			args := c.CmdLine
			if c.PrependShell {
				args = append([]string{"/bin/sh", "-c"}, args...)
			}
			r.run(i.user, args...)
		case *instructions.UserCommand:
			user, group, _ := strings.Cut(c.User, ":")
			uid, err := strconv.ParseUint(user, 10, 32)
			gid, err2 := strconv.ParseUint(group, 10, 32)
			if err != nil || err2 != nil || uid == 0 || gid == 0 {
				r.t.Fatalf("USER %s: not numbers that Kubernetes can tell from root's", c.User)
			}
			i.user = syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		case *instructions.HealthCheckCommand:
			if c.Health.Test[0] != "CMD" {
				r.t.Fatalf("HEALTHCHECK %q is not a list", c.Health.Test)
			}
			i.healthy = c.Health.Test[1:]
		case *instructions.EntrypointCommand:
			i.entrypoint = c.CmdLine
		case *instructions.CmdCommand:
			i.cmd = c.CmdLine
		case *instructions.ExposeCommand:
		default:
			r.t.Fatalf("the test cannot do the Dockerfile's %s", command.Name())
		}
	}
	if i.user.Uid == 0 || i.healthy == nil || i.entrypoint == nil || i.cmd == nil {
		r.t.Fatalf("the Dockerfile's last stage has no USER, HEALTHCHECK, ENTRYPOINT or CMD: %+v", i)
	}
	return i
}

// copy does COPY --from of what make dist, the last step of the first stage, leaves.
func (r root) copy(c *instructions.CopyCommand) {
	for _, source := range c.SourcePaths {
		inTree, ok := strings.CutPrefix(source, "/src/")
		files, err := filepath.Glob(filepath.Join("..", inTree))
		if err != nil || !ok || len(files) != 1 {
			r.t.Fatalf("COPY %s: %q, %v", source, files, err)
		}
		b, err := os.ReadFile(files[0])
		if err != nil {
			r.t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(r.dir, c.DestPath), 0o755); err != nil {
			r.t.Fatal(err)
		}
		r.write(filepath.Join(c.DestPath, filepath.Base(files[0])), string(b))
	}
}

// installed returns the package's files, which are root's and have the modes that they should.
func (r root) installed() (files []string) {
	for path := range strings.Lines(r.run(syscall.Credential{}, "dpkg", "-L", "tandem")) {
		path = strings.TrimSpace(path)
		info, err := os.Lstat(filepath.Join(r.dir, path))
		if err != nil {
			r.t.Error(err)
			continue
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 0 || owner.Gid != 0 {
			r.t.Errorf("%s is of %d:%d", path, owner.Uid, owner.Gid)
		}
		want := fs.FileMode(0o644)
		switch {
		case info.IsDir():
			want = fs.ModeDir | 0o755
		case info.Mode().Type() == fs.ModeSymlink:
			want = fs.ModeSymlink | 0o777
		case path == "/usr/lib/tandem/tandem":
			want = 0o755
		case strings.HasPrefix(path, "/etc/"): // for a token
			want = 0o600
		}
		if info.Mode() != want {
			r.t.Errorf("%s has mode %s, not %s", path, info.Mode(), want)
		}
		if !info.IsDir() {
			files = append(files, path)
		}
	}
	for _, want := range []string{
		"/usr/bin/tandem", "/etc/tandem.env", "/etc/tandem-agent.env",
		"/usr/lib/systemd/system/tandem.service", "/usr/lib/systemd/system/tandem-agent.service",
		"/usr/share/man/man1/tandem.1.gz", "/usr/share/man/man1/tandem-serve.1.gz",
		"/usr/share/man/man1/tandem-agent.1.gz",
		"/usr/share/bash-completion/completions/tandem", "/usr/share/zsh/vendor-completions/_tandem",
		"/usr/share/fish/vendor_completions.d/tandem.fish", "/usr/share/doc/tandem/copyright",
	} {
		if !slices.Contains(files, want) {
			r.t.Errorf("the package has no %s", want)
		}
	}
	return files
}

// analyze has the entry point read a drawn face.
func (r root) analyze(i image) {
	out := r.run(i.user, append(slices.Clone(i.entrypoint), "analyze", "--format", "jsonl", "pattern:2s")...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, line := range lines {
		var event struct{ Type string }
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.Type == "" {
			r.t.Errorf("tandem analyze: %v: %s", err, line)
		}
	}
	if len(lines) < 3 {
		r.t.Errorf("tandem analyze: only\n%s", out)
	}
}

// serve runs the image as it is run by default, in a network of its own, since its port may be taken.
func (r root) serve(i image) {
	runtime.LockOSThread() // for good: the network is this thread's, and of what it starts
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		r.t.Fatal(err)
	}
	if err := loopbackUp(); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	server := r.command(ctx, i.user, slices.Concat(i.entrypoint, i.cmd)...)
	server.Env = append(server.Env, "TANDEM_TOKEN=a-secret-of-the-test")
	out, in, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	server.Stdout, server.Stderr = in, in
	if err := server.Start(); err != nil {
		r.t.Fatal(err)
	}
	in.Close()
	var log strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "in a browser") { // it listens
			r.run(i.user, i.healthy...)
			if err := server.Process.Signal(syscall.SIGTERM); err != nil {
				r.t.Error(err)
			}
		}
	}
	if err := server.Wait(); err != nil || !strings.Contains(log.String(), "in a browser") {
		r.t.Errorf("tandem serve: %v\n%s", err, log.String())
	}
	if out, err := r.command(ctx, i.user, i.healthy...).CombinedOutput(); err == nil {
		r.t.Errorf("HEALTHCHECK finds the server well that has ended: %s", out)
	}
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// units has systemd find nothing wrong with the units and what they name. It needs more than the package does.
func (r root) units() {
	r.run(syscall.Credential{}, "apt-get", "update")
	r.run(syscall.Credential{}, "apt-get", "install", "-y", "--no-install-recommends", "systemd", "procps")
	for _, unit := range []string{"tandem", "tandem-agent"} {
		// The pages that they name are among those installed; there is no man to find them by.
		cmd := r.command(r.t.Context(), syscall.Credential{}, "systemd-analyze", "verify", "--man=no", unit+".service")
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			r.t.Errorf("%s.service: %v\n%s", unit, err, out)
		}
	}
}

// purge removes the package, its files and whatever has its name.
func (r root) purge(files []string) {
	r.run(syscall.Credential{}, "dpkg", "--purge", "tandem")
	for _, path := range files {
		if _, err := os.Lstat(filepath.Join(r.dir, path)); err == nil {
			r.t.Errorf("%s is left", path)
		}
	}
	err := filepath.WalkDir(r.dir, func(path string, e fs.DirEntry, err error) error {
		if path == filepath.Join(r.dir, "proc") {
			return fs.SkipDir
		}
		if err == nil && strings.Contains(e.Name(), "tandem") {
			r.t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		r.t.Error(err)
	}
}
